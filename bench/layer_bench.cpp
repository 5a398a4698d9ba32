#include "layer_bench.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "row.hpp"
#include "statistics.hpp"

namespace flexgemm::bench {

LayerBench::LayerBench(MeasuringDevice& device, const SceneOnDevice& scene, std::int64_t channels,
                       DType dtype, DType gradient_type, const Repeats& repeats, Note note)
    : device_(device),
      scene_(scene),
      channels_(channels),
      dtype_(dtype),
      gradient_type_(gradient_type),
      repeats_(repeats),
      note_(std::move(note)),
      context_(Context::open(device.device(), device.context_options())),
      conv_(context_.conv3d({.in_channels = channels, .out_channels = channels, .dtype = dtype})),
      bias_(device.allocate(static_cast<std::size_t>(channels) * sizeof(float))) {
  device_.fill_random(bias_.get(), DType::f32, channels_, 5, 0.1F);
  rebuild_map();
}

void LayerBench::rebuild_map(bool checked) {
  map_ = {};
  map_ = context_.submanifold_map({static_cast<const std::int32_t*>(scene_.coords.get()), {scene_.voxels, 4}},
                                  scene_.grid, {.checked = checked}, device_.stream());
}

LayerBench::Record& LayerBench::record(const std::string& op) {
  const auto found =
      std::find_if(records_.begin(), records_.end(), [&](const auto& one) { return one->op == op; });
  if (found != records_.end()) return **found;
  records_.push_back(std::make_unique<Record>());
  records_.back()->op = op;
  return *records_.back();
}

void LayerBench::guarded(const std::string& op, const std::function<void(const std::string&)>& progress,
                         const std::function<void(Record&)>& body) {
  Record& row = record(op);
  if (!row.failure.empty()) return;
  try {
    device_.prepare_row();
    body(row);
    const double ms = row.rounds.empty() || row.rounds.back().call_ms.empty()
                          ? 0
                          : summarize(row.rounds.back().call_ms).median;
    progress(fmt::format("{} C={} {} {}: {:.4f} ms a call", scene_.name, channels_, name(dtype_), op, ms));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory && error.code() != ErrorCode::compile &&
        error.code() != ErrorCode::unsupported)
      throw;
    row.failure = error.what();
    progress(fmt::format("{} C={} {} {} failed: {}", scene_.name, channels_, name(dtype_), op, error.what()));
  }
}

/// Conv3d::choice knows of float gradients alone; a plan is told their type.
KernelChoice LayerBench::choice(Op op) const {
  if (op != Op::grad_weight || gradient_type_ == DType::f32) return conv_.choice(map_, op);
  const Plan plan = conv_.freeze(map_,
                                 {.forward = false,
                                  .weight_gradient = true,
                                  .weight_gradient_type = gradient_type_,
                                  .own_workspace = false},
                                 device_.stream());
  return plan.choice(op);
}

bool LayerBench::serves(Op op) {
  std::optional<bool>& served = served_[static_cast<std::size_t>(op)];
  if (served) return *served;
  try {
    record(name(op)).choice = choice(op);
    served = true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    std::erase_if(records_, [&](const auto& one) { return one->op == name(op); });
    note_(fmt::format("{} has no rows: {}", name(op), error.what()));
    served = false;
  }
  return *served;
}

void LayerBench::measure_round(const std::function<void(const std::string&)>& progress) {
  if (!map_) rebuild_map();
  bool all = true;
  for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
    if (serves(op)) {
      guarded(name(op), progress, [&](Record& row) { measure_pass(op, row); });
    } else {
      all = false;
    }
  }
  if (!serves(Op::forward)) return;
  guarded("map", progress, [&](Record& row) { measure_map(row); });
  guarded("net_inference", progress, [&](Record& row) { measure_inference(row); });
  if (all) guarded("net_train_step", progress, [&](Record& row) { measure_training(row); });
}

double LayerBench::flop() const {
  return 2.0 * static_cast<double>(map_.pairs()) * static_cast<double>(channels_) *
         static_cast<double>(channels_);
}

std::int64_t LayerBench::least_bytes(Op op) const {
  const std::int64_t weight_bytes =
      op == Op::grad_weight ? gradient_bytes() : weight_elements() * element_bytes();
  return 2 * row_elements() * element_bytes() + weight_bytes +
         map_.pairs() * static_cast<std::int64_t>(sizeof(std::int32_t));
}

std::shared_ptr<void> LayerBench::random_rows(std::uint64_t seed) {
  auto rows = device_.allocate(static_cast<std::size_t>(row_elements() * element_bytes()));
  device_.fill_random(rows.get(), dtype_, row_elements(), seed, 1);
  return rows;
}

