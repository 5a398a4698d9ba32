#!/usr/bin/env bash
# From a fresh checkout to features of a real scan: installs what is missing, builds flexgemm-run and runs it.
#   cli/quickstart.sh                      the outdoor scan if it lies beside the checkout, else a generated street
#   cli/quickstart.sh SCENE [OPTIONS...]   any scan, with the options of flexgemm-run
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/cli/install_dependencies.sh"
PATH="$root/.cache/tools/bin:$PATH"

cd "$root"
build=build/quickstart
mkdir -p build
echo "Building flexgemm-run in $build (log: $build.log)"
if ! { cmake --preset release -B "$build" -DFLEXGEMM_BUILD_TESTS=OFF -DFLEXGEMM_BUILD_BENCH=OFF &&
  cmake --build "$build" --target flexgemm-run; } > "$build.log" 2>&1 < /dev/null; then
  tail -n 40 "$build.log" >&2
  echo "The build failed; the whole log is in $root/$build.log" >&2
  exit 1
fi
cd - > /dev/null

scan="$root/../shared/data/outdoor-lidar.npz"
if [[ $# -gt 0 ]]; then
  arguments=("$@")
elif [[ -e $scan ]]; then
  arguments=("$scan" --voxel-size 0.1 --range=-80,-80,-2,80,80,6 --channels 32,32 --verify)
else
  arguments=(lidar:1 --voxel-size 0.1 --channels 32,32 --verify)
fi
echo "flexgemm-run ${arguments[*]}"
exec "$root/$build/cli/flexgemm-run" "${arguments[@]}"
