#ifndef FLEXGEMM_TYPES_H
#define FLEXGEMM_TYPES_H

// Codes and structs of the C interface; flexgemm.h includes this file and holds the rules for all of it.

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How a call ended. The numbers never change; later versions may add codes below FLEXGEMM_STATUS_MAX_, which
/// only fixes the size of the type.
typedef enum flexgemm_status {
  FLEXGEMM_OK = 0,
  FLEXGEMM_INVALID_ARGUMENT = 1,    ///< a value, shape, type or pointer that the call cannot accept
  FLEXGEMM_INVALID_COORDINATE = 2,  ///< a coordinate outside the grid, or the same coordinate twice
  FLEXGEMM_UNSUPPORTED = 3,         ///< a valid request that this device or backend cannot serve
  FLEXGEMM_NO_DEVICE = 4,           ///< the device does not exist, or its driver cannot be loaded
  FLEXGEMM_OUT_OF_MEMORY = 5,       ///< host or device memory is exhausted
  FLEXGEMM_DRIVER = 6,              ///< the CUDA driver reported a failure
  FLEXGEMM_COMPILE = 7,             ///< the kernel compiler rejected a generated kernel
  FLEXGEMM_IO = 8,                  ///< a file could not be read or written
  FLEXGEMM_INTERNAL = 9,            ///< a bug in the library: please report it with the message
  FLEXGEMM_STATUS_MAX_ = 0x7fffffff
} flexgemm_status;

// Choices are int32_t in structs and calls, so that their size is the same for every compiler; any number
// that is not listed gives FLEXGEMM_INVALID_ARGUMENT. The numbers never change.

/// Where a context runs.
typedef int32_t flexgemm_device_kind;
enum { FLEXGEMM_DEVICE_CPU = 0, FLEXGEMM_DEVICE_CUDA = 1 };

/// Element types. TF32 is stored as float; as the type of a convolution it allows the matrix unit to round
/// the operands to 10 mantissa bits. Accumulation is float for every type. I32 is for coordinates and maps
/// only.
typedef int32_t flexgemm_dtype;
enum { FLEXGEMM_F32 = 0, FLEXGEMM_TF32 = 1, FLEXGEMM_F16 = 2, FLEXGEMM_BF16 = 3, FLEXGEMM_I32 = 4 };

/// The three passes of a convolution.
typedef int32_t flexgemm_op;
enum { FLEXGEMM_FORWARD = 0, FLEXGEMM_GRAD_INPUT = 1, FLEXGEMM_GRAD_WEIGHT = 2 };

/// How a pass is computed (README, Algorithms). AUTOMATIC lets the library choose.
typedef int32_t flexgemm_algorithm;
enum {
  FLEXGEMM_AUTOMATIC = 0,
  FLEXGEMM_EXPLICIT_GEMM = 1,
  FLEXGEMM_IMPLICIT_GEMM = 2,
  FLEXGEMM_IMPLICIT_GEMM_SPLITK = 3,
  FLEXGEMM_MASKED_IMPLICIT_GEMM = 4,
  FLEXGEMM_MASKED_IMPLICIT_GEMM_SPLITK = 5
};

/// When a context measures kernels instead of predicting their times.
typedef int32_t flexgemm_tuning_policy;
enum {
  FLEXGEMM_TUNE_NEVER = 0,    ///< never: what was tuned before is used, else the cost model's choice
  FLEXGEMM_TUNE_ON_MISS = 1,  ///< the first pass over a shape that was never tuned tunes it
  FLEXGEMM_TUNE_FORCE = 2     ///< the first pass over a shape in this context tunes it, whatever was stored
};

/// What an epilogue applies last. NaN stays NaN.
typedef int32_t flexgemm_activation;
enum {
  FLEXGEMM_NO_ACTIVATION = 0,
  FLEXGEMM_RELU = 1,        ///< x < 0 ? 0 : x
  FLEXGEMM_LEAKY_RELU = 2,  ///< x < 0 ? slope * x : x
  FLEXGEMM_SILU = 3,        ///< x / (1 + exp(-x))
  FLEXGEMM_GELU = 4         ///< 0.5 * x * (1 + erf(x / sqrt(2))): the exact form
};

/// What a line of the log tells.
typedef int32_t flexgemm_log_level;
enum {
  FLEXGEMM_LOG_DECISION = 1,  ///< what was chosen, compiled, loaded or set aside: a few lines a layer
  FLEXGEMM_LOG_LAUNCH = 2     ///< also one line a launch
};

