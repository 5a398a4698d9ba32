#include "emulator/experiments.hpp"

#include <cmath>

#include "codegen/emit.hpp"
#include "codegen/resources.hpp"
#include "emulator/box_map.hpp"
#include "emulator/experiment.hpp"
#include "emulator/finish.hpp"
#include "emulator/layouts.hpp"
#include "emulator/machine.hpp"
#include "emulator/tensor.hpp"
#include "reference/reference.hpp"
#include "runtime/cuda/kernel_parameters.hpp"

namespace flexgemm::emulator {

using codegen::BiasType;
using codegen::ElementType;
using codegen::KernelKind;
using codegen::KernelSpec;
using codegen::OutputType;

namespace {

Verdict examine_implicit_gemm(const KernelSpec& spec, const Workshop& workshop, int rounds,
                              std::uint64_t seed) {
  const std::int64_t rows = spec.row_tile * 2 + 37;
  const Map map = make_map(rows, spec.volume, seed);
  const TileLayout layout = tile_layout(map, spec.row_tile, seed);
  const std::int64_t k = std::int64_t{spec.volume} * spec.in_channels;
  const Tensor feats =
      Tensor::random(spec.compute, rows * spec.in_channels, 1.0, seed + 10, spec.feats_vector_bytes);
  const Tensor weight =
      Tensor::random(spec.compute, k * spec.out_channels, 1.0 / std::sqrt(static_cast<double>(k)), seed + 11,
                     spec.weight_vector_bytes);
  const Finish finish(spec, rows, seed + 12);
  const int splits = spec.output == OutputType::partial ? 3 : 1;
  Tensor output(output_type(spec), rows * spec.out_channels * splits, spec.output_vector_bytes);
  const Buffer order(layout.order), tile_begin(layout.tile_begin), step_offset(layout.step_offset),
      step_rows(layout.step_rows), tile_order(layout.tile_order);
  detail::ImplicitGemmParameters parameters{
      .feats = feats.data(),
      .weight = weight.data(),
      .bias = nullptr,
      .output = output.data(),
      .order = reinterpret_cast<const std::int32_t*>(order.data()),
      .tile_begin = reinterpret_cast<const std::int64_t*>(tile_begin.data()),
      .step_offset = reinterpret_cast<const std::int32_t*>(step_offset.data()),
      .step_rows = reinterpret_cast<const std::int32_t*>(step_rows.data()),
      .tile_order = seed % 2 == 0 ? nullptr : reinterpret_cast<const std::int32_t*>(tile_order.data()),
      .rows = rows,
      .tiles = layout.tiles,
      .splits = splits};
  finish.bind(spec, parameters);
  const codegen::LaunchShape shape = launch_shape(spec);
  Experiment experiment{
      .launch = {.grid = {static_cast<unsigned>(layout.tiles * shape.column_tiles),
                          static_cast<unsigned>(splits), 1},
                 .threads = shape.threads,
                 .shared_bytes = shape.shared_bytes,
                 .parameters = &parameters},
      .output = &output,
      .expected = reference::forward(map.view(), feats.values().data(), weight.values().data(), nullptr,
                                     spec.in_channels, spec.out_channels)};
  finish.apply(spec, experiment.expected);
  experiment.collect = [splits](const std::vector<double>& parts) {
    std::vector<double> sums(parts.size() / static_cast<std::size_t>(splits));
    for (std::size_t i = 0; i < parts.size(); ++i) sums[i % sums.size()] += parts[i];
    return sums;
  };
  return judge(spec, workshop, experiment, rounds, seed);
}

/// Steps of the groups of offsets [v * groups / V, ...): every group has all rows, in an order of its own.
TileLayout grouped_layout(const Map& map, int row_tile, int groups, std::uint64_t seed) {
  TileLayout all;
  all.tile_begin.push_back(0);
  for (int group = 0; group < groups; ++group) {
    Map part = map;
    for (std::size_t i = 0; i < part.indices.size(); ++i) {
      const int v = static_cast<int>(i % static_cast<std::size_t>(map.volume));
      if (v * groups / map.volume != group) part.indices[i] = -1;
    }
    const TileLayout layout = tile_layout(part, row_tile, seed + static_cast<std::uint64_t>(group));
    all.order.insert(all.order.end(), layout.order.begin(), layout.order.end());
    const std::int64_t first_step = all.tile_begin.back();
    for (std::size_t t = 1; t < layout.tile_begin.size(); ++t)
      all.tile_begin.push_back(first_step + layout.tile_begin[t]);
    all.step_offset.insert(all.step_offset.end(), layout.step_offset.begin(), layout.step_offset.end());
    all.step_rows.insert(all.step_rows.end(), layout.step_rows.begin(), layout.step_rows.end());
    for (const std::int32_t tile : layout.tile_order) all.tile_order.push_back(all.tiles + tile);
    all.tiles += layout.tiles;
  }
  return all;
}

/// The weights as [Co, V, Ci], where the kernel reads [Ci, V, Co], mirrored or not.
std::vector<double> k_major_values(const KernelSpec& spec, const Tensor& weight, bool mirrored) {
  if (spec.weight_major == codegen::WeightMajor::k) return weight.values();
  std::vector<double> values;
  for (std::int64_t o = 0; o < spec.out_channels; ++o) {
    for (int v = 0; v < spec.volume; ++v) {
      const std::int64_t given = mirrored ? spec.volume - 1 - v : v;
      for (std::int64_t i = 0; i < spec.in_channels; ++i)
        values.push_back(weight.at((i * spec.volume + given) * spec.out_channels + o));
    }
  }
  return values;
}

Verdict examine_persistent_gemm(const KernelSpec& spec, const Workshop& workshop, int rounds,
                                std::uint64_t seed) {
  const int resident_blocks = spec.cluster == 1 ? 3 : 2 * spec.cluster;
  const std::int64_t rows = spec.row_tile * 5 + 37;
  const int groups = spec.output == OutputType::storage ? 1 : std::min(3, spec.volume);
  const Map map = make_map(rows, spec.volume, seed);
  const TileLayout layout = grouped_layout(map, spec.row_tile, groups, seed);
  const std::int64_t k = std::int64_t{spec.volume} * spec.in_channels;
  const Tensor feats =
      Tensor::random(spec.compute, rows * spec.in_channels, 1.0, seed + 10, spec.feats_vector_bytes);
  const Tensor weight =
      Tensor::random(spec.compute, k * spec.out_channels, 1.0 / std::sqrt(static_cast<double>(k)), seed + 11,
                     spec.weight_vector_bytes);
  const Finish finish(spec, rows, seed + 12);
  const bool partial = spec.output == OutputType::partial;
  Tensor output(output_type(spec), rows * spec.out_channels * (partial ? groups : 1),
                spec.output_vector_bytes);
  const codegen::LaunchShape shape = launch_shape(spec);
  const Buffer order(layout.order), tile_begin(layout.tile_begin), step_offset(layout.step_offset),
      step_rows(layout.step_rows), tile_order(layout.tile_order),
      counters(static_cast<std::size_t>(4 * (1 + groups * shape.column_tiles))),
      sums(static_cast<std::size_t>(rows * spec.out_channels * 4));
  const int element = storage_bytes(spec.compute);
  const bool mn_major = spec.weight_major == codegen::WeightMajor::mn;
  const bool mirrored = mn_major && (seed + 1) / 2 % 2 == 1;
  const int channels = mn_major ? spec.out_channels : spec.in_channels;
  BoxMap weight_map{.data = static_cast<const unsigned char*>(weight.data()),
                    .stride_y = std::int64_t{channels} * element,
                    .stride_z = std::int64_t{spec.volume} * channels * element,
                    .size = {spec.in_channels, spec.volume, spec.out_channels},
                    .box = {spec.k_tile, 1, spec.column_tile / spec.cluster},
                    .element_bytes = element};
  if (mn_major) {
    std::swap(weight_map.size[0], weight_map.size[2]);
    weight_map.box[0] = 64;
    weight_map.box[2] = spec.k_tile;
  }
  detail::PersistentGemmParameters parameters{
      .weight = {},
      .feats = feats.data(),
      .bias = nullptr,
      .output = output.data(),
      .sums = reinterpret_cast<float*>(sums.data()),
      .order = reinterpret_cast<const std::int32_t*>(order.data()),
      .tile_begin = reinterpret_cast<const std::int64_t*>(tile_begin.data()),
      .step_offset = reinterpret_cast<const std::int32_t*>(step_offset.data()),
      .step_rows = reinterpret_cast<const std::int32_t*>(step_rows.data()),
      .tile_order = seed % 2 == 0 ? nullptr : reinterpret_cast<const std::int32_t*>(tile_order.data()),
      .counters = reinterpret_cast<std::int32_t*>(counters.data()),
      .rows = rows,
      .tiles = layout.tiles,
      .tiles_per_group = layout.tiles / groups,
      .mirrored = mirrored ? 1 : 0};
  std::memcpy(&parameters.weight, &weight_map, sizeof(weight_map));
  finish.bind(spec, parameters);
  Experiment experiment{.launch = {.grid = {static_cast<unsigned>(resident_blocks), 1, 1},
                                   .cluster = spec.cluster,
                                   .threads = shape.threads,
                                   .shared_bytes = shape.shared_bytes,
                                   .parameters = &parameters},
                        .output = &output,
                        .expected = reference::forward(map.view(), feats.values().data(),
                                                       k_major_values(spec, weight, mirrored).data(), nullptr,
                                                       spec.in_channels, spec.out_channels)};
  finish.apply(spec, experiment.expected);
  experiment.collect = [&](const std::vector<double>& parts) {
    std::vector<double> totals(static_cast<std::size_t>(rows * spec.out_channels));
    for (std::size_t i = 0; i < parts.size(); ++i) totals[i % totals.size()] += parts[i];
    return totals;
  };
  experiment.reset = [&] {
    sums.poison();
    std::memset(counters.data(), 0, counters.bytes());
  };
  experiment.resident_blocks = resident_blocks;
  return judge(spec, workshop, experiment, rounds, seed);
}

Verdict examine_grad_weight(const KernelSpec& spec, const Workshop& workshop, int rounds,
                            std::uint64_t seed) {
  constexpr std::int64_t rows = 700;
  const Map map = make_map(rows, spec.volume, seed);
  Tensor feats =
      Tensor::random(spec.compute, rows * spec.in_channels, 1.0, seed + 10, spec.feats_vector_bytes);
  Tensor grad_out =
      Tensor::random(spec.compute, rows * spec.out_channels, 1.0, seed + 11, spec.weight_vector_bytes);
  const bool split = spec.output == OutputType::partial;
  const PairLayout layout = pair_layout(map, spec.offsets, seed);
  const bool accumulate = !split && seed % 2 == 1;
  const std::int64_t count = std::int64_t{spec.out_channels} * spec.volume * spec.in_channels;
  const std::int64_t part = std::int64_t{spec.out_channels} * spec.offsets * spec.in_channels;
  Tensor output =
      accumulate
          ? Tensor::random(output_type(spec), count, 1.0, seed + 12, spec.output_vector_bytes)
          : Tensor(output_type(spec), split ? part * static_cast<std::int64_t>(layout.parts.size()) : count,
                   spec.output_vector_bytes);
  const Buffer pairs(layout.pairs), parts(split ? layout.parts : layout.whole_parts),
      share_begin(layout.share_begin);
  const detail::GradWeightParameters parameters{
      .feats = feats.data(),
      .grad_out = grad_out.data(),
      .output = output.data(),
      .pairs = reinterpret_cast<const std::int32_t*>(pairs.data()),
      .parts = reinterpret_cast<const std::int32_t*>(parts.data()),
      .share_begin = split ? reinterpret_cast<const std::int32_t*>(share_begin.data()) : nullptr,
      .accumulate = accumulate,
      .unused = 0};
  const codegen::LaunchShape shape = launch_shape(spec);
  Experiment experiment{
      .launch = {.grid = {static_cast<unsigned>(shape.tiles),
                          static_cast<unsigned>(split ? layout.shares : layout.groups), 1},
                 .threads = shape.threads,
                 .shared_bytes = shape.shared_bytes,
                 .parameters = &parameters},
      .output = &output,
      .expected = reference::grad_weight(map.view(), grad_out.values().data(), feats.values().data(),
                                         spec.in_channels, spec.out_channels)};
  if (accumulate) {
    for (std::int64_t i = 0; i < count; ++i) experiment.expected[static_cast<std::size_t>(i)] += output.at(i);
  }
  if (split) {
    experiment.collect = [&](const std::vector<double>& partials) {
      std::vector<double> sums(static_cast<std::size_t>(count));
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t ci = i % spec.in_channels;
        const std::int64_t v = i / spec.in_channels % spec.volume;
        const std::int64_t co = i / spec.in_channels / spec.volume;
        for (std::size_t p = 0; p < layout.parts.size(); ++p) {
          if (layout.parts[p].group != v / spec.offsets || layout.parts[p].runs == 0) continue;
          sums[static_cast<std::size_t>(i)] +=
              partials[p * static_cast<std::size_t>(part) +
                       static_cast<std::size_t>((co * spec.offsets + v % spec.offsets) * spec.in_channels +
                                                ci)];
        }
      }
      return sums;
    };
  }
  const std::vector<std::byte> unwritten = output.bits();
  const Verdict verdict = judge(spec, workshop, experiment, rounds, seed);
  if (!verdict.fault.empty() || spec.compute != ElementType::tf32 || spec.mma != codegen::MmaPath::wgmma)
    return verdict;

