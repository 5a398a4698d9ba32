#include "ceilings.hpp"

#include <algorithm>
#include <cstring>

#include "random_data.hpp"
#include "timing.hpp"

#if defined(FLEXGEMM_HAS_BLAS)
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* stride_a, const float* b,
                       const int* stride_b, const float* beta, float* c, const int* stride_c);
#endif

namespace flexgemm::bench {

namespace {
constexpr int extent = 2048;
constexpr std::size_t copy_floats = std::size_t{1} << 26;
}  // namespace

CpuCeilings::CpuCeilings()
    : a_(random_floats(copy_floats, 1)), b_(copy_floats), c_(std::size_t{extent} * extent) {
  std::copy(a_.rbegin(), a_.rend(), b_.begin());
}

void CpuCeilings::sample() {
  const RepeatOptions once{.least = 1, .most = 1};
#if defined(FLEXGEMM_HAS_BLAS)
  const double ms = measure(once, [&] {
                      const float one = 1.0F;
                      const float zero = 0.0F;
                      sgemm_("N", "N", &extent, &extent, &extent, &one, a_.data(), &extent, b_.data(),
                             &extent, &zero, c_.data(), &extent);
                    }).min_ms;
  sgemm_gflops_ = std::max(sgemm_gflops_.value_or(0), 2.0 * extent * extent * extent / ms / 1e6);
#endif
  const double copy_ms =
      measure(once, [&] { std::memcpy(b_.data(), a_.data(), copy_floats * sizeof(float)); }).min_ms;
  copy_gigabytes_ = std::max(copy_gigabytes_, 2.0 * copy_floats * sizeof(float) / copy_ms / 1e6);
}

}  // namespace flexgemm::bench
