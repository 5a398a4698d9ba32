#pragma once

// DLPack tensors in and out, without a copy. Not part of <flexgemm/flexgemm.hpp>: a program that includes
// this needs DLPack's header (Debian: libdlpack-dev); the library does not.
//
// Streams: DLPack carries none. Work that is still to write a tensor must be ordered before the other side's
// work, by the same stream, an event or Context::synchronize.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <dlpack/dlpack.h>

#include <flexgemm/context.hpp>
#include <flexgemm/error.hpp>
#include <flexgemm/interop.hpp>
#include <flexgemm/neighbor_map.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

/// The memory of a DLPack tensor as a view for calls of a context on `device`; valid as long as the tensor's
/// memory. Throws Error{invalid_argument} as view_foreign_tensor does: the wrong device, not contiguous, an
/// element type or a number of dimensions that the library does not have, a misaligned start.
inline TensorView view_dlpack(const DLTensor& tensor, Device device, const char* what = "the DLPack tensor") {
  return view_foreign_tensor({.data = tensor.data,
                              .byte_offset = tensor.byte_offset,
                              .shape = tensor.shape,
                              .strides = tensor.strides,
                              .rank = tensor.ndim,
                              .device_type = static_cast<int>(tensor.device.device_type),
                              .device_id = tensor.device.device_id,
                              .type_code = tensor.dtype.code,
                              .type_bits = tensor.dtype.bits,
                              .type_lanes = tensor.dtype.lanes},
                             device, what);
}

/// A DLPack tensor that was handed over: calls its deleter once, when this object dies. Movable, not
/// copyable. On a GPU it must outlive the work that uses the view.
class DlpackTensor {
 public:
  /// Takes the tensor over. Throws as view_dlpack does, or Error{invalid_argument} for nullptr; then the
  /// tensor stays the caller's.
  DlpackTensor(DLManagedTensor* tensor, Device device, const char* what = "the DLPack tensor") {
    if (tensor == nullptr) {
      throw Error(ErrorCode::invalid_argument, std::string(what) + " is a null pointer");
    }
    view_ = view_dlpack(tensor->dl_tensor, device, what);
    tensor_.reset(tensor);
  }

  const TensorView& view() const noexcept { return view_; }

 private:
  struct Delete {
    void operator()(DLManagedTensor* tensor) const noexcept {
      if (tensor->deleter != nullptr) tensor->deleter(tensor);
    }
  };
  std::unique_ptr<DLManagedTensor, Delete> tensor_;
  TensorView view_;
};

namespace detail {

inline DLDataType dlpack_type(DType dtype) noexcept {
  switch (storage_type(dtype)) {
    case DType::f16:
      return {static_cast<std::uint8_t>(kDLFloat), 16, 1};
    case DType::bf16:
      return {static_cast<std::uint8_t>(kDLBfloat), 16, 1};
    case DType::i32:
      return {static_cast<std::uint8_t>(kDLInt), 32, 1};
    default:
      return {static_cast<std::uint8_t>(kDLFloat), 32, 1};
  }
}

/// A managed tensor with the storage behind its pointers and the owner of its memory.
template <class Owner>
struct DlpackExport {
  explicit DlpackExport(Owner&& owner_) noexcept : owner(std::move(owner_)) {}
  DLManagedTensor managed{};
  std::int64_t shape[Shape::max_rank]{};
  std::int64_t strides[Shape::max_rank]{};
  Owner owner;
};

}  // namespace detail

/// Hands a view out as a DLPack tensor; `owner` (a shared_ptr, a Buffer, a NeighborMap, ...) is kept until
/// the consumer calls the deleter, once, from any thread. The view's memory must live as long as `owner`
/// does. Throws std::bad_alloc, Error{invalid_argument} for an absent view.
template <class Owner>
DLManagedTensor* to_dlpack(const ConstTensorView& view, Device device, Owner owner) {
  if (!view.present())
    throw Error(ErrorCode::invalid_argument, "an absent view cannot become a DLPack tensor");
  using Export = detail::DlpackExport<Owner>;
  auto exported = std::make_unique<Export>(std::move(owner));
  const int rank = view.shape.rank();
  std::int64_t stride = 1;
  for (int i = rank - 1; i >= 0; --i) {
    exported->shape[i] = view.shape[i];
    exported->strides[i] = stride;
    stride *= view.shape[i] > 0 ? view.shape[i] : 1;
  }
  DLTensor& tensor = exported->managed.dl_tensor;
  tensor.data = const_cast<void*>(view.data);
  tensor.device.device_type = device.is_cpu() ? kDLCPU : kDLCUDA;
  tensor.device.device_id = device.ordinal();
  tensor.ndim = rank;
  tensor.dtype = detail::dlpack_type(view.dtype);
  tensor.shape = exported->shape;
  tensor.strides = exported->strides;
  tensor.byte_offset = 0;
  exported->managed.manager_ctx = exported.get();
  exported->managed.deleter = [](DLManagedTensor* self) { delete static_cast<Export*>(self->manager_ctx); };
  return &exported.release()->managed;
}

/// Hands the memory of a Buffer out as a tensor of this type and shape. Throws Error{invalid_argument} if the
/// buffer is smaller, std::bad_alloc; the buffer is freed then.
inline DLManagedTensor* to_dlpack(Buffer buffer, DType dtype, const Shape& shape, Device device) {
  const ConstTensorView view(buffer.data(), dtype, shape);
  if (static_cast<std::uint64_t>(view.bytes()) > buffer.bytes()) {
    throw Error(ErrorCode::invalid_argument, "a buffer of " + std::to_string(buffer.bytes()) +
                                                 " bytes cannot hold a tensor of shape " + to_string(shape) +
                                                 " and type " + name(dtype));
  }
  return to_dlpack(view, device, std::move(buffer));
}

/// Hands the indices of a map out, int32 [N, V]. The consumer must not write to them.
inline DLManagedTensor* to_dlpack(const NeighborMap& map) {
  return to_dlpack(map.indices(), map.device(), NeighborMap(map));
}

}  // namespace flexgemm
