"""One sound example for each thing that examples may hold; the peers read the same ones."""

from __future__ import annotations

import json
from typing import Any

from tests.places import ROOT

CASES = ROOT / "tests" / "peers" / "targets" / "cases.json"
EXAMPLES: dict[str, dict[str, Any]] = json.loads(CASES.read_text(encoding="utf-8"))
