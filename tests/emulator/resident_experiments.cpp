#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "codegen/emit.hpp"
#include "codegen/resources.hpp"
#include "emulator/experiment.hpp"
#include "emulator/finish.hpp"
#include "emulator/layouts.hpp"
#include "op/voxel_cloud.hpp"
#include "reference/reference.hpp"
#include "reference/resident_layout.hpp"
#include "runtime/cuda/kernel_parameters.hpp"

// Kernels that read the resident layout.

namespace flexgemm::emulator {

using codegen::KernelSpec;

namespace {

/// A map with its resident layout, in memory that kernels may read.
struct ResidentMap {
  Map map;
  reference::ResidentLayout layout;
  Buffer order, masks, locals, phase_begin, phase_offsets, input_begin, inputs;

  explicit ResidentMap(Map made, reference::ResidentLayout built)
      : map(std::move(made)),
        layout(std::move(built)),
        order(layout.order),
        masks(layout.masks),
        locals(layout.locals),
        phase_begin(layout.phase_begin),
        phase_offsets(layout.phase_offsets),
        input_begin(layout.input_begin),
        inputs(layout.inputs) {}

  template <class Element>
  static const Element* elements(const Buffer& buffer) {
    return reinterpret_cast<const Element*>(buffer.data());
  }
};

/// Rows of a small scene, the last block of them not full; with tight capacity most blocks need several
/// phases.
ResidentMap make_resident_map(const KernelSpec& spec, bool tight, std::uint64_t seed) {
  const std::int64_t rows = spec.row_tile * 3 + 37;
  const op_test::VoxelCloud cloud = op_test::voxel_cloud(rows, 1, false, seed);
  Map map = make_map(rows, spec.volume, seed);
  const int side = static_cast<int>(std::lround(std::cbrt(spec.volume)));
  const Extent3 kernel =
      side * side * side == spec.volume ? Extent3{side, side, side} : Extent3{spec.volume, 1, 1};
  const int capacity = tight ? spec.row_tile : resident_capacity(spec);
  reference::ResidentLayout layout = reference::resident_layout(cloud.coords.data(), cloud.grid, map.view(),
                                                                kernel, spec.row_tile, capacity);
  if (tight && spec.volume > 1 && layout.phase_offsets.size() <= static_cast<std::size_t>(layout.blocks))
    throw std::logic_error("every block has one phase alone: the experiment lacks what it is for");
  return ResidentMap(std::move(map), std::move(layout));
}

}  // namespace

Verdict examine_resident_gemm(const KernelSpec& spec, const Workshop& workshop, int rounds,
                              std::uint64_t seed) {
  const ResidentMap resident = make_resident_map(spec, seed % 2 == 1, seed);
  const std::int64_t rows = resident.map.rows;
  const std::int64_t k = std::int64_t{spec.volume} * spec.in_channels;
  const Tensor feats = Tensor::random(spec.compute, rows * spec.in_channels, 1.0, seed + 10);
  const Tensor weight =
      Tensor::random(spec.compute, k * spec.out_channels, 1.0 / std::sqrt(static_cast<double>(k)), seed + 11);
  const Finish finish(spec, rows, seed + 12);
  Tensor output(output_type(spec), rows * spec.out_channels, spec.output_vector_bytes);
  detail::ResidentGemmParameters parameters{
      .feats = feats.data(),
      .weight = weight.data(),
      .bias = nullptr,
      .output = output.data(),
      .order = ResidentMap::elements<std::int32_t>(resident.order),
      .masks = ResidentMap::elements<std::uint32_t>(resident.masks),
      .locals = ResidentMap::elements<std::uint16_t>(resident.locals),
      .phase_begin = ResidentMap::elements<std::int32_t>(resident.phase_begin),
      .phase_offsets = ResidentMap::elements<std::uint32_t>(resident.phase_offsets),
      .input_begin = ResidentMap::elements<std::int64_t>(resident.input_begin),
      .inputs = ResidentMap::elements<std::uint32_t>(resident.inputs),
      .rows = rows};
  finish.bind(spec, parameters);
  const codegen::LaunchShape shape = launch_shape(spec);
  Experiment experiment{
      .launch = {.grid = {static_cast<unsigned>(resident.layout.blocks), 1, 1},
                 .threads = shape.threads,
                 .shared_bytes = shape.shared_bytes,
                 .parameters = &parameters},
      .output = &output,
      .expected = reference::forward(resident.map.view(), feats.values().data(), weight.values().data(),
                                     nullptr, spec.in_channels, spec.out_channels)};
  finish.apply(spec, experiment.expected);
  return judge(spec, workshop, experiment, rounds, seed);
}

Verdict examine_resident_grad_weight(const KernelSpec& spec, const Workshop& workshop, int rounds,
                                     std::uint64_t seed) {
  const ResidentMap resident = make_resident_map(spec, seed % 2 == 1, seed);
  const std::int64_t rows = resident.map.rows;
  const auto blocks = static_cast<int>(resident.layout.blocks);
  // Several blocks a part, one, or none.
  const int parts = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 3 : blocks + 1;
  const int groups = offset_groups(spec);
  const Tensor feats = Tensor::random(spec.compute, rows * spec.in_channels, 1.0, seed + 10);
  const Tensor grad_out = Tensor::random(spec.compute, rows * spec.out_channels, 1.0, seed + 11);
  const std::int64_t part = std::int64_t{spec.out_channels} * spec.offsets * spec.in_channels;
  Tensor output(output_type(spec), part * parts * groups, spec.output_vector_bytes);
  const detail::ResidentGradWeightParameters parameters{
      .feats = feats.data(),
      .grad_out = grad_out.data(),
      .output = static_cast<float*>(output.data()),
      .order = ResidentMap::elements<std::int32_t>(resident.order),
      .masks = ResidentMap::elements<std::uint32_t>(resident.masks),
      .locals = ResidentMap::elements<std::uint16_t>(resident.locals),
      .phase_begin = ResidentMap::elements<std::int32_t>(resident.phase_begin),
      .phase_offsets = ResidentMap::elements<std::uint32_t>(resident.phase_offsets),
      .input_begin = ResidentMap::elements<std::int64_t>(resident.input_begin),
      .inputs = ResidentMap::elements<std::uint32_t>(resident.inputs),
      .blocks = blocks,
      .parts = parts};
  const codegen::LaunchShape shape = launch_shape(spec);
  Experiment experiment{
      .launch = {.grid = {static_cast<unsigned>(groups), static_cast<unsigned>(parts), 1},
                 .threads = shape.threads,
                 .shared_bytes = shape.shared_bytes,
                 .parameters = &parameters},
      .output = &output,
      .expected = reference::grad_weight(resident.map.view(), grad_out.values().data(), feats.values().data(),
                                         spec.in_channels, spec.out_channels)};
  experiment.collect = [&](const std::vector<double>& partials) {
    std::vector<double> sums;
    for (std::int64_t co = 0; co < spec.out_channels; ++co) {
      for (int v = 0; v < spec.volume; ++v) {
        for (std::int64_t ci = 0; ci < spec.in_channels; ++ci) {
          double sum = 0;
          for (int p = 0; p < parts; ++p)
            sum += partials[static_cast<std::size_t>(
                (std::int64_t{v / spec.offsets} * parts + p) * part +
                (co * spec.offsets + v % spec.offsets) * spec.in_channels + ci)];
          sums.push_back(sum);
        }
      }
    }
    return sums;
  };
  return judge(spec, workshop, experiment, rounds, seed);
}

}  // namespace flexgemm::emulator
