#!/usr/bin/env bash
# The Model Context Protocol: its official suite against the daemon's /mcp, and fastmcp as a second peer, against that and
# against statehousectl mcp.
set -euo pipefail
here=$PWD/.ci/conformance.d/mcp
cache=$CONFORMANCE_CACHE/mcp
mkdir -p "$cache"

# installed FILE COMMAND...: runs the command unless it has been run with this file before.
installed() {
	cmp -s "$here/$1" "$cache/installed-$1" || { "${@:2}" >&2 && cp "$here/$1" "$cache/installed-$1"; }
}
packages() { cp "$here/package.json" "$here/package-lock.json" "$cache" && npm ci --silent --prefix "$cache"; }
environment() { python3 -m venv --clear "$cache/venv" && "$cache/venv/bin/pip" -q install --disable-pip-version-check -r "$here/requirements.txt"; }
installed package-lock.json packages
installed requirements.txt environment

url=$(sed -n 's/.*"msg":"http","url":"\([^"]*\)".*/\1/p' "$CONFORMANCE_DIR/../log" | head -1)
[ -n "$url" ] || { echo "the daemon does not say where it serves HTTP" >&2; exit 1; }
"$STATEHOUSECTL" put planner plan '{"goal":"tea"}' >&2
python3 "$here/suite.py" "$cache" "$url/mcp"
"$cache/venv/bin/python" "$here/peer.py" "$url/mcp"
