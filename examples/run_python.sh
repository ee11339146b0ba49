#!/usr/bin/env bash
# Runs a program of the examples with a Python that has the SDK: the one in $PYTHON, or
# python3 when it has it, or else one in a virtual environment made for the purpose.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
if ! "$python" -c 'import statehouse' 2>/dev/null; then
  venv=$root/.cache/python/examples
  if ! "$venv/bin/python" -c 'import statehouse' 2>/dev/null; then
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" -q install "$root/python"
  fi
  python=$venv/bin/python
fi
exec "$python" "$@"
