#!/usr/bin/env bash
# Installs, builds and passes all tests. Ends with a line "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
passed=0 failed=0
declare -a failures=()

step() { # step NAME COMMAND...: runs one group of tests and counts it
  local name=$1 start=$SECONDS
  shift
  echo "=== $name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
  fi
  echo "=== $name took $((SECONDS - start)) s"
}

export CCACHE_DIR=${CCACHE_DIR:-$PWD/build/ccache}
python=build/venv/bin/python

# Code for other processors runs under emulators, none of which may be missing here.
export EYRIE_REQUIRE_EMULATORS=1
step setup tools/dev/setup.sh --cross
step build bash -c 'for preset in release aarch64 riscv64; do tools/dev/build.sh $preset || exit 1; done'
[ $failed = 0 ] || { echo "$passed passed, $failed failed"; exit 1; }
step checks "$python" tools/dev/check.py
step unit-tests ctest --test-dir build/release --output-on-failure --no-tests=error -j2
step lit-tests /usr/lib/llvm-22/bin/lit compiler
step runtime-asan bash -c 'tools/dev/build.sh asan && ctest --test-dir build/asan --output-on-failure --no-tests=error -j2'
step runtime-tsan bash -c 'tools/dev/build.sh tsan && ctest --test-dir build/tsan --output-on-failure --no-tests=error -j2'
step size bash -c 'tools/dev/build.sh size && tools/dev/check_size.sh'
step behaviour "$python" -m pytest tests -q -n 2 --maxfail=30 -p no:cacheprovider
step demo "$python" tools/dev/check_pages.py --demo

[ $failed = 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
