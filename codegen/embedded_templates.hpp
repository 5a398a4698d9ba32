#pragma once

#include <span>
#include <string_view>

namespace flexgemm::codegen {

/// A file of templates/, put into the library at build time.
struct EmbeddedTemplate {
  std::string_view path;                     ///< relative to templates/, such as "kernels/implicit_gemm.cuh"
  std::span<const std::string_view> pieces;  ///< its text, in order
};

/// Every *.cuh of templates/, ordered by path.
std::span<const EmbeddedTemplate> embedded_templates();

}  // namespace flexgemm::codegen
