#!/usr/bin/env bash
# Configures and builds one preset (default: release).
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=${1:-release}
export CCACHE_DIR=${CCACHE_DIR:-$PWD/build/ccache}
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >"/tmp/eyrie-configure-$$.log" 2>&1 || {
  cat "/tmp/eyrie-configure-$$.log" >&2
  exit 1
}
rm -f "/tmp/eyrie-configure-$$.log"
cmake --build "build/$preset" -- ${NINJA_FLAGS:-}
