#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <cuda_runtime_api.h>

#include <flexgemm/dtype.hpp>

namespace flexgemm::bench {

/// Dense matrix products by cuBLAS, opened at run time: the benchmark's ceiling, and used for nothing else.
class Cublas {
 public:
  /// Null if cuBLAS cannot be opened; `problem` then says why in one sentence.
  static std::unique_ptr<Cublas> open(cudaStream_t stream, std::string& problem);
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  const std::string& version() const noexcept { return version_; }

  /// Enqueues C = A * B with square matrices of `extent` rows in the storage type of `dtype`, accumulated in
  /// float; tf32 rounds the operands, f32 does not. Throws Error{driver}.
  void multiply(DType dtype, int extent, const void* a, const void* b, void* c) const;

 private:
  struct Functions;
  Cublas();
  std::unique_ptr<Functions> functions_;
  void* handle_ = nullptr;
  std::string version_;
};

}  // namespace flexgemm::bench