/// Handles. Each is made by a _create or _open function and given back to its _destroy function.
typedef struct flexgemm_context flexgemm_context;
typedef struct flexgemm_map flexgemm_map;
typedef struct flexgemm_conv3d flexgemm_conv3d;
typedef struct flexgemm_plan flexgemm_plan;
typedef struct flexgemm_buffer flexgemm_buffer;
typedef struct flexgemm_frame_map flexgemm_frame_map;
typedef struct flexgemm_voxelizer flexgemm_voxelizer;

/// A view of a contiguous row-major tensor, outermost extent first. The memory belongs to the caller, lies on
/// the context's device and must outlive the call (for CUDA: the work that the call put on the stream). One
/// type serves what a call reads and what it writes; a parameter that is `const flexgemm_tensor*` and called
/// an input is only read through `data`. Where a tensor is optional, NULL or rank 0 means none.
typedef struct flexgemm_tensor {
  size_t struct_size;  ///< sizeof(flexgemm_tensor)
  void* data;          ///< may be NULL where there are no elements
  flexgemm_dtype dtype;
  int32_t rank;  ///< 0 to 5
  int64_t shape[5];
} flexgemm_tensor;

/// A device's memory as the library sees it. Both functions must be thread-safe, must not call the library,
/// and must be there for as long as the context and anything made from it.
typedef struct flexgemm_allocator {
  size_t struct_size;  ///< sizeof(flexgemm_allocator)
  /// At least `bytes` bytes (never 0), aligned to 256 bytes, usable by work enqueued on `stream` from now on;
  /// NULL when memory is exhausted, which the library reports as FLEXGEMM_OUT_OF_MEMORY. Host memory for a
  /// CPU context, memory of the GPU for a CUDA context.
  void* (*allocate)(void* user_data, size_t bytes, void* stream);
  /// Gives back a block from `allocate`, possibly on another stream than it was taken on. Work on `stream`
  /// that was enqueued before the call may still use it.
  void (*deallocate)(void* user_data, void* pointer, size_t bytes, void* stream);
  void* user_data;  ///< handed to both
} flexgemm_allocator;

/// How a context is opened; all zeros but struct_size is the default.
typedef struct flexgemm_context_options {
  size_t struct_size;  ///< sizeof(flexgemm_context_options)
  /// Source of all device memory; NULL: the library's own. The struct is copied, what it points to is not.
  const flexgemm_allocator* allocator;
  /// CUDA only: the CUcontext to work in, for an engine that made one of its own and passes memory and
  /// streams of it; NULL: the device's primary context, which is where the CUDA runtime and frameworks work.
  /// It must belong to the device and stay alive longer than the context and all it made; the library makes
  /// it current for the duration of each call and never destroys it. Maps and convolutions of different
  /// CUcontexts do not mix.
  void* cuda_context;
  int32_t threads;        ///< worker threads of the CPU backend; 0: all processors that the process may use
  int32_t disable_cache;  ///< CUDA only; not 0: nothing is read from or written to the cache on disk
  const char* cache_folder;    ///< CUDA only; NULL: $FLEXGEMM_CACHE_DIR, else $XDG_CACHE_HOME/flexgemm, else
                               ///< ~/.cache/flexgemm
  uint64_t cache_limit_bytes;  ///< CUDA only; bytes of kernels that are kept; 0: 1 GiB
  flexgemm_tuning_policy tuning_policy;  ///< CUDA only
  int32_t tuning_jobs;       ///< processes that compile while tuning; 0: one a processor, at most 16
  int64_t tuning_budget_ms;  ///< milliseconds that tuning one shape may take; 0: 10,000
  /// CUDA only: files of kernels that are looked in before the cache, in this order; may be NULL if the count
  /// is 0. One that is damaged or missing is left out, with a line in the log.
  const char* const* kernel_packs;
  size_t kernel_pack_count;
} flexgemm_context_options;

/// Number of batches and of cells along each axis, each at least 1. A coordinate (b, x, y, z) lies inside
/// when 0 <= b < batch, 0 <= x < this x and so on. The number of cells may exceed 2^32.
typedef struct flexgemm_grid {
  size_t struct_size;  ///< sizeof(flexgemm_grid)
  int32_t batch;
  int32_t x;
  int32_t y;
  int32_t z;
} flexgemm_grid;

/// How the neighbors of a submanifold convolution lie.
typedef struct flexgemm_submanifold_options {
  size_t struct_size;   ///< sizeof(flexgemm_submanifold_options)
  int32_t kernel[3];    ///< taps along x, y, z, 1 to 7; all zeros: 3, 3, 3
  int32_t dilation[3];  ///< cells between two taps, at least 1; all zeros: 1, 1, 1
  /// 0: coordinates outside the grid and duplicates give FLEXGEMM_INVALID_COORDINATE, at the cost of a pass
  /// over them (on a GPU also a wait for the stream). Not 0: no check; such rows are never read out of
  /// bounds: a row outside the grid has no neighbors, and of equal coordinates the lowest row is everyone's
  /// neighbor.
  int32_t unchecked;
  int32_t reserved;  ///< 0
} flexgemm_submanifold_options;

