#!/usr/bin/env bash
# The checkpointer for LangGraph in JavaScript under LangGraph's own validation suite, and beside it the
# framework's saver in memory.
set -euo pipefail
typescript/install.sh
cd typescript
export CI=true
for store in Statehouse MemorySaver; do
  spec=statehouse
  [ $store = Statehouse ] || spec=memory
  node_modules/.bin/vitest run --globals --dir conformance --reporter=json \
    --outputFile="$CONFORMANCE_DIR/$spec.json" "$spec" || [ -s "$CONFORMANCE_DIR/$spec.json" ]
  node conformance/rows.mjs "$CONFORMANCE_DIR/$spec.json" $store >>"$CONFORMANCE_ROWS"
done
