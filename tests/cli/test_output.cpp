#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <unistd.h>

#include "run_program.hpp"
#include "scene_files.hpp"

using namespace flexgemm::test;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Bytes of feats.npy of a small scene with these further options.
std::string feats_with(const std::vector<std::string>& options) {
  const ScratchFolder folder;
  std::vector<std::string> arguments{"sphere:32", "--device", "cpu",         "--channels",
                                     "24,16",     "--out",    folder / "out"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const ProgramRun run = flexgemm_run(arguments);
  REQUIRE(run.exit_code == 0);
  return read_file(folder / "out/feats.npy");
}

}  // namespace

TEST_CASE(
    "the option --out makes the folder with its parents and writes features and coordinates, and nothing "
    "else") {
  const ScratchFolder folder;
  const std::string scan =
      folder.write_floats("scan.bin", {0.5, 0.5, 0.5, 1, 1.5, 0.5, 0.5, 2, 3.5, 2.5, 1.5, 3});
  const std::string out = folder / "a/b/c/";
  const ProgramRun run =
      flexgemm_run({scan, "--voxel-size", "1", "--range", "0,0,0,4,4,4", "--channels", "5", "--out", out});
  CHECK(run.exit_code == 0);
  CHECK(names_in(out) == std::vector<std::string>{"coords.npy", "feats.npy"});
  const NpyArray<float> feats = read_npy<float>(out + "feats.npy");
  CHECK(feats.descr == "<f4");
  CHECK(feats.rows == 3);
  CHECK(feats.columns == 5);
  const NpyArray<std::int32_t> coords = read_npy<std::int32_t>(out + "coords.npy");
  CHECK(coords.descr == "<i4");
  CHECK(coords.values == std::vector<std::int32_t>{0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 2, 1});
}

TEST_CASE("features of every type are written as float32") {
  const NpyArray<float> exact = [] {
    const ScratchFolder folder;
    flexgemm_run({"sphere:16", "--channels", "4", "--out", folder / "out"});
    return read_npy<float>(folder / "out/feats.npy");
  }();
  for (const std::string dtype : {"f16", "bf16"}) {
    const ScratchFolder folder;
    flexgemm_run({"sphere:16", "--channels", "4", "--dtype", dtype, "--out", folder / "out"});
    const NpyArray<float> rounded = read_npy<float>(folder / "out/feats.npy");
    REQUIRE(rounded.values.size() == exact.values.size());
    double difference = 0;
    double norm = 0;
    for (std::size_t index = 0; index < exact.values.size(); ++index) {
      difference += std::pow(double{rounded.values[index]} - double{exact.values[index]}, 2);
      norm += std::pow(double{exact.values[index]}, 2);
    }
    CAPTURE(dtype);
    CHECK(difference > 0);
    CHECK(std::sqrt(difference / norm) < 0.02);
  }
}

TEST_CASE("the same seed gives the same bytes, whatever the number of threads") {
  const std::string one = feats_with({"--threads", "1"});
  CHECK(feats_with({"--threads", "1"}) == one);
  CHECK(feats_with({"--threads", "2"}) == one);
  CHECK(feats_with({"--threads", "5", "--repeat", "2"}) == one);
  CHECK(feats_with({"--verify"}) == one);
  CHECK(feats_with({"--seed", "1"}) != one);
}

TEST_CASE("a second run replaces the files of the first") {
  const ScratchFolder folder;
  const std::string out = folder / "out";
  REQUIRE(flexgemm_run({"sphere:16", "--out", out}).exit_code == 0);
  REQUIRE(flexgemm_run({"sphere:8", "--channels", "3", "--out", out}).exit_code == 0);
  CHECK(read_npy<float>(out + "/feats.npy").columns == 3);
  CHECK(names_in(out) == std::vector<std::string>{"coords.npy", "feats.npy"});
}

TEST_CASE("an output folder that cannot be written gets exit code 3 before the work starts") {
  const ScratchFolder folder;
  const std::string file = folder.write("file", "text");
  // A scene that does not exist would also fail with 3: the message shows that --out was looked at first.
  check_refused(flexgemm_run({"absent.npy", "--out", file}), 3, "not a folder");
  check_refused(flexgemm_run({"absent.npy", "--out", file + "/below"}), 3, "not a folder");
  check_refused(flexgemm_run({"absent.npy", "--out", "/dev/full"}), 3, "/dev/full");
  check_refused(flexgemm_run({"sphere:8", "--out", "/proc/flexgemm/out"}), 3, "/proc");
  fs::create_directories(folder / "out/feats.npy");
  check_refused(flexgemm_run({"absent.npy", "--out", folder / "out"}), 3, "feats.npy");
  CHECK(read_file(file) == "text");
}

TEST_CASE("an output folder without permission gets exit code 3") {
  if (geteuid() == 0) SKIP("root may write everywhere");
  const ScratchFolder folder;
  fs::create_directory(folder / "locked");
  fs::permissions(folder / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  check_refused(flexgemm_run({"sphere:8", "--out", folder / "locked"}), 3, "Permission denied");
}

TEST_CASE("a disk that fills gets exit code 3 and leaves no file and no folder") {
  const ScratchFolder folder;
  // A limit of 100 KiB on the size of files; features take 240 KiB, coordinates 60.
  const std::string limited = "ulimit -f 200; exec \"$program\" sphere:32 --channels 16 --out '";
  check_refused(flexgemm_run_in_shell(limited + folder / "a/b" + "'"), 3, "feats.npy");
  CHECK(names_in(folder.path()).empty());

  SECTION("and an earlier result stays as it was") {
    const std::string out = folder / "out";
    REQUIRE(flexgemm_run({"sphere:8", "--out", out}).exit_code == 0);
    const std::string feats = read_file(out + "/feats.npy");
    const std::string coords = read_file(out + "/coords.npy");
    check_refused(flexgemm_run_in_shell(limited + out + "'"), 3, "feats.npy");
    CHECK(read_file(out + "/feats.npy") == feats);
    CHECK(read_file(out + "/coords.npy") == coords);
    CHECK(names_in(out) == std::vector<std::string>{"coords.npy", "feats.npy"});
  }
}

TEST_CASE("standard output that cannot be written gets exit code 3") {
  check_refused(flexgemm_run_in_shell("exec \"$program\" sphere:8 > /dev/full"), 3, "standard output");
}

TEST_CASE("a reader that closes the pipe early is no failure") {
  const ProgramRun run =
      flexgemm_run_in_shell("{ \"$program\" sphere:8; echo \"exit code $?\" >&2; } | true");
  CHECK(run.err == "exit code 0\n");
}
