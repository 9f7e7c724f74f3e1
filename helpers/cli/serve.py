"""`serve`: the API server in the foreground, for other programs or a whole class.

With `--model` it also answers as a capstone's best method did, from the folder that holds it.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base import settings
from helpers.base.errors import BackendError

if TYPE_CHECKING:
    from helpers.backend.service import Service


def run(root: Path, options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; where it answers and where its key is are printed first."""
    from helpers.backend import daemon
    from helpers.backend.service.limits import Limits

    config = settings.load()
    adopt = _adopting(Path(options.model)) if options.model else None
    port = options.port or free_port(options.host)

    def announce(url: str) -> None:
        print(f"OPENAI_BASE_URL={url}/v1")
        print(f"the key is in {config.state / 'token'}; Ctrl-C ends the server", flush=True)
        print(f"a class: python3 -m helpers keys add NAME; its page: {url}/class", flush=True)

    daemon.serve(
        config,
        port,
        options.host,
        limits=Limits.parse(options.limits),
        names=options.allow_host,
        announce=announce,
        adopt=adopt,
    )
    return 0


def _adopting(folder: Path) -> Callable[[Service], None]:
    """Read the folder now, so that what is wrong with it is said before the server starts."""
    from helpers.capstone import responder
    from helpers.capstone.takeaway import read_method

    method = read_method(folder)
    print(f"model={method.model} ({method.method})")
    return lambda service: responder.adopt(service, folder, method)


def free_port(host: str) -> int:
    """A port that nothing listens on."""
    try:
        # Free at this moment; the server opens it right away.
        with socket.create_server((host, 0)) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise BackendError(f"{host} is no address of this machine", fix="check --host") from error
