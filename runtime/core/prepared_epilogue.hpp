#pragma once

#include <string>
#include <string_view>

#include <flexgemm/epilogue.hpp>

#include "codegen/expression.hpp"

namespace flexgemm::detail {

/// An epilogue in the form that backends work with. Equal ones are the same object, which lives as long as
/// the process: its address tells epilogues apart.
struct PreparedEpilogue {
  std::string text;  ///< canonical, as KernelSpec::epilogue has it
  codegen::Expression expression;
  bool is_formula = false;  ///< made by Epilogue::expression: reads the bias only if it names it
  bool reads_bias = false;
  bool reads_residual = false;
  bool reads_scale_shift = false;
};

/// Null for an epilogue that does nothing. Throws Error{invalid_argument} for one that contradicts itself.
/// Thread-safe.
const PreparedEpilogue* prepare_epilogue(const Epilogue& epilogue);

/// The tensors of a forward pass beside feats, weight and bias, checked by the core; null where the epilogue
/// does not read them.
struct EpilogueArguments {
  const PreparedEpilogue* epilogue = nullptr;  ///< null: out = acc + bias
  const void* residual = nullptr;              ///< [N, Co], storage type
  const float* scale = nullptr;                ///< [Co]
  const float* shift = nullptr;                ///< [Co]
};

}  // namespace flexgemm::detail
