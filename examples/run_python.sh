#!/usr/bin/env bash
# Runs a program of the examples with a Python that has the SDK: the one in $PYTHON, or
# python3 when it has it, or else one in a virtual environment made for the purpose. Programs
# on a framework name its extra of the SDK in $STATEHOUSE_EXTRA.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
extra=${STATEHOUSE_EXTRA:-}
needed=statehouse${extra:+.$extra}
if ! "$python" -c "import $needed" 2>/dev/null; then
  venv=$root/.cache/python/examples${extra:+-$extra}
  if ! "$venv/bin/python" -c "import $needed" 2>/dev/null; then
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" -q install "$root/python${extra:+[$extra]}"
  fi
  python=$venv/bin/python
fi
exec "$python" "$@"
