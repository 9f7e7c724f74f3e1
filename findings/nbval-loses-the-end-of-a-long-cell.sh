#!/usr/bin/env bash
# nbval 0.11.0: a cell that succeeds fails with "Timeout of 5 seconds exceeded waiting for output"
# if its kernel publishes many messages before it replies.
# One would guess that messages wait until they are read. nbval reads what a cell shows only after
# the kernel's reply, and ZeroMQ keeps some thousands of messages for a reader and drops what comes
# after them: the last ones, the one that says "idle" among them. Five hundred are kept.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q nbval==0.11.0 ipykernel==7.4.0 pyzmq==27.3.0 pytest==9.2.0
cat > "$dir/make.py" <<'PY'
import sys

import nbformat

source = f"for n in range({sys.argv[1]}):\n    display(n, display_id=str(n))"
cell = nbformat.v4.new_code_cell(source)
nbformat.write(nbformat.v4.new_notebook(cells=[cell]), "many.ipynb")
PY
export IPYTHONDIR="$dir/ipython" JUPYTER_CONFIG_DIR="$dir/jupyter"

says() {
    (cd "$dir" && env/bin/python make.py "$1" &&
        env/bin/python -m pytest -q -p no:cacheprovider --nbval-lax many.ipynb 2>&1) || true
}
few=$(says 500)
many=$(says 20000)
"$dir/env/bin/pip" list 2>/dev/null | grep -iE "^(nbval|pyzmq|ipykernel) "
echo "500 messages: $(tail -1 <<< "$few")"
echo "20,000 messages: $(grep -m1 -o 'Timeout of .* output' <<< "$many")"
grep -q "1 passed" <<< "$few"
grep -q "Timeout of 5 seconds exceeded waiting for output" <<< "$many"
