#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/error.hpp>

#include "tune/net_file.hpp"

using namespace flexgemm;
using namespace flexgemm::tune;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A layer with one field replaced by JSON text, added, or (with an empty text) left out.
std::string layer_with(const std::string& field, const std::string& value) {
  const std::vector<std::pair<std::string, std::string>> fields{
      {"op", "\"forward\""},   {"in_channels", "32"}, {"out_channels", "64"},
      {"kernel", "[3, 3, 3]"}, {"dtype", "\"f16\""},  {"voxels", "100000"}};
  std::string text;
  bool replaced = false;
  const auto add = [&text](const std::string& key, const std::string& json) {
    if (!json.empty()) text += (text.empty() ? "\"" : ", \"") + key + "\": " + json;
  };
  for (const auto& [key, json] : fields) {
    add(key, key == field ? value : json);
    replaced |= key == field;
  }
  if (!replaced) add(field, value);
  return "{" + text + "}";
}

std::string net_of(const std::string& layer) {
  return "{\"layers\": [" + layer_with("op", "\"forward\"") + ", " + layer + "]}";
}

void check_refused(const std::string& text, const std::string& words) {
  CAPTURE(text);
  try {
    parse_net(text, "net.json");
    FAIL_CHECK("was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.what(), Catch::Matchers::StartsWith("net.json: "));
    CHECK_THAT(error.what(), ContainsSubstring(words));
    CHECK_THAT(error.what(), !ContainsSubstring("\n"));
  }
}

}  // namespace

TEST_CASE("a net file gives its layers, with defaults for what is optional") {
  const std::vector<LayerRequest> layers = parse_net(
      R"({"layers": [
        {"op": "forward", "in_channels": 32, "out_channels": 64, "kernel": [3, 3, 3], "dtype": "f16", "voxels": 100000},
        {"op": "grad_weight", "in_channels": 1, "out_channels": 1048576, "kernel": [7, 1, 2], "dtype": "tf32",
         "voxels": 1, "pairs_per_voxel": 2.5, "dilation": [1, 2, 3], "algorithm": "implicit_gemm", "epilogue": "none"},
        {"op": "forward", "in_channels": 3, "out_channels": 5, "kernel": [1, 1, 1], "dtype": "f32", "voxels": 7,
         "epilogue": "bias_f32+scale_shift+residual+silu"}]})",
      "net.json");
  REQUIRE(layers.size() == 3);
  CHECK(layers[0].op == Op::forward);
  CHECK(layers[0].conv.in_channels == 32);
  CHECK(layers[0].conv.out_channels == 64);
  CHECK(layers[0].conv.kernel == Extent3{3, 3, 3});
  CHECK(layers[0].conv.dtype == DType::f16);
  CHECK(layers[0].conv.algorithm == Algorithm::automatic);
  CHECK(layers[0].conv.epilogue == Epilogue{});
  CHECK(layers[0].voxels == 100000);
  CHECK(!layers[0].pairs_per_voxel);
  CHECK(layers[0].dilation == Extent3{1, 1, 1});
  CHECK(!layers[0].bias);
  CHECK(layers[1].op == Op::grad_weight);
  CHECK(layers[1].conv.kernel == Extent3{7, 1, 2});
  CHECK(layers[1].conv.algorithm == Algorithm::implicit_gemm);
  CHECK(layers[1].pairs_per_voxel == 2.5);
  CHECK(layers[1].dilation == Extent3{1, 2, 3});
  CHECK(layers[2].bias == DType::f32);
  CHECK(layers[2].conv.epilogue.scale_shift);
  CHECK(layers[2].conv.epilogue.residual);
  CHECK(layers[2].conv.epilogue.activation == Activation::silu);
}

TEST_CASE("an odd value of a net file gets one sentence with the file, the layer and the field") {
  struct Case {
    const char* field;
    const char* value;
    const char* words;
  };
  for (const Case& odd : {
           Case{"op", "\"backward\"", "layers[1].op is not understood: 'backward'"},
           Case{"op", "3", "layers[1].op is '3'; it must be a text"},
           Case{"op", "", "layers[1].op is missing"},
           Case{"in_channels", "0",
                "layers[1].in_channels is '0'; it must be a whole number between 1 and 1048576"},
           Case{"in_channels", "-5", "layers[1].in_channels is '-5'"},
           Case{"in_channels", "1048577", "1048577"},
           Case{"in_channels", "1e30", "layers[1].in_channels"},
           Case{"in_channels", "32.5", "'32.5'"},
           Case{"in_channels", "\"32\"", "layers[1].in_channels"},
           Case{"in_channels", "99999999999999999999999", "layers[1].in_channels"},
           Case{"in_channels", "null", "'null'"},
           Case{"out_channels", "true", "layers[1].out_channels is 'true'"},
           Case{"kernel", "3", "layers[1].kernel is '3'; it must be an array of three numbers"},
           Case{"kernel", "[3, 3]", "layers[1].kernel"},
           Case{"kernel", "[3, 8, 3]", "layers[1].kernel[1] is '8'"},
           Case{"kernel", "[3, [3], 3]", "layers[1].kernel[1]"},
           Case{"dtype", "\"i32\"", "layers[1].dtype"},
           Case{"dtype", "\"f64\"", "'f64'"},
           Case{"voxels", "0", "layers[1].voxels"},
           Case{"voxels", "10000000000", "134217728"},
           Case{"pairs_per_voxel", "28",
                "layers[1].pairs_per_voxel is '28'; it must be a number above 0, at most 27"},
           Case{"pairs_per_voxel", "0", "layers[1].pairs_per_voxel"},
           Case{"pairs_per_voxel", "\"6\"", "layers[1].pairs_per_voxel"},
           Case{"dilation", "[1, 1, 0]", "layers[1].dilation[2] is '0'"},
           Case{"algorithm", "\"winograd\"", "layers[1].algorithm is not understood"},
           Case{"epilogue", "\"softmax\"", "layers[1].epilogue is not understood"},
           Case{"epilogue", "\"expression:acc +\"", "layers[1].epilogue is not understood"},
           Case{"stride", "2", "layers[1] has the unknown field 'stride'"},
           Case{"\\u0001\\n", "2", "\\x01\\x0a"},
       }) {
    check_refused(net_of(layer_with(odd.field, odd.value)), odd.words);
  }
  check_refused(net_of("7"), "layers[1] is '7'; it must be an object");
  check_refused(net_of("{\"op\": \"forward\", \"op\": \"grad_input\"}"), "has the field '\"op\"' twice");
}

TEST_CASE("a net file that is no net gets one sentence") {
  check_refused("", "not valid JSON at line 1, column 1");
  check_refused("{\n  \"layers\": [,]}", "line 2, column 14");
  check_refused("{\"layers\": []} x", "line 1");
  check_refused("[]", "must be an object");
  check_refused("{}", "layers is missing");
  check_refused("{\"layers\": {}}", "layers is '{}'");
  check_refused("{\"layers\": []}", "an array of 0");
  check_refused("{\"layer\": []}", "unknown field 'layer'");
  check_refused(std::string(100000, '['), "not valid JSON");
  CHECK_THROWS_WITH(read_net_file("/nonexistent/net.json"), ContainsSubstring("No such file"));
  CHECK_THROWS_WITH(read_net_file("/"), ContainsSubstring("directory"));
  CHECK_THROWS_WITH(read_net_file("/dev/zero"), ContainsSubstring("larger than 16 MiB"));
}
