#ifndef FLEXGEMM_H
#define FLEXGEMM_H

// FlexGEMM for C, and for C++ without exceptions: sparse 3D convolution on CPUs and CUDA devices. C99.
//
// Results. A function that can fail returns a flexgemm_status. When it is not FLEXGEMM_OK, nothing was made
// (a handle that was to be written is NULL), and flexgemm_last_error_message() says in a full sentence what
// was wrong, with the values. A NULL handle, or NULL where something must be written or read, gives
// FLEXGEMM_INVALID_ARGUMENT. After a failure every handle stays usable, unless the CUDA driver itself
// reported a fault. Nothing is thrown across this interface, nothing aborts, nothing is printed. Every
// function that gets a wrong tensor, shape, type or option gives FLEXGEMM_INVALID_ARGUMENT and every one can
// give FLEXGEMM_OUT_OF_MEMORY; other codes are named where they occur.
//
// Structs. Each begins with struct_size. Set all else to zero first, then struct_size, then what is wanted:
//     flexgemm_conv3d_options options = {0};
//     options.struct_size = sizeof options;
//     options.in_channels = 32;
// Zero is the default of every field. A program that was compiled against an older header keeps working:
// fields beyond its struct_size take their defaults and are not written. A library that is older than the
// header accepts the fields that it does not know only if they are zero.
//
// Threads. Every function may be called from any thread, also at the same time on the same handle, except
// where a plan's own workspace, a frame map or a voxelizer says otherwise; destroying a handle must not
// overlap with another use of that very handle.
//
// Lifetimes. A handle keeps alive what it needs: maps, convolutions, plans and buffers work, and keep the
// device open, after their context's handle was destroyed; the order of destruction is free. Host structs and
// texts that are passed in are copied or done with when the call returns, unless said otherwise. The caller's
// tensors must stay until the work that uses them is done: on the CPU that is when the call returns, on a GPU
// when the stream has reached it.
//
// Streams are CUstream or cudaStream_t as void*; NULL is the default stream. The CPU backend ignores them.
//
// Tensors are contiguous and row-major on the context's device, C innermost:
//   coordinates [N, 4] I32: batch, x, y, z       features [N, Ci]           output [N, Co]
//   weight [Co, Kx, Ky, Kz, Ci]                  bias [Co], storage type or F32
// Kernel offset v = (kx * Ky + ky) * Kz + kz reads the cell at coordinate + (k - K / 2) * dilation, K / 2
// rounded down. N = 0 is valid everywhere. Storage type: float for F32 and TF32, else the type itself.

#include <flexgemm/export.h>
#include <flexgemm/flexgemm_tuning.h>
#include <flexgemm/flexgemm_types.h>
#include <flexgemm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Version and names -----------------------------------------------------------------------------------

/// Version of the linked library as "major.minor.patch". Never fails.
FLEXGEMM_API const char* flexgemm_version(void);
/// The same as one number, to compare with FLEXGEMM_VERSION_NUMBER. Never fails.
FLEXGEMM_API int32_t flexgemm_version_number(void);

/// Stable lower-case names, such as "invalid_argument", "f32", "forward", "masked_implicit_gemm"; "ok" for
/// FLEXGEMM_OK and "unknown" for a number that is not listed. The texts are constant. Never fail.
FLEXGEMM_API const char* flexgemm_status_name(flexgemm_status status);
FLEXGEMM_API const char* flexgemm_dtype_name(flexgemm_dtype dtype);
FLEXGEMM_API const char* flexgemm_op_name(flexgemm_op op);
FLEXGEMM_API const char* flexgemm_algorithm_name(flexgemm_algorithm algorithm);
FLEXGEMM_API const char* flexgemm_activation_name(flexgemm_activation activation);
FLEXGEMM_API const char* flexgemm_tuning_policy_name(flexgemm_tuning_policy policy);

