#pragma once

#include <string>
#include <string_view>

#include <flexgemm/export.hpp>

struct CUctx_st;     // the CUDA driver's context; CUcontext is a pointer to it
struct CUstream_st;  // the CUDA driver's stream; cudaStream_t and CUstream are pointers to it

namespace flexgemm {

/// Where a context runs: the host's processors, or one CUDA device by its ordinal.
class Device {
 public:
  enum class Kind { cpu, cuda };

  static constexpr Device cpu() noexcept { return Device(Kind::cpu, 0); }
  static constexpr Device cuda(int ordinal) noexcept { return Device(Kind::cuda, ordinal); }

  /// "cpu", "cuda" (the first GPU) or "cuda:N". Throws Error{invalid_argument} for any other text.
  FLEXGEMM_API static Device parse(std::string_view text);

  constexpr Kind kind() const noexcept { return kind_; }
  constexpr bool is_cpu() const noexcept { return kind_ == Kind::cpu; }
  constexpr bool is_cuda() const noexcept { return kind_ == Kind::cuda; }
  constexpr int ordinal() const noexcept { return ordinal_; }

  friend constexpr bool operator==(Device, Device) noexcept = default;

 private:
  constexpr Device(Kind kind, int ordinal) noexcept : kind_(kind), ordinal_(ordinal) {}
  Kind kind_;
  int ordinal_;
};

/// "cpu" or "cuda:N".
FLEXGEMM_API std::string to_string(Device device);

/// Number of CUDA devices that can be opened: 0 without a driver or a GPU. Never throws.
FLEXGEMM_API int cuda_device_count() noexcept;

/// Non-owning stream handle: a CUstream or cudaStream_t converts to it. The default is the device's default
/// stream; the CPU backend ignores it, because its calls return when their work is done.
class Stream {
 public:
  constexpr Stream() noexcept = default;
  constexpr Stream(CUstream_st* handle) noexcept : handle_(handle) {}  // NOLINT(google-explicit-constructor)
  constexpr CUstream_st* handle() const noexcept { return handle_; }

 private:
  CUstream_st* handle_ = nullptr;
};

}  // namespace flexgemm
