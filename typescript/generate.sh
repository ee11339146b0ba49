#!/usr/bin/env bash
# Generates the TypeScript code of the contract into the folder given (default: in place). It takes
# the generator of package-lock.json, and protoc as .ci/generate pins it.
set -euo pipefail
cd "$(dirname "$0")/.."
typescript/install.sh
out=${1:-typescript/src/proto}
mkdir -p "$out"
if [ ! -x .cache/protoc/bin/python-grpc-tools-protoc ]; then
  python3 -m venv .cache/protoc
  .cache/protoc/bin/pip -q install -r .ci/tools/protoc.txt
fi
.cache/protoc/bin/python-grpc-tools-protoc -I proto -I typescript/proto \
  --plugin=protoc-gen-es=typescript/node_modules/.bin/protoc-gen-es \
  --es_out="$out" --es_opt=target=ts,import_extension=js \
  proto/statehouse/v1/statehouse.proto typescript/proto/status.proto