// ---- Errors and log --------------------------------------------------------------------------------------

/// The sentence of the last failure in the calling thread; "" if there was none. A success does not change
/// it. The text is valid until this thread's next failure or its end. Never fails, never NULL.
FLEXGEMM_API const char* flexgemm_last_error_message(void);

/// Records a failure of code built on top of this interface, as flexgemm/dlpack.h does, and returns `status`.
/// The message is copied; NULL counts as "".
FLEXGEMM_API flexgemm_status flexgemm_set_last_error(flexgemm_status status, const char* message);

/// Sends the library's log to `callback`, up to `level`, whatever FLEXGEMM_VERBOSE says about stderr; NULL
/// ends that, and `level` is not looked at. One for the process; the library is silent without one. When the
/// call returns, the previous callback is not running in another thread and will not be called again, so its
/// user_data may go. The callback may be called from any thread, by several at once; it may call the library,
/// but not this function, and lines that it causes itself are not delivered.
FLEXGEMM_API flexgemm_status flexgemm_set_log_callback(flexgemm_log_callback callback, void* user_data,
                                                       flexgemm_log_level level);

// ---- Contexts --------------------------------------------------------------------------------------------

/// Writes the number of CUDA devices that can be opened: 0 without a driver or a GPU.
FLEXGEMM_API flexgemm_status flexgemm_cuda_device_count(int32_t* count);

/// Opens a device: the root of everything else. `ordinal` numbers CUDA devices from 0 and is 0 for the CPU.
/// `options` may be NULL. FLEXGEMM_NO_DEVICE if it does not exist or its driver cannot be loaded,
/// FLEXGEMM_UNSUPPORTED for a GPU older than the library's kernels, FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_context_open(flexgemm_device_kind kind, int32_t ordinal,
                                                   const flexgemm_context_options* options,
                                                   flexgemm_context** context);

/// Gives the handle back; NULL is allowed. The device closes when nothing made from it is left, on a GPU
/// after waiting for work that still uses it.
FLEXGEMM_API void flexgemm_context_destroy(flexgemm_context* context);

/// Writes the device that the context was opened on; either pointer may be NULL.
FLEXGEMM_API flexgemm_status flexgemm_context_get_device(const flexgemm_context* context,
                                                         flexgemm_device_kind* kind, int32_t* ordinal);

/// One line for people: "cpu, 8 threads, avx2" or "cuda:0, NVIDIA H200, sm_90, 132 SMs". As snprintf: writes
/// at most `capacity` bytes with the terminating zero (`buffer` may be NULL for capacity 0) and the length of
/// the whole text without it to `length`, which may be NULL.
FLEXGEMM_API flexgemm_status flexgemm_context_get_description(const flexgemm_context* context, char* buffer,
                                                              size_t capacity, size_t* length);

/// Fills in `statistics`, of which the caller has set struct_size.
FLEXGEMM_API flexgemm_status flexgemm_context_get_memory(const flexgemm_context* context,
                                                         flexgemm_memory_statistics* statistics);

/// Waits until all work on the stream is done, and reports the error that it may have met as FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_context_synchronize(const flexgemm_context* context, void* stream);

// ---- Memory ----------------------------------------------------------------------------------------------

/// Makes a buffer of uninitialized memory on the device; `bytes` may be 0. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_buffer_create(const flexgemm_context* context, size_t bytes,
                                                    void* stream, flexgemm_buffer** buffer);
/// Frees the memory, in the order of the stream that it was made on; NULL is allowed. That stream must still
/// be there.
FLEXGEMM_API void flexgemm_buffer_destroy(flexgemm_buffer* buffer);
/// Writes where the memory is, valid until the buffer is destroyed; NULL for 0 bytes.
FLEXGEMM_API flexgemm_status flexgemm_buffer_get_data(const flexgemm_buffer* buffer, void** data);
/// Writes the size that the buffer was made with.
FLEXGEMM_API flexgemm_status flexgemm_buffer_get_bytes(const flexgemm_buffer* buffer, size_t* bytes);

