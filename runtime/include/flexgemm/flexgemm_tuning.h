#ifndef FLEXGEMM_TUNING_H
#define FLEXGEMM_TUNING_H

// The C interface of tuning, of the kernel cache on disk and of kernel packs; flexgemm.h includes this file
// and holds the rules for all of it. docs/tuning.md tells how the library decides and what the files are.
//
// Structs that the library hands to a callback have the library's struct_size: a callback that was compiled
// against a newer header looks at it before it reads a field that an older library lacks. What they point to
// lives for the call only.

#include <flexgemm/export.h>
#include <flexgemm/flexgemm_types.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Tuning ----------------------------------------------------------------------------------------------

/// How a context tunes; all zeros but struct_size: it does not.
typedef struct flexgemm_tuning_options {
  size_t struct_size;  ///< sizeof(flexgemm_tuning_options)
  flexgemm_tuning_policy policy;
  int32_t jobs;       ///< processes that compile while tuning; 0: one a processor, at most 16
  int64_t budget_ms;  ///< milliseconds that tuning one shape may take, compilation included; 0: 10,000
} flexgemm_tuning_options;

/// Fills in `options`, of which the caller has set struct_size, with how the context tunes now.
FLEXGEMM_API flexgemm_status flexgemm_context_get_tuning(const flexgemm_context* context,
                                                         flexgemm_tuning_options* options);
/// Changes it from now on: an engine tunes while it loads, and sets FLEXGEMM_TUNE_NEVER before its frames
/// begin. Shapes that were decided about without tuning are decided about anew when the policy becomes
/// ON_MISS or FORCE; what a context has tuned it does not tune again (flexgemm_conv3d_tune does). Plans keep
/// what they have. On the CPU it is kept and has no effect.
FLEXGEMM_API flexgemm_status flexgemm_context_set_tuning(flexgemm_context* context,
                                                         const flexgemm_tuning_options* options);

/// Adds the kernel pack `file` to those of flexgemm_context_options, after them; layers that were decided
/// about are decided about anew, plans keep what they have. Header, index and tuning results are verified
/// now, a kernel when it is loaded; flexgemm_pack_verify checks every byte. A CPU context checks as much and
/// uses none of it. FLEXGEMM_IO with what is wrong with the file.
FLEXGEMM_API flexgemm_status flexgemm_context_load_kernel_pack(flexgemm_context* context, const char* file);

/// Why tuning ended.
typedef int32_t flexgemm_tuning_end;
enum {
  FLEXGEMM_TUNING_COMPLETE = 0,  ///< every candidate was tried, or the leader was clear
  FLEXGEMM_TUNING_BUDGET = 1,    ///< the budget ran out
  FLEXGEMM_TUNING_CANCELLED = 2  ///< flexgemm_tune_request::cancelled said so
};
/// "complete", "budget", "cancelled", "unknown".
FLEXGEMM_API const char* flexgemm_tuning_end_name(flexgemm_tuning_end end);

/// One way to compute a pass.
typedef struct flexgemm_tune_candidate {
  size_t struct_size;  ///< sizeof(flexgemm_tune_candidate)
  flexgemm_algorithm algorithm;
  int32_t splits;            ///< parts that the reduction is cut into
  const char* kernel;        ///< stable name of the kernel spec
  double predicted_ms;       ///< by the cost model
  double measured_ms;        ///< median of `samples`; 0: was not timed
  double least_ms;           ///< least of them
  double error;              ///< relative error on the sampled results; -1: was not checked
  const char* disqualified;  ///< why it cannot win, as a sentence; NULL: it can
  int32_t samples;
  int32_t groups;  ///< groups of kernel offsets, each with a row order of its own
} flexgemm_tune_candidate;

/// A way to compute a pass, by name.
typedef struct flexgemm_kernel_choice {
  size_t struct_size;  ///< sizeof(flexgemm_kernel_choice)
  flexgemm_algorithm algorithm;
  int32_t splits;      ///< as in flexgemm_tune_candidate; 0: 1
  const char* kernel;  ///< as in flexgemm_tune_candidate
  int32_t groups;      ///< as in flexgemm_tune_candidate; 0: 1
  int32_t reserved;    ///< 0
} flexgemm_kernel_choice;

