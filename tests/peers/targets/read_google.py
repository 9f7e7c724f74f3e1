"""google-genai's own types, which forbid keys that they do not know, for rows and the job."""

import reading
from google.genai import types


def read(model, folder):
    types.TuningJob.model_validate_json((folder / "tuning_job.json").read_text(encoding="utf-8"))
    return reading.checked(folder, check)


def check(row):
    unknown = set(row) - {"systemInstruction", "contents", "tools", "completions"}
    if unknown:
        raise ValueError(f"keys that are unknown: {unknown}")
    for content in [*row["contents"], *filter(None, [row.get("systemInstruction")])]:
        types.Content.model_validate(content)
    for tool in row.get("tools", ()):
        types.Tool.model_validate(tool)
    for one in row.get("completions", ()):
        types.Content.model_validate(one["completion"])


if __name__ == "__main__":
    reading.main("google-genai", read)