/// What a map is. Filled in by flexgemm_map_get_info.
typedef struct flexgemm_map_info {
  size_t struct_size;  ///< sizeof(flexgemm_map_info), set by the caller
  int64_t rows;        ///< N
  int64_t volume;      ///< V = Kx * Ky * Kz
  int32_t kernel[3];
  int32_t dilation[3];
} flexgemm_map_info;

/// How a frame map is made; all zeros but struct_size is the default.
typedef struct flexgemm_frame_map_options {
  size_t struct_size;   ///< sizeof(flexgemm_frame_map_options)
  int32_t kernel[3];    ///< as in flexgemm_submanifold_options
  int32_t dilation[3];  ///< as in flexgemm_submanifold_options
  /// 0: the caller promises that no two of a frame's coordinates are equal, as a voxelizer's are; if they
  /// are, the map is wrong but nothing is out of bounds. Not 0: equal ones are looked for, at twice the
  /// look-ups.
  int32_t duplicates;
  int32_t reserved;      ///< 0
  double pairs_per_row;  ///< neighbors that a voxel is expected to have, itself included; 0: a guess
} flexgemm_frame_map_options;

/// What is known about the frames of a frame map. Filled in by flexgemm_frame_map_get_status.
typedef struct flexgemm_frame_status {
  size_t struct_size;  ///< sizeof(flexgemm_frame_status), set by the caller
  int64_t rows;        ///< of the last build, at most the capacity
  int64_t pairs;       ///< of the last build
  int64_t wanted;      ///< the largest count of any build since the last reset
  int32_t overflow;    ///< 1: a count was larger than the capacity, and those frames lost their last rows
  int32_t reserved;
} flexgemm_frame_status;

/// What a voxelizer is made for.
typedef struct flexgemm_voxelizer_options {
  size_t struct_size;    ///< sizeof(flexgemm_voxelizer_options)
  int64_t max_points;    ///< of a frame, at least 1
  int64_t max_voxels;    ///< of a frame, at least 1
  float low[3];          ///< lower corner of the grid, metres
  float voxel_size[3];   ///< metres, positive and finite; all zeros: 1, 1, 1
  int32_t extent[3];     ///< cells along x, y, z, each at least 1, fewer than 2^62 in all
  int32_t columns;       ///< of a point: x, y, z and what else it has; 3 to 64; 0: 4
  flexgemm_dtype dtype;  ///< of the features: F32, F16 or BF16
  int32_t reserved;      ///< 0
} flexgemm_voxelizer_options;

/// What a convolution's forward pass does to a finished sum before it is stored, at no cost in memory
/// traffic:
///   out[n, co] = activation((acc + bias[co]) * scale[co] + shift[co] + residual[n, co])
/// in float, in this order, where acc is the sum over offsets and input channels and what is not asked for is
/// left out. The operands come with each call (flexgemm_operands).
typedef struct flexgemm_epilogue {
  size_t struct_size;   ///< sizeof(flexgemm_epilogue)
  int32_t scale_shift;  ///< not 0: each call brings `scale` and `shift`
  int32_t residual;     ///< not 0: each call brings `residual`
  flexgemm_activation activation;
  float slope;  ///< of LEAKY_RELU; 0: 0.01
  /// Replaces all of the formula: an expression over acc (without the bias), bias, residual and channel, such
  /// as "silu(acc + bias) * residual"; docs/api.md, Epilogues, has its grammar. NULL: none.
  const char* expression;
} flexgemm_epilogue;

/// The tensors of an epilogue, for one call: exactly those that it reads, the others NULL. A bias is given or
/// not at each call, unless an expression names it.
typedef struct flexgemm_operands {
  size_t struct_size;               ///< sizeof(flexgemm_operands)
  const flexgemm_tensor* bias;      ///< [Co], storage type of the convolution or F32
  const flexgemm_tensor* residual;  ///< [N, Co], storage type; must not overlap the output
  const flexgemm_tensor* scale;     ///< [Co], F32
  const flexgemm_tensor* shift;     ///< [Co], F32
} flexgemm_operands;