  // Rounding on the way into shared memory keeps every NaN and spreads none, but to offsets of the same
  // group, whose missing rows are zeros.
  constexpr std::int64_t feats_row = 17, grad_out_row = 5, out_channel = 0;
  const std::int64_t in_channel = spec.in_channels - 1;
  feats.spoil(feats_row * spec.in_channels + in_channel);
  grad_out.spoil(grad_out_row * spec.out_channels + out_channel);
  std::memcpy(output.data(), unwritten.data(), unwritten.size());
  const auto has_pair = [&](std::int64_t row, std::int64_t v, auto&& wanted) {
    return v < spec.volume && wanted(map.indices[static_cast<std::size_t>(row * spec.volume + v)]);
  };
  const auto exists = [](std::int64_t input) { return input >= 0; };
  std::vector<bool> must(static_cast<std::size_t>(count)), may(must);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t ci = i % spec.in_channels;
    const std::int64_t v = i / spec.in_channels % spec.volume;
    const bool of_grad_out = i / spec.in_channels / spec.volume == out_channel;
    const auto at = static_cast<std::size_t>(i);
    must[at] = of_grad_out && has_pair(grad_out_row, v, exists);
    for (std::int64_t row = 0; ci == in_channel && row < rows && !must[at]; ++row)
      must[at] = has_pair(row, v, [&](std::int64_t input) { return input == feats_row; });
    for (std::int64_t other = v - v % spec.offsets; other < v - v % spec.offsets + spec.offsets; ++other)
      may[at] = may[at] || (of_grad_out && has_pair(grad_out_row, other, exists));
    if (must[at]) experiment.expected[at] = 0;
  }
  const auto collect = experiment.collect;
  experiment.collect = [&](const std::vector<double>& written) {
    std::vector<double> sums = collect ? collect(written) : written;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (must[i]) {
        sums[i] = std::isnan(sums[i]) ? 0 : HUGE_VAL;
      } else if (may[i] && std::isnan(sums[i])) {
        sums[i] = experiment.expected[i];
      }
    }
    return sums;
  };
  return judge(spec, workshop, experiment, 1, seed);
}

