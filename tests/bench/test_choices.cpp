#include <catch2/catch_test_macros.hpp>

#include "tuning.hpp"

using namespace flexgemm;

TEST_CASE("a choice reads in the words of tables and of the log") {
  const KernelChoice plain = bench::parse_choice("masked_implicit_gemm_splitk 3 implicit_gemm.f16.x");
  CHECK(plain.algorithm == Algorithm::masked_implicit_gemm_splitk);
  CHECK(plain.splits == 3);
  CHECK(plain.groups == 1);
  CHECK(plain.kernel == "implicit_gemm.f16.x");
  CHECK(bench::parse_choice("masked_implicit_gemm 1/3 k").groups == 3);
  const KernelChoice logged = bench::parse_choice(
      "flexgemm: choice --op forward --ci 64 --n 9: --algorithm implicit_gemm --splits 2 --groups 2 --spec "
      "implicit_gemm.tf32.y (cost model, 0.0581 ms predicted)");
  CHECK(logged.algorithm == Algorithm::implicit_gemm);
  CHECK(logged.splits == 2);
  CHECK(logged.groups == 2);
  CHECK(logged.kernel == "implicit_gemm.tf32.y");
  for (const char* words : {"", "implicit_gemm", "implicit_gemm 1", "implicit_gemm x k", "implicit_gemm 0 k",
                            "implicit_gemm 1/ k", "implicit_gemm 1/0 k", "implicit_gemm 1 k more", "gemm 1 k",
                            "--algorithm implicit_gemm --splits 1"}) {
    INFO(words);
    CHECK_THROWS_AS(bench::parse_choice(words), Error);
  }
}

TEST_CASE("a choice is for the passes whose type, channels, gradient and bias its kernel has") {
  const auto is_for = [](const char* kernel, Op op, std::int64_t channels = 64, DType dtype = DType::f16) {
    return bench::is_for({.kernel = kernel}, channels, dtype, op);
  };
  const char* biased = "persistent_gemm.f16.wgmma.ci64.co64.v27.vec16.16.16.bias_storage.storage.sm_90a";
  CHECK(is_for(biased, Op::forward));
  CHECK_FALSE(is_for(biased, Op::grad_input));
  CHECK_FALSE(is_for(biased, Op::forward, 32));
  CHECK_FALSE(is_for(biased, Op::forward, 64, DType::bf16));
  const char* plain = "persistent_gemm.f16.wgmma.ci64.co64.v27.vec16.16.16.bias0.storage.sm_90a";
  CHECK_FALSE(is_for(plain, Op::forward));
  CHECK(is_for(plain, Op::grad_input));
  const char* partial = "persistent_gemm.f16.wgmma.ci64.co64.v27.vec16.16.16.bias0.partial.sm_90a";
  CHECK(is_for(partial, Op::forward));
  CHECK(is_for(partial, Op::grad_input));
  CHECK_FALSE(is_for(partial, Op::grad_weight));
  for (const char* gradient : {"grad_weight.f16.wgmma.ci64.co64.v27.g1.bias0.partial.sm_90a",
                               "resident_grad_weight.f16.wgmma.ci64.co64.v27.g9.bias0.partial.sm_90a"}) {
    CHECK(is_for(gradient, Op::grad_weight));
    CHECK_FALSE(is_for(gradient, Op::forward));
  }
}