/// Copies between host and device in stream order, and returns when `source` may be reused and, for
/// copy_to_host, when `target` is complete. NULL pointers are allowed for 0 bytes. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_copy_to_device(const flexgemm_context* context, void* target,
                                                     const void* source, size_t bytes, void* stream);
FLEXGEMM_API flexgemm_status flexgemm_copy_to_host(const flexgemm_context* context, void* target,
                                                   const void* source, size_t bytes, void* stream);

// ---- Neighbor maps ---------------------------------------------------------------------------------------

/// Builds the neighbor map of a submanifold convolution from the input `coords`, I32 [N, 4]. `options` may be
/// NULL. The map does not need the coordinates any more once `stream` has passed the call.
/// FLEXGEMM_INVALID_COORDINATE as the options say, FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_submanifold_map_create(const flexgemm_context* context,
                                                             const flexgemm_tensor* coords,
                                                             const flexgemm_grid* grid,
                                                             const flexgemm_submanifold_options* options,
                                                             void* stream, flexgemm_map** map);
/// Makes another handle to the same map, which is immutable.
FLEXGEMM_API flexgemm_status flexgemm_map_copy(const flexgemm_map* map, flexgemm_map** copy);
/// Gives the handle back; NULL is allowed. The memory goes with the last handle, after the work that uses it.
FLEXGEMM_API void flexgemm_map_destroy(flexgemm_map* map);

/// Fills in `info`, of which the caller has set struct_size.
FLEXGEMM_API flexgemm_status flexgemm_map_get_info(const flexgemm_map* map, flexgemm_map_info* info);
/// Writes the number of valid (input row, output row, offset) triples; useful FLOP of one pass = 2 * pairs *
/// Ci
/// * Co. May wait for the stream that the map was built on, the first time. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_map_get_pairs(const flexgemm_map* map, int64_t* pairs);
/// Fills in `indices`, of which the caller has set struct_size, with a view of the map itself: I32 [N, V] on
/// its device, for each output row and offset the input row or -1. It must not be written to, is complete
/// when the stream that built the map has passed the call, and is valid while a handle of this map lives.
FLEXGEMM_API flexgemm_status flexgemm_map_get_indices(const flexgemm_map* map, flexgemm_tensor* indices);

// ---- Convolutions ----------------------------------------------------------------------------------------

/// Makes a submanifold convolution. It holds no weights and no state of calls.
FLEXGEMM_API flexgemm_status flexgemm_conv3d_create(const flexgemm_context* context,
                                                    const flexgemm_conv3d_options* options,
                                                    flexgemm_conv3d** conv);
/// Gives the handle back; NULL is allowed. Work that was enqueued goes on.
FLEXGEMM_API void flexgemm_conv3d_destroy(flexgemm_conv3d* conv);

/// out[n, co] = bias[co] + sum over v, ci of feats[map[n, v], ci] * weight[co, v, ci], accumulated in float.
/// Inputs: feats [N, Ci], weight, bias (NULL: none); output: out [N, Co], which must not overlap an input.
/// Enqueues on `stream`; on the CPU it returns when done. The map's handle may be destroyed right after the
/// call. The same inputs give the same bits on the same device, whatever the timing. FLEXGEMM_UNSUPPORTED
/// when the pinned algorithm cannot serve the problem, FLEXGEMM_COMPILE, FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_conv3d_forward(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                                     const flexgemm_tensor* feats,
                                                     const flexgemm_tensor* weight,
                                                     const flexgemm_tensor* bias, const flexgemm_tensor* out,
                                                     void* stream);

