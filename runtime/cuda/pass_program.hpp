#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <cuda.h>

#include <flexgemm/allocator.hpp>
#include <flexgemm/device.hpp>

#include "core/device_memory.hpp"

namespace flexgemm::detail {

/// A tensor that a recorded pass finds its address of when it runs.
enum class Operand : std::uint8_t {
  feats,
  weight,
  transposed_weight,
  bias,
  residual,
  scale,
  shift,
  out,
  grad_out,
  grad_input,
  grad_weight,
  workspace,
};
inline constexpr std::size_t operand_count = 12;

/// Actual addresses by operand.
using OperandAddresses = std::array<std::uint64_t, operand_count>;

/// The launches of a pass with everything fixed but the addresses of its tensors: parameter blocks are
/// prebuilt, running it costs a copy of each and its launches. Immutable, so any thread may run it at any
/// time.
class PassProgram {
 public:
  /// Enqueues the pass. The device's context must be current. The workspace must have `workspace_bytes()`.
  void run(const OperandAddresses& addresses, CUstream stream) const;

  std::size_t workspace_bytes() const noexcept { return workspace_bytes_; }
  std::size_t launches() const noexcept { return steps_.size(); }

  /// Words of the largest parameter block.
  static constexpr std::size_t most_words = 64;
  using ParameterBlock = std::array<std::uint64_t, most_words>;
  /// Writes the parameter block of a launch, with the operands' addresses in place.
  void write_parameters(std::size_t launch, const OperandAddresses& addresses, ParameterBlock& block) const;

 private:
  friend class PassRecorder;

  /// A word of a parameter block that holds an operand's address, shifted by `offset`.
  struct Relocation {
    std::uint32_t word;
    Operand operand;
    std::int64_t offset;
  };
  /// A kernel launch; with no function, `count` words that are set to `value`.
  struct Step {
    CUfunction function = nullptr;
    std::uint32_t blocks_x = 0, blocks_y = 0, threads = 0, shared_bytes = 0;
    std::size_t first_word = 0, words = 0;
    std::size_t first_relocation = 0, relocations = 0;
    bool has_tensor_map = false;  // the parameters begin with a tensor map of what map_base names
    Relocation map_base{};
    std::uint32_t value = 0;
    std::size_t count = 0;
  };

  std::vector<Step> steps_;
  std::vector<std::uint64_t> words_;
  std::vector<Relocation> relocations_;
  std::size_t workspace_bytes_ = 0;
};

/// Writes a PassProgram down: what a pass would launch, with symbolic addresses for its tensors and for the
/// workspace that it takes from memory(). Not thread-safe.
class PassRecorder {
 public:
  /// `alignment` is what all tensors of the pass will have, a power of two: their symbolic addresses have no
  /// more.
  explicit PassRecorder(int alignment);

  /// The address that stands for an operand: far above any that a GPU has and any size, with room for the
  /// largest tensor.
  void* address(Operand operand) const noexcept;
  /// Source of symbolic workspace: each block is a new part of Operand::workspace.
  DeviceMemory& memory() noexcept { return memory_; }
  void record_launch(CUfunction function, std::uint32_t blocks_x, std::uint32_t blocks_y,
                     std::uint32_t threads, std::uint32_t shared_bytes, const void* parameters,
                     std::size_t parameter_bytes);
  /// The parameters of the next launch begin with a tensor map of `tensor`, encoded with any other address.
  void record_tensor_map(const void* tensor);
  void record_fill(const void* target, std::uint32_t value, std::size_t count);

  PassProgram take();

 private:
  class WorkspaceAllocator final : public Allocator {
   public:
    void* allocate(std::size_t bytes, Stream stream) noexcept override;
    void deallocate(void*, std::size_t, Stream) noexcept override {}
    std::size_t used = 0;
  };
  static bool is_symbolic(std::uint64_t value) noexcept;
  PassProgram::Relocation relocation(std::size_t word, std::uint64_t value) const noexcept;
  void append_words(PassProgram::Step& step, const void* source, std::size_t bytes);

  int alignment_;
  const void* mapped_tensor_ = nullptr;
  WorkspaceAllocator allocator_;
  DeviceMemory memory_;
  PassProgram program_;
};

/// Where the launches of a pass go: to a stream, or into a recording, whose stream then serves only what is
/// built on the way, such as tile layouts.
class LaunchTarget {
 public:
  LaunchTarget(Stream stream = {},
               PassRecorder* recorder = nullptr) noexcept  // NOLINT(google-explicit-constructor)
      : stream_(stream), recorder_(recorder) {}

  operator Stream() const noexcept { return stream_; }  // NOLINT(google-explicit-constructor)
  PassRecorder* recorder() const noexcept { return recorder_; }

 private:
  Stream stream_;
  PassRecorder* recorder_;
};

/// Sets `count` 32-bit words of device memory to `value`, in the target's order.
void fill_words(const LaunchTarget& target, void* words, std::uint32_t value, std::size_t count);

}  // namespace flexgemm::detail
