"""together's own check of a file before its upload, and its own parser of the command."""

import shlex

import reading
from together.lib.cli import app
from together.lib.utils import check_file


def read(model, folder):
    _, _, command = (folder / "train.sh").read_text(encoding="utf-8").partition("\ntg ")
    words = shlex.split(command.replace("\\\n", " "))
    app.parse_args(words, print_error=False, exit_on_error=False)
    made = {}
    for path in sorted(folder.glob("*.jsonl")):
        report = check_file(path)
        if not report["is_check_passed"]:
            raise ValueError(report["message"])
        made[path.stem] = [{"text": ""}] * report["num_samples"]
    return made


if __name__ == "__main__":
    reading.main("together", read)
