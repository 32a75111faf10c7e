#!/bin/sh
# The operator guide's main job with both Python clients that are imported as `consul`, against the
# binary given (default: the debug build). Makes its virtual environments under target/.
set -eu
cd "$(dirname "$0")/.."
lictor=${1:-target/debug/lictor}
if [ $# -eq 0 ]; then
    cargo build --quiet --package lictor-bins --bins
fi
if ! command -v dig >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get -q update && apt-get -qy install --no-install-recommends bind9-dnsutils; } >/dev/null \
        || echo "dig could not be installed"
fi
for client in py-consul==1.8.0 python-consul==1.1.0; do
    echo "==> the main job with $client"
    venv=target/clients/${client%%=*}
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$client"
    "$venv/bin/python" tests/clients/main_job.py "$lictor"
    echo "==> the main job with $client, through a client agent"
    "$venv/bin/python" tests/clients/main_job.py "$lictor" agent
done
