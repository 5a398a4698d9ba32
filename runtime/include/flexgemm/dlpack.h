#ifndef FLEXGEMM_DLPACK_H
#define FLEXGEMM_DLPACK_H

// DLPack tensors in and out of the C interface, without a copy. Not part of flexgemm.h: a program that
// includes this needs DLPack's header (Debian: libdlpack-dev); the library does not. flexgemm/dlpack.hpp is
// the same for C++.
//
// Streams: DLPack carries none. Work that is still to write a tensor must be ordered before the other side's
// work, by the same stream, an event or flexgemm_context_synchronize. Every function here may be called from
// any thread, and the deleters of exported tensors too.

#include <dlpack/dlpack.h>
#include <stdlib.h>

#include <flexgemm/flexgemm.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Fills in `view`, of which the caller has set struct_size, with a view of a DLPack tensor, valid as long as
/// the tensor's memory. What can be viewed: see flexgemm_tensor_from_foreign. A DLManagedTensor stays the
/// caller's, who calls its deleter after the last use of the view (on a GPU: after the work is done).
static inline flexgemm_status flexgemm_tensor_from_dlpack(const flexgemm_context* context,
                                                          const DLTensor* tensor, flexgemm_tensor* view) {
  flexgemm_foreign_tensor foreign = {sizeof(flexgemm_foreign_tensor), NULL, 0, NULL, NULL, 0, 0, 0, 0, 0, 0};
  if (tensor == NULL) {
    return flexgemm_set_last_error(FLEXGEMM_INVALID_ARGUMENT, "the argument tensor is NULL");
  }
  foreign.data = tensor->data;
  foreign.byte_offset = tensor->byte_offset;
  foreign.shape = tensor->shape;
  foreign.strides = tensor->strides;
  foreign.rank = (int32_t)tensor->ndim;
  foreign.device_type = (int32_t)tensor->device.device_type;
  foreign.device_id = (int32_t)tensor->device.device_id;
  foreign.type_code = tensor->dtype.code;
  foreign.type_bits = tensor->dtype.bits;
  foreign.type_lanes = tensor->dtype.lanes;
  return flexgemm_tensor_from_foreign(context, &foreign, view);
}

// An exported tensor: what the consumer sees, the storage behind its pointers, and who owns the memory.
typedef struct flexgemm_dlpack_export_ {
  DLManagedTensor managed;
  int64_t shape[5];
  int64_t strides[5];
  flexgemm_buffer* buffer;
  flexgemm_map* map;
} flexgemm_dlpack_export_;

static void flexgemm_dlpack_delete_(DLManagedTensor* self) {
  flexgemm_dlpack_export_* exported = (flexgemm_dlpack_export_*)self->manager_ctx;
  flexgemm_buffer_destroy(exported->buffer);
  flexgemm_map_destroy(exported->map);
  free(exported);
}

static inline uint8_t flexgemm_dlpack_code_(flexgemm_dtype dtype) {
  return (uint8_t)(dtype == FLEXGEMM_I32 ? kDLInt : dtype == FLEXGEMM_BF16 ? kDLBfloat : kDLFloat);
}

static inline flexgemm_status flexgemm_dlpack_export_of_(const flexgemm_context* context,
                                                         const flexgemm_tensor* view,
                                                         flexgemm_dlpack_export_** result) {
  flexgemm_device_kind kind = FLEXGEMM_DEVICE_CPU;
  int32_t ordinal = 0;
  int64_t stride = 1;
  int32_t i;
  flexgemm_dlpack_export_* exported;
  const flexgemm_status status = flexgemm_context_get_device(context, &kind, &ordinal);
  if (status != FLEXGEMM_OK) return status;
  exported = (flexgemm_dlpack_export_*)calloc(1, sizeof *exported);
  if (exported == NULL) {
    return flexgemm_set_last_error(FLEXGEMM_OUT_OF_MEMORY, "the host's memory is exhausted");
  }
  for (i = view->rank - 1; i >= 0; --i) {
    exported->shape[i] = view->shape[i];
    exported->strides[i] = stride;
    stride *= view->shape[i] > 0 ? view->shape[i] : 1;
  }
  exported->managed.dl_tensor.data = view->data;
  exported->managed.dl_tensor.device.device_type = kind == FLEXGEMM_DEVICE_CPU ? kDLCPU : kDLCUDA;
  exported->managed.dl_tensor.device.device_id = ordinal;
  exported->managed.dl_tensor.ndim = view->rank;
  exported->managed.dl_tensor.dtype.code = flexgemm_dlpack_code_(view->dtype);
  exported->managed.dl_tensor.dtype.bits =
      (uint8_t)(view->dtype == FLEXGEMM_F16 || view->dtype == FLEXGEMM_BF16 ? 16 : 32);
  exported->managed.dl_tensor.dtype.lanes = 1;
  exported->managed.dl_tensor.shape = exported->shape;
  exported->managed.dl_tensor.strides = exported->strides;
  exported->managed.manager_ctx = exported;
  exported->managed.deleter = flexgemm_dlpack_delete_;
  *result = exported;
  return FLEXGEMM_OK;
}

