#!/usr/bin/env bash
# An agent on LangGraph is killed before each of its steps, and goes on: no step is done twice.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec bash "$here/../run_typescript.sh" langgraph_typescript "$@"
