#!/usr/bin/env bash
# From "an agent lost its memory" to a scenario in CI: the example of
# docs/REPRODUCING.md, whole. Pass the name of another bug to follow that one
# (statehouse-sim plant --help).
set -euo pipefail
cd "$(dirname "$0")/../.."
bug=${1:-reads-not-checked}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "${*//$work\//}"; "$@"; }
# fails runs what must exit with the code given.
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
  --capture "$work/incident.jsonl" >"$work/live.txt" 2>&1 || true # what its clients saw is not what is shown here

say "Was a promise broken? The capture knows"
fails 1 "$work/fixed/statehouse-sim" check "$work/incident.jsonl" --around 3 --report "$work/incident.html" >"$work/check.txt"
head -4 "$work/check.txt" | cut -c1-160

say "Make it happen again, in the simulator, built from the customer's source"
run "$work/customer/statehouse-sim" repro "$work/incident.jsonl" --dir "$work/regressions" | sed "s#$work/##g" | cut -c1-160
story=$(ls "$work"/regressions/*.yaml)

say "What is left of it"
cat "$story"

say "The story fails as long as the bug is there, and passes with the fix"
fails 1 "$work/customer/statehouse-sim" run "$story" >"$work/run.txt"
head -3 "$work/run.txt" | sed "s#$work/##g" | cut -c1-160
run "$work/fixed/statehouse-sim" run "$story" | sed "s#$work/##g"

say "From now on CI runs it"
rm -f "$work"/regressions/*.jsonl "$work"/regressions/*.html
run "$work/fixed/statehouse-sim" ci --seeds 20 --regressions "$work/regressions" --junit "$work/junit.xml" scenarios/two-workers-conflict.yaml | sed "s#$work/##g"
say "done: lost, captured, judged, reproduced, fixed, kept"
