"""A model's chat template in the language of Ollama, where both write the same chats.

For: the exported Modelfile. Ollama's templates are Go's; what stands around each role's messages
is read off the model's own template, and taken only if it is always the same. Elsewhere Ollama
looks the template up itself, by the one inside the GGUF file. The course's own form of tools is
written out here, after Ollama's own templates for models that were trained with it.

    found = ollama_template(template)      # "{{- range .Messages }}…", or None
    tool_template()                        # the course's model, with tools and calls
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from helpers.base.chat_format import END, START, Message
from helpers.base.chat_template import ChatTemplate
from helpers.base.errors import DataError
from helpers.base.tool_format import CLOSE, HEAD, OPEN, TAIL, result_text

SYSTEM, FIRST, ANSWER, SECOND = "\u2042s", "\u2042q", "\u2042a", "\u2042r"
"""Texts that stand in no template."""


@dataclass(frozen=True)
class RoleFrames:
    """What stands before and behind each role's messages, and before the answer to come."""

    frames: dict[str, tuple[str, str]]
    opening: str

    def write(self, messages: Sequence[Message]) -> str:
        """A chat as Ollama would write it."""
        parts = [self.frames[m["role"]] for m in messages]
        texts = zip(parts, messages, strict=True)
        return "".join(f"{a}{m['content']}{b}" for (a, b), m in texts) + self.opening

    def as_go(self) -> str:
        """The same in Go's language. Ollama puts the mark that begins a text there itself."""
        cases = [
            # Four braces in an f-string are Go's two.
            f'{{{{ {word} eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{behind}'
            for word, (role, (before, behind)) in zip(
                ("if", *("else if",) * 9), self.frames.items(), strict=False
            )
        ]
        return f"{{{{- range .Messages }}}}{''.join(cases)}{{{{ end }}}}{{{{ end }}}}{self.opening}"


def ollama_template(template: ChatTemplate) -> str | None:
    """The template for a Modelfile; None where a form of its kind would write other chats."""
    try:
        frames = _frames(template)
        # The proof: frames read off one chat must write all the others as the template does.
        agree = frames and all(_alike(frames, template, chat) for chat in _chats())
    except (DataError, ValueError, KeyError):
        return None
    written = frames.as_go() if frames and agree else ""
    # Three quotes end a template inside a Modelfile.
    return written if written and '"""' not in written else None


def tool_template() -> str:
    """ChatML with Hermes' tools, calls and results, as `helpers.base.tool_format` writes them."""
    offered = (
        f'{HEAD}{{{{- range .Tools }}}}\n{{"type": "function", "function": {{{{ .Function }}}}}}'
    )
    call = '{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}'
    calls = f"{{{{ range .ToolCalls }}}}{OPEN}\n{call}\n{CLOSE}{{{{ end }}}}"
    result = result_text("{{ .Content }}")
    return (
        f"{{{{- if or .System .Tools }}}}{START}system\n{{{{ .System }}}}"
        f"{{{{ if .Tools }}}}{offered}{{{{- end }}}}{TAIL}{{{{ end }}}}{END}\n{{{{ end }}}}"
        "{{- range .Messages }}"
        f'{{{{- if eq .Role "user" }}}}{START}user\n{{{{ .Content }}}}{END}\n'
        f'{{{{ else if eq .Role "assistant" }}}}{START}assistant\n'
        f"{{{{ if .Content }}}}{{{{ .Content }}}}{{{{ end }}}}{calls}{END}\n"
        f'{{{{ else if eq .Role "tool" }}}}{START}user\n{result}{END}\n'
        f"{{{{ end }}}}{{{{ end }}}}{START}assistant\n"
    )


def _alike(frames: RoleFrames, template: ChatTemplate, chat: Sequence[Message]) -> bool:
    start = template.marks.get("bos_token", "")
    return frames.write(chat) == template.render(chat).removeprefix(start)


def _frames(template: ChatTemplate) -> RoleFrames | None:
    # Ollama writes the mark that begins a text itself: with it here there would be two.
    start = template.marks.get("bos_token", "")
    chat = template.render([_user(FIRST), _assistant(ANSWER), _user(SECOND)]).removeprefix(start)
    # Each split needs the mark exactly once; a template that repeats or drops a message raises
    # ValueError, which the caller takes for "no form of this kind".
    head, rest = chat.split(FIRST)
    middle, rest = rest.split(ANSWER)
    between, end = rest.split(SECOND)
    # A template that opens with a default system message: its first question has another head.
    if not between.endswith(head):
        return None
    # A rendering that ends right behind the user's message tells its end from what begins an
    # answer.
    alone = template.render([_user(FIRST)], add_generation_prompt=False)
    behind_user = alone.partition(FIRST)[2]
    frames = {
        "user": (head, behind_user),
        "assistant": (middle.removeprefix(behind_user), between.removesuffix(head)),
    }
    if template.takes_system:
        asked = template.render([_system(SYSTEM), _user(FIRST)]).removeprefix(start)
        before, rest = asked.split(SYSTEM)
        behind = rest.split(FIRST)[0].removesuffix(head)
        frames["system"] = (before, behind)
    return RoleFrames(frames, end.removeprefix(behind_user))


def _chats() -> list[list[Message]]:
    short = [_user("Hi"), _assistant("Yes?"), _user("Why?"), _assistant("So."), _user("Ah")]
    # Roles alone, repeated, and with a system message: the ways in which templates differ.
    return [[_user("Hi")], short, [_system("Be kind."), *short], [_system("Be kind."), _user("x")]]


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _system(text: str) -> Message:
    return {"role": "system", "content": text}
