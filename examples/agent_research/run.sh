#!/usr/bin/env bash
# Starts a daemon, kills the agent at every step in turn, resumes it, and prints its replay.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec bash "$here/../run_python.sh" "$here/demo.py" "$@"