/// Hands the memory of a buffer of this context out as a tensor of 1 to 5 extents. On success the buffer's
/// handle belongs to the tensor, whose consumer calls the deleter once, from any thread; on failure it stays
/// the caller's and *tensor is NULL. FLEXGEMM_INVALID_ARGUMENT if the buffer is smaller than the tensor.
static inline flexgemm_status flexgemm_buffer_to_dlpack(const flexgemm_context* context,
                                                        flexgemm_buffer* buffer, flexgemm_dtype dtype,
                                                        int32_t rank, const int64_t* shape,
                                                        DLManagedTensor** tensor) {
  flexgemm_tensor view;
  flexgemm_dlpack_export_* exported = NULL;
  flexgemm_status status;
  size_t bytes = 0;
  uint64_t left;
  int32_t i;
  if (tensor == NULL || shape == NULL) {
    return flexgemm_set_last_error(FLEXGEMM_INVALID_ARGUMENT, tensor == NULL ? "the argument tensor is NULL"
                                                                             : "the argument shape is NULL");
  }
  *tensor = NULL;
  if (rank < 1 || rank > 5 || dtype < FLEXGEMM_F32 || dtype > FLEXGEMM_I32) {
    return flexgemm_set_last_error(FLEXGEMM_INVALID_ARGUMENT,
                                   "a DLPack tensor of a buffer has 1 to 5 dimensions and a flexgemm_dtype");
  }
  status = flexgemm_buffer_get_bytes(buffer, &bytes);
  if (status != FLEXGEMM_OK) return status;
  view = flexgemm_make_tensor(NULL, dtype, rank, shape);
  // What is left after each division can hold the extents so far: no product that could overflow.
  left = (uint64_t)bytes / (dtype == FLEXGEMM_F16 || dtype == FLEXGEMM_BF16 ? 2u : 4u);
  for (i = 0; i < rank; ++i) {
    if (shape[i] == 0) left = UINT64_MAX;
  }
  for (i = 0; i < rank; ++i) {
    if (shape[i] < 0 || (left != UINT64_MAX && (uint64_t)shape[i] > left)) {
      return flexgemm_set_last_error(FLEXGEMM_INVALID_ARGUMENT,
                                     "the buffer is smaller than the tensor, or an extent is negative");
    }
    if (left != UINT64_MAX) left /= (uint64_t)shape[i];
  }
  status = flexgemm_buffer_get_data(buffer, &view.data);
  if (status == FLEXGEMM_OK) status = flexgemm_dlpack_export_of_(context, &view, &exported);
  if (status != FLEXGEMM_OK) return status;
  exported->buffer = buffer;
  *tensor = &exported->managed;
  return FLEXGEMM_OK;
}

/// Hands the indices of a map of this context out, I32 [N, V]. The tensor holds a handle of its own to the
/// map; its consumer must not write to it, and calls the deleter once, from any thread.
static inline flexgemm_status flexgemm_map_to_dlpack(const flexgemm_context* context, const flexgemm_map* map,
                                                     DLManagedTensor** tensor) {
  flexgemm_tensor view;
  flexgemm_dlpack_export_* exported = NULL;
  flexgemm_status status;
  if (tensor == NULL) {
    return flexgemm_set_last_error(FLEXGEMM_INVALID_ARGUMENT, "the argument tensor is NULL");
  }
  *tensor = NULL;
  view = flexgemm_make_tensor(NULL, FLEXGEMM_I32, 0, NULL);
  status = flexgemm_map_get_indices(map, &view);
  if (status == FLEXGEMM_OK) status = flexgemm_dlpack_export_of_(context, &view, &exported);
  if (status != FLEXGEMM_OK) return status;
  status = flexgemm_map_copy(map, &exported->map);
  if (status != FLEXGEMM_OK) {
    free(exported);
    return status;
  }
  *tensor = &exported->managed;
  return FLEXGEMM_OK;
}

#ifdef __cplusplus
}
#endif

#endif
