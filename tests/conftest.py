"""What every test gets: a state folder of its own, no key, and a mended nbval."""

import gc

import pytest

from tests.places import ROOT

pytest_plugins = ["tests.isolation", "tests.nbval_shim", "tests.fixtures"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection():
    """Millions of objects that stay are made here: Python need not look through them for garbage,
    neither now nor at each full look during a test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Notebooks first, for two processes: they take longest. Claims read what these have stored.

    Then what is fast: where time is short, the slow ones are left out.
    """
    items.sort(key=_place)


def _place(item):
    # Here: pytest itself imports its plugins, to rewrite their assertions.
    from tests.isolation import is_light

    if item.path.suffix == ".ipynb":
        return 0
    if item.path.name == "test_claims.py":
        return 1
    if is_light(item.path.relative_to(ROOT)):
        return 2
    return 4 if item.get_closest_marker("slow") else 3
