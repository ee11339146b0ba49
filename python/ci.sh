#!/usr/bin/env bash
# Checks the Python SDK and the examples: style, types, generated code, tests on today's
# dependencies and on the floors, the wheel in a clean environment. What it installs and
# builds goes into .cache/python; a second run only repeats the checks. It takes $PYTHON, or
# python3, of 3.10 or later; for the floors and the generated code the oldest there is.
set -euo pipefail
python=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$python")
cache=$root/.cache/python
work=$(mktemp -d)
# What runs in the background is waited for in any case, for it ends the daemons it has started.
trap 'wait; rm -rf "$work"' EXIT
cd "$python"
new=${PYTHON:-python3}
old=$(./old_python.sh) || old=

say() { printf '\n== %s\n' "$*"; }

# environment NAME PYTHON REQUIREMENTS-FILE: a virtual environment that has exactly those.
environment() {
  ("$2" --version && cat "$3") >"$work/requirements"
  if ! cmp -s "$work/requirements" "$cache/$1/requirements"; then
    "$2" -m venv --clear "$cache/$1"
    "$cache/$1/bin/pip" -q install --disable-pip-version-check -r "$3"
    cp "$work/requirements" "$cache/$1/requirements"
  fi
}

say daemon
(cd "$root" && go build -tags grpcnotrace -o "$cache/bin/" ./cmd/statehoused ./cmd/statehousectl ./cmd/statehouse-sim ./cmd/statehouse-bench)
export STATEHOUSED=$cache/bin/statehoused STATEHOUSECTL=$cache/bin/statehousectl
export STATEHOUSE_SIM=$cache/bin/statehouse-sim STATEHOUSE_BENCH=$cache/bin/statehouse-bench
unset STATEHOUSE_ADDRESS STATEHOUSE_ADDR STATEHOUSE_URL STATEHOUSE_NAMESPACE STATEHOUSE_TOKEN
unset STATEHOUSE_CAPTURE STATEHOUSE_CAPTURE_FILE PYTHONPATH http_proxy https_proxy grpc_proxy no_proxy

say tools
environment venv "$new" requirements-dev.txt
bin=$cache/venv/bin
if [ -n "$old" ]; then
  sed -n '/^dependencies = \[/,/^\]/s/.*"\(.*\)>=\([0-9.]*\)".*/\1==\2.*/p' pyproject.toml >"$work/floors"
  printf '%s\n' pytest==8.4.2 pytest-timeout==2.4.0 >>"$work/floors"  # the last for 3.9
  environment floors "$old" "$work/floors"
fi
environment langgraph "$new" requirements-langgraph-floor.txt

# beside NAME COMMAND...: runs beside what follows, for tests wait more than they compute.
beside() {
  "${@:2}" >"$work/$1" 2>&1 &
  echo $! >"$work/$1.pid"
}

# joined NAME: waits for what runs beside, shows what it printed, and fails if it failed.
joined() {
  local passed=0
  wait "$(cat "$work/$1.pid")" || passed=$?
  cat "$work/$1"
  return "$passed"
}

floors() {
  "$cache/floors/bin/python" --version
  "$cache/floors/bin/python" -m pytest -q tests/test_state.py tests/test_txn*.py \
    tests/test_held.py tests/test_sessions.py tests/test_leases.py tests/test_claims.py \
    tests/test_changes.py \
    tests/test_finding.py \
    tests/test_log.py tests/test_values.py tests/test_errors.py tests/test_surface.py \
    tests/test_processes.py tests/test_testing.py tests/test_capture*.py tests/test_misuse.py \
    tests/test_original.py tests/test_unanswered.py
}
if [ -n "$old" ]; then beside on_the_floors floors; fi
beside oldest_langgraph "$cache/langgraph/bin/python" -m pytest -q tests/test_langgraph_*.py
# Timeouts that have to pass, and measurements whose figures do not matter.
slow=(tests/test_reaching.py tests/test_bench.py)
beside slow_tests "$bin/python" -m pytest -q "${slow[@]}"

say style
"$bin/ruff" check -q .
"$bin/ruff" format -q --check .
"$bin/ruff" check -q --config pyproject.toml --extend-ignore ANN,S ../examples
"$bin/ruff" format -q --check --config pyproject.toml ../examples

say types
"$bin/mypy" --cache-dir "$cache/mypy"
"$bin/mypy" --cache-dir "$cache/mypy" tests/typed.py
MYPYPATH=.:tests "$bin/mypy" --cache-dir "$cache/mypy" --explicit-package-bases tests/intents/*.py

say generated code
if [ -n "$old" ]; then
  ./generate.sh "$work/proto"
  for file in "$work"/proto/*_pb2.*; do
    cmp "$file" "statehouse/_proto/$(basename "$file")" || {
      echo "generated code is stale: run python/generate.sh"
      exit 1
    }
  done
else
  echo "skipped: needs a Python from 3.9 to 3.12"
fi

say tests
"$bin/python" -m pytest -q "${slow[@]/#/--ignore=}"
joined slow_tests

say adapters to agent frameworks
PYTHON=$new adapters/run.sh quick

say programs whose connections and daemon break
PYTHON=$bin/python "$cache/bin/statehouse-sim" live --daemon "$STATEHOUSED" --python . --for 12s --kills 2 --stops 1

say tests on the floors of the dependencies
if [ -n "$old" ]; then
  joined on_the_floors
else
  echo "skipped: needs a Python from 3.9 to 3.12"
fi

say the oldest LangGraph
joined oldest_langgraph

say the wheel in a clean environment
"$bin/python" -m build -q --wheel --no-isolation --outdir "$work/dist" .
"$new" -m venv --clear "$cache/clean"
"$cache/clean/bin/pip" -q install --disable-pip-version-check "$work"/dist/*.whl
(
  cd "$work"
  "$cache/clean/bin/pip" list --disable-pip-version-check --format=freeze |
    sed 's/==.*//' | grep -vxE 'pip|setuptools|wheel' | sort | tr '\n' ' ' >installed
  echo "installed: $(cat installed)"
  [ "$(cat installed)" = "grpcio protobuf statehouse-sdk typing_extensions " ]
  "$cache/clean/bin/python" -W error - <<'PY'
from importlib.resources import files

from statehouse.testing import Daemon

assert files("statehouse").joinpath("py.typed").is_file()
with Daemon() as daemon:
    client = daemon.client()
    client.write("a1", "k", {"n": 2**70}, expected_version=0)
    assert client.get_state("a1", "k").value == {"n": 2**70}
PY
)

say examples
for example in agent_research approval conversation one_worker two_futures; do
  PYTHON=$cache/clean/bin/python bash "$root/examples/$example/run.sh" >"$work/$example" || {
    cat "$work/$example"
    exit 1
  }
  tail -n 1 "$work/$example"
done
say "the Python SDK is in order"
