#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>

#include "capi/convert.hpp"
#include "capi/handles.hpp"
#include "capi/structs.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

flexgemm_status flexgemm_tensor_from_foreign(const flexgemm_context* context,
                                             const flexgemm_foreign_tensor* foreign,
                                             flexgemm_tensor* tensor) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(tensor, "tensor");
    const flexgemm_foreign_tensor given = read_struct(foreign, "foreign");
    const TensorView view = view_foreign_tensor({.data = given.data,
                                                 .byte_offset = given.byte_offset,
                                                 .shape = given.shape,
                                                 .strides = given.strides,
                                                 .rank = given.rank,
                                                 .device_type = given.device_type,
                                                 .device_id = given.device_id,
                                                 .type_code = given.type_code,
                                                 .type_bits = given.type_bits,
                                                 .type_lanes = given.type_lanes},
                                                context->object.device());
    write_struct(tensor, from_view(view), "tensor");
  });
}
