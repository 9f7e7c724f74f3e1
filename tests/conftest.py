"""What every test gets: a state folder of its own, no key, and a mended nbval."""

pytest_plugins = ["tests.isolation", "tests.nbval_shim"]
