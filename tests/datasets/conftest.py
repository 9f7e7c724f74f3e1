"""Settings of the property tests."""

from __future__ import annotations

from hypothesis import settings

# The first example pays for imports such as pandas; a slow machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
