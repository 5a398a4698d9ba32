#include <cstddef>
#include <iterator>
#include <limits>
#include <string>

#include <flexgemm/interop.hpp>

#include "core/fail.hpp"
#include "core/validate.hpp"

namespace flexgemm {

using detail::fail;

namespace {

// DLDeviceType
constexpr int device_cpu = 1;
constexpr int device_cuda = 2;
constexpr int device_cuda_host = 3;
constexpr int device_cuda_managed = 13;

std::string device_text(int type, int id) {
  switch (type) {
    case device_cpu:
      return "cpu";
    case device_cuda:
      return fmt::format("cuda:{}", id);
    case device_cuda_host:
      return "pinned host memory";
    case device_cuda_managed:
      return fmt::format("managed memory of cuda:{}", id);
    default:
      return fmt::format("a device of DLPack's type {}", type);
  }
}

void require_device(const ForeignTensor& tensor, Device device, const char* what) {
  const bool fits = device.is_cpu()
                        ? tensor.device_type == device_cpu || tensor.device_type == device_cuda_host
                        : (tensor.device_type == device_cuda || tensor.device_type == device_cuda_managed) &&
                              tensor.device_id == device.ordinal();
  if (fits) return;
  fail(ErrorCode::invalid_argument, "{} lies on {}, but the context on {}; copy it there first", what,
       device_text(tensor.device_type, tensor.device_id), to_string(device));
}

std::string type_text(const ForeignTensor& tensor) {
  constexpr const char* codes[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  const std::string code = tensor.type_code < std::size(codes) ? codes[tensor.type_code]
                                                               : fmt::format("type {} ", tensor.type_code);
  return fmt::format("{}{}", code, tensor.type_bits);
}

DType element_type(const ForeignTensor& tensor, const char* what) {
  if (tensor.type_lanes != 1) {
    fail(ErrorCode::invalid_argument,
         "{} has elements of {} lanes; give the lanes as an innermost dimension of its shape instead", what,
         tensor.type_lanes);
  }
  constexpr struct {
    int code, bits;
    DType dtype;
  } types[] = {{2, 32, DType::f32}, {2, 16, DType::f16}, {4, 16, DType::bf16}, {0, 32, DType::i32}};
  for (const auto& type : types) {
    if (tensor.type_code == type.code && tensor.type_bits == type.bits) return type.dtype;
  }
  fail(ErrorCode::invalid_argument, "{} holds {}; float32, float16, bfloat16 and int32 can be used", what,
       type_text(tensor));
}

Shape shape_of(const ForeignTensor& tensor, const char* what) {
  if (tensor.rank < 1 || tensor.rank > Shape::max_rank) {
    fail(ErrorCode::invalid_argument, "{} has {} dimensions; 1 to {} can be used", what, tensor.rank,
         Shape::max_rank);
  }
  if (tensor.shape == nullptr) {
    fail(ErrorCode::invalid_argument, "{} has {} dimensions but no shape: the pointer is null", what,
         tensor.rank);
  }
  const std::int64_t* n = tensor.shape;
  for (int i = 0; i < tensor.rank; ++i) {
    if (n[i] < 0) fail(ErrorCode::invalid_argument, "dimension {} of {} is negative: {}", i, what, n[i]);
  }
  switch (tensor.rank) {
    case 1:
      return {n[0]};
    case 2:
      return {n[0], n[1]};
    case 3:
      return {n[0], n[1], n[2]};
    case 4:
      return {n[0], n[1], n[2], n[3]};
    default:
      return {n[0], n[1], n[2], n[3], n[4]};
  }
}

std::string strides_text(const ForeignTensor& tensor) {
  std::string text;
  for (int i = 0; i < tensor.rank; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", tensor.strides[i]);
  return text;
}

void require_contiguous(const ForeignTensor& tensor, const Shape& shape, const char* what) {
  if (tensor.strides == nullptr || shape.elements() == 0) return;
  std::int64_t expected = 1;
  for (int i = tensor.rank - 1; i >= 0; --i) {
    if (shape[i] > 1 && tensor.strides[i] != expected) {
      fail(ErrorCode::invalid_argument,
           "{} of shape {} has the strides [{}], which is not contiguous and row-major; copy it into "
           "contiguous "
           "memory first",
           what, to_string(shape), strides_text(tensor));
    }
    expected *= shape[i];
  }
}

}  // namespace

TensorView view_foreign_tensor(const ForeignTensor& tensor, Device device, const char* what) {
  require_device(tensor, device, what);
  const DType dtype = element_type(tensor, what);
  const Shape shape = shape_of(tensor, what);
  require_contiguous(tensor, shape, what);
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  if (tensor.byte_offset > std::numeric_limits<std::uintptr_t>::max() - address) {
    fail(ErrorCode::invalid_argument, "the byte offset of {} is {}, which leads out of the address space",
         what, tensor.byte_offset);
  }
  // A null pointer stays one: an offset does not make it a place for elements.
  void* data = tensor.data == nullptr ? nullptr : static_cast<char*>(tensor.data) + tensor.byte_offset;
  const TensorView view(data, dtype, shape);
  detail::require_data(what, view);
  return view;
}

}  // namespace flexgemm
