"""Every problem that a dataset file can have: code, severity, explanation, remedy.

For: one place where the validator, the notebooks and the tests look codes up; a code
never changes its meaning. Not for: finding problems, see `file` and `cross_checks`.

    CODES["missing_role"].fix       # 'give each message a "role": system, user, …'
    problem("missing_role", 7, "message 2 has no role")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Code:
    """One kind of problem. Errors stop an upload; warnings do not."""

    code: str
    severity: Severity
    why: str
    """What goes wrong if it stays."""
    fix: str
    """What to do about it."""


def _table(severity: Severity, rows: dict[str, tuple[str, str]]) -> dict[str, Code]:
    return {code: Code(code, severity, why, fix) for code, (why, fix) in rows.items()}


_FILE_ERRORS = {
    "empty_file": (
        "There is nothing to learn from.",
        "write one JSON object per line",
    ),
    "not_text": (
        "The file is an archive, a spreadsheet or another binary format.",
        "export or convert it to JSONL first (helpers.datasets.conversion)",
    ),
    "not_utf8": (
        "JSON is UTF-8 by definition; other bytes become wrong letters.",
        "save the file as UTF-8",
    ),
    "not_jsonl": (
        "A line that is no JSON object cannot be read.",
        "write one JSON object per line, without commas or brackets around the lines",
    ),
    "line_too_long": (
        "No example is that long; usually the line breaks are missing.",
        "put each example on a line of its own",
    ),
    "invalid_n_examples": (
        "With fewer than ten examples nothing general is learnt.",
        "write at least 10 examples; about 50 well-made ones are a good start",
    ),
    "unknown_format": (
        "The keys fit none of the known formats.",
        (
            'use {"messages": [...]}, or {"prompt": ..., "completion": ...}, or preference pairs; '
            'convert_file(..., to="preference") makes these of other trainers\' pairs'
        ),
    ),
    "mixed_kinds": (
        "One job trains on one format.",
        "convert all lines to one format, or split the file",
    ),
    "same_file": (
        "A model scored on what it was trained on looks better than it is.",
        "split off other examples for validation",
    ),
}

_EXAMPLE_ERRORS = {
    "messages_missing": (
        "A chat example is a list of messages.",
        'give "messages" a list with at least a user and an assistant message',
    ),
    "wrong_type": (
        "A value of the wrong type cannot be used.",
        "change the value to the type that the message names",
    ),
    "missing_role": (
        "Nobody can tell who speaks.",
        'give each message a "role": system, developer, user, assistant or tool',
    ),
    "unknown_role": (
        "The model knows no such speaker.",
        "use system, developer, user, assistant or tool",
    ),
    "missing_content": (
        "The message says nothing.",
        'give the message a "content"',
    ),
    "content_null": (
        "Null is allowed only beside tool_calls or function_call.",
        "write the text, or remove the message",
    ),
    "bad_content_part": (
        "A content part needs a known type and its value.",
        'use {"type": "text", "text": "..."}',
    ),
    "missing_assistant": (
        "Only assistant messages are learnt from.",
        "end the example with an assistant message",
    ),
    "last_not_assistant": (
        "The example must end with what the model should say.",
        "end the example with an assistant message",
    ),
    "bad_weight": (
        "A weight switches learning from one answer on or off.",
        'set "weight" to 0 or 1',
    ),
    "all_weights_zero": (
        "No answer is left to learn from.",
        "set the weight of at least one assistant message to 1",
    ),
    "bad_name": (
        "Names allow few characters.",
        "use 1 to 64 letters, digits, _ or -",
    ),
    "bad_tool": (
        'A tool needs type "function" and a function with a name and a schema.',
        'write {"type": "function", "function": {"name": ..., "parameters": {...}}}',
    ),
    "bad_tool_call": (
        'A call needs an id, type "function" and a function with name and arguments.',
        'write {"id": ..., "type": "function", "function": {"name": ..., "arguments": "{}"}}',
    ),
    "bad_arguments": (
        "Arguments are a string that holds one JSON object.",
        "write the arguments as JSON and put it in a string",
    ),
    "duplicate_call_id": (
        "An answer would fit two calls.",
        "give each tool call its own id",
    ),
    "tool_without_call": (
        "A tool message answers a call that was made before it.",
        'set "tool_call_id" to the id of a call of the assistant message before',
    ),
    "call_without_answer": (
        "The model would learn to go on without the result.",
        "add a tool message for each tool call",
    ),
    "missing_prompt": (
        "A pair needs both sides as text.",
        'give "prompt" a text',
    ),
    "missing_completion": (
        "A pair needs both sides as text.",
        'give "completion" a text',
    ),
    "bad_preference": (
        "A preference pair compares two answers to one input.",
        (
            'give "input": {"messages": [...]}, and one assistant message each in '
            '"preferred_output" and "non_preferred_output"'
        ),
    ),
    "same_preference": (
        "Two equal answers show no preference.",
        "make the two answers differ, or remove the line",
    ),
}

_TRAINER_ERRORS = {
    "answer_cut_off": (
        "What is over the limit is cut off, and here every answer is.",
        "shorten what stands before the answer, or split the example",
    ),
    "image_unsupported": (
        "The local model sees no pictures: it would learn to answer what it cannot see.",
        "describe the picture in words, or train a hosted model that sees",
    ),
    "nothing_to_learn": (
        "The local model would learn to say nothing.",
        'write an answer, or set its "weight" to 0',
    ),
}
"""What a file may hold for OpenAI, and the course's own trainer refuses instead of guessing."""

