"""Plain llama.cpp, to compare with: the same file, none of our code in between."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Plain:
    """llama.cpp's own server on a loopback port, with one thread and a small context."""

    def __init__(self, gguf: Path, adapter: Path | None = None, *, context: int = 1024) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx = context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.verbosity = -1
        params.warmup = False
        if adapter:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        self.server = xllamacpp.Server(params)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(
            self.server.listening_address + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def tokenize(self, text: str) -> list[int]:
        body = {"content": text, "parse_special": True, "add_special": False}
        return list(self.post("/tokenize", body)["tokens"])

    def template(self, messages: list[dict[str, str]]) -> str:
        """The chat as text, by the template inside the GGUF."""
        return str(self.post("/apply-template", {"messages": messages})["prompt"])

    def answer(self, messages: list[dict[str, str]], *, max_tokens: int) -> str:
        """The greedy answer."""
        body = {"prompt": self.template(messages), "n_predict": max_tokens, "temperature": 0}
        return str(self.post("/completion", body)["content"])