std::shared_ptr<void> LayerBench::random_weight(std::uint64_t seed) {
  const double rows = static_cast<double>(std::max<std::int64_t>(scene_.voxels, 1));
  const double terms =
      std::max(1.0, static_cast<double>(map_.pairs()) / rows) * static_cast<double>(channels_);
  auto weight = device_.allocate(static_cast<std::size_t>(weight_elements() * element_bytes()));
  device_.fill_random(weight.get(), dtype_, weight_elements(), seed,
                      static_cast<float>(1 / std::sqrt(terms)));
  return weight;
}

PassTensors LayerBench::pass_tensors(Op op, int set) {
  const std::uint64_t seed = 16 + 4 * static_cast<std::uint64_t>(set);
  const bool weight_result = op == Op::grad_weight;
  PassTensors tensors;
  tensors.first = random_rows(seed);
  tensors.second = weight_result ? random_rows(seed + 1) : random_weight(seed + 1);
  const std::int64_t bytes = weight_result ? gradient_bytes() : row_elements() * element_bytes();
  tensors.result = device_.allocate(static_cast<std::size_t>(bytes));
  return tensors;
}

void LayerBench::run_forward(const void* feats, const void* weight, void* out) {
  const DType stored_type = storage_type(dtype_);
  conv_.forward(map_, {feats, stored_type, rows_shape()}, {weight, stored_type, weight_shape()},
                {bias_.get(), DType::f32, {channels_}}, {out, stored_type, rows_shape()}, device_.stream());
}

void LayerBench::run_pass(Op op, const PassTensors& tensors) {
  const DType stored_type = storage_type(dtype_);
  const ConstTensorView first(tensors.first.get(), stored_type, rows_shape());
  if (op == Op::forward) return run_forward(tensors.first.get(), tensors.second.get(), tensors.result.get());
  if (op == Op::grad_input) {
    conv_.backward(map_, first, {}, {tensors.second.get(), stored_type, weight_shape()},
                   {.input = {tensors.result.get(), stored_type, rows_shape()}, .weight = {}, .bias = {}},
                   device_.stream());
    return;
  }
  conv_.backward(map_, first, {tensors.second.get(), stored_type, rows_shape()}, {},
                 {.input = {}, .weight = {tensors.result.get(), gradient_type_, weight_shape()}, .bias = {}},
                 device_.stream());
}

void LayerBench::measure_pass(Op op, Record& row) {
  row.flop = flop();
  row.least_bytes = least_bytes(op);
  const std::int64_t set_bytes =
      row.least_bytes - map_.pairs() * static_cast<std::int64_t>(sizeof(std::int32_t));
  std::vector<PassTensors> sets;
  for (int set = 0; set < device_.rotating_sets(set_bytes); ++set) sets.push_back(pass_tensors(op, set));
  row.rounds.push_back(
      device_.measure_pass([&](int set) { run_pass(op, sets[static_cast<std::size_t>(set)]); },
                           static_cast<int>(sets.size()), repeats_.pass));
  if (row.rounds.size() == 1)  // later rounds come after maps that were built and dropped
    row.peak_bytes = context_.memory().peak_bytes + static_cast<std::size_t>(set_bytes);
}

/// The build alone, unchecked, and with the first forward pass, which lays the map out for its kernel.
void LayerBench::measure_map(Record& row) {
  const auto drop = [&] { map_ = {}; };
  const std::int64_t coordinate_bytes = scene_.voxels * std::int64_t{4 * sizeof(std::int32_t)};
  row.least_bytes = coordinate_bytes + scene_.voxels * 27 * static_cast<std::int64_t>(sizeof(std::int32_t));
  CallTimes times;
  times.call_ms = device_.measure_calls(
      drop, [&] { rebuild_map(true); }, repeats_.map);
  row.parts["build_ms"] = summary_json(summarize(times.call_ms));
  row.parts["build_unchecked_ms"] = summary_json(summarize(device_.measure_calls(
      drop, [&] { rebuild_map(false); }, repeats_.map)));
  rebuild_map();
  if (device_.device().is_cuda()) {
    const PassTensors tensors = pass_tensors(Op::forward, 0);
    run_pass(Op::forward, tensors);
    const double forward_ms =
        summarize(device_.measure_calls([] {}, [&] { run_pass(Op::forward, tensors); }, repeats_.map)).median;
    times.call_ms = device_.measure_calls(
        drop,
        [&] {
          rebuild_map(true);
          run_pass(Op::forward, tensors);
        },
        repeats_.map);
    for (double& ms : times.call_ms) ms = std::max(ms - forward_ms, 0.0);
  }
  row.rounds.push_back(std::move(times));
}

