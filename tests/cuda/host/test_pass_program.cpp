#include <cstddef>
#include <cstdint>
#include <cstring>

#include <catch2/catch_test_macros.hpp>

#include "cuda/device_array.hpp"
#include "cuda/kernel_parameters.hpp"
#include "cuda/pass_program.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;

namespace {

const auto function = reinterpret_cast<CUfunction>(std::uintptr_t{1});

/// Addresses that no two operands share, as a caller would bring them.
OperandAddresses addresses() {
  OperandAddresses all{};
  for (std::size_t i = 0; i < operand_count; ++i) all[i] = 0x7f0000000000 + i * 0x1000000;
  return all;
}
std::uint64_t address_of(Operand operand) { return addresses()[static_cast<std::size_t>(operand)]; }
std::uint64_t number(const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); }

template <class Parameters>
Parameters parameters_of(const PassProgram& program, std::size_t launch) {
  PassProgram::ParameterBlock block{};
  program.write_parameters(launch, addresses(), block);
  Parameters parameters;
  std::memcpy(static_cast<void*>(&parameters), block.data(), sizeof(parameters));
  return parameters;
}

}  // namespace

TEST_CASE("a recorded launch finds its tensors where the call says, and keeps everything else") {
  PassRecorder recorder(16);
  auto* out = static_cast<std::byte*>(recorder.address(Operand::out));
  const std::int32_t order = 0;
  const ReducePartialsParameters split{
      .partials = nullptr, .bias = nullptr, .output = nullptr, .rows = 1, .splits = 2, .unused = 0};
  const ImplicitGemmParameters gemm{.feats = recorder.address(Operand::feats),
                                    .weight = recorder.address(Operand::weight),
                                    .bias = nullptr,
                                    .output = out + 4096,
                                    .order = &order,
                                    .tile_begin = nullptr,
                                    .step_offset = nullptr,
                                    .step_rows = nullptr,
                                    .tile_order = nullptr,
                                    .residual = recorder.address(Operand::residual),
                                    .rows = std::int64_t{1} << 40,
                                    .tiles = 77,
                                    .splits = 3};
  recorder.record_launch(function, 1, 1, 32, 0, &split, sizeof(split));
  recorder.record_launch(function, 1, 1, 32, 0, &gemm, sizeof(gemm));
  const PassProgram program = recorder.take();
  REQUIRE(program.launches() == 2);
  const auto found = parameters_of<ImplicitGemmParameters>(program, 1);
  CHECK(number(found.feats) == address_of(Operand::feats));
  CHECK(number(found.weight) == address_of(Operand::weight));
  CHECK(found.bias == nullptr);
  CHECK(number(found.output) == address_of(Operand::out) + 4096);
  CHECK(found.order == &order);
  CHECK(number(found.residual) == address_of(Operand::residual));
  CHECK(found.rows == std::int64_t{1} << 40);
  CHECK(found.tiles == 77);
  CHECK(found.splits == 3);
  CHECK(parameters_of<ReducePartialsParameters>(program, 0).splits == 2);
}

TEST_CASE(
    "blocks of a recorded workspace do not overlap, are aligned, and lie within the bytes that are asked "
    "for") {
  PassRecorder recorder(4);
  const DeviceArray<float> first(recorder.memory(), 100, {});
  const DeviceArray<std::byte> second(recorder.memory(), 1, {});
  recorder.record_fill(second.data(), 7, 1);
  recorder.record_fill(first.data(), 7, 100);
  const PassProgram program = recorder.take();
  const auto at = [&](std::size_t launch) {
    return parameters_of<std::uint64_t>(program, launch) - address_of(Operand::workspace);
  };
  CHECK(at(1) == 0);
  CHECK(at(0) == 512);
  CHECK(program.workspace_bytes() == 768);
}

TEST_CASE("symbolic addresses have the alignment that was promised and no more") {
  for (const int alignment : {2, 4, 8, 16}) {
    const PassRecorder recorder(alignment);
    for (const Operand operand : {Operand::feats, Operand::weight, Operand::out, Operand::grad_weight}) {
      CHECK(number(recorder.address(operand)) % alignment == 0);
      CHECK(number(recorder.address(operand)) % (2 * alignment) != 0);
    }
  }
}