/// The kinds with one thread a vector, on `blocks` blocks.
Verdict examine_elementwise(const KernelSpec& spec, const Workshop& workshop, int rounds, std::uint64_t seed,
                            const void* parameters, Tensor& output, std::vector<double> expected) {
  const codegen::LaunchShape shape = launch_shape(spec);
  return judge(spec, workshop,
               {.launch = {.grid = {3, 1, 1},
                           .threads = shape.threads,
                           .shared_bytes = shape.shared_bytes,
                           .parameters = parameters},
                .output = &output,
                .expected = std::move(expected)},
               rounds, seed);
}

Verdict examine_gather_rows(const KernelSpec& spec, const Workshop& workshop, int rounds,
                            std::uint64_t seed) {
  const Map map = make_map(100, spec.volume, seed);
  constexpr std::int64_t first_row = 13;
  const std::int64_t rows = map.rows - first_row;
  const Tensor feats =
      Tensor::random(spec.compute, map.rows * spec.in_channels, 1.0, seed + 10, spec.feats_vector_bytes);
  Tensor output(spec.compute, rows * spec.volume * spec.in_channels, spec.output_vector_bytes);
  const Buffer indices(map.indices);
  const detail::GatherRowsParameters parameters{
      .feats = feats.data(),
      .indices = reinterpret_cast<const std::int32_t*>(indices.data()),
      .gathered = output.data(),
      .first_row = first_row,
      .rows = rows};
  std::vector<double> expected;
  for (std::int64_t i = first_row * spec.volume; i < map.rows * spec.volume; ++i) {
    const std::int64_t row = map.indices[static_cast<std::size_t>(i)];
    for (int c = 0; c < spec.in_channels; ++c)
      expected.push_back(row < 0 ? 0.0 : feats.at(row * spec.in_channels + c));
  }
  return examine_elementwise(spec, workshop, rounds, seed, &parameters, output, std::move(expected));
}

