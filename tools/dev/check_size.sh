#!/usr/bin/env bash
# Sizes that are promised: the stripped command line without the compiler, and a minimal program with the runtime.
set -euo pipefail
cd "$(dirname "$0")/../.."
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT

check() { # check PRESET PROGRAM LIMIT_BYTES
  strip -o "$stripped" "build/$1/bin/$2"
  local size
  size=$(stat -c %s "$stripped")
  echo "$2 ($1, stripped): $size bytes, at most $3"
  [ "$size" -le "$3" ]
}
check release eyrie-run 1000000
check size eyrie-run 1000000
check size eyrie_minimal 153600
