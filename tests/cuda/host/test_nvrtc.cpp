#include <future>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/error.hpp>

#include "cuda/nvrtc.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string scale_source =
    "extern \"C\" __global__ void flexgemm_kernel(float* x) { x[threadIdx.x] *= 2.0f; }\n";

void require_nvrtc() {
  if (!nvrtc_problem().empty()) SKIP(nvrtc_problem());
}

}  // namespace

TEST_CASE("a source compiles to a cubin for a listed architecture, with ptxas' report") {
  require_nvrtc();
  for (const char* architecture : {"sm_80", "sm_90a"}) {
    const CompiledKernel kernel =
        compile_source(scale_source, "scale", codegen::parse_architecture(architecture));
    CHECK_FALSE(kernel.is_ptx);
    REQUIRE(kernel.image.size() > 4);
    CHECK(std::string(kernel.image.data(), 4) ==
          "\x7f"
          "ELF");
    CHECK(reported(kernel.log, "registers") > 0);
    CHECK(reported(kernel.log, "bytes spill stores") == 0);
  }
}

TEST_CASE("an architecture newer than the compiler gets PTX") {
  require_nvrtc();
  const CompiledKernel kernel =
      compile_source(scale_source, "scale", {.major = 99, .minor = 9, .suffix = 'a'});
  CHECK(kernel.is_ptx);
  CHECK_THAT(std::string(kernel.image.data()), ContainsSubstring(".target sm_"));
}

TEST_CASE("a rejected source is an error with the kernel's name, the log and where to find it") {
  require_nvrtc();
  try {
    compile_source("extern \"C\" __global__ void broken() { undeclared = 1; }\n", "broken.spec",
                   codegen::parse_architecture("sm_80"));
    FAIL("a broken source compiled");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::compile);
    CHECK_THAT(error.what(), ContainsSubstring("broken.spec"));
    CHECK_THAT(error.what(), ContainsSubstring("undeclared"));
    CHECK_THAT(error.what(), ContainsSubstring("source"));
  }
}

TEST_CASE("several threads compile at the same time") {
  require_nvrtc();
  std::vector<std::future<std::size_t>> results;
  for (int i = 0; i < 4; ++i) {
    results.push_back(std::async(std::launch::async, [] {
      return compile_source(scale_source, "scale", codegen::parse_architecture("sm_80")).image.size();
    }));
  }
  const std::size_t first = results.front().get();
  for (std::size_t i = 1; i < results.size(); ++i) CHECK(results[i].get() == first);
}

TEST_CASE("numbers are read from ptxas' report") {
  const std::string log =
      "ptxas info : 0 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads\n"
      "ptxas info : Used 168 registers, used 1 barriers\n";
  CHECK(reported(log, "registers") == 168);
  CHECK(reported(log, "bytes spill stores") == 12);
  CHECK(reported(log, "bytes spill loads") == 8);
  CHECK(reported(log, "bytes of nonsense") == -1);
}
