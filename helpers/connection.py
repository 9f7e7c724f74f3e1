"""Connect a notebook to whatever answers: the embedded server, OpenAI, or another.

For: one call at the top of each notebook. Not for: fine-tuning jobs, see `helpers.finetuning.jobs`.

    course = connect()
    course.client.chat.completions.create(model=course.chat_model, messages=[...])
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from helpers.base import settings as settings_module
from helpers.base.errors import BackendError
from helpers.base.markup import html_text
from helpers.base.progress_bar import counted
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL, Settings
from helpers.base.tokens import local_tokenizer

if TYPE_CHECKING:
    from openai import OpenAI

    from helpers.base.local_tokenizer import LocalTokenizer

Backend = Literal["embedded", "openai", "other"]

OWNED_BY = "workbook"
"""Whose the base model is, in the list of a server of this course."""
TELL_SECONDS = 5.0
_told: OpenAI | None = None

OPENAI_HOST = "api.openai.com"
OPENAI_URL = f"https://{OPENAI_HOST}/v1"


@dataclass(frozen=True)
class Connection:
    """A ready client, and the names of the models that the course uses with it."""

    client: OpenAI
    backend: Backend
    url: str
    """Base URL of the API, without any key."""
    chat_model: str
    embedding_model: str
    note: str = ""
    """What the reader should know about this choice, in one sentence."""
    shared: bool = False
    """Whether it is a server of this course that others use too."""

    @property
    def tokenizer(self) -> LocalTokenizer:
        """The tokenizer of the chat model; the course's own where an endpoint keeps its to itself.

        Raises `BackendError` for a base that a shared server has and this machine has not.
        """
        name = self.chat_model.removeprefix("ft:").partition(":")[0]
        if self.backend != "embedded" or name == BASE_MODEL:
            return local_tokenizer()
        # Here: it takes the parts that look at models.
        from helpers.backend.bases.registry import find

        base = find(settings_module.load()).fit.get(name)
        if base is None:
            fix = "add it here too: python3 -m helpers models add"
            raise BackendError(f"the tokenizer of {name} is not on this machine", fix=fix)
        return local_tokenizer(base.gguf)

    @property
    def summary(self) -> str:
        """One sentence: who answers."""
        if self.shared:
            return f"A server of this course answers at {self.url}, which OPENAI_BASE_URL names."
        return {
            "embedded": "The embedded server on this machine answers. No key, no network, no cost.",
            "openai": f"OpenAI answers at {self.url}. Calls cost money.",
            "other": f"The endpoint {self.url} answers, because OPENAI_BASE_URL names it.",
        }[self.backend]

    def __repr__(self) -> str:
        lines = [self.summary, f"chat model: {self.chat_model}"]
        lines.append(f"embedding model: {self.embedding_model}")
        return "\n".join([*lines, self.note] if self.note else lines)

    def _repr_html_(self) -> str:
        note = f"<p>{html_text(self.note)}</p>" if self.note else ""
        return (
            f"<p><b>{html_text(self.summary)}</b></p><ul>"
            f"<li>chat model: <code>{html_text(self.chat_model)}</code></li>"
            f"<li>embedding model: <code>{html_text(self.embedding_model)}</code></li></ul>{note}"
        )


def connect(
    *,
    paid: bool = False,
    base: str | None = None,
    chat_model: str | None = None,
    embedding_model: str | None = None,
    settings: Settings | None = None,
) -> Connection:
    """Find the endpoint that this machine is set up for, or start the embedded server.

    `OPENAI_BASE_URL` names any compatible endpoint. `OPENAI_API_KEY` alone, or with OpenAI's
    own address, means OpenAI, where calls cost money: that needs `paid=True` as an explicit yes.
    Without either, the embedded server answers. There `base`, or `WORKBOOK_BASE`, names another
    base model to train and to ask, see `python3 -m helpers models`. `chat_model` and
    `embedding_model` override the names for an endpoint that knows others.

    Raises `BackendError` when the endpoint does not answer, or has no such base model.
    """
    config = settings or settings_module.load()
    # By its host: whoever names OpenAI's own address pays as without it, and must say yes too.
    at_openai = config.base_url and urlsplit(config.base_url).hostname == OPENAI_HOST
    if config.base_url and not at_openai:
        found = _other(config, config.base_url)
    elif config.api_key and paid:
        found = _openai(config)
    else:
        found = _embedded(config)
    wanted = base or (config.base if found.backend == "embedded" else None)
    if wanted:
        found = _with_base(found, wanted)
    return replace(
        found,
        chat_model=chat_model or found.chat_model,
        embedding_model=embedding_model or found.embedding_model,
    )


def _with_base(found: Connection, name: str) -> Connection:
    """The same with another base model, and what that costs."""
    from openai import NotFoundError

    if found.backend != "embedded":
        fix = "choose with chat_model=..., or unset OPENAI_BASE_URL"
        raise BackendError(f"{found.url} is no server of this course: it has no bases", fix=fix)
    if name == EMBEDDING_MODEL:
        fix = "python3 -m helpers models lists the bases"
        raise BackendError(f"{name} makes vectors: it is no base model", fix=fix)
    try:
        found.client.models.retrieve(name)
    except NotFoundError as error:
        body = error.body if isinstance(error.body, dict) else {}
        fix = "python3 -m helpers models lists all; `models add` adds one"
        raise BackendError(str(body.get("message") or error), fix=fix) from error
    note = (
        f"The base model is {name}. Times on the notebooks' cards, and what their texts say of "
        "answers, are those of the course's own model. `python3 -m helpers bench models` "
        "measures yours."
    )
    note = note if name != BASE_MODEL else ""
    return replace(found, chat_model=name, note=" ".join(filter(None, (found.note, note))))


def _embedded(config: Settings) -> Connection:
    from openai import OpenAI

    from helpers.backend import daemon

    address = daemon.find(config)
    if not address:
        with counted("the server") as tell:
            tell.now("the server is starting: some seconds, at its first start up to a minute")
            address = daemon.ensure_running(config)
    url = address.url.rstrip("/") + "/v1"
    note = ""
    if config.api_key:
        note = (
            "OPENAI_API_KEY is set but not used: OpenAI's calls cost money. "
            "Say yes with connect(paid=True)."
        )
    client = OpenAI(base_url=url, api_key=address.token)
    return Connection(client, "embedded", url, BASE_MODEL, EMBEDDING_MODEL, note)


def _openai(config: Settings) -> Connection:
    from openai import OpenAI

    from helpers.costs import catalog

    known = catalog.load()
    # The cheapest: a learner who said yes to a paid call has not chosen a model yet.
    chat = min(known.inference.values(), key=lambda price: price.per_million)
    embedding = min(known.embeddings.values(), key=lambda price: price.per_million)
    client = OpenAI(base_url=OPENAI_URL, api_key=config.api_key)
    prices = f"Prices: {chat.model} {chat}; {embedding.model} {embedding}."
    return Connection(client, "openai", OPENAI_URL, chat.model, embedding.model, prices)


def _without_password(url: str) -> str:
    """An address as it may be shown: a name and a password in it are left out."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _shared(config: Settings, client: OpenAI, url: str) -> Connection:
    """A server of this course: it is told which notebook is here, and may have a word for all."""
    global _told
    _told = client
    said = tell(client, notebook=config.notebook) if config.notebook else tell(client)
    return Connection(client, "embedded", url, BASE_MODEL, EMBEDDING_MODEL, said, shared=True)


