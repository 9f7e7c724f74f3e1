"""`serve`: the API server in the foreground, for other programs or a whole class."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

from helpers.base import settings
from helpers.base.errors import BackendError


def run(root: Path, options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; where it answers and where its key is are printed first."""
    from helpers.backend import daemon

    config = settings.load()
    if found := daemon.find(config):
        raise BackendError(
            f"a server already answers at {found.url}", fix="use that one, or end it"
        )
    port = options.port or free_port(options.host)

    def announce(url: str) -> None:
        print(f"OPENAI_BASE_URL={url}/v1")
        print(f"the key is in {config.state / 'token'}; Ctrl-C ends the server", flush=True)

    daemon.serve(config, port, options.host, announce=announce)
    return 0


def free_port(host: str) -> int:
    """A port that nothing listens on."""
    try:
        with socket.create_server((host, 0)) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise BackendError(f"{host} is no address of this machine", fix="check --host") from error
