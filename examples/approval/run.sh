#!/usr/bin/env bash
# Runs an agent that waits for a person's approval, and two persons who disagree.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec bash "$here/../run_python.sh" "$here/demo.py" "$@"
