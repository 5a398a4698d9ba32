#include "emulator/mistakes.hpp"

namespace flexgemm::emulator {

namespace {

constexpr const char* mma_sync_spec =
    "implicit_gemm.f16.mma_sync.ci64.co40.v27.t64x64x32.s4.w2x2.b2.vec16.16.16.bias0.storage.sm_80";
constexpr const char* unaligned_spec =
    "implicit_gemm.f16.mma_sync.ci64.co40.v27.t64x64x32.s4.w2x2.b2.vec16.16.4.bias0.storage.sm_80";
constexpr const char* wgmma_spec =
    "implicit_gemm.f16.wgmma.ci64.co64.v27.t128x64x64.s4.w8x1.b1.vec16.16.16.bias0.storage.sm_90a";
constexpr const char* gradient_spec =
    "grad_weight.f16.mma_sync.ci64.co64.v8.g2.t64x64x32.s4.w2x2.b1.vec16.16.16.bias0.storage.sm_80";
constexpr const char* transpose_spec =
    "transpose_weights.f16.ffma.ci96.co200.v9.t1x1x1.s1.w8x1.b4.vec16.16.16.bias0.storage.sm_80";

constexpr const char* persistent_spec =
    "persistent_gemm.f16.wgmma.ci64.co128.v27.t128x128x64.s4.w8x1.b1.vec16.16.16.bias0.storage.sm_90a";

constexpr const char* mn_major_spec =
    "persistent_gemm.f16.wgmma.ci72.co136.v8.t128x128x64.s4.w8x1.b1.mn.vec16.16.16.bias0.storage.sm_90a";

constexpr const char* cluster_spec =
    "persistent_gemm.f16.wgmma.ci64.co128.v27.t256x128x64.s4.w8x1.b1.c2.vec16.16.16.bias0.storage.sm_90a";

constexpr const char* resident_gradient_spec =
    "resident_grad_weight.f16.wgmma.ci32.co40.v27.g9.t128x64x16.s2.w8x1.b1.vec16.16.16.bias0.partial.sm_"
    "90a";

constexpr const char* tf32_gradient_spec =
    "grad_weight.tf32.wgmma.ci64.co64.v8.g1.t64x64x32.s3.w4x1.b4.vec16.16.16.bias0.partial.sm_90a";

}  // namespace

const std::vector<Mistake>& planted_mistakes() {
  static const std::vector<Mistake> mistakes = {
      {"a tile is read before its copies have landed", mma_sync_spec, "kernels/implicit_gemm.cuh",
       "copy_wait<kAhead - 1>();", "copy_wait<kAhead>();", ""},
      {"a stage is filled while others still read it", mma_sync_spec, "kernels/implicit_gemm.cuh",
       "      Accumulator::publish_copies();\n      __syncthreads();\n",
       "      Accumulator::publish_copies();\n", ""},
      {"wgmma reads copies that no fence has published", wgmma_spec, "mma/wgmma_tile.cuh",
       "publish_copies() { fence_async_proxy(); }", "publish_copies() {}", "fence.proxy.async"},
      {"a stage is filled while wgmma still reads it", wgmma_spec, "kernels/implicit_gemm.cuh",
       "constexpr int kAhead = Config::kStages - 1 - Accumulator::kPending;",
       "constexpr int kAhead = Config::kStages - 1;", ""},
      {"sums are stored before wgmma has finished", wgmma_spec, "mma/wgmma_tile.cuh",
       "void finish() { wgmma_wait<0>(); }", "void finish() {}", ""},
      {"steps are fetched too late", mma_sync_spec, "kernels/implicit_gemm.cuh",
       "ring.fetch(steps_until(minimum(k + 2 * kAhead + 1, k_end), steps));",
       "ring.fetch(steps_until(minimum(k + kAhead + 1, k_end), steps));", ""},
      {"the epilogue reuses stages that others still read", mma_sync_spec, "kernels/implicit_gemm.cuh",
       "__syncthreads();  // the epilogue reuses the stages", "", ""},
      {"rows of the epilogue are read before they are written", mma_sync_spec, "epilogue/store_rows.cuh",
       "accumulator.store_slice(slice, staging, kPitch);\n      __syncwarp();",
       "accumulator.store_slice(slice, staging, kPitch);", ""},
      {"weights of channels that do not exist are read", mma_sync_spec, "load/sources.cuh",
       "return Config::kOutChannels % Config::kColumnTile == 0 || channel < Config::kOutChannels ? channel : "
       "-1;",
       "return channel;", "outside every buffer"},
      {"results are stored in wider vectors than the output's address allows", unaligned_spec,
       "epilogue/store_rows.cuh",
       "static constexpr int kElements = Config::kOutputVectorBytes / static_cast<int>(sizeof(Output));",
       "static constexpr int kElements = 16 / static_cast<int>(sizeof(Output));", "aligned bytes"},
      {"pairs overwrite those that are still read", gradient_spec, "load/pair_ring.cuh",
       "int* to = slots + slot * kTileInts;", "int* to = slots + slot % (kSlots / 2) * kTileInts;", ""},
      {"pairs are fetched to a slot that is not theirs", gradient_spec, "kernels/grad_weight.cuh",
       "int fetch_slot = (begin + 2 * kAhead) % Ring::kSlots;",
       "int fetch_slot = (begin + 2 * kAhead + 1) % Ring::kSlots;", ""},
      {"a tile of weights is overwritten while others still read it", transpose_spec,
       "kernels/transpose_weights.cuh", "first_out, first_in);\n      __syncthreads();\n    }",
       "first_out, first_in);\n    }", "other bits"},
      {"only half of the block comes to a barrier", transpose_spec, "kernels/transpose_weights.cuh",
       "read(weight, tile, v, first_out, first_in);\n      __syncthreads();",
       "read(weight, tile, v, first_out, first_in);\n      if (threadIdx.x < 128) __syncthreads();", ""},
      {"consumers do not fence what arrives from the producer", persistent_spec,
       "kernels/persistent_gemm.cuh", "Accumulator::publish_copies();  // the producer's", "//",
       "fence.proxy.async"},
      {"consumers fence before the copies have arrived", persistent_spec, "kernels/persistent_gemm.cuh",
       "      barrier_wait(base + Shared::kFullBegin + stage.index * 8, stage.parity);\n"
       "      Accumulator::publish_copies();",
       "      Accumulator::publish_copies();\n"
       "      barrier_wait(base + Shared::kFullBegin + stage.index * 8, stage.parity);  //",
       "fence.proxy.async"},
      {"copies are not among those that arrive", persistent_spec, "load/gather_producer.cuh",
       "      gather_rows(step, k * Config::kKTile);\n      copy_arrive(full);\n",
       "      copy_arrive(full);\n      gather_rows(step, k * Config::kKTile);\n", ""},
      {"a stage is released while wgmma still reads it", persistent_spec, "kernels/persistent_gemm.cuh",
       "      unreleased = base + Shared::kEmptyBegin + stage.index * 8;",
       "      unreleased = base + Shared::kEmptyBegin + stage.index * 8;\n      release();\n      unreleased "
       "= 0;",
       ""},
      {"an item's place in the ring is given back before it is read", persistent_spec, "load/work_items.cuh",
       "    const int* slot = slots_ + slot_ * kSlotInts;\n",
       "    const int* slot = slots_ + slot_ * kSlotInts;\n    if (threadIdx.x % 32 == 0) "
       "for (int i = 0; i < kReaders; ++i) if (threadIdx.x == 0) barrier_arrive(barriers_ + (kSlots + slot_) "
       "* 8);\n    "
       "if (false)\n",
       ""},
      {"weights of mirrored offsets are taken as if they were not", mn_major_spec, "load/gather_producer.cuh",
       "parameters_.mirrored != 0 ? Config::kVolume - 1 - offset : offset", "offset", ""},
      {"a block of MN-major weights that holds no channel is not fetched", mn_major_spec,
       "load/gather_producer.cuh", "bulk_copy_box(target + block * Weight::kBlockBytes",
       "if (first_channel + block * Weight::kBlockColumns < Config::kOutChannels) bulk_copy_box(target + "
       "block * "
       "Weight::kBlockBytes",
       ""},
      {"a block of a cluster does not wait for the others' consumers", cluster_spec,
       "kernels/persistent_gemm.cuh",
       "barrier_init(base + Shared::kEmptyBegin + stage * 8, kConsumerWarps * Config::kCluster);",
       "barrier_init(base + Shared::kEmptyBegin + stage * 8, kConsumerWarps);", ""},
      {"a block of a cluster ends while the other still sends to it", cluster_spec,
       "kernels/persistent_gemm.cuh",
       "if constexpr (Config::kCluster > 1) cluster_sync();  // the others may still send to this block", "",
       "ended"},
      {"registers are loaded while wgmma still reads them", resident_gradient_spec,
       "kernels/resident_grad_weight.cuh", "wgmma_wait<0>();\n#pragma unroll",
       "wgmma_wait<1>();\n#pragma unroll", "registers"},
      {"places of another phase's inputs are taken for this one's", resident_gradient_spec,
       "kernels/resident_grad_weight.cuh", "(offsets >> block.offset() & 1) != 0", "true", ""},
      {"a NaN is rounded as if it were finite", tf32_gradient_spec, "load/transposed_pairs.cuh",
       "      sum.w += values[pass].w;\n", "", "relative error"},
      {"lists of rows overwrite those that are still read", resident_gradient_spec, "load/resident_items.cuh",
       "lists_ + number % 2 * (kListBytes / 2)", "lists_", ""},
  };
  return mistakes;
}

}  // namespace flexgemm::emulator
