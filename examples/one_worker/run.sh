#!/usr/bin/env bash
# Two workers want one session: one of them is always refused, also when the other is frozen.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec bash "$here/../run_python.sh" "$here/demo.py" "$@"