/// The map once, then the layers, from one input that stays as it is.
void LayerBench::measure_inference(Record& row) {
  row.layers = scene_.layers;
  row.flop = flop() * row.layers;
  row.least_bytes = least_bytes(Op::forward) * row.layers;
  std::vector<std::shared_ptr<void>> weights;
  for (int layer = 0; layer < row.layers; ++layer)
    weights.push_back(random_weight(100 + static_cast<std::uint64_t>(layer)));
  const auto input = random_rows(7);
  const std::array<std::shared_ptr<void>, 2> between{random_rows(8), random_rows(9)};
  CallTimes times;
  times.call_ms =
      device_.measure_calls([&] { map_ = {}; },
                            [&] {
                              rebuild_map();
                              const void* feats = input.get();
                              for (std::size_t layer = 0; layer < weights.size(); ++layer) {
                                run_forward(feats, weights[layer].get(), between[layer % 2].get());
                                feats = between[layer % 2].get();
                              }
                            },
                            repeats_.network);
  row.rounds.push_back(std::move(times));
  if (row.rounds.size() == 1) {
    const std::int64_t tensors =
        (3 * row_elements() + std::ssize(weights) * weight_elements()) * element_bytes();
    row.peak_bytes = context_.memory().peak_bytes + static_cast<std::size_t>(tensors);
  }
}

/// The map once, the layers forward with their activations kept, then backward with every gradient.
void LayerBench::measure_training(Record& row) {
  row.layers = scene_.layers;
  row.flop = flop() * row.layers * 3;
  row.least_bytes =
      (least_bytes(Op::forward) + least_bytes(Op::grad_input) + least_bytes(Op::grad_weight)) * row.layers;
  const auto layers = static_cast<std::size_t>(row.layers);
  std::vector<std::shared_ptr<void>> weights;
  std::vector<std::shared_ptr<void>> grad_weights;
  std::vector<std::shared_ptr<void>> activations{random_rows(7)};
  for (std::size_t layer = 0; layer < layers; ++layer) {
    weights.push_back(random_weight(100 + layer));
    grad_weights.push_back(device_.allocate(static_cast<std::size_t>(gradient_bytes())));
    activations.push_back(random_rows(8 + layer));
  }
  const auto grad_out = random_rows(90);
  const std::array<std::shared_ptr<void>, 2> grads{random_rows(91), random_rows(92)};
  const auto grad_bias = device_.allocate(static_cast<std::size_t>(channels_) * sizeof(float));
  const DType stored_type = storage_type(dtype_);
  CallTimes times;
  times.call_ms = device_.measure_calls(
      [&] { map_ = {}; },
      [&] {
        rebuild_map();
        for (std::size_t layer = 0; layer < layers; ++layer)
          run_forward(activations[layer].get(), weights[layer].get(), activations[layer + 1].get());
        const void* grad = grad_out.get();
        for (std::size_t layer = layers; layer-- > 0;) {
          void* grad_input = grads[layer % 2].get();
          conv_.backward(map_, {grad, stored_type, rows_shape()},
                         {activations[layer].get(), stored_type, rows_shape()},
                         {weights[layer].get(), stored_type, weight_shape()},
                         {.input = {grad_input, stored_type, rows_shape()},
                          .weight = {grad_weights[layer].get(), gradient_type_, weight_shape()},
                          .bias = {grad_bias.get(), gradient_type_, {channels_}}},
                         device_.stream());
          grad = grad_input;
        }
      },
      repeats_.network);
  row.rounds.push_back(std::move(times));
  if (row.rounds.size() == 1) {
    const std::int64_t count = std::ssize(weights);
    const std::int64_t tensors = (count + 4) * row_elements() * element_bytes() +
                                 count * (weight_elements() * element_bytes() + gradient_bytes());
    row.peak_bytes = context_.memory().peak_bytes + static_cast<std::size_t>(tensors);
  }
}

std::vector<nlohmann::ordered_json> LayerBench::rows() const {
  std::vector<nlohmann::ordered_json> result;
  for (const auto& one : records_) {
    nlohmann::ordered_json row{
        {"scene", scene_.name},  {"voxels", scene_.voxels}, {"pairs", map_ ? map_.pairs() : 0},
        {"channels", channels_}, {"dtype", name(dtype_)},   {"op", one->op}};
    if (!one->choice.kernel.empty()) {
      row["algorithm"] = name(one->choice.algorithm);
      row["kernel"] = one->choice.kernel;
    }
    if (one->op == name(Op::grad_weight) || one->op == "net_train_step") {
      row["gradient_dtype"] = name(gradient_type_);
    }
    if (one->layers > 0) row["layers"] = one->layers;
    if (!one->failure.empty()) {
      row["failed"] = one->failure;
    } else {
      add_times(row, one->rounds);
      row["flop"] = one->flop;
      row["least_bytes"] = one->least_bytes;
      if (one->peak_bytes > 0) row["peak_bytes"] = one->peak_bytes;
      if (!one->parts.empty()) row["parts"] = one->parts;
    }
    result.push_back(std::move(row));
  }
  return result;
}

}  // namespace flexgemm::bench
