#!/usr/bin/env bash
# Installs what building and testing need, from Debian's packages and PyPI. Quick when all is there.
#   tools/dev/setup.sh [--runtime-only | --cross]
# --cross: also what it takes to build for other processors (the presets aarch64 and riscv64) and to run that here, and
# code of WebAssembly.
set -euo pipefail
cd "$(dirname "$0")/../.."

common=(ccache cmake flatbuffers-compiler g++ git libflatbuffers-dev libgtest-dev libgmock-dev ninja-build
        python3 python3-pip python3-venv unzip)
compiler=(clang-22 clang-format-22 libclang-rt-22-dev libcli11-dev liblld-22-dev libmlir-22-dev libprotozero-dev
          libzstd-dev lld-22 llvm-22-dev llvm-22-tools mlir-22-tools nlohmann-json3-dev zlib1g-dev)
cross=(libc6-dev-arm64-cross libc6-dev-riscv64-cross libstdc++-12-dev-arm64-cross libstdc++-12-dev-riscv64-cross
       nodejs qemu-user)
llvm_version=1:22.1.8-1~deb12u1 # the version that was tested; a later 22 is taken where this one is gone

packages=("${common[@]}" "${compiler[@]}")
[ "${1:-}" = --runtime-only ] && packages=("${common[@]}")
[ "${1:-}" = --cross ] && packages+=("${cross[@]}")

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "setup: as root, run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  pinned=()
  for package in "${missing[@]}"; do
    if [[ $package == *-22* ]] && apt-cache madison "$package" | grep -q -- "$llvm_version"; then
      pinned+=("$package=$llvm_version")
    else
      pinned+=("$package")
    fi
  done
  apt-get install -y -qq --no-install-recommends "${pinned[@]}" >/dev/null ||
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# The Python packages of the tests and of the demonstration, in an environment of their own.
venv=build/venv
stamp=$venv/requirements.stamp
if ! cmp -s tests/requirements.txt "$stamp"; then
  mkdir -p build
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
  cp tests/requirements.txt "$stamp"
fi
