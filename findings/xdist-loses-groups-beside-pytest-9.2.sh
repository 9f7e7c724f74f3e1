#!/usr/bin/env bash
# pytest-xdist 3.8.0 beside pytest 9.2.0: tests of one `xdist_group` run in several processes
# under `--dist loadgroup`, without a warning. One would guess that they stay in one, as beside
# pytest 9.1.1. The plugin hands the group on in a private field that the newer pytest ignores.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
cat > "$dir/test_group.py" <<'PY'
import os

import pytest

pytestmark = pytest.mark.xdist_group("together")


@pytest.mark.parametrize("number", range(8))
def test_one(number):
    print("ran in", os.environ["PYTEST_XDIST_WORKER"])
PY

processes() {
    "$dir/env/bin/pip" install -q "pytest==$1" pytest-xdist==3.8.0
    (cd "$dir" && env/bin/python -m pytest -q -n 2 --dist loadgroup -rP test_group.py) |
        grep "ran in" | sort -u | wc -l
}
old=$(processes 9.1.1)
new=$(processes 9.2.0)
echo "a group of tests ran in $old process with pytest 9.1.1, in $new with pytest 9.2.0"
[ "$old" = 1 ] && [ "$new" = 2 ]