Verdict examine_reduce_partials(const KernelSpec& spec, const Workshop& workshop, int rounds,
                                std::uint64_t seed) {
  constexpr std::int64_t rows = 150;
  constexpr int splits = 3;
  const std::int64_t count = rows * spec.out_channels;
  const Tensor partials = Tensor::random(ElementType::f32, splits * count, 1.0, seed + 10);
  const Finish finish(spec, rows, seed + 12);
  Tensor output(output_type(spec), count, spec.output_vector_bytes);
  detail::ReducePartialsParameters parameters{.partials = static_cast<const float*>(partials.data()),
                                              .bias = nullptr,
                                              .output = output.data(),
                                              .rows = rows,
                                              .splits = splits,
                                              .unused = 0};
  finish.bind(spec, parameters);
  std::vector<double> expected(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < splits * count; ++i)
    expected[static_cast<std::size_t>(i % count)] += partials.at(i);
  finish.apply(spec, expected);
  return examine_elementwise(spec, workshop, rounds, seed, &parameters, output, std::move(expected));
}

Verdict examine_reduce_gradient(const KernelSpec& spec, const Workshop& workshop, int rounds,
                                std::uint64_t seed) {
  constexpr int uniform_parts = 2;
  const bool uniform = seed % 4 < 2;
  // Not uniform: a part that nobody adds before each group, and groups without one.
  std::vector<std::int32_t> ranges;
  std::int32_t parts = 0;
  for (int v = 0, g = 0; v < spec.volume; v += spec.offsets, ++g) {
    const int first = uniform ? parts : parts + 1;
    parts = first + (uniform ? uniform_parts : g % 4);
    ranges.insert(ranges.end(), {first, parts});
  }
  const std::int64_t part = std::int64_t{spec.out_channels} * spec.offsets * spec.in_channels;
  const std::int64_t count = std::int64_t{spec.out_channels} * spec.volume * spec.in_channels;
  const Tensor partials = Tensor::random(ElementType::f32, part * parts, 1.0, seed + 10);
  const bool accumulate = seed % 2 == 1;
  Tensor output = accumulate
                      ? Tensor::random(output_type(spec), count, 1.0, seed + 12, spec.output_vector_bytes)
                      : Tensor(output_type(spec), count, spec.output_vector_bytes);
  const Buffer part_range(ranges);
  const detail::ReduceGradientParameters parameters{
      .partials = static_cast<const float*>(partials.data()),
      .part_range = uniform ? nullptr : reinterpret_cast<const std::int32_t*>(part_range.data()),
      .output = output.data(),
      .accumulate = accumulate,
      .group_parts = uniform_parts};
  std::vector<double> expected;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t v = i / spec.in_channels % spec.volume;
    const std::int64_t co = i / spec.in_channels / spec.volume;
    double sum = accumulate ? output.at(i) : 0.0;
    const auto range = ranges.begin() + v / spec.offsets * 2;
    for (int p = range[0]; p < range[1]; ++p)
      sum += partials.at(p * part + (co * spec.offsets + v % spec.offsets) * spec.in_channels +
                         i % spec.in_channels);
    expected.push_back(sum);
  }
  return examine_elementwise(spec, workshop, rounds, seed, &parameters, output, std::move(expected));
}

