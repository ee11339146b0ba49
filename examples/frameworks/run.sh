#!/usr/bin/env bash
# An agent of a framework that is killed at every moment, and resumes: run.sh FRAMEWORK.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec bash "$here/../run_python.sh" "$here/demo.py" "$@"