/// Where tuning stands.
typedef struct flexgemm_tune_progress {
  size_t struct_size;  ///< sizeof(flexgemm_tune_progress) of the library
  int32_t candidates;  ///< that are to be tried
  int32_t compiled;    ///< or failed to compile
  int32_t measured;    ///< or disqualified
  int32_t reserved;
  double seconds;                         ///< since the start
  const flexgemm_tune_candidate* latest;  ///< what has just been measured; NULL: a compilation ended
  const flexgemm_tune_candidate* leader;  ///< the best so far; NULL: none yet
} flexgemm_tune_progress;

/// What flexgemm_conv3d_tune is asked; all zeros but struct_size: forward without a bias, within 10 seconds.
typedef struct flexgemm_tune_request {
  size_t struct_size;  ///< sizeof(flexgemm_tune_request)
  flexgemm_op op;
  int32_t has_bias;                      ///< not 0: the passes bring a bias; forward alone
  flexgemm_dtype bias_dtype;             ///< of that bias: F32 or the convolution's storage type
  flexgemm_dtype weight_gradient_dtype;  ///< GRAD_WEIGHT alone: F32 or the convolution's storage type
  int64_t budget_ms;                     ///< milliseconds; 0: 10,000
  int32_t jobs;                          ///< as in flexgemm_tuning_options
  /// Candidates to try, the best predicted first; 0: 24; -1: all of them, each with as many samples as the
  /// leader.
  int32_t most_candidates;
  int32_t no_store;  ///< not 0: the winner is used in this context, but neither stored nor cached
  int32_t reserved;  ///< 0
  /// Both are called from the thread that tunes, may be NULL, and must not tune themselves. `cancelled` is
  /// asked between steps: not 0 ends tuning, with what is known by then.
  void (*progress)(void* user_data, const flexgemm_tune_progress* progress);
  int32_t (*cancelled)(void* user_data);
  void* user_data;  ///< handed to both
  /// What to try instead of the library's candidates, as reports and the log name them; may be NULL if the
  /// count is 0. One that does not serve the pass gives FLEXGEMM_INVALID_ARGUMENT.
  const flexgemm_kernel_choice* const* choices;
  size_t choice_count;
} flexgemm_tune_request;

/// What tuning found. A handle.
typedef struct flexgemm_tune_report flexgemm_tune_report;

/// A report in short. Filled in by flexgemm_tune_report_get_summary.
typedef struct flexgemm_tune_summary {
  size_t struct_size;          ///< sizeof(flexgemm_tune_summary), set by the caller
  int64_t candidates;          ///< measured ones by time, then the others by prediction
  int64_t winner;              ///< its position: 0; -1: no candidate could be measured
  int64_t predicted;           ///< position of what would have run untuned; -1: none
  double predicted_choice_ms;  ///< measured time of that one; 0: was not timed
  double seconds;              ///< that tuning took
  flexgemm_tuning_end end;
  int32_t stored;  ///< 1: the winner is on disk, for the next process
} flexgemm_tune_summary;

/// Measures kernels for a pass over maps like this one and keeps the fastest that computes it correctly, for
/// the convolution's context and in its cache. `request` may be NULL. Makes random tensors of its own from
/// the context's memory while it runs, and waits for `stream`, which must not be capturing. No winner is not
/// an error: the report says what became of each candidate. FLEXGEMM_UNSUPPORTED on the CPU, where there is
/// nothing to tune, FLEXGEMM_DRIVER.
FLEXGEMM_API flexgemm_status flexgemm_conv3d_tune(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                                  const flexgemm_tune_request* request, void* stream,
                                                  flexgemm_tune_report** report);
/// Gives the handle back; NULL is allowed.
FLEXGEMM_API void flexgemm_tune_report_destroy(flexgemm_tune_report* report);
/// Fills in `summary`, of which the caller has set struct_size.
FLEXGEMM_API flexgemm_status flexgemm_tune_report_get_summary(const flexgemm_tune_report* report,
                                                              flexgemm_tune_summary* summary);
/// Fills in `candidate`, of which the caller has set struct_size, with the one at `position`. Its texts live
/// as long as the report.
FLEXGEMM_API flexgemm_status flexgemm_tune_report_get_candidate(const flexgemm_tune_report* report,
                                                                int64_t position,
                                                                flexgemm_tune_candidate* candidate);

// ---- The cache on disk -----------------------------------------------------------------------------------

/// Which cache; NULL or all zeros but struct_size is the one that contexts use by default.
typedef struct flexgemm_cache_options {
  size_t struct_size;    ///< sizeof(flexgemm_cache_options)
  const char* folder;    ///< as flexgemm_context_options::cache_folder
  uint64_t limit_bytes;  ///< as flexgemm_context_options::cache_limit_bytes
} flexgemm_cache_options;

