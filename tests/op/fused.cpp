#include "op/fused.hpp"

#include <cmath>

namespace flexgemm::op_test {

namespace {

double normed(const FusedOperands& x) { return (x.acc + x.bias) * x.scale + x.shift; }
double silu(double x) { return x / (1 + std::exp(-x)); }

}  // namespace

const std::vector<Fused>& all_fused() {
  // Continuous functions: at a jump, float and float64 may fall on different sides.
  static const std::vector<Fused> all{
      {"none", {}, false, [](const FusedOperands& x) { return x.acc + x.bias; }},
      {"norm_relu",
       {.scale_shift = true, .activation = Activation::relu},
       false,
       [](const FusedOperands& x) { return std::fmax(normed(x), 0); }},
      {"residual_leaky",
       {.residual = true, .activation = Activation::leaky_relu, .slope = 0.2F},
       false,
       [](const FusedOperands& x) {
         const double sum = x.acc + x.bias + x.residual;
         return sum < 0 ? sum * 0.2 : sum;
       }},
      {"norm_residual_silu",
       {.scale_shift = true, .residual = true, .activation = Activation::silu},
       false,
       [](const FusedOperands& x) { return silu(normed(x) + x.residual); }},
      {"gelu",
       {.activation = Activation::gelu},
       false,
       [](const FusedOperands& x) {
         return 0.5 * (x.acc + x.bias) * std::erfc(-(x.acc + x.bias) / std::sqrt(2));
       }},
      {"expression",
       Epilogue::expression("(acc < 0 ? acc * 0.1 : acc * 2) + channel / 100 + tanh(bias) * residual"), true,
       [](const FusedOperands& x) {
         return (x.acc < 0 ? x.acc * 0.1 : x.acc * 2) + x.channel / 100 + std::tanh(x.bias) * x.residual;
       }},
      {"expression_without_bias", Epilogue::expression("fma(abs(acc), 3, -min(acc, 1))"), false,
       [](const FusedOperands& x) { return std::fabs(x.acc) * 3 - std::fmin(x.acc, 1); }},
  };
  return all;
}

}  // namespace flexgemm::op_test
