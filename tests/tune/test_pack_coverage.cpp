#include <algorithm>
#include <cmath>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/kernels.hpp>

using namespace flexgemm;

namespace {

/// Kernels of calls that a pack for `layer` promises to serve, drawn at random, that it lacks.
std::vector<std::string> missing_kernels(const PassDescription& layer, const TargetGpu& gpu) {
  const std::vector<std::string> pack = kernels_for_pack({&layer, 1}, gpu);
  std::vector<std::string> missing;
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> unit(-1, 1);
  for (int frame = 0; frame < 40; ++frame) {
    PassDescription call = layer;
    call.rows = std::llround(static_cast<double>(layer.rows) * std::exp2(0.99 * unit(random)));
    call.pairs_per_row = layer.pairs_per_row * std::pow(1.24, unit(random));
    if (layer.op == Op::forward && frame % 3 == 1) call.bias = DType::f32;
    if (layer.op == Op::forward && frame % 3 == 2) call.bias = storage_type(layer.conv.dtype);
    if (layer.op == Op::grad_weight && frame % 2 == 1) call.gradient = storage_type(layer.conv.dtype);
    for (const std::string& kernel : pass_kernels(call, gpu).kernels) {
      if (!std::binary_search(pack.begin(), pack.end(), kernel)) missing.push_back(kernel);
    }
  }
  return missing;
}

}  // namespace

TEST_CASE("a pack has the kernels of every call that it promises to serve") {
  for (const char* architecture : {"sm_80", "sm_90a"}) {
    for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
      for (const std::int64_t rows : {700, 120000}) {
        for (const std::int64_t channels : {4, 64}) {
          CAPTURE(architecture, name(op), rows, channels);
          PassDescription layer;
          layer.op = op;
          layer.conv = {
              .in_channels = channels, .out_channels = 64, .kernel = {3, 3, 3}, .dtype = DType::f16};
          layer.rows = rows;
          layer.pairs_per_row = 7.5;
          CHECK(missing_kernels(layer, {architecture, 0}) == std::vector<std::string>{});
        }
      }
    }
  }
}

TEST_CASE("an architecture is completed as the library asks for it") {
  CHECK(complete({"sm_90", 0}).architecture == "sm_90a");
  CHECK(complete({"sm_90a", 0}).multiprocessors == 132);
  CHECK(complete({"sm_80", 0}).architecture == "sm_80");
  CHECK(complete({"sm_80", 64}).multiprocessors == 64);
  CHECK_THROWS(complete({"sm_60", 0}));
  CHECK_THROWS(complete({"sm_80", -1}));
}

TEST_CASE("a pass that cannot be is refused with the odd value") {
  using Catch::Matchers::ContainsSubstring;
  const PassDescription good{.conv = {.in_channels = 8, .out_channels = 8, .dtype = DType::f16}, .rows = 100};
  const auto refused = [&good](const auto& spoil, const char* words) {
    PassDescription bad = good;
    spoil(bad);
    CHECK_THROWS_WITH(pass_kernels(bad, {"sm_80", 0}), ContainsSubstring(words));
  };
  CHECK(!pass_kernels(good, {"sm_80", 0}).kernels.empty());
  refused([](PassDescription& pass) { pass.rows = 0; }, "0 rows");
  refused([](PassDescription& pass) { pass.pairs_per_row = 28; }, "28 pairs");
  refused([](PassDescription& pass) { pass.alignment = 1; }, "1 bytes");
  refused([](PassDescription& pass) { pass.alignment = 12; }, "12 bytes");
  refused([](PassDescription& pass) { pass.bias = DType::bf16; }, "bf16");
  refused([](PassDescription& pass) { pass.gradient = DType::bf16; }, "bf16");
  refused([](PassDescription& pass) { pass.conv.in_channels = 0; }, "in_channels");
  refused([](PassDescription& pass) { pass.conv.kernel = {8, 1, 1}; }, "8");
}
