#!/usr/bin/env bash
# Runs a LangGraph agent that is killed in the middle, and goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export STATEHOUSE_EXTRA=langgraph
exec bash "$here/../run_python.sh" "$here/demo.py" "$@"
