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