/// What is wrong with a file or folder.
typedef int32_t flexgemm_finding_kind;
enum {
  FLEXGEMM_FINDING_NO_FOLDER = 0,     ///< there is no place for a cache, or it cannot be made
  FLEXGEMM_FINDING_SWITCHED_OFF = 1,  ///< by FLEXGEMM_CACHE
  FLEXGEMM_FINDING_UNTRUSTED = 2,     ///< others own it or may write to it, or it is a symbolic link
  FLEXGEMM_FINDING_READ_ONLY = 3,     ///< it cannot be written, or the disk is full
  FLEXGEMM_FINDING_DAMAGED = 4,       ///< a checksum or a length is wrong
  FLEXGEMM_FINDING_FOREIGN = 5,       ///< not a file of FlexGEMM
  FLEXGEMM_FINDING_NEWER = 6,         ///< written by a newer version
  FLEXGEMM_FINDING_OUTDATED = 7,      ///< of older templates: unused, and on its way out
  FLEXGEMM_FINDING_SET_ASIDE = 8,     ///< was damaged, foreign or newer, and renamed to *.bad
  FLEXGEMM_FINDING_LEFT_OVER = 9,     ///< a temporary file of a process that died
  FLEXGEMM_FINDING_UNREADABLE = 10    ///< the system refused to open or read it
};
/// "no_folder", "switched_off", ..., "unknown".
FLEXGEMM_API const char* flexgemm_finding_kind_name(flexgemm_finding_kind kind);

/// One thing that is wrong, and what to do about it.
typedef struct flexgemm_cache_finding {
  size_t struct_size;  ///< sizeof(flexgemm_cache_finding) of the library
  flexgemm_finding_kind kind;
  int32_t reserved;
  const char* path;
  const char* problem;  ///< a sentence
  const char* remedy;   ///< a sentence, often a command; may be ""
} flexgemm_cache_finding;

/// Receives the findings of a call, one after the other, from the calling thread before the call returns.
typedef void (*flexgemm_finding_callback)(void* user_data, const flexgemm_cache_finding* finding);

/// What flexgemm_cache_diagnose saw. Healthy: no findings but OUTDATED, SET_ASIDE and LEFT_OVER.
typedef struct flexgemm_cache_report {
  size_t struct_size;  ///< sizeof(flexgemm_cache_report), set by the caller
  int64_t kernels;     ///< valid ones
  uint64_t kernel_bytes;
  uint64_t limit_bytes;  ///< size from which kernels are removed
  int64_t tuning_entries;
  int64_t findings;
  int32_t usable;    ///< 1: it can be read, and nobody else may write to it
  int32_t writable;  ///< 1
} flexgemm_cache_report;

/// What a cache or a pack gained or lost.
typedef struct flexgemm_cache_change {
  size_t struct_size;  ///< sizeof(flexgemm_cache_change), set by the caller
  int64_t kernels;
  int64_t tuning_entries;
  int64_t other_files;  ///< set aside or left over
  uint64_t bytes;       ///< of kernels
  int64_t findings;     ///< what was skipped
} flexgemm_cache_change;

/// What to take; all zeros but struct_size is everything that this version of the library uses.
typedef struct flexgemm_cache_filter {
  size_t struct_size;  ///< sizeof(flexgemm_cache_filter)
  int32_t no_kernels;  ///< not 0: leave out kernels
  int32_t no_tuning;   ///< not 0: leave out tuning results
  int32_t outdated;    ///< not 0: packing takes entries of older templates too; clearing takes nothing else
  int32_t reserved;    ///< 0
  const char* const* architectures;  ///< packing alone: such as "sm_90a"; may be NULL if the count is 0: all
  size_t architecture_count;
} flexgemm_cache_filter;

/// In all of these `options`, `filter`, `change` and `callback` may be NULL. They may be called while other
/// processes use the cache. FLEXGEMM_IO if a folder or file cannot be trusted, read or written.

/// The folder of the cache, written as flexgemm_context_get_description writes; "" if the cache is off or has
/// no place.
FLEXGEMM_API flexgemm_status flexgemm_cache_get_folder(const flexgemm_cache_options* options, char* buffer,
                                                       size_t capacity, size_t* length);