Verdict examine_transpose_weights(const KernelSpec& spec, const Workshop& workshop, int rounds,
                                  std::uint64_t seed) {
  const std::int64_t ci = spec.in_channels;
  const std::int64_t co = spec.out_channels;
  const bool mirrored = seed % 2 == 1;
  const Tensor weight =
      Tensor::random(spec.compute, co * spec.volume * ci, 1.0, seed + 10, spec.feats_vector_bytes);
  Tensor output(spec.compute, weight.count(), spec.output_vector_bytes);
  const detail::TransposeWeightsParameters parameters{
      .weight = weight.data(), .transposed = output.data(), .mirrored = mirrored, .unused = 0};
  std::vector<double> expected;
  for (std::int64_t i = 0; i < ci; ++i) {
    for (int v = 0; v < spec.volume; ++v) {
      for (std::int64_t o = 0; o < co; ++o)
        expected.push_back(weight.at((o * spec.volume + (mirrored ? spec.volume - 1 - v : v)) * ci + i));
    }
  }
  return examine_elementwise(spec, workshop, rounds, seed, &parameters, output, std::move(expected));
}

}  // namespace

Verdict examine(const KernelSpec& spec, const Workshop& workshop, int rounds, std::uint64_t seed) {
  switch (spec.kind) {
    case KernelKind::implicit_gemm:
      return examine_implicit_gemm(spec, workshop, rounds, seed);
    case KernelKind::persistent_gemm:
      return examine_persistent_gemm(spec, workshop, rounds, seed);
    case KernelKind::gather_rows:
      return examine_gather_rows(spec, workshop, rounds, seed);
    case KernelKind::reduce_partials:
      return examine_reduce_partials(spec, workshop, rounds, seed);
    case KernelKind::grad_weight:
      return examine_grad_weight(spec, workshop, rounds, seed);
    case KernelKind::resident_gemm:
      return examine_resident_gemm(spec, workshop, rounds, seed);
    case KernelKind::resident_grad_weight:
      return examine_resident_grad_weight(spec, workshop, rounds, seed);
    case KernelKind::reduce_gradient:
      return examine_reduce_gradient(spec, workshop, rounds, seed);
    case KernelKind::transpose_weights:
      return examine_transpose_weights(spec, workshop, rounds, seed);
  }
  throw std::invalid_argument("no experiment for " + to_string(spec));
}

}  // namespace flexgemm::emulator
