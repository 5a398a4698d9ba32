#include "cpu/finish_row.hpp"

#include <algorithm>
#include <array>

#include "cpu/storage.hpp"

namespace flexgemm::detail {

namespace {

void apply_epilogue(const Kernels& kernels, const GatherProblem& problem, const float* bias, std::int64_t row,
                    std::int64_t first_column, std::int64_t columns, float* sums) {
  constexpr std::int64_t block = 256;
  std::array<float, block> residual;
  const EpilogueArguments& arguments = problem.epilogue;
  for (std::int64_t begin = 0; begin < columns; begin += block) {
    const std::int64_t count = std::min(block, columns - begin);
    const std::int64_t channel = first_column + begin;
    codegen::EvaluationInputs inputs{.bias = bias + channel, .first_channel = channel};
    if (arguments.residual != nullptr) {
      load_elements(kernels, arguments.residual, problem.storage, row * problem.out_channels + channel, count,
                    residual.data());
      inputs.residual = residual.data();
    }
    if (arguments.scale != nullptr) {
      inputs.scale = arguments.scale + channel;
      inputs.shift = arguments.shift + channel;
    }
    codegen::evaluate(arguments.epilogue->expression, inputs, count, sums + begin);
  }
}

}  // namespace

void finish_row(const Kernels& kernels, const GatherProblem& problem, const float* bias, std::int64_t row,
                std::int64_t first_column, std::int64_t columns, float* sums) {
  if (problem.epilogue.epilogue != nullptr) {
    apply_epilogue(kernels, problem, bias, row, first_column, columns, sums);
  } else if (problem.bias != nullptr) {
    for (std::int64_t c = 0; c < columns; ++c) sums[c] += bias[first_column + c];
  }
  store_elements(kernels, problem.output, problem.storage, row * problem.out_channels + first_column, columns,
                 sums);
}

}  // namespace flexgemm::detail