/// Reads every byte of the cache and changes nothing. Fills in `report`, of which the caller has set
/// struct_size; `callback` gets each finding.
FLEXGEMM_API flexgemm_status flexgemm_cache_diagnose(const flexgemm_cache_options* options,
                                                     flexgemm_cache_report* report,
                                                     flexgemm_finding_callback callback, void* user_data);
/// Empties the cache of what the filter names. Programs that run go on.
FLEXGEMM_API flexgemm_status flexgemm_cache_clear(const flexgemm_cache_options* options,
                                                  const flexgemm_cache_filter* filter,
                                                  flexgemm_cache_change* change);
/// Adds what the cache in `source_folder` has. Of two tuning results for one key the newer stays.
FLEXGEMM_API flexgemm_status flexgemm_cache_merge(const flexgemm_cache_options* options,
                                                  const char* source_folder, flexgemm_cache_change* change,
                                                  flexgemm_finding_callback callback, void* user_data);

// ---- Kernel packs ----------------------------------------------------------------------------------------

/// What a pack holds. Filled in by flexgemm_pack_verify.
typedef struct flexgemm_pack_info {
  size_t struct_size;  ///< sizeof(flexgemm_pack_info), set by the caller
  uint64_t bytes;      ///< of the file
  int64_t kernels;
  int64_t current_kernels;  ///< those of them that this version of the library would use
  int64_t tuning_entries;
} flexgemm_pack_info;

/// Writes what the cache holds to the pack `file`, whole or not at all. What is damaged is skipped and found.
FLEXGEMM_API flexgemm_status flexgemm_pack_write(const char* file, const flexgemm_cache_options* options,
                                                 const flexgemm_cache_filter* filter,
                                                 flexgemm_cache_change* change,
                                                 flexgemm_finding_callback callback, void* user_data);
/// Checks every byte of a pack. `info`, of which the caller has set struct_size, may be NULL. FLEXGEMM_IO
/// with what is wrong: damaged, truncated, foreign, newer, unreadable.
FLEXGEMM_API flexgemm_status flexgemm_pack_verify(const char* file, flexgemm_pack_info* info);
/// Checks every byte of a pack, then adds its entries to the cache; one that is not sound changes nothing.
FLEXGEMM_API flexgemm_status flexgemm_pack_unpack(const char* file, const flexgemm_cache_options* options,
                                                  flexgemm_cache_change* change,
                                                  flexgemm_finding_callback callback, void* user_data);

/// A pass of a layer, described without data.
typedef struct flexgemm_pass_description {
  size_t struct_size;  ///< sizeof(flexgemm_pass_description)
  const flexgemm_conv3d_options* conv;
  int64_t rows;          ///< N >= 1
  double pairs_per_row;  ///< neighbors of a voxel, itself included; 0: as many as on a surface
  flexgemm_op op;
  int32_t alignment;  ///< of all tensors: a power of two from the type's size to 16; 0: 16
} flexgemm_pass_description;

/// How flexgemm_pack_compile works; all zeros but struct_size is the default.
typedef struct flexgemm_compile_options {
  size_t struct_size;       ///< sizeof(flexgemm_compile_options)
  int32_t jobs;             ///< worker processes; 0: one a processor, at most 16
  int32_t multiprocessors;  ///< of the GPU; 0: of each architecture's best known one
  /// May be NULL. Called from the calling thread.
  void (*progress)(void* user_data, size_t finished, size_t kernels);
  void* user_data;
} flexgemm_compile_options;

/// Compiles every kernel that contexts on GPUs of these architectures ("sm_80", "sm_90a") may ask for when
/// they run these passes untuned, and writes them to the pack `file`, whole or not at all: counts of rows
/// from half to twice and pairs within 1.25x; forward with no bias, a float bias and one of the storage type;
/// weight gradients in float and in the storage type. Needs NVRTC and no GPU. `options` and `change` may be
/// NULL. FLEXGEMM_COMPILE if there is no NVRTC or a kernel fails, FLEXGEMM_UNSUPPORTED where no kernel serves
/// a pass, FLEXGEMM_IO.
FLEXGEMM_API flexgemm_status flexgemm_pack_compile(const char* file,
                                                   const flexgemm_pass_description* const* passes,
                                                   size_t pass_count, const char* const* architectures,
                                                   size_t architecture_count,
                                                   const flexgemm_compile_options* options,
                                                   flexgemm_cache_change* change);

#ifdef __cplusplus
}
#endif

#endif