/// Computes any subset of the gradients, which are the outputs. Inputs: grad_out [N, Co]; feats [N, Ci],
/// which may be NULL if the weight gradient is not asked for; weight, which may be NULL if the input gradient
/// is not. No output may overlap an input or another output. FLEXGEMM_UNSUPPORTED for a convolution with an
/// epilogue, which is not differentiated. All else as flexgemm_conv3d_forward.
FLEXGEMM_API flexgemm_status flexgemm_conv3d_backward(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                                      const flexgemm_tensor* grad_out,
                                                      const flexgemm_tensor* feats,
                                                      const flexgemm_tensor* weight,
                                                      const flexgemm_gradients* gradients, void* stream);

/// Writes the weights as kernels of the input gradient read them, for flexgemm_gradients::transposed_weight:
/// transposed[ci, v', co] = weight[co, v, ci], where v' = V - 1 - v if all extents of the kernel are odd,
/// else v' = v. Input: weight; output: transposed [Ci, Kx, Ky, Kz, Co], aligned to 16 bytes. Worth it for
/// weights that serve several calls of flexgemm_conv3d_backward. All else as flexgemm_conv3d_forward.
FLEXGEMM_API flexgemm_status flexgemm_conv3d_transpose_weight(const flexgemm_conv3d* conv,
                                                              const flexgemm_tensor* weight,
                                                              const flexgemm_tensor* transposed,
                                                              void* stream);

/// As flexgemm_conv3d_forward with the operands of the epilogue, its bias among them: exactly those that it
/// reads. One that is missing, or that the epilogue does not read, gives FLEXGEMM_INVALID_ARGUMENT.
/// `operands` may be NULL if it reads none.
FLEXGEMM_API flexgemm_status flexgemm_conv3d_forward_fused(const flexgemm_conv3d* conv,
                                                           const flexgemm_map* map,
                                                           const flexgemm_tensor* feats,
                                                           const flexgemm_tensor* weight,
                                                           const flexgemm_tensor* out,
                                                           const flexgemm_operands* operands, void* stream);

/// What a pass over this map would run, for logs and tables: the algorithm, never AUTOMATIC (`algorithm` may
/// be NULL), and the stable name of the kernel spec, written as flexgemm_context_get_description writes.
/// FLEXGEMM_UNSUPPORTED, FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_conv3d_get_choice(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                                        flexgemm_op op, flexgemm_algorithm* algorithm,
                                                        char* kernel, size_t capacity, size_t* length);

// ---- Plans -----------------------------------------------------------------------------------------------

/// Decides everything about passes of a convolution over a map: algorithms, kernels (compiled and loaded),
/// the map's orders and tile lists, the size of the workspace. `options` may be NULL. May compile, and waits
/// for `stream`. The plan keeps alive what it was made from: the handles of conv, map and context may go.
/// FLEXGEMM_INVALID_ARGUMENT for contradictory options, and what the passes themselves would give.
FLEXGEMM_API flexgemm_status flexgemm_plan_create(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                                  const flexgemm_plan_options* options, void* stream,
                                                  flexgemm_plan** plan);
/// Gives the handle back; NULL is allowed. Work that uses the plan, and CUDA graphs that captured it, must be
/// done.
FLEXGEMM_API void flexgemm_plan_destroy(flexgemm_plan* plan);

/// Writes the bytes of workspace that the largest pass needs; may be 0.
FLEXGEMM_API flexgemm_status flexgemm_plan_get_workspace_bytes(const flexgemm_plan* plan, size_t* bytes);
/// What a pass of the plan runs, as flexgemm_conv3d_get_choice tells it. FLEXGEMM_INVALID_ARGUMENT for a pass
/// that the plan was not made for.
FLEXGEMM_API flexgemm_status flexgemm_plan_get_choice(const flexgemm_plan* plan, flexgemm_op op,
                                                      flexgemm_algorithm* algorithm, char* kernel,
                                                      size_t capacity, size_t* length);

