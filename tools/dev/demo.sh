#!/usr/bin/env bash
# Installs, builds, and runs the main job: compiles a trained model and asks it something.
#   tools/dev/demo.sh [FILE...]     FILE: files whose type the model shall tell (default: some of this repository)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/setup.sh"
"$here/build.sh"
exec "$here/../../build/venv/bin/python" "$here/demo.py" "$@"