/// What a submanifold convolution layer is, before it meets data.
typedef struct flexgemm_conv3d_options {
  size_t struct_size;    ///< sizeof(flexgemm_conv3d_options)
  int64_t in_channels;   ///< Ci >= 1
  int64_t out_channels;  ///< Co >= 1
  int32_t kernel[3];     ///< taps along x, y, z, 1 to 7, as the map's; all zeros: 3, 3, 3
  flexgemm_dtype dtype;  ///< F32, TF32 (float storage), F16 or BF16
  flexgemm_algorithm algorithm;
  int32_t reserved;                   ///< 0
  const flexgemm_epilogue* epilogue;  ///< what forward does to a finished sum; NULL: nothing
} flexgemm_conv3d_options;

/// What a plan fixes beside the convolution and the map; all zeros but struct_size: forward alone, without a
/// bias, of tensors aligned to 16 bytes, with a workspace of the plan's own.
typedef struct flexgemm_plan_options {
  size_t struct_size;         ///< sizeof(flexgemm_plan_options)
  int32_t skip_forward;       ///< not 0: the plan will not run forward
  int32_t has_bias;           ///< not 0: forward's calls bring a bias
  flexgemm_dtype bias_dtype;  ///< of that bias: F32 or the convolution's storage type
  int32_t input_gradient;   ///< not 0: the plan's backward computes it; all that are asked for, in each call
  int32_t weight_gradient;  ///< the same
  int32_t bias_gradient;    ///< the same
  flexgemm_dtype weight_gradient_dtype;  ///< F32 or the convolution's storage type
  flexgemm_dtype bias_gradient_dtype;    ///< F32 or the convolution's storage type
  int32_t accumulate;                    ///< as in flexgemm_gradients
  /// What the address of every tensor will be a multiple of, but bias, scale and shift, which need that of
  /// their elements: a power of two up to 256; 0: 16. Less than 16 makes narrower loads, and slower kernels.
  int32_t alignment;
  /// Not 0: the plan has no workspace of its own, every call brings one. With the plan's own, calls must
  /// follow each other on one stream or be ordered otherwise.
  int32_t no_workspace;
  int32_t transposed_weight;  ///< not 0: backward's calls bring flexgemm_gradients::transposed_weight
  /// Run the kernels that this plan runs, instead of choosing: equal kernels give equal bits. It must be of a
  /// convolution with the same options, on the same device. NULL: choose.
  const flexgemm_plan* like;
} flexgemm_plan_options;

/// Gradients to compute; one that is NULL is skipped.
typedef struct flexgemm_gradients {
  size_t struct_size;            ///< sizeof(flexgemm_gradients)
  const flexgemm_tensor* input;  ///< [N, Ci], storage type
  /// [Co, Kx, Ky, Kz, Ci], storage type or F32 (recommended: F16 overflows past 65504)
  const flexgemm_tensor* weight;
  const flexgemm_tensor* bias;  ///< [Co], storage type or F32
  /// Not 0: add to what `weight` and `bias` hold instead of overwriting them (gradient accumulation).
  int32_t accumulate;
  int32_t reserved;  ///< 0
  /// The call's weights as flexgemm_conv3d_transpose_weight wrote them, [Ci, Kx, Ky, Kz, Co], aligned to 16
  /// bytes; NULL: a call for the input gradient transposes them itself where its kernel needs that.
  const flexgemm_tensor* transposed_weight;
} flexgemm_gradients;

/// Bytes that the library holds through the context's allocator: maps, workspaces and buffers. Filled in by
/// flexgemm_context_get_memory.
typedef struct flexgemm_memory_statistics {
  size_t struct_size;  ///< sizeof(flexgemm_memory_statistics), set by the caller
  uint64_t current_bytes;
  uint64_t peak_bytes;
} flexgemm_memory_statistics;

/// A tensor of another library, by the fields of a DLPack DLTensor; flexgemm/dlpack.h fills it in. The
/// numbers are DLPack's own.
typedef struct flexgemm_foreign_tensor {
  size_t struct_size;  ///< sizeof(flexgemm_foreign_tensor)
  void* data;
  uint64_t byte_offset;    ///< from `data` to the first element
  const int64_t* shape;    ///< [rank]
  const int64_t* strides;  ///< [rank], in elements; NULL: contiguous and row-major
  int32_t rank;
  int32_t device_type;  ///< 1: CPU, 2: CUDA, 3: pinned host memory, 13: CUDA managed memory
  int32_t device_id;    ///< ordinal
  uint8_t type_code;    ///< 0: signed integer, 2: IEEE float, 4: bfloat
  uint8_t type_bits;    ///< of one lane
  uint16_t type_lanes;  ///< 1
} flexgemm_foreign_tensor;

/// Receives one line of the log, without an end of line; the text lives for the call only.
typedef void (*flexgemm_log_callback)(void* user_data, flexgemm_log_level level, const char* line);

#ifdef __cplusplus
}
#endif

#endif
