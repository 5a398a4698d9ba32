#pragma once

#include <cstdint>

#include <flexgemm/device.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

/// A tensor of another library, by the fields of a DLPack DLTensor, whose numbers these are;
/// flexgemm/dlpack.hpp fills it in. Nothing of it is owned.
struct ForeignTensor {
  void* data = nullptr;
  std::uint64_t byte_offset = 0;          ///< from `data` to the first element
  const std::int64_t* shape = nullptr;    ///< [rank]
  const std::int64_t* strides = nullptr;  ///< [rank], in elements; nullptr: contiguous and row-major
  int rank = 0;
  int device_type = 0;         ///< 1: CPU, 2: CUDA, 3: pinned host memory, 13: CUDA managed memory
  int device_id = 0;           ///< ordinal
  std::uint8_t type_code = 0;  ///< 0: signed integer, 2: IEEE float, 4: bfloat
  std::uint8_t type_bits = 0;  ///< of one lane
  std::uint16_t type_lanes = 1;
};

/// The same memory as a view for calls of a context on `device`; valid as long as that memory. Throws
/// Error{invalid_argument}, naming the tensor as `what`, unless it lies on the device (for the CPU also
/// pinned host memory, for CUDA also managed memory of the device), has 1 to 5 dimensions, is contiguous and
/// row-major (strides of extents below 2, and of a tensor without elements, are not looked at), starts at a
/// multiple of its element size, and holds single-lane elements of f32, f16, bf16 or i32. Thread-safe.
FLEXGEMM_API TensorView view_foreign_tensor(const ForeignTensor& tensor, Device device,
                                            const char* what = "the tensor");

}  // namespace flexgemm
