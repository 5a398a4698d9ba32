#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "codegen/embedded_templates.hpp"
#include "codegen/emit.hpp"

using namespace flexgemm::codegen;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

constexpr const char* golden_specs[] = {
    "implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64x32.s4.w4x2.b2.vec16.16.16.bias_f32.storage.sm_80",
    "implicit_gemm.bf16.mma_sync.ci1024.co1024.v27.t128x256x64.s3.w2x4.b1.vec16.16.16.bias0.partial.sm_90a",
    "implicit_gemm.tf32.mma_sync.ci5.co17.v343.t64x32x16.s3.w4x1.b2.vec4.4.4.bias_storage.storage.sm_120a",
    "implicit_gemm.f32.ffma.ci3.co16.v1.t64x16x16.s2.w4x1.b2.vec4.4.16.bias0.storage.sm_75",
    "gather_rows.f16.ffma.ci3.co1.v27.t1x1x1.s1.w8x1.b4.vec2.2.2.bias0.storage.sm_86",
    "reduce_partials.bf16.ffma.ci1.co96.v1.t1x1x1.s1.w8x1.b4.vec16.16.16.bias_storage.storage.sm_100a",
    "grad_weight.f16.wgmma.ci256.co256.v27.g1.t128x256x64.s4.w8x1.b1.vec16.16.16.bias0.partial.sm_90a",
    "grad_weight.tf32.mma_sync.ci5.co17.v125.g12.t32x5x32.s3.w1x4.b1.vec4.4.4.bias0.storage.sm_86",
    "grad_weight.f32.ffma.ci3.co16.v27.g5.t16x3x32.s2.w1x2.b4.vec4.16.4.bias0.partial.sm_75",
    "reduce_gradient.f16.ffma.ci48.co32.v27.g4.t1x1x1.s1.w8x1.b4.vec16.16.16.bias0.partial.sm_90a",
    "transpose_weights.bf16.ffma.ci24.co40.v8.t1x1x1.s1.w8x1.b4.vec16.16.16.bias0.storage.sm_120a",
};

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace

// Everything after the templates, which have their own history. FLEXGEMM_UPDATE_GOLDEN=1 writes the files
// anew.
TEST_CASE("the constants and the entry point that a spec gets are those of its golden file") {
  const std::string text = GENERATE(from_range(std::begin(golden_specs), std::end(golden_specs)));
  const std::string source = emit(parse_spec(text));
  const std::string own_part = source.substr(source.find("struct Config {"));
  const std::filesystem::path path = std::filesystem::path(FLEXGEMM_GOLDEN_FOLDER) / (text + ".txt");
  if (std::getenv("FLEXGEMM_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << own_part;
  REQUIRE(std::filesystem::exists(path));
  CHECK(own_part == read_file(path));
}

TEST_CASE("an emitted source includes nothing and holds each template that it needs once") {
  const std::string text = GENERATE(from_range(std::begin(golden_specs), std::end(golden_specs)));
  const std::string source = emit(parse_spec(text));
  CHECK_FALSE(std::regex_search(source, std::regex("^\\s*#\\s*include", std::regex::multiline)));
  CHECK(source.find("#pragma once") == std::string::npos);
  CHECK(source.starts_with("// " + text + "\n"));
  CHECK(count_of(source, "struct ImplicitGemmParameters {") == 1);
  CHECK(count_of(source, "enum class ComputeType") == 1);
  CHECK(count_of(source, std::string("extern \"C\" __global__")) == 1);
}

TEST_CASE("every template file is embedded, byte for byte") {
  std::size_t files = 0;
  const std::filesystem::path root = FLEXGEMM_TEMPLATES_FOLDER;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".cuh") continue;
    ++files;
    const std::string path = std::filesystem::relative(entry.path(), root).generic_string();
    INFO(path);
    std::string embedded;
    for (const EmbeddedTemplate& each : embedded_templates()) {
      if (each.path != path) continue;
      for (const std::string_view piece : each.pieces) embedded += piece;
    }
    CHECK(embedded == read_file(entry.path()));
  }
  CHECK(files >= 10);
  CHECK(files == embedded_templates().size());
}

TEST_CASE("equal specs emit equal sources; the hash tells sources and architectures apart") {
  const KernelSpec spec = parse_spec(golden_specs[0]);
  CHECK(emit(spec) == emit(spec));
  CHECK(source_hash(spec) == source_hash(spec));
  CHECK(source_hash(spec).size() == 16);
  KernelSpec other = spec;
  other.out_channels = 32;
  CHECK(source_hash(other) != source_hash(spec));
  other = spec;
  other.architecture = {9, 0, '\0'};
  KernelSpec suffixed = other;
  suffixed.architecture.suffix = 'a';
  CHECK(source_hash(other) != source_hash(suffixed));
}

TEST_CASE("the launch shape is what the emitted constants say") {
  const KernelSpec spec = parse_spec(golden_specs[1]);
  const LaunchShape shape = launch_shape(spec);
  CHECK(shape.threads == 256);
  CHECK(shape.column_tiles == 4);
  CHECK_THAT(emit(spec), ContainsSubstring("kThreads = " + std::to_string(shape.threads) + ";") &&
                             ContainsSubstring("kSharedBytes = " + std::to_string(shape.shared_bytes) + ";"));
  CHECK(launch_shape(parse_spec(golden_specs[4])).shared_bytes == 0);
}
