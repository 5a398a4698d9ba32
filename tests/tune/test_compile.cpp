#include <filesystem>
#include <set>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "scene_files.hpp"
#include "tune_program.hpp"

using namespace flexgemm::test;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr const char* small_net = R"({"layers": [
  {"op": "forward", "in_channels": 8, "out_channels": 16, "kernel": [3, 3, 3], "dtype": "f16", "voxels": 2000,
   "algorithm": "masked_implicit_gemm_splitk"}]})";

void require_nvrtc() {
  const ProgramRun run = flexgemm_tune({"doctor", "--json"});
  if (!nlohmann::json::parse(run.out)["nvrtc"]["problem"].is_null()) SKIP("this machine has no NVRTC");
}

std::vector<std::string> compile_arguments(const std::string& net, const std::string& pack,
                                           const std::string& architectures) {
  return {"compile", "--arch", architectures, "--net", net, "--out", pack, "--jobs", "2"};
}

void write_flipped(const std::string& source, const std::string& target, std::size_t byte) {
  std::string bytes = read_file(source);
  bytes.at(byte) = static_cast<char>(bytes[byte] ^ 0x10);
  std::FILE* file = std::fopen(target.c_str(), "wb");
  REQUIRE(file != nullptr);
  CHECK(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  std::fclose(file);
}

}  // namespace

TEST_CASE(
    "compile makes a pack for five architectures without a GPU; it is verified, unpacked, packed and "
    "merged") {
  require_nvrtc();
  const ScratchFolder folder;
  const std::string net = folder.write("net.json", small_net);
  const std::string pack = folder / "net.pack";
  const std::vector<std::string> compile = compile_arguments(net, pack, "sm_80,sm_86,sm_89,sm_90a,sm_120a");

  const nlohmann::json compiled = flexgemm_tune_json(compile);
  CHECK(compiled["complete"] == true);
  CHECK(compiled["kept"] == 0);
  REQUIRE(compiled["architectures"].size() == 5);
  std::set<std::string> architectures;
  for (const nlohmann::json& row : compiled["architectures"]) {
    CAPTURE(row.dump());
    architectures.insert(row["architecture"]);
    CHECK(row["kernels"].get<int>() >= 4);  // the product, and reductions for no bias and two types of it
    CHECK(row["in_pack"] == row["kernels"]);
  }
  CHECK(architectures == std::set<std::string>{"sm_80", "sm_86", "sm_89", "sm_90a", "sm_120a"});
  const int kernels = compiled["compiled"];
  CHECK(std::filesystem::exists(pack));
  CHECK(!std::filesystem::exists(pack + ".partial"));

  // Again: nothing is left to do.
  const nlohmann::json again = flexgemm_tune_json(compile);
  CHECK(again["compiled"] == 0);
  CHECK(again["kept"] == kernels);

  const nlohmann::json verified = flexgemm_tune_json({"verify", pack});
  CHECK(verified["sound"] == true);
  CHECK(verified["packs"][0]["kernels"] == kernels);
  CHECK(verified["packs"][0]["current_kernels"] == kernels);
  CHECK(verified["packs"][0]["architectures"]["sm_90a"] == compiled["architectures"][3]["kernels"]);

  const std::string cache = folder / "cache";
  CHECK(flexgemm_tune_json({"unpack", pack}, cache)["kernels"] == kernels);
  const nlohmann::json listed = flexgemm_tune_json({"list"}, cache);
  REQUIRE(listed["kernels"].size() == static_cast<std::size_t>(kernels));
  CHECK(listed["kernels"][0]["current"] == true);
  CHECK(listed["tuning"].empty());

  const std::string part = folder / "sm_90a.pack";
  CHECK(flexgemm_tune_json({"pack", part, "--arch", "sm_90"}, cache)["kernels"] ==
        compiled["architectures"][3]["kernels"]);
  const std::string other = folder / "other";
  CHECK(flexgemm_tune_json({"merge", cache}, other)["kernels"] == kernels);
  CHECK(flexgemm_tune_json({"verify"}, other)["sound"] == true);
  CHECK(flexgemm_tune_json({"clear"}, other)["kernels"] == kernels);
  CHECK(flexgemm_tune_json({"list", "--kernels"}, other)["kernels"].empty());
}

