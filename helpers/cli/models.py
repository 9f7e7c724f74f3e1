"""`models`: which base models there are, and why others are none; add, check and remove them.

python3 -m helpers models                            # the list
python3 -m helpers models add folder/or/file.gguf    # or OWNER/NAME of the Hugging Face hub
python3 -m helpers models check NAME
python3 -m helpers models remove NAME
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from helpers.backend.bases import registry
from helpers.backend.bases.registry import AddedBase, Base
from helpers.base import settings as settings_module
from helpers.base.errors import CourseError
from helpers.base.settings import Settings
from helpers.cli.confirm import confirmed


def run(root: Path, options: argparse.Namespace) -> int:
    """List, add, check or remove; a running server knows it at its next question."""
    settings = settings_module.load()
    if options.action == "list":
        return _list(settings)
    if not options.name:
        fix = f"run: python3 -m helpers models {options.action} NAME"
        raise CourseError("which model?", fix=fix)
    if options.action == "add":
        return _add(settings, options)
    return (
        _check(settings, options.name) if options.action == "check" else _remove(settings, options)
    )


def _list(settings: Settings) -> int:
    found = registry.find(settings)
    for base in found.fit.values():
        print(f"{base.id:32} {base.family:24} {_gigabytes(base):>9} {base.licence or '?':14}")
    for one in found.unfit.values():
        print(f"{one.name} cannot be used: {one.reason}")
    return 0


def _gigabytes(base: Base) -> str:
    places = base.folder.glob("*.safetensors") if base.folder else [base.gguf]
    return f"{sum(path.stat().st_size for path in places) / 1e9:,.2f} GB"


def _add(settings: Settings, options: argparse.Namespace) -> int:
    """Look at it before anything is written down; what cannot be used is not added."""
    told = _found(options)
    if told is None:
        print("nothing was fetched")
        return 1
    name = registry.name_of(Path(options.as_name or told.source.partition("@")[0] or told.path))
    # Without WORKBOOK_MODELS, whose folder of that name could hold the very model that is added.
    every = registry.find(replace(settings, extra_models=None))
    if name in every.fit and every.fit[name].place != Path(told.path):
        raise CourseError(f"the name {name!r} is taken", fix="give another with --as NAME")
    base = registry.look_at(name, Path(told.path), settings, told)
    # Before it is written down: a model that cannot be converted is not added.
    _convert(base)
    registry.keep_added(settings, registry.added(settings) | {name: told})
    print(
        f"{name}: {base.family}, context {base.context:,}, licence {base.licence or 'not stated'}"
    )
    return 0


def _found(options: argparse.Namespace) -> AddedBase | None:
    """A path that is there; else what the hub has, after a yes."""
    from helpers.backend.bases import hub

    path = Path(options.name).expanduser()
    if path.exists():
        return AddedBase(str(path.resolve()))
    if not hub.is_hub_name(options.name):
        fix = "give a path, or OWNER/NAME of the Hugging Face hub"
        raise CourseError(f"there is no {options.name}", fix=fix)
    model = hub.look_up(options.name, revision=options.revision)
    print(f"{model.name}, revision {model.revision}")
    print(f"{model.bytes / 1e9:,.2f} GB, licence {model.licence or 'not stated'}")
    if not options.yes and not confirmed("Fetch it?"):
        return None
    return AddedBase(str(hub.fetch(model)), model.source, model.licence)


def _convert(base: Base) -> None:
    """Make what is served of a folder, before the first question waits for it."""
    from helpers.backend.bases.served import served_gguf

    if not base.gguf.is_file():
        print(f"writing {base.id} as it is served, in 8 bits")
        served_gguf(base.gguf)


def _check(settings: Settings, name: str) -> int:
    """Look at everything anew, whatever was found before."""
    found = registry.find(settings)
    if unfit := found.unfit.get(name):
        print(f"{name} cannot be used: {unfit.reason}")
        return 1
    if name not in found.fit:
        known = ", ".join([*found.fit, *found.unfit])
        raise CourseError(f"there is no model {name!r}", fix=f"take one of {known}")
    base = found.fit[name]
    if base.folder:
        from helpers.backend.bases import folder

        folder.check(base.folder)
    _convert(base)
    print(
        f"{name}: {base.family}, context {base.context:,}, licence {base.licence or 'not stated'}"
    )
    print(f"from {base.source or base.place}")
    return 0


def _remove(settings: Settings, options: argparse.Namespace) -> int:
    """Forget what was added. What was made of it goes; the model's own files stay."""
    every = registry.added(settings)
    if options.name not in every:
        fix = "only what `models add` added can be removed; WORKBOOK_MODELS names its own"
        raise CourseError(f"{options.name!r} was not added", fix=fix)
    # "NAME-" and eight letters of a hash, as `registry` names what it makes; "*" would also take
    # "NAME-instruct-…".
    made = sorted((settings.state / "bases").glob(f"{options.name}-????????"))
    if tuned := _tuned_on(settings, made):
        fix = "delete the models and cancel the jobs first"
        raise CourseError(f"{', '.join(tuned)} need {options.name}", fix=fix)
    told = every.pop(options.name)
    # Forgotten first: a folder that is left over is in nobody's way, a listed model without one is.
    registry.keep_added(settings, every)
    for folder in made:
        # Windows keeps what a server has open.
        shutil.rmtree(folder, ignore_errors=True)
    print(f"forgot {options.name}; its files stay in {told.path}")
    return 0


def _tuned_on(settings: Settings, made: list[Path]) -> list[str]:
    """Fine-tuned models, and jobs that are not over, that need one of these folders."""
    from helpers.backend.finetune.queue import OVER
    from helpers.backend.storage.store import Store, database_of
    from helpers.backend.training.spec import TrainSpec

    store = Store(settings.state, database_of(settings))
    try:
        everyones = store.everyones()
        models, _ = everyones.list("model")
        jobs, _ = everyones.list("job", keep=lambda job: job["status"] not in OVER)
        needed = {one["id"]: one["_gguf"] for one in models}
        needed |= {job["id"]: TrainSpec.read(store.job_dir(job["id"])).base_gguf for job in jobs}
    finally:
        store.close()
    return sorted(name for name, gguf in needed.items() if Path(gguf).parent in made)
