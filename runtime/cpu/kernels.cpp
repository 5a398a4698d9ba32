#include "cpu/kernels.hpp"

#include <string>

#if defined(FLEXGEMM_HAS_X86_KERNELS)
#include <cpuid.h>
#endif

#include "core/environment.hpp"
#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

#if defined(FLEXGEMM_HAS_X86_KERNELS)
bool has_f16c() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1u << 29)) != 0;
}

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif

}  // namespace

std::vector<const Kernels*> supported_kernels() {
  std::vector<const Kernels*> all;
#if defined(FLEXGEMM_HAS_X86_KERNELS)
  if (has_avx512()) all.push_back(&avx512_kernels);
  if (has_avx2()) all.push_back(&avx2_kernels);
#endif
  all.push_back(&portable_kernels);
  return all;
}

const Kernels& select_kernels() {
  const std::vector<const Kernels*> all = supported_kernels();
  const auto wanted = environment_variable("FLEXGEMM_CPU_ISA");
  if (!wanted) return *all.front();
  for (const Kernels* kernels : all) {
    if (*wanted == kernels->name) return *kernels;
  }
  std::string names;
  for (const Kernels* kernels : all) names += (names.empty() ? "" : ", ") + std::string(kernels->name);
  fail(ErrorCode::unsupported, "FLEXGEMM_CPU_ISA is '{}' but this processor and build offer: {}", *wanted,
       names);
}

}  // namespace flexgemm::detail
