#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <stdexcept>
#include <utility>

#include <flexgemm/kernels.hpp>

#include "choice/pass_shape.hpp"
#include "codegen/emit.hpp"
#include "core/fail.hpp"
#include "core/prepared_epilogue.hpp"
#include "core/validate.hpp"

namespace flexgemm {

using namespace detail;

namespace {

/// Multiprocessors of the GPU that an architecture is best known by.
constexpr std::array<std::pair<int, int>, 11> usual_multiprocessors{{{75, 72},     // TITAN RTX
                                                                     {80, 108},    // A100
                                                                     {86, 84},     // A40
                                                                     {87, 16},     // Jetson Orin
                                                                     {89, 142},    // L40
                                                                     {90, 132},    // H100, H200
                                                                     {100, 148},   // B200
                                                                     {103, 148},   // B300
                                                                     {110, 20},    // Jetson Thor
                                                                     {120, 170},   // GeForce RTX 5090
                                                                     {121, 48}}};  // GB10

/// What codegen throws for a text becomes the library's error.
template <class Make>
auto with_spec_errors(const Make& make) {
  try {
    return make();
  } catch (const std::logic_error& error) {  // invalid_argument included
    fail(ErrorCode::invalid_argument, "{}", error.what());
  }
}

TargetDevice device_of(const TargetGpu& gpu) {
  const TargetGpu whole = complete(gpu);
  return {.architecture = codegen::parse_architecture(whole.architecture),
          .multiprocessors = whole.multiprocessors};
}

/// Neighbors on a surface: the taps of a plane, and some above and below.
double surface_pairs(int volume) {
  return std::min<double>(volume, 1.4 * std::cbrt(double(volume) * volume));
}

codegen::BiasType bias_type(const PassDescription& pass) {
  if (!pass.bias) return codegen::BiasType::none;
  return *pass.bias == DType::f32 ? codegen::BiasType::f32 : codegen::BiasType::storage;
}

void require_description(const PassDescription& pass) {
  const Conv3dOptions& conv = pass.conv;
  require_kernel(conv.kernel);
  require_channels("in_channels", conv.in_channels);
  require_channels("out_channels", conv.out_channels);
  const int volume = conv.kernel.x * conv.kernel.y * conv.kernel.z;
  const auto element = static_cast<int>(size_of(conv.dtype));
  if (conv.dtype == DType::i32) fail(ErrorCode::invalid_argument, "i32 is no type of features");
  if (pass.rows < 1 || pass.rows > max_rows) {
    fail(ErrorCode::invalid_argument, "a pass over {} rows was described; use 1 to {}", pass.rows, max_rows);
  }
  if (!(pass.pairs_per_row >= 0) || pass.pairs_per_row > volume) {
    fail(ErrorCode::invalid_argument, "{} pairs per row were described for a kernel of {} taps",
         pass.pairs_per_row, volume);
  }
  if (pass.op != Op::forward && conv.epilogue != Epilogue{}) {
    fail(ErrorCode::invalid_argument, "{} has no epilogue; only forward has one", name(pass.op));
  }
  if (pass.bias &&
      (pass.op != Op::forward || (*pass.bias != DType::f32 && *pass.bias != storage_type(conv.dtype)))) {
    fail(ErrorCode::invalid_argument, "{} of type {} has no bias of type {}", name(pass.op), name(conv.dtype),
         name(*pass.bias));
  }
  if (pass.gradient != DType::f32 && pass.gradient != storage_type(conv.dtype)) {
    fail(ErrorCode::invalid_argument, "a weight gradient of type {} was described; it is {} or f32",
         name(pass.gradient), name(storage_type(conv.dtype)));
  }
  const bool power = pass.alignment > 0 && (pass.alignment & (pass.alignment - 1)) == 0;
  if (!power || pass.alignment < element || pass.alignment > 16) {
    fail(ErrorCode::invalid_argument,
         "pointers aligned to {} bytes were described; use a power of two from {} to 16", pass.alignment,
         element);
  }
}

PassShape shape_of(const PassDescription& pass) {
  require_description(pass);
  const Conv3dOptions& conv = pass.conv;
  const int volume = conv.kernel.x * conv.kernel.y * conv.kernel.z;
  const double pairs_per_row = pass.pairs_per_row > 0 ? pass.pairs_per_row : surface_pairs(volume);
  PassShape shape;
  shape.op = pass.op;
  shape.in_channels = conv.in_channels;
  shape.out_channels = conv.out_channels;
  shape.volume = volume;
  shape.dtype = conv.dtype;
  shape.algorithm = conv.algorithm;
  shape.rows = pass.rows;
  shape.pairs = std::llround(pairs_per_row * static_cast<double>(pass.rows));
  shape.first_alignment = pass.alignment;
  shape.second_alignment = pass.alignment;
  shape.output_alignment = pass.alignment;
  shape.bias = bias_type(pass);
  if (const PreparedEpilogue* epilogue = prepare_epilogue(conv.epilogue)) shape.epilogue = epilogue->text;
  shape.output_dtype = pass.op == Op::grad_weight ? pass.gradient : storage_type(conv.dtype);
  shape.resident = volume <= 32;  // as maps do, but for those of frames and of huge grids
  return shape;
}

PassKernels chosen_kernels(const TargetDevice& device, const PassShape& shape) {
  const GemmChoice choice = choose_gemm(device, shape);
  PassKernels result;
  result.choice = {.algorithm = choice.algorithm,
                   .kernel = codegen::to_string(choice.spec),
                   .splits = choice.splits,
                   .groups = choice.groups};
  for (const codegen::KernelSpec& spec : kernels_of(device, shape, choice)) {
    result.kernels.push_back(codegen::to_string(spec));
  }
  return result;
}

/// The types of bias that calls of a layer may bring; none for no bias.
std::vector<std::optional<DType>> possible_biases(const PassDescription& pass) {
  if (pass.op != Op::forward) return {pass.bias};
  const PreparedEpilogue* epilogue = prepare_epilogue(pass.conv.epilogue);
  const bool formula = epilogue != nullptr && epilogue->is_formula;
  std::vector<std::optional<DType>> biases;
  if (!formula || !epilogue->reads_bias) biases.emplace_back(std::nullopt);
  if (!formula || epilogue->reads_bias) {
    biases.emplace_back(DType::f32);
    biases.emplace_back(storage_type(pass.conv.dtype));
  }
  return biases;
}

std::vector<DType> possible_gradients(const PassDescription& pass) {
  if (pass.op != Op::grad_weight) return {pass.gradient};
  return {DType::f32, storage_type(pass.conv.dtype)};
}

/// The counts of frames: from half to twice the rows, from 1.25x fewer to 1.25x more pairs a row, in the
/// steps in which choices may change.
std::vector<PassDescription> possible_counts(const PassDescription& pass) {
  constexpr int row_steps = 12;  // an octave
  constexpr int pair_steps = 8;
  const int volume = pass.conv.kernel.x * pass.conv.kernel.y * pass.conv.kernel.z;
  const double pairs = pass.pairs_per_row > 0 ? pass.pairs_per_row : surface_pairs(volume);
  std::vector<PassDescription> all;
  for (int row_step = -row_steps; row_step <= row_steps; ++row_step) {
    for (int pair_step = -3; pair_step <= 3; ++pair_step) {
      PassDescription frame = pass;
      const double rows = static_cast<double>(pass.rows) * std::exp2(double(row_step) / row_steps);
      frame.rows = std::clamp<std::int64_t>(std::llround(rows), 1, max_rows);
      frame.pairs_per_row =
          std::clamp(pairs * std::exp2(double(pair_step) / pair_steps), 1e-3, double(volume));
      all.push_back(frame);
    }
  }
  return all;
}

/// What differs between calls of one layer: the counts of a frame, the bias, and the type of a gradient.
std::vector<PassDescription> variants(const PassDescription& pass) {
  std::vector<PassDescription> all;
  for (const PassDescription& frame : possible_counts(pass)) {
    for (const std::optional<DType>& bias : possible_biases(pass)) {
      for (const DType gradient : possible_gradients(pass)) {
        PassDescription variant = frame;
        variant.bias = bias;
        variant.gradient = gradient;
        all.push_back(variant);
      }
    }
  }
  return all;
}

}  // namespace

TargetGpu complete(const TargetGpu& gpu) {
  if (gpu.multiprocessors < 0 || gpu.multiprocessors > 4096) {
    fail(ErrorCode::invalid_argument, "a GPU of {} multiprocessors was described; use 1 to 4096, or 0",
         gpu.multiprocessors);
  }
  codegen::Architecture architecture =
      with_spec_errors([&] { return codegen::parse_architecture(gpu.architecture); });
  if (architecture.major >= 9) architecture.suffix = 'a';
  TargetGpu whole{codegen::to_string(architecture), gpu.multiprocessors};
  if (whole.multiprocessors > 0) return whole;
  for (const auto& [number, multiprocessors] : usual_multiprocessors) {
    if (number <= architecture.number()) whole.multiprocessors = multiprocessors;
  }
  return whole;
}

PassKernels pass_kernels(const PassDescription& pass, const TargetGpu& gpu) {
  return chosen_kernels(device_of(gpu), shape_of(pass));
}

std::vector<std::string> kernels_for_pack(std::span<const PassDescription> passes, const TargetGpu& gpu) {
  std::set<std::string> specs;
  for (const PassDescription& pass : passes) {
    require_description(pass);  // its variants' counts are kept in range
    for (const PassDescription& variant : variants(pass)) {
      PassShape shape = shape_of(variant);
      do {  // also for maps that serve no resident layouts
        for (std::string& spec : chosen_kernels(device_of(gpu), shape).kernels) specs.insert(std::move(spec));
      } while (std::exchange(shape.resident, false));
    }
  }
  return {specs.begin(), specs.end()};
}

std::string kernel_source(std::string_view spec) {
  return with_spec_errors([&] { return codegen::emit(codegen::parse_spec(spec)); });
}

std::string kernel_hash(std::string_view spec) {
  return with_spec_errors([&] { return codegen::source_hash(codegen::parse_spec(spec)); });
}

std::string template_hash() { return codegen::template_hash(); }

}  // namespace flexgemm
