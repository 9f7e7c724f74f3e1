"""mistral-common's validators for fine-tuning, the strictest and the newest."""

import reading
from mistral_common.protocol.instruct.messages import FinetuningAssistantMessage, FinetuningMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.tool_calls import Tool
from mistral_common.protocol.instruct.validator import (
    MistralRequestValidatorV3,
    MistralRequestValidatorV13,
    ValidationMode,
)
from pydantic import TypeAdapter

MESSAGES = TypeAdapter(list[FinetuningMessage])
TOOLS = TypeAdapter(list[Tool])


def read(model, folder):
    return reading.checked(folder, check)


def check(row):
    messages = MESSAGES.validate_python(row["messages"])
    answers = [m for m in messages if m.role == "assistant"]
    if not all(isinstance(m, FinetuningAssistantMessage) for m in answers):
        raise TypeError("an answer was not read as one for fine-tuning")
    request = ChatCompletionRequest(
        messages=messages, tools=TOOLS.validate_python(row.get("tools", []))
    )
    for validator in (MistralRequestValidatorV3, MistralRequestValidatorV13):
        validator(mode=ValidationMode.finetuning).validate_request(request)


if __name__ == "__main__":
    reading.main("mistral-common", read)
