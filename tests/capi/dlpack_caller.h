#ifndef FLEXGEMM_TESTS_DLPACK_CALLER_H
#define FLEXGEMM_TESTS_DLPACK_CALLER_H

/* The C helpers of flexgemm/dlpack.h, called from C99. */

#include <dlpack/dlpack.h>

#include <flexgemm/flexgemm.h>

#ifdef __cplusplus
extern "C" {
#endif

flexgemm_status c_tensor_from_dlpack(const flexgemm_context* context, const DLTensor* tensor,
                                     flexgemm_tensor* view);
flexgemm_status c_buffer_to_dlpack(const flexgemm_context* context, flexgemm_buffer* buffer,
                                   flexgemm_dtype dtype, int32_t rank, const int64_t* shape,
                                   DLManagedTensor** tensor);
flexgemm_status c_map_to_dlpack(const flexgemm_context* context, const flexgemm_map* map,
                                DLManagedTensor** tensor);

#ifdef __cplusplus
}
#endif

#endif
