#include "dlpack_caller.h"

#include <flexgemm/dlpack.h>

flexgemm_status c_tensor_from_dlpack(const flexgemm_context* context, const DLTensor* tensor,
                                     flexgemm_tensor* view) {
  return flexgemm_tensor_from_dlpack(context, tensor, view);
}

flexgemm_status c_buffer_to_dlpack(const flexgemm_context* context, flexgemm_buffer* buffer,
                                   flexgemm_dtype dtype, int32_t rank, const int64_t* shape,
                                   DLManagedTensor** tensor) {
  return flexgemm_buffer_to_dlpack(context, buffer, dtype, rank, shape, tensor);
}

flexgemm_status c_map_to_dlpack(const flexgemm_context* context, const flexgemm_map* map,
                                DLManagedTensor** tensor) {
  return flexgemm_map_to_dlpack(context, map, tensor);
}
