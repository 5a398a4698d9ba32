#!/usr/bin/env bash
# What a machine with an NVIDIA GPU checks beyond tests/run.sh: the tests labelled gpu, the op test in parallel processes,
# and compute-sanitizer's four tools over runs that touch every kernel template.
#   tests/gpu.sh [BUILD]    BUILD: a configured build tree; default build/gpu, configured here
# Logs go to BUILD/gpu-logs; the last lines are a summary. Installs nothing; needs a CUDA toolkit and a driver.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
build=${1:-build/gpu}
jobs=$(nproc)
if [[ ! -e $build/build.ninja ]]; then
  cmake --preset ci -B "$build" -DFLEXGEMM_CUDA=ON -DFLEXGEMM_CUDA_ARCHITECTURES=native \
    -DFLEXGEMM_WARNINGS_AS_ERRORS=OFF
fi
cmake --build "$build" --parallel "$jobs"
logs=$build/gpu-logs
rm -rf "$logs"
mkdir -p "$logs"
summary=()
failed=0
op_test=$build/tests/op/flexgemm-op-test

# Runs "$@ --shard I/N" for every I, N at a time, with logs under one name; true if all pass.
in_shards() {
  local name=$1 shards=$2 ok=0 pid pids=()
  shift 2
  for ((shard = 0; shard < shards; ++shard)); do
    "$@" --shard "$shard/$shards" > "$logs/$name.$shard.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || ok=1; done
  return $ok
}
# Adds up the lines "op test: P passed, F failed, U unsupported" of one name's logs.
op_totals() {
  grep -h '^op test:' "$logs/$1".*.log | awk '{p += $3; f += $5; u += $7} END {print p + 0 " passed, " f + 0 " failed, " u + 0 " unsupported"}'
}
record() {
  summary+=("$1")
  echo "$1"
}

if ctest --test-dir "$build" -L gpu -LE op --output-on-failure > "$logs/ctest.log" 2>&1; then verdict=ok; else verdict=FAILED failed=1; fi
record "ctest -L gpu: $verdict, $(grep -h 'tests passed' "$logs/ctest.log" || true)"

if in_shards op "$jobs" "$op_test" test --device cuda:0 --sample pairwise; then verdict=ok; else verdict=FAILED failed=1; fi
record "op test: $verdict, $(op_totals op)"

for tool in memcheck racecheck initcheck synccheck; do
  if in_shards "$tool" "$jobs" compute-sanitizer --tool "$tool" --error-exitcode 9 \
    "$op_test" test --device cuda:0 --sample touch; then verdict=ok; else verdict=FAILED failed=1; fi
  clean=$(grep -lE 'ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards' "$logs/$tool".*.log | wc -l)
  record "compute-sanitizer $tool: $verdict, $clean of $jobs processes without a finding, $(op_totals "$tool")"
done

# Kernels that the op test's small cases do not choose, by the tests that name them.
for tool in memcheck racecheck initcheck synccheck; do
  for names in 'one persistent kernel*' 'resident kernels*' 'resident weight gradients are*'; do
    log="$logs/$tool.${names//[^a-z]/-}.log"
    status=0
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/tests/cuda/test_cuda" "$names" > "$log" 2>&1 || status=$?
    case $status in
      0) verdict=ok ;;
      4) verdict='skipped, the GPU has no wgmma' ;;  # Catch2's status if all tests were skipped
      *) verdict=FAILED failed=1 ;;
    esac
    record "compute-sanitizer $tool, test_cuda '$names': $verdict"
  done
done

echo
printf '%s\n' "${summary[@]}"
exit $failed
