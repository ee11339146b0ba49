#!/usr/bin/env bash
# Forks an agent at a decision, lets both futures happen, and compares them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec bash "$here/../run_python.sh" "$here/demo.py" "$@"