/// As flexgemm_conv3d_forward_fused. On a GPU it checks its arguments and launches: it allocates nothing,
/// compiles nothing, waits for nothing on the device and takes no lock, so it may be captured in a CUDA graph
/// and called from any thread on any stream, several at once if each brings a workspace. `workspace` is
/// memory of the device, aligned to 256 bytes, until the work is done; NULL is the plan's own.
/// FLEXGEMM_INVALID_ARGUMENT also for tensors that differ from what the plan was made for (shapes, types,
/// alignment, operands) and a workspace that is too small.
FLEXGEMM_API flexgemm_status flexgemm_plan_forward(const flexgemm_plan* plan, const flexgemm_tensor* feats,
                                                   const flexgemm_tensor* weight, const flexgemm_tensor* out,
                                                   const flexgemm_operands* operands, void* workspace,
                                                   size_t workspace_bytes, void* stream);
/// As flexgemm_conv3d_backward, for exactly the gradients that the plan was made for; all else as
/// flexgemm_plan_forward.
FLEXGEMM_API flexgemm_status flexgemm_plan_backward(const flexgemm_plan* plan,
                                                    const flexgemm_tensor* grad_out,
                                                    const flexgemm_tensor* feats,
                                                    const flexgemm_tensor* weight,
                                                    const flexgemm_gradients* gradients, void* workspace,
                                                    size_t workspace_bytes, void* stream);

// ---- Frames: counts that stay on the GPU -----------------------------------------------------------------

/// Makes a map that is built anew for every frame of a stream, in memory that is taken here, for at most
/// `capacity` voxels whose number is in device memory. Building allocates nothing and reads nothing back, so
/// on a GPU it may be captured in a CUDA graph with what makes the voxels and with the plans that use the
/// map, and the graph replayed for frames of any size. `options` may be NULL. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_frame_map_create(const flexgemm_context* context, int64_t capacity,
                                                       const flexgemm_grid* grid,
                                                       const flexgemm_frame_map_options* options,
                                                       void* stream, flexgemm_frame_map** frames);
/// Gives the handle back; NULL is allowed. Work that uses it, and CUDA graphs that captured it, must be done.
FLEXGEMM_API void flexgemm_frame_map_destroy(flexgemm_frame_map* frames);

/// Makes a handle of the map as plans see it, to give to flexgemm_plan_create before the first build that the
/// plan shall see. It serves forward alone; its rows are the capacity.
FLEXGEMM_API flexgemm_status flexgemm_frame_map_get_map(const flexgemm_frame_map* frames, flexgemm_map** map);

/// Enqueues the build for the first `count` rows of `coords`. Inputs: coords I32 [capacity, 4]; count I32
/// [1]. A count beyond the capacity is cut to it and noted, a negative one is 0; coordinates are treated as
/// those of an unchecked map. Builds and passes follow each other in stream order or are ordered by the
/// caller, and calls from several threads on one frame map too: this is the exception to the rule above. Rows
/// of a pass's output from count on are unspecified. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_frame_map_build(const flexgemm_frame_map* frames,
                                                      const flexgemm_tensor* coords,
                                                      const flexgemm_tensor* count, void* stream);
/// Waits for the stream and fills in `status`, of which the caller has set struct_size. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_frame_map_get_status(const flexgemm_frame_map* frames, void* stream,
                                                           flexgemm_frame_status* status);
/// Forgets overflow and the largest count, in stream order. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_frame_map_reset_status(const flexgemm_frame_map* frames, void* stream);

/// Makes a voxelizer: points to voxels with the mean of their points, in memory that is taken here, so that
/// its runs may be captured in a CUDA graph. A point is dropped if a column of it is NaN or infinite or if it
/// lies outside the grid. Voxels come in the order of their cells: x, then y, then z. The same points give
/// the same bits. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_voxelizer_create(const flexgemm_context* context,
                                                       const flexgemm_voxelizer_options* options,
                                                       void* stream, flexgemm_voxelizer** voxelizer);
