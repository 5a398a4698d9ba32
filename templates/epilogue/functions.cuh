#pragma once

// The functions that an epilogue's expression may call (codegen/expression.hpp), in float.

namespace flexgemm {

__device__ __forceinline__ float min_of(float x, float y) { return fminf(x, y); }
__device__ __forceinline__ float max_of(float x, float y) { return fmaxf(x, y); }
__device__ __forceinline__ float abs_of(float x) { return fabsf(x); }
__device__ __forceinline__ float exp_of(float x) { return expf(x); }
__device__ __forceinline__ float log_of(float x) { return logf(x); }
__device__ __forceinline__ float sqrt_of(float x) { return sqrtf(x); }
__device__ __forceinline__ float tanh_of(float x) { return tanhf(x); }
__device__ __forceinline__ float erf_of(float x) { return erff(x); }
__device__ __forceinline__ float sigmoid_of(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ float fma_of(float x, float y, float z) { return fmaf(x, y, z); }
/// NaN stays NaN, unlike with fmaxf.
__device__ __forceinline__ float relu_of(float x) { return x < 0.0f ? 0.0f : x; }
__device__ __forceinline__ float leaky_relu_of(float x, float slope) { return x < 0.0f ? x * slope : x; }
__device__ __forceinline__ float silu_of(float x) { return x * sigmoid_of(x); }
/// x times the normal distribution function of x, the exact form (Hendrycks, Gimpel 2016).
__device__ __forceinline__ float gelu_of(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }

}  // namespace flexgemm
