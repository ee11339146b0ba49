#!/usr/bin/env bash
# Tests the adapters to agent frameworks, each in environments of its own, at both ends of the
# versions it supports: run.sh quick|all [FRAMEWORK]...
#
#	quick   the tests that take no time, on the newest version; a part of ci.sh
#	all     types, all tests on the oldest and the newest version, and the example; what
#	        .ci/conformance does, a framework a part, with $CONFORMANCE_ROWS for what came out
#
# A framework is a directory with newest.txt and oldest.txt: everything that is installed, exactly,
# with what tests it.
# It takes $PYTHON, or python3, of 3.11 or later, and STATEHOUSED as ci.sh does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=$(dirname "$here")
root=$(dirname "$python")
cache=$root/.cache/python/adapters  # of quick and of all: an environment takes its time
new=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
declare -A package=([claude_agent]=claude-agent-sdk [openai_agents]=openai-agents [google_adk]=google-adk
  [pydantic_ai]=pydantic-ai-harness)
which=${1:?quick or all}
shift
[ $# -gt 0 ] || set -- "${!package[@]}"
"$new" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "skipped: the newest versions of frameworks need Python 3.11"
  exit 0
}
unset STATEHOUSE_NAMESPACE STATEHOUSE_TOKEN PYTHONPATH

# environment NAME: the environment of FRAMEWORK/newest or FRAMEWORK/oldest, with exactly what its
# file says.
environment() {
  local venv=$cache/$1
  ("$new" --version && cat "$here/$1.txt") >"$work/requirements"
  if ! cmp -s "$work/requirements" "$venv/requirements"; then
    echo "== making the environment of $1"
    "$new" -m venv --clear "$venv"
    "$venv/bin/python" -m pip -q install --disable-pip-version-check --no-deps -r "$here/$1.txt"
    cp "$work/requirements" "$venv/requirements"
  fi
}

# tests NAME STORE [PYTEST-OPTION]...: the tests of a framework in an environment; they fail, or what
# failed is in a row of what came out, if there is a file for it.
tests() {
  local passed=0
  rm -f "$work/report"
  (cd "$python" && PYTHONPATH=.:tests ADAPTED_STORE=$2 "$cache/$1/bin/python" -m pytest -q --disable-warnings \
    --junitxml="$work/report" "adapters/${1%/*}" "${@:3}") || passed=$?
  [ -n "${CONFORMANCE_ROWS:-}" ] || return $passed
  "$new" "$here/rows.py" "$cache/$1" "${1%/*}" "$2" "$work/report" >>"$CONFORMANCE_ROWS"
}

# upstream FRAMEWORK STORE: the tests that the framework's source release has of its own sessions, with
# ours in their place, for the row; where there are some, upstream.py says which.
upstream() {
  local pinned name
  pinned=$(grep "^${package[$1]}==" "$here/$1/newest.txt")
  name=${pinned/==/-}
  name=${name//-agents/_agents}
  [ -d "$cache/$name" ] || {
    "$cache/$1/newest/bin/python" -m pip -q download --disable-pip-version-check --no-deps --no-binary :all: -d "$work" "$pinned"
    tar xzf "$work/$name.tar.gz" -C "$cache"
  }
  rm -f "$work/report"
  (cd "$cache/$name" && ADAPTED_STORE=$2 PYTHONWARNINGS=ignore PYTHONPATH=$python:$here/$1:. "$cache/$1/newest/bin/python" -m pytest -q --disable-warnings \
    -p upstream -p no:cacheprovider -c /dev/null --rootdir . -o asyncio_mode=auto --junitxml="$work/report" \
    $(sed -n 's/^TESTS = "\(.*\)"$/\1/p' "$here/$1/upstream.py")) || true
  "$new" "$here/rows.py" "$cache/$1/newest" "$1" "$2" "$work/report" "tests of its source release" >>"$CONFORMANCE_ROWS"
}

for framework; do
  environment "$framework/newest"
  echo "== $framework: $(grep -hF "${package[$framework]}==" "$here/$framework/"*est.txt | tr "\n" " ")"
  if [ "$which" = quick ]; then
    tests "$framework/newest" Statehouse -m "not slow"
    continue
  fi
  environment "$framework/oldest"
  (cd "$python" && "$cache/$framework/newest/bin/python" -m mypy --cache-dir "$cache/mypy-$framework" -m "statehouse.$framework" -p statehouse._adapters)
  tests "$framework/newest" Statehouse
  tests "$framework/oldest" Statehouse
  if [ -n "${CONFORMANCE_ROWS:-}" ]; then
    tests "$framework/newest" own -k test_suite
    if [ -e "$here/$framework/upstream.py" ]; then
      upstream "$framework" Statehouse
      upstream "$framework" own
    fi
  fi
  PYTHONPATH=$python PYTHON=$cache/$framework/newest/bin/python bash "$root/examples/frameworks/run.sh" "$framework" >"$work/example" || {
    cat "$work/example"
    exit 1
  }
  tail -n 1 "$work/example"
done
