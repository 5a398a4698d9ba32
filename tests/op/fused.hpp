#pragma once

#include <string>
#include <vector>

#include <flexgemm/flexgemm.hpp>

namespace flexgemm::op_test {

/// The operands of an epilogue for one output, in float64.
struct FusedOperands {
  double acc, bias, residual, scale, shift, channel;
};

/// An epilogue that the op test runs, with its own formula in float64: the oracle of the library's.
struct Fused {
  const char* name;
  Epilogue epilogue;
  bool names_bias;  ///< of an expression: whether a call has to bring a bias
  double (*expected)(const FusedOperands&);
};

/// Level 0 is no epilogue.
const std::vector<Fused>& all_fused();

}  // namespace flexgemm::op_test
