"""The program that answers a part of a batch on a node: requests in a folder, answers beside them.

For: `executors.node`, which a cluster starts. It has no port: requests go through the same
application as those of clients, inside this process.

    python -m helpers.backend.answerer FOLDER
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from helpers.backend.api.app import create_app, through
from helpers.backend.batch.asking import ask_all
from helpers.backend.batch.line_format import Answers, read
from helpers.backend.batch.queue import SHARE
from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.storage.parent import watch_parent
from helpers.backend.storage.store import LOCAL
from helpers.backend.training.spec import SPEC
from helpers.base import settings


def main(folder: Path, engine: Engine | None = None) -> int:
    """Answer what is left in `folder`; returns the exit code."""
    watch_parent()
    spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    # No cluster behind a node, and nothing of a server that may stand on this machine.
    config = settings.load()
    config = replace(config, state=folder / "state", executor=None, threads=spec["threads"])
    made = engine or Engine(threads=config.threads, cache=config.state / "cache")
    app = create_app(config, token=secrets.token_hex(), engine=made)
    service = app.state.service
    service.models.adopt(model_of(spec))
    lines, _ = read(Path(spec["requests"]), endpoint=spec["endpoint"])
    answers, ask = Answers(folder), through(app)
    most = max(1, int(SHARE * made.at_once))

    async def asked(body: Mapping[str, Any]) -> tuple[int, str, Any]:
        return await ask(LOCAL, spec["endpoint"], body)

    def answered(row: dict[str, Any]) -> None:
        answers.add([row])

    left = list(answers.left(lines))
    anyio.run(ask_all, asked, left, most, lambda: False, answered)
    service.close()
    return 0


def model_of(spec: Mapping[str, Any]) -> ServedModel:
    """What answers, under the name that the requests give it."""
    parent = spec["parent_adapter"]
    adapter = Path(parent) / "adapter.gguf" if parent else None
    return ServedModel(spec["model"], Path(spec["base_gguf"]), adapter, spec["context"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
