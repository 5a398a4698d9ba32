#!/usr/bin/env bash
# Fuzzes the scan readers and the epilogue grammar with libFuzzer, one program a format, all cores.
# Usage: tests/fuzz.sh [seconds for each format, default 60]
# Exit status: 0 nothing found, 1 a finding (its input stays in build/fuzz/findings), 2 bad usage.
set -euo pipefail

seconds=${1:-60}
if [[ ! $seconds =~ ^[1-9][0-9]*$ || $# -gt 1 ]]; then
  echo "usage: tests/fuzz.sh [seconds for each format]" >&2
  exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/fuzz
formats=(npy npz ply pcd bin expression)

as_root() { if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi; }

# clang alone may come without the runtime that holds libFuzzer.
has_libfuzzer() {
  command -v clang++ >/dev/null && [[ -e $(clang++ -print-resource-dir)/lib/linux/libclang_rt.fuzzer-$(uname -m).a ]]
}
if ! has_libfuzzer; then
  echo "Installing clang with libFuzzer"
  as_root apt-get update -q
  as_root apt-get install -y -q clang
  has_libfuzzer || as_root apt-get install -y -q "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"
fi

cmake -S "$root" -B "$build" -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug -DFLEXGEMM_CUDA=OFF \
  -DFLEXGEMM_BLAS=OFF -DFLEXGEMM_BUILD_BENCH=OFF -DFLEXGEMM_BUILD_FUZZERS=ON
cmake --build "$build" --target fuzzers --parallel "$(nproc)"

seeds=$build/seeds
findings=$build/findings
mkdir -p "$findings"
programs=$build/tests/fuzz
"$programs/write_corpus" "$seeds"

fuzz() {
  local format=$1
  mkdir -p "$build/corpus/$format"
  "$programs/fuzz_$format" "$build/corpus/$format" "$seeds/$format" -max_total_time="$seconds" -max_len=65536 \
    -malloc_limit_mb=512 -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$findings/$format-" >"$build/$format.log" 2>&1
}

status=0
running=0
declare -A format_of
collect() {
  local finished
  if wait -n -p finished; then
    echo "${format_of[$finished]}: nothing found, $(grep -o 'number_of_executed_units: *[0-9]*' "$build/${format_of[$finished]}.log" | grep -o '[0-9]*$') inputs"
  else
    status=1
    echo "${format_of[$finished]}: FINDING, see $build/${format_of[$finished]}.log" >&2
    tail -n 25 "$build/${format_of[$finished]}.log" >&2
  fi
  running=$((running - 1))
}
for format in "${formats[@]}"; do
  if [[ $running -ge $(nproc) ]]; then collect; fi
  fuzz "$format" &
  format_of[$!]=$format
  running=$((running + 1))
done
while [[ $running -gt 0 ]]; do collect; done
exit $status
