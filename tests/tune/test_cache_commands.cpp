#include <filesystem>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "scene_files.hpp"
#include "tune_program.hpp"

using namespace flexgemm::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("an absent cache is empty to list and verify, and not made by looking") {
  const ScratchFolder folder;
  const std::string cache = folder / "cache";
  CHECK_THAT(flexgemm_tune({"list"}, cache).out, ContainsSubstring("tuning results   0"));
  CHECK(flexgemm_tune_json({"list"}, cache)["kernels"].empty());
  CHECK(flexgemm_tune_json({"list", "--tuning"}, cache).contains("kernels") == false);
  CHECK(flexgemm_tune_json({"verify"}, cache)["kernels"] == 0);
  CHECK(!std::filesystem::exists(cache));
}

TEST_CASE("show of an unknown identity names the cache and the identity, with code 3") {
  const ScratchFolder folder;
  check_tune_refused(flexgemm_tune({"show", "abcdef"}, folder / "cache"), 3, "'abcdef'");
}

TEST_CASE("packs and folders that cannot be read get one sentence and code 3") {
  const ScratchFolder folder;
  const std::string cache = folder / "cache";
  const std::string text = folder.write("text.pack", "this is no pack");
  check_tune_refused(flexgemm_tune({"verify", folder / "absent.pack"}, cache), 3, "absent.pack");
  check_tune_refused(flexgemm_tune({"unpack", folder / "absent.pack"}, cache), 3, "absent.pack");
  check_tune_refused(flexgemm_tune({"unpack", text}, cache), 3, "text.pack");
  check_tune_refused(flexgemm_tune({"merge", folder / "absent"}, cache), 3, "absent");
  CHECK(flexgemm_tune({"verify", text}, cache).exit_code == 4);
}

TEST_CASE("doctor looks at everything, and says what to do about a folder that others may write to") {
  const ScratchFolder folder;
  const std::string cache = folder / "cache";
  CHECK(flexgemm_tune_json({"doctor"}, cache)["healthy"] == true);  // not there yet, but can be made
  CHECK(flexgemm_tune({"doctor"}, folder.write("file", "") + "/cache").exit_code == 4);
  std::filesystem::create_directory(cache);
  std::filesystem::permissions(cache, std::filesystem::perms::owner_all);
  const nlohmann::json healthy = flexgemm_tune_json({"doctor"}, cache);
  CHECK(healthy["healthy"] == true);
  for (const char* part : {"driver", "gpus", "nvrtc", "worker", "cache", "findings"})
    CHECK(healthy.contains(part));
  CHECK(healthy["cache"]["usable"] == true);
  CHECK(healthy["cache"]["origin"].get<std::string>() == "FLEXGEMM_CACHE_DIR");

  std::filesystem::permissions(cache, std::filesystem::perms::all);
  const nlohmann::json sick = flexgemm_tune_json({"doctor"}, cache, 4);
  CHECK(sick["healthy"] == false);
  REQUIRE(!sick["cache"]["findings"].empty());
  CHECK(sick["cache"]["findings"][0]["kind"] == "untrusted");
  CHECK(sick["cache"]["findings"][0]["remedy"].get<std::string>().size() > 10);
  const ProgramRun run = flexgemm_tune({"doctor"}, cache);
  CHECK(run.exit_code == 4);
  CHECK_THAT(run.out, ContainsSubstring("PROBLEM") && ContainsSubstring("->"));
}

TEST_CASE("tune without a GPU ends with code 5, whatever else it was told") {
  const nlohmann::json system = nlohmann::json::parse(flexgemm_tune({"doctor", "--json"}).out);
  if (!system["gpus"].empty()) SKIP("this machine has a GPU");
  const std::vector<std::string> layer{"tune", "--ci", "8", "--co", "8", "--n", "100"};
  for (const char* device : {"cuda:0", "cuda:1000", "all"}) {
    std::vector<std::string> arguments = layer;
    arguments.insert(arguments.end(), {"--device", device, "--json"});
    CAPTURE(device);
    const ProgramRun run = flexgemm_tune(arguments);
    check_tune_refused(run, 5, device);
  }
}