_WARNINGS = {
    "example_too_long": (
        "What is over the limit is cut off from the end and not learnt.",
        "shorten or split the example",
    ),
    "special_token": (
        "It reads like a mark of a chat format: text here, elsewhere perhaps a new turn.",
        "remove it if it is left over from another format; in a text about such marks, keep it",
    ),
    "weight_elsewhere": (
        "Most trainers outside OpenAI's service and this course learn answers of weight 0 too.",
        "nothing to do here; for another trainer, leave those answers out",
    ),
    "tools_offered": (
        "A base model that was not trained to call tools calls those alone that examples show.",
        "add examples in which no tool is called, hold some out, and count the right calls",
    ),
    "name_ignored": (
        "The local model's chat template has no place for a speaker's name.",
        "write the name into the content if the model should see it",
    ),
    "bom": (
        "Some programs take the invisible mark for a part of the first line.",
        "save as UTF-8 without BOM; the mark is ignored here",
    ),
    "crlf": (
        "Harmless: Windows line endings are accepted.",
        "nothing to do",
    ),
    "blank_line": (
        "An empty line is skipped.",
        "remove it",
    ),
    "duplicate_key": (
        "JSON keeps only the last of two equal keys.",
        "remove one of them",
    ),
    "unknown_key": (
        "The key is not used in training.",
        "remove it, or move it to a file of its own",
    ),
    "empty_answer": (
        "The model learns to say nothing.",
        "write an answer, or remove the example",
    ),
    "empty_message": (
        "The message says nothing.",
        "write a text, or remove the message",
    ),
    "weight_ignored": (
        "Only assistant messages have a weight.",
        "remove the weight",
    ),
    "system_not_first": (
        "Models are used with the system message in front.",
        "move it to the first place",
    ),
    "missing_user": (
        "An answer to nothing teaches the model to talk without a question.",
        "put a user message before the answer",
    ),
    "unknown_tool": (
        "The call names a tool that the example does not offer.",
        'list the tool under "tools"',
    ),
    "deprecated_functions": (
        "Functions were replaced by tools.",
        'write "tools" and "tool_calls"',
    ),
    "image_part": (
        "The local model sees no pictures.",
        "use text, or a model that sees",
    ),
}

_DEEP_ERRORS = {
    "secret_key": (
        "Whoever gets the model or the file may get the key.",
        "revoke the key, and replace it by a placeholder",
    ),
    "leakage": (
        "The example stands in the training file: its score shows memory, not skill.",
        "remove it from one of the two files",
    ),
}

_DEEP_WARNINGS = {
    "duplicate_example": (
        "It is learnt twice as strongly as the others.",
        "keep one of them",
    ),
    "near_duplicate": (
        "Nearly the same example again adds little and may leak between splits.",
        "keep the better one",
    ),
    "contradictory_answers": (
        "The model learns to guess between two answers to the same question.",
        "keep the answer that is right today",
    ),
    "class_imbalance": (
        "The rare answers are hardly learnt.",
        "add examples of the rare class, or thin out the frequent one",
    ),
    "personal_data": (
        "A model can repeat what it was trained on to anyone.",
        "replace it by a placeholder (helpers.datasets.personal_data.redact)",
    ),
    "damaged_text": (
        "Wrongly decoded letters are learnt as they stand.",
        "repair the encoding (helpers.datasets.cleaning.run)",
    ),
    "near_leakage": (
        "Nearly the same question stands in the training file.",
        "keep each group of like questions in one split",
    ),
}

CODES: dict[str, Code] = {
    **_table("error", _FILE_ERRORS),
    **_table("error", _EXAMPLE_ERRORS),
    **_table("error", _TRAINER_ERRORS),
    **_table("warning", _WARNINGS),
    **_table("error", _DEEP_ERRORS),
    **_table("warning", _DEEP_WARNINGS),
}


def problem(code: str, line: int, message: str, *, fix: str = "") -> Problem:
    """A problem with the severity and, unless given, the remedy of its code."""
    kind = CODES[code]
    return Problem(line, code, kind.severity, message, fix or kind.fix)


# Here, and not above: the tables name them as types only, which are read as text.
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One defect of a dataset file. `line` counts from 1; 0 means the whole file."""

    line: int
    code: str
    severity: Severity
    message: str
    fix: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        return f"{where}: {self.code}: {self.message} ({self.fix})"
