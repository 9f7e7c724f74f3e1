#!/usr/bin/env bash
# ray 2.60.0: a head that is started with --node-ip-address=127.0.0.1 listens there alone. One would
# guess that with the address of one network card it listens on that card alone. Instead its control
# store and its raylet, through which programs are run, then listen on every card of the machine.
# Tried in network namespaces that nobody else reaches, since without RAY_AUTH_MODE=token nobody is
# asked who they are.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install -q "ray[default]==2.60.0"

everywhere() {
    unshare --net --map-root-user --pid --fork --mount --mount-proc bash -s "$dir" "$1" <<'SH'
set -euo pipefail
ip link set lo up
ip link add eth0 type veth peer name eth1
ip addr add 192.0.2.7/24 dev eth0
ip addr add 198.51.100.7/24 dev eth1
ip link set eth0 up
ip link set eth1 up
export RAY_USAGE_STATS_ENABLED=0 RAY_TMPDIR="$1/$2"
mkdir -p "$RAY_TMPDIR"
"$1/env/bin/ray" start --head --node-ip-address="$2" --num-cpus=0 --include-dashboard=false \
  --temp-dir="$1/$2" --object-store-memory=78643200 >/dev/null 2>&1
ss -ltnpH | awk '$4 ~ /^(\*|0\.0\.0\.0|\[::\]):/ {print $4, $6}'
SH
}

one=$(everywhere 127.0.0.1)
other=$(everywhere 192.0.2.7)
echo "$("$dir/env/bin/ray" --version), listening on every card"
echo "with 127.0.0.1: ${one:-nothing}"
echo "with 192.0.2.7: $other"
test -z "$one"
grep -q gcs_server <<<"$other"
grep -q raylet <<<"$other"
