#include <utility>

#include <flexgemm/kernels.hpp>

#include "cache/finding.hpp"
#include "cache/kernel_pack.hpp"
#include "cache/survey.hpp"

namespace flexgemm {

using namespace detail;

std::vector<KernelImage> read_pack_kernels(const std::filesystem::path& pack) {
  const auto opened = KernelPack::open(pack);
  if (!opened) fail_with(opened.problem());
  std::vector<KernelImage> kernels;
  for (const std::string& hash : (*opened)->kernel_hashes()) {
    auto kernel = (*opened)->kernel(hash);
    if (!kernel) fail_with(kernel.problem());
    if (is_current(**kernel)) kernels.push_back(std::move(**kernel));
  }
  return kernels;
}

}  // namespace flexgemm
