#pragma once

// From the C interface's numbers and structs to the C++ ones and back. All of them throw
// Error{invalid_argument} with the argument's name.

#include <cstddef>
#include <string>
#include <vector>

#include <flexgemm/cache.hpp>
#include <flexgemm/context.hpp>
#include <flexgemm/flexgemm_tuning.h>
#include <flexgemm/flexgemm_types.h>

namespace flexgemm::capi {

Device to_device(flexgemm_device_kind kind, std::int32_t ordinal);
DType to_dtype(flexgemm_dtype dtype, const char* name);
Op to_op(flexgemm_op op);
Algorithm to_algorithm(flexgemm_algorithm algorithm);
TuningPolicy to_tuning_policy(flexgemm_tuning_policy policy);
Activation to_activation(flexgemm_activation activation);

CacheFinding::Kind to_finding_kind(flexgemm_finding_kind kind);
TuneEnd to_tuning_end(flexgemm_tuning_end end);

flexgemm_dtype from_dtype(DType dtype) noexcept;
flexgemm_algorithm from_algorithm(Algorithm algorithm) noexcept;
flexgemm_tuning_policy from_tuning_policy(TuningPolicy policy) noexcept;
flexgemm_finding_kind from_finding_kind(CacheFinding::Kind kind) noexcept;
flexgemm_tuning_end from_tuning_end(TuneEnd end) noexcept;

/// A budget in milliseconds as seconds; 0: `default_seconds`. `name` is the field's.
double to_budget(std::int64_t milliseconds, double default_seconds, const char* name);

/// An array of texts, none of them NULL. `name` is the field's.
std::vector<std::string> to_texts(const char* const* texts, std::size_t count, const char* name);

Conv3dOptions to_conv_options(const flexgemm_conv3d_options* options, const char* name);

/// Three extents; all zeros: `default_extent` along each axis.
Extent3 to_extents(const std::int32_t (&extents)[3], std::int32_t default_extent) noexcept;

/// The tensor as a view; absent if it is NULL or of rank 0.
TensorView to_view(const flexgemm_tensor* tensor, const char* name);
/// No epilogue if it is NULL.
Epilogue to_epilogue(const flexgemm_epilogue* epilogue);
/// No operands if it is NULL.
EpilogueOperands to_operands(const flexgemm_operands* operands);
Gradients to_gradients(const flexgemm_gradients* gradients);
flexgemm_tensor from_view(const ConstTensorView& view) noexcept;

Stream to_stream(void* stream) noexcept;

/// Throws unless a reserved field is zero.
void require_reserved(std::int32_t reserved, const char* name);

/// Tells a choice: the algorithm, where there is a place for it, and the kernel as write_text does.
void write_choice(const KernelChoice& choice, flexgemm_algorithm* algorithm, char* kernel,
                  std::size_t capacity, std::size_t* length);

/// As snprintf: as much of the text as fits, zero-terminated, and its whole length. Either target may be
/// NULL, not both.
void write_text(const std::string& text, char* buffer, std::size_t capacity, std::size_t* length,
                const char* name);

}  // namespace flexgemm::capi
