#!/usr/bin/env bash
# Installs what is missing, builds with warnings as errors, and runs every test that this machine can run.
#   tests/run.sh [OPTIONS...]    the options go to ctest, for example -R op or -LE package
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/cli/install_dependencies.sh" --tests
PATH="$root/.cache/tools/bin:$PATH"

cd "$root"
cmake --preset ci
cmake --build --preset ci --parallel "$(nproc)"
exec ctest --preset ci --parallel "$(nproc)" "$@" < /dev/null
