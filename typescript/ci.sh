#!/usr/bin/env bash
# Checks the TypeScript SDK: style, types, generated code, tests against a real daemon, LangGraph's
# validation suite, the package in a clean directory, the example. What it installs stays in
# node_modules; a second run only repeats the checks. It takes Node.js 20 or later, and openssl, which
# makes certificates for tests.
set -euo pipefail
typescript=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$typescript")
work=$(mktemp -d)
trap 'wait; rm -rf "$work"' EXIT
cd "$typescript"
bin=node_modules/.bin

say() { printf '\n== %s\n' "$*"; }

say tools
./install.sh
node --version

say daemon
(cd "$root" && go build -tags grpcnotrace -o "$root/.cache/typescript/bin/" ./cmd/statehoused)
export STATEHOUSED=$root/.cache/typescript/bin/statehoused
unset STATEHOUSE_ADDRESS STATEHOUSE_ADDR STATEHOUSE_URL STATEHOUSE_NAMESPACE STATEHOUSE_TOKEN
unset http_proxy https_proxy grpc_proxy no_proxy

say style
$bin/biome ci --error-on-warnings .
for file in ../examples/langgraph_typescript/*.ts; do # which are outside of what it calls the project
  $bin/biome check --write --stdin-file-path=src/example.ts <"$file" | diff "$file" -
done

say generated code
./generate.sh "$work/proto"
diff -r "$work/proto" src/proto || { echo "generated code is stale: run typescript/generate.sh"; exit 1; }

say types
rm -rf dist .build
$bin/tsc
$bin/tsc -p tsconfig.test.json
$bin/tsc --noEmit -p ../examples/langgraph_typescript
node test/readme.mjs write
$bin/tsc -p tsconfig.readme.json

say "LangGraph's validation suite"
CI=true $bin/vitest run --globals --dir conformance statehouse >"$work/suite" 2>&1 &
suite=$!

say tests
node --test --test-reporter=spec .build/test/*.test.js
wait "$suite" || { cat "$work/suite"; exit 1; }
grep -E '^ *(Test Files|Tests)' "$work/suite" || sed 's/\x1b\[[0-9;]*m//g' "$work/suite" | grep -E '^ *(Test Files|Tests) '

say "tests of the checkpointer on the oldest LangGraph"
./install.sh floors
rm -rf floors/build
mkdir floors/build
cp -r .build/src .build/test floors/build
node --test --test-reporter=spec floors/build/test/langgraph*.test.js

say README
node test/readme.mjs run

say the package in a clean directory
npm pack --ignore-scripts --silent --pack-destination "$work" >/dev/null
mkdir "$work/clean"
(
  cd "$work/clean"
  npm init -y >/dev/null
  npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefer-offline "$work"/*.tgz
  cat >try.mjs <<'JS'
import assert from "node:assert/strict";
import { Daemon } from "@statehouse/sdk/testing";

// What of a framework it can be used with is not here, nor is it looked for.
await assert.rejects(import("@statehouse/sdk/langgraph"), { code: "ERR_MODULE_NOT_FOUND" });
await using(await Daemon.start(), async (daemon) => {
  const client = daemon.client();
  await client.write("a1", "k", { n: 2n ** 70n }, { expectedVersion: 0 });
  assert.deepEqual((await client.getState("a1", "k")).value, { n: 2n ** 70n });
});
async function using(thing, work) {
  await work(thing).finally(() => thing.stop());
}
JS
  node try.mjs
  echo "installed: $(npm ls --all --parseable | tail -n +2 | wc -l) packages"
)

say example
bash "$root/examples/langgraph_typescript/run.sh" >"$work/example" || { cat "$work/example"; exit 1; }
tail -n 1 "$work/example"
say "the TypeScript SDK is in order"
