#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "codegen/kernel_spec.hpp"

using namespace flexgemm::codegen;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

TEST_CASE("architectures have the limits of the CUDA C++ Programming Guide") {
  struct Row {
    const char* name;
    int block_kib;
    int multiprocessor_kib;
    int threads;
  };
  const auto [name, block_kib, multiprocessor_kib, threads] =
      GENERATE(Row{"sm_75", 64, 64, 1024}, Row{"sm_80", 163, 164, 2048}, Row{"sm_86", 99, 100, 1536},
               Row{"sm_87", 163, 164, 1536}, Row{"sm_89", 99, 100, 1536}, Row{"sm_90", 227, 228, 2048},
               Row{"sm_90a", 227, 228, 2048}, Row{"sm_100", 227, 228, 2048}, Row{"sm_100a", 227, 228, 2048},
               Row{"sm_103a", 227, 228, 2048}, Row{"sm_110a", 227, 228, 1536}, Row{"sm_120", 99, 100, 1536},
               Row{"sm_120a", 99, 100, 1536}, Row{"sm_121a", 99, 100, 1536});
  INFO(name);
  const Architecture architecture = parse_architecture(name);
  CHECK(to_string(architecture) == name);
  CHECK(architecture.shared_bytes_per_block() == block_kib * 1024);
  CHECK(architecture.shared_bytes_per_multiprocessor() == multiprocessor_kib * 1024);
  CHECK(architecture.threads_per_multiprocessor() == threads);
}

TEST_CASE("an unlisted minor version gets limits that every listed one of its major version has") {
  const Architecture unlisted = parse_architecture("sm_88");
  CHECK(unlisted.shared_bytes_per_block() == 99 * 1024);
  CHECK(unlisted.threads_per_multiprocessor() == 1536);
}

TEST_CASE("an architecture newer than every listed one has limits, those of the newest listed") {
  const Architecture newer{13, 0, '\0'};
  CHECK(newer.shared_bytes_per_block() == 99 * 1024);
  CHECK(newer.has_mma_sync(ElementType::bf16));
}

TEST_CASE("matrix instructions are there from sm_75 for f16, from sm_80 for bf16 and tf32, never for f32") {
  const Architecture turing{7, 5, '\0'};
  const Architecture ampere{8, 0, '\0'};
  CHECK(turing.has_mma_sync(ElementType::f16));
  CHECK_FALSE(turing.has_mma_sync(ElementType::bf16));
  CHECK_FALSE(turing.has_mma_sync(ElementType::tf32));
  CHECK_FALSE(turing.has_mma_sync(ElementType::f32));
  CHECK(ampere.has_mma_sync(ElementType::f16));
  CHECK(ampere.has_mma_sync(ElementType::bf16));
  CHECK(ampere.has_mma_sync(ElementType::tf32));
  CHECK_FALSE(ampere.has_mma_sync(ElementType::f32));
  CHECK_FALSE(turing.has_cp_async());
  CHECK(ampere.has_cp_async());
}

TEST_CASE("text that names no known architecture is refused and told what to write") {
  const char* text = GENERATE("", "sm_", "sm_70", "sm_80a", "sm_90b", "sm_090", "sm_-80", "sm_130", "sm_9",
                              "90a", "compute_90", "sm_90aa", "sm_90 ", "sm_99999999999");
  INFO(text);
  CHECK_THROWS_MATCHES(
      parse_architecture(text), std::invalid_argument,
      MessageMatches(ContainsSubstring("\"" + std::string(text) + "\"") && ContainsSubstring("sm_90a")));
}