def tell(client: OpenAI, **what: Any) -> str:
    """Tell a server of this course where a learner is; returns what the leader says to all."""
    from openai import OpenAIError

    with contextlib.suppress(OpenAIError):
        # An earlier release of the server knows no classes; work goes on without.
        answer = client.with_options(max_retries=0, timeout=TELL_SECONDS).put(
            "/class/here", body=what, cast_to=object
        )
        return str(answer.get("text", "")) if isinstance(answer, dict) else ""
    return ""


def tell_progress(progress: Mapping[str, Any]) -> None:
    """Tell the shared server that this program last connected to; nothing without one.

    It happens aside, and a server that does not answer is nobody's fault here.
    """
    if _told is not None:
        threading.Thread(target=tell, args=(_told,), kwargs={"progress": progress}).start()


def _other(config: Settings, url: str) -> Connection:
    from openai import APIConnectionError, APIStatusError, OpenAI

    # The client cannot be made without a key; servers of one's own often ask for none.
    client = OpenAI(base_url=url, api_key=config.api_key or "none")
    url = _without_password(url)
    try:
        models = list(client.models.list())
    except APIConnectionError as error:
        raise BackendError(
            f"nothing answers at {url}",
            fix="check OPENAI_BASE_URL, or unset it to use the embedded server",
        ) from error
    except APIStatusError as error:
        raise BackendError(
            f"{url} refused the list of its models with status {error.status_code}",
            fix="check OPENAI_API_KEY and that OPENAI_BASE_URL ends in the API's root, often /v1",
        ) from error
    names = [model.id for model in models]
    if any(model.id == BASE_MODEL and model.owned_by == OWNED_BY for model in models):
        return _shared(config, client, url)
    if not names:
        raise BackendError(f"{url} serves no model", fix="load one there, then connect again")
    return Connection(
        client,
        "other",
        url,
        BASE_MODEL if BASE_MODEL in names else names[0],
        # A guess by name, which the note tells how to correct.
        next((name for name in names if "embed" in name or "minilm" in name.lower()), names[0]),
        "Choose other models with connect(chat_model=..., embedding_model=...).",
    )
