"""What every test gets: a state folder of its own, no key, and a mended nbval."""

pytest_plugins = ["tests.isolation", "tests.nbval_shim", "tests.fixtures"]


def pytest_collection_modifyitems(items):
    """Claims come last: they read the results that the notebooks have just stored."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/test_claims.py"))