/// Gives the handle back; NULL is allowed. Work that uses it, and CUDA graphs that captured it, must be done.
FLEXGEMM_API void flexgemm_voxelizer_destroy(flexgemm_voxelizer* voxelizer);

/// Enqueues a run over the first `point_count` points. Inputs: points F32 [max_points, columns], point_count
/// I32 [1]. Outputs: coords I32 [max_voxels, 4] (batch 0, x, y, z), feats [max_voxels, columns], voxel_count
/// I32 [1]; rows from voxel_count on are left alone. With more voxels than max_voxels, voxel_count says how
/// many there would be, and the last ones are lost. Runs of one voxelizer follow each other in stream order,
/// and calls from several threads are ordered by the caller. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_voxelizer_run(const flexgemm_voxelizer* voxelizer,
                                                    const flexgemm_tensor* points,
                                                    const flexgemm_tensor* point_count,
                                                    const flexgemm_tensor* coords,
                                                    const flexgemm_tensor* feats,
                                                    const flexgemm_tensor* voxel_count, void* stream);
/// Waits for the stream and writes 1 if a run since the last reset lost points or voxels, else 0.
FLEXGEMM_API flexgemm_status flexgemm_voxelizer_get_overflow(const flexgemm_voxelizer* voxelizer,
                                                             void* stream, int32_t* overflow);
/// Forgets that, in stream order. FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_voxelizer_reset(const flexgemm_voxelizer* voxelizer, void* stream);

// ---- Tensors ---------------------------------------------------------------------------------------------

/// Fills in `tensor`, of which the caller has set struct_size, with a view of another library's tensor. Its
/// memory must lie on the context's device (for the CPU also pinned host memory, for CUDA also managed memory
/// of the device), be contiguous and row-major, start at a multiple of its element size, and hold single-lane
/// elements of a type that this library has. Nothing is copied: the view is valid as long as that memory.
FLEXGEMM_API flexgemm_status flexgemm_tensor_from_foreign(const flexgemm_context* context,
                                                          const flexgemm_foreign_tensor* foreign,
                                                          flexgemm_tensor* tensor);

/// A view of `rank` extents; of more than five, rank is kept, so that the call that gets it says so.
static inline flexgemm_tensor flexgemm_make_tensor(const void* data, flexgemm_dtype dtype, int32_t rank,
                                                   const int64_t* shape) {
  flexgemm_tensor tensor = {sizeof(flexgemm_tensor), NULL, 0, 0, {0, 0, 0, 0, 0}};
  int32_t i;
  tensor.data = (void*)(uintptr_t)data;
  tensor.dtype = dtype;
  tensor.rank = rank;
  for (i = 0; i < rank && i < 5; ++i) tensor.shape[i] = shape[i];
  return tensor;
}

/// Views of the common shapes: [n], [rows, columns] and [co, kx, ky, kz, ci].
static inline flexgemm_tensor flexgemm_tensor_1d(const void* data, flexgemm_dtype dtype, int64_t n) {
  return flexgemm_make_tensor(data, dtype, 1, &n);
}
static inline flexgemm_tensor flexgemm_tensor_2d(const void* data, flexgemm_dtype dtype, int64_t rows,
                                                 int64_t columns) {
  int64_t shape[2];
  shape[0] = rows;
  shape[1] = columns;
  return flexgemm_make_tensor(data, dtype, 2, shape);
}
static inline flexgemm_tensor flexgemm_tensor_5d(const void* data, flexgemm_dtype dtype, int64_t co,
                                                 int64_t kx, int64_t ky, int64_t kz, int64_t ci) {
  int64_t shape[5];
  shape[0] = co;
  shape[1] = kx;
  shape[2] = ky;
  shape[3] = kz;
  shape[4] = ci;
  return flexgemm_make_tensor(data, dtype, 5, shape);
}

#ifdef __cplusplus
}
#endif

#endif
