#!/usr/bin/env bash
# Compiles an example and the SDK, and runs the example's demo. It takes the daemon of $STATEHOUSED, or
# builds it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/typescript"
./install.sh
node_modules/.bin/tsc
node_modules/.bin/tsc -p "$root/examples/$1"
if [ -z "${STATEHOUSED:-}" ]; then
  (cd "$root" && go build -tags grpcnotrace -o .cache/typescript/bin/ ./cmd/statehoused)
  export STATEHOUSED=$root/.cache/typescript/bin/statehoused
fi
exec node ".build/examples/$1/demo.js" "${@:2}"
