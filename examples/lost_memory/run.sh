#!/usr/bin/env bash
# From "an agent lost its memory" to a scenario in CI: the example of
# docs/REPRODUCING.md from start to end. Pass the name of another bug to follow that one
# (statehouse-sim plant --help).
set -euo pipefail
cd "$(dirname "$0")/../.."
bug=${1:-reads-not-checked}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "${*//$work\//}"; "$@"; }
# fails runs a command that must exit with the code given.
fails() {
  local want=$1 got=0
  shift
  run "$@" || got=$?
  if [ "$got" -ne "$want" ]; then
    echo "it exits with $got, and should with $want"
    exit 1
  fi
}

say "The build that the customer has, and the one with the fix"
go build -tags grpcnotrace -o "$work/fixed/" ./cmd/statehouse-sim ./cmd/statehoused
run "$work/fixed/statehouse-sim" plant "$bug" -o "$work/customer"

say "The customer's daemon under load, killed now and then, with its capture on"
run "$work/customer/statehouse-sim" live --daemon "$work/customer/statehoused" --for 5s --clients 8 --kills 2 --stops 0 \
  --capture "$work/incident.jsonl" >"$work/live.txt" 2>&1 || true # its clients' own view is not shown here

say "Was a guarantee broken? The capture shows it"
fails 1 "$work/fixed/statehouse-sim" check "$work/incident.jsonl" --around 3 --report "$work/incident.html" >"$work/check.txt"
head -4 "$work/check.txt" | cut -c1-160

say "Make it happen again, in the simulator, built from the customer's source"
run "$work/customer/statehouse-sim" repro "$work/incident.jsonl" --dir "$work/regressions" | sed "s#$work/##g" | cut -c1-160
scenario=$(ls "$work"/regressions/*.yaml)

say "The scenario that is left of it"
cat "$scenario"

say "The scenario fails as long as the bug is there, and passes with the fix"
fails 1 "$work/customer/statehouse-sim" run "$scenario" >"$work/run.txt"
head -3 "$work/run.txt" | sed "s#$work/##g" | cut -c1-160
run "$work/fixed/statehouse-sim" run "$scenario" | sed "s#$work/##g"

say "From now on CI runs it"
rm -f "$work"/regressions/*.jsonl "$work"/regressions/*.html
run "$work/fixed/statehouse-sim" ci --seeds 20 --regressions "$work/regressions" --junit "$work/junit.xml" scenarios/two-workers-conflict.yaml | sed "s#$work/##g"
say "done: lost, captured, judged, reproduced, fixed, kept"
