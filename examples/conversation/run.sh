#!/usr/bin/env bash
# A conversation as a sequence that many write to, and nobody reads first.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec bash "$here/../run_python.sh" "$here/demo.py" "$@"
