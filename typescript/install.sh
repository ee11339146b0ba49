#!/usr/bin/env bash
# Installs exactly what package-lock.json names, here or in the folder given, unless that is there. No
# package's own scripts are run.
set -euo pipefail
cd "$(dirname "$0")"
command -v npm >/dev/null || { echo "typescript: needs Node.js 20.9 or later, with npm" >&2; exit 1; }
[ -w "${HOME:-/nowhere}" ] || export npm_config_cache=$PWD/../.cache/npm
cd "${1:-.}"
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
