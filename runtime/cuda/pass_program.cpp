#include "cuda/pass_program.hpp"

#include <cstring>
#include <utility>

#include "core/fail.hpp"
#include "cuda/driver.hpp"

namespace flexgemm::detail {

namespace {

// Operand k lies in [base + k * room, base + (k + 1) * room): bits that no 48-bit address or size has.
constexpr std::uint64_t symbolic_base = std::uint64_t{0xa5} << 48;
constexpr std::uint64_t symbolic_room = std::uint64_t{1} << 44;
/// Addresses begin in the middle of their room's first part, so that pointers before a tensor's start, if a
/// kernel is given one, still belong to it.
constexpr std::uint64_t symbolic_start = std::uint64_t{1} << 40;

std::uint64_t start_of(std::size_t operand) {
  return symbolic_base + operand * symbolic_room + symbolic_start;
}

}  // namespace

void PassProgram::write_parameters(std::size_t launch, const OperandAddresses& addresses,
                                   ParameterBlock& block) const {
  const Step& step = steps_[launch];
  std::memcpy(block.data(), words_.data() + step.first_word, step.words * sizeof(std::uint64_t));
  for (std::size_t i = 0; i < step.relocations; ++i) {
    const Relocation& relocation = relocations_[step.first_relocation + i];
    block[relocation.word] = addresses[static_cast<std::size_t>(relocation.operand)] +
                             static_cast<std::uint64_t>(relocation.offset);
  }
  if (step.has_tensor_map) {
    const std::uint64_t base = addresses[static_cast<std::size_t>(step.map_base.operand)] +
                               static_cast<std::uint64_t>(step.map_base.offset);
    CUtensorMap map;
    std::memcpy(&map, block.data(), sizeof(map));
    FLEXGEMM_DRIVER(cuTensorMapReplaceAddress, &map, reinterpret_cast<void*>(base));
    std::memcpy(block.data(), &map, sizeof(map));
  }
}

void PassProgram::run(const OperandAddresses& addresses, CUstream stream) const {
  alignas(64) ParameterBlock block;
  std::array<void*, 1> arguments{block.data()};
  for (std::size_t launch = 0; launch < steps_.size(); ++launch) {
    const Step& step = steps_[launch];
    write_parameters(launch, addresses, block);
    if (step.function != nullptr) {
      FLEXGEMM_DRIVER(cuLaunchKernel, step.function, step.blocks_x, step.blocks_y, 1, step.threads, 1, 1,
                      step.shared_bytes, stream, arguments.data(), nullptr);
    } else {
      FLEXGEMM_DRIVER(cuMemsetD32Async, static_cast<CUdeviceptr>(block[0]), step.value, step.count, stream);
    }
  }
}

PassRecorder::PassRecorder(int alignment) : alignment_(alignment), memory_(allocator_) {}

void* PassRecorder::address(Operand operand) const noexcept {
  const std::uint64_t start = start_of(static_cast<std::size_t>(operand));
  const bool is_aligned = operand == Operand::workspace || operand == Operand::transposed_weight;
  return reinterpret_cast<void*>(is_aligned ? start : start + static_cast<std::uint64_t>(alignment_));
}

void* PassRecorder::WorkspaceAllocator::allocate(std::size_t bytes, Stream) noexcept {
  constexpr std::size_t alignment = 256;
  const std::uint64_t address = start_of(static_cast<std::size_t>(Operand::workspace)) + used;
  used += (bytes + alignment - 1) / alignment * alignment;
  return reinterpret_cast<void*>(address);
}

bool PassRecorder::is_symbolic(std::uint64_t value) noexcept {
  return value >= symbolic_base && value < symbolic_base + operand_count * symbolic_room;
}

PassProgram::Relocation PassRecorder::relocation(std::size_t word, std::uint64_t value) const noexcept {
  const auto operand = static_cast<Operand>((value - symbolic_base) / symbolic_room);
  const auto start = reinterpret_cast<std::uint64_t>(address(operand));
  return {static_cast<std::uint32_t>(word), operand, static_cast<std::int64_t>(value - start)};
}

void PassRecorder::record_tensor_map(const void* tensor) { mapped_tensor_ = tensor; }

void PassRecorder::append_words(PassProgram::Step& step, const void* source, std::size_t bytes) {
  const std::size_t words = (bytes + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t);
  if (words > PassProgram::most_words) {
    fail(ErrorCode::internal, "a parameter block of {} bytes exceeds the {} words of a recorded launch",
         bytes, PassProgram::most_words);
  }
  step.first_word = program_.words_.size();
  step.words = words;
  step.first_relocation = program_.relocations_.size();
  program_.words_.resize(step.first_word + words);
  std::memcpy(program_.words_.data() + step.first_word, source, bytes);
  for (std::size_t word = 0; word < words; ++word) {
    const std::uint64_t value = program_.words_[step.first_word + word];
    if (is_symbolic(value)) program_.relocations_.push_back(relocation(word, value));
  }
  step.relocations = program_.relocations_.size() - step.first_relocation;
}

void PassRecorder::record_launch(CUfunction function, std::uint32_t blocks_x, std::uint32_t blocks_y,
                                 std::uint32_t threads, std::uint32_t shared_bytes, const void* parameters,
                                 std::size_t parameter_bytes) {
  PassProgram::Step step;
  step.function = function;
  step.blocks_x = blocks_x;
  step.blocks_y = blocks_y;
  step.threads = threads;
  step.shared_bytes = shared_bytes;
  append_words(step, parameters, parameter_bytes);
  if (mapped_tensor_ != nullptr) {
    step.has_tensor_map = true;
    step.map_base = relocation(0, reinterpret_cast<std::uint64_t>(mapped_tensor_));
    mapped_tensor_ = nullptr;
  }
  program_.steps_.push_back(step);
}

void PassRecorder::record_fill(const void* target, std::uint32_t value, std::size_t count) {
  PassProgram::Step step;
  step.value = value;
  step.count = count;
  append_words(step, &target, sizeof(target));
  program_.steps_.push_back(step);
}

PassProgram PassRecorder::take() {
  program_.workspace_bytes_ = allocator_.used;
  return std::move(program_);
}

void fill_words(const LaunchTarget& target, void* words, std::uint32_t value, std::size_t count) {
  if (target.recorder() != nullptr) {
    target.recorder()->record_fill(words, value, count);
    return;
  }
  FLEXGEMM_DRIVER(cuMemsetD32Async, reinterpret_cast<CUdeviceptr>(words), value, count,
                  static_cast<Stream>(target).handle());
}

}  // namespace flexgemm::detail