TEST_CASE(
    "a pack with one wrong byte is refused by verify with code 4 and by unpack with code 3, and changes "
    "nothing") {
  require_nvrtc();
  const ScratchFolder folder;
  const std::string pack = folder / "net.pack";
  flexgemm_tune_json(compile_arguments(folder.write("net.json", small_net), pack, "sm_80"));
  const std::size_t bytes = read_file(pack).size();
  const std::string bad = folder / "bad.pack";
  const std::string cache = folder / "cache";
  for (const std::size_t byte : {std::size_t{0}, std::size_t{9}, bytes / 3, bytes / 2, bytes - 1}) {
    CAPTURE(byte);
    write_flipped(pack, bad, byte);
    const nlohmann::json verified = flexgemm_tune_json({"verify", pack, bad}, cache, 4);
    CHECK(verified["sound"] == false);
    CHECK(verified["packs"][0]["sound"] == true);
    CHECK(verified["packs"][1]["sound"] == false);
    check_tune_refused(flexgemm_tune({"unpack", bad}, cache), 3, "bad.pack");
    CHECK(flexgemm_tune_json({"list"}, cache)["kernels"].empty());
  }
}

TEST_CASE("an interrupted compile keeps what it finished, and the same command goes on from there") {
  require_nvrtc();
  const ScratchFolder folder;
  std::string layers;
  for (const char* channels : {"16", "24", "32", "40", "48", "56", "64"}) {
    layers +=
        (layers.empty() ? "" : ", ") +
        std::string(
            R"({"op": "forward", "kernel": [3, 3, 3], "dtype": "f16", "voxels": 200000, "in_channels": )") +
        channels + R"(, "out_channels": )" + channels + "}";
  }
  const std::string net = folder.write("net.json", "{\"layers\": [" + layers + "]}");
  const std::string pack = folder / "net.pack";
  const ProgramRun run = run_command({"/usr/bin/timeout", "--preserve-status", "-s", "INT", "3",
                                      FLEXGEMM_TUNE_PROGRAM, "compile", "--arch", "sm_80,sm_86,sm_89,sm_90a",
                                      "--net", net, "--out", pack, "--jobs", "2", "--json"});
  CAPTURE(run.out, run.err);
  if (run.exit_code == 0) SKIP("this machine compiled everything before the signal came");
  CHECK(run.exit_code == 130);
  const nlohmann::json report = nlohmann::json::parse(run.out);
  CHECK(report["complete"] == false);
  CHECK(!std::filesystem::exists(pack));
  const int finished = report["compiled"];
  CHECK(std::filesystem::exists(pack + ".partial") == (finished > 0));
  const nlohmann::json rest = flexgemm_tune_json(compile_arguments(net, pack, "sm_80,sm_86,sm_89,sm_90a"));
  CHECK(rest["complete"] == true);
  CHECK(rest["kept"] == finished);
  CHECK(std::filesystem::exists(pack));
  CHECK(!std::filesystem::exists(pack + ".partial"));
}

TEST_CASE(
    "compile does not replace a file that is no pack, and refuses a place that cannot be written first") {
  const ScratchFolder folder;
  const std::string net = folder.write("net.json", small_net);
  const std::string precious = folder.write("precious.txt", "not a pack");
  check_tune_refused(flexgemm_tune(compile_arguments(net, precious, "sm_80")), 3, "precious.txt");
  CHECK(read_file(precious) == "not a pack");
  check_tune_refused(flexgemm_tune(compile_arguments(net, folder / "absent/net.pack", "sm_80")), 3,
                     "No such file");
  check_tune_refused(flexgemm_tune(compile_arguments(net, folder / "", "sm_80")), 3, "folder");
  check_tune_refused(flexgemm_tune(compile_arguments(folder / "absent.json", folder / "a", "sm_80")), 3,
                     "absent.json");
}

TEST_CASE("compile lists what it would compile, for each variant of a call once") {
  const ScratchFolder folder;
  const std::string net = folder.write("net.json", small_net);
  std::vector<std::string> arguments = compile_arguments(net, folder / "net.pack", "sm_90,sm_75");
  arguments.emplace_back("--list");
  const ProgramRun run = flexgemm_tune(arguments);
  CHECK(run.exit_code == 0);
  for (const char* words : {"implicit_gemm.f16.", ".bias0.partial.sm_90a\n", ".bias0.storage.sm_90a\n",
                            ".bias_f32.storage.sm_90a\n", ".bias_storage.storage.sm_90a\n", ".sm_75\n"}) {
    CHECK_THAT(run.out, ContainsSubstring(words));
  }
}
