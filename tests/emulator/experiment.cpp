#include "emulator/experiment.hpp"

#include <cstring>

#include "reference/reference.hpp"

namespace flexgemm::emulator {

using codegen::ElementType;
using codegen::KernelSpec;
using codegen::OutputType;

namespace {

DType dtype_of(ElementType type) {
  switch (type) {
    case ElementType::f16:
      return DType::f16;
    case ElementType::bf16:
      return DType::bf16;
    case ElementType::tf32:
      return DType::tf32;
    default:
      return DType::f32;
  }
}

}  // namespace

ElementType output_type(const KernelSpec& spec) {
  return spec.output == OutputType::partial ? ElementType::f32 : spec.compute;
}

Verdict judge(const KernelSpec& spec, const Workshop& workshop, const Experiment& experiment, int rounds,
              std::uint64_t seed) {
  Verdict verdict;
  const Program program(spec, workshop, experiment.resident_blocks);
  std::vector<std::byte> first;
  const std::vector<std::byte> before = experiment.output->bits();
  for (int round = 0; round < rounds; ++round) {
    std::memcpy(experiment.output->data(), before.data(), before.size());
    if (experiment.reset) experiment.reset();
    try {
      run(program, experiment.launch, seed + static_cast<std::uint64_t>(round));
    } catch (const MachineError& error) {
      verdict.fault = error.what();
      return verdict;
    }
    if (round == 0) first = experiment.output->bits();
    if (experiment.output->bits() != first) {
      verdict.fault = "another schedule gives other bits";
      return verdict;
    }
  }
  std::vector<double> result = experiment.output->values();
  if (experiment.collect) result = experiment.collect(result);
  verdict.error = reference::relative_error(result, experiment.expected);
  const double bound = reference::tolerance(dtype_of(spec.compute));
  if (!(verdict.error <= bound))
    verdict.fault =
        "the relative error is " + std::to_string(verdict.error) + ", allowed is " + std::to_string(bound);
  return verdict;
}

}  // namespace flexgemm::emulator
