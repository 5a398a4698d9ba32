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

/// The scene is refused with exit code 3 and nothing is written to --out.
void check_bad_scene(const ScratchFolder& folder, const std::string& scene, const std::string& words) {
  CAPTURE(scene);
  check_refused(flexgemm_run({scene, "--json", "--out", folder / "out"}), 3, words);
  CHECK(!fs::exists(folder / "out"));
}

}  // namespace

TEST_CASE("a scene that is no readable scan gets one sentence with its path and exit code 3") {
  const ScratchFolder folder;
  check_bad_scene(folder, folder / "absent.npy", "absent.npy");
  check_bad_scene(folder, folder.path().string(), folder.path().string());
  fs::create_directory(folder / "folder.npy");
  check_bad_scene(folder, folder / "folder.npy", "folder.npy");
  check_bad_scene(folder, folder.write("scan.laz", "LASF"), "scan.laz");
  check_bad_scene(folder, folder.write("scan", "x"), ".pcd");
}

TEST_CASE("truncated and lying files of every format get one sentence and exit code 3") {
  const ScratchFolder folder;
  const std::string whole = npy_of(4, 3, std::vector<float>(12, 1.0F));
  check_bad_scene(folder, folder.write("empty.npy", ""), "empty.npy");
  check_bad_scene(folder, folder.write("cut.npy", whole.substr(0, whole.size() - 1)), "cut.npy");
  check_bad_scene(folder, folder.write("header.npy", whole.substr(0, 20)), "header.npy");
  check_bad_scene(folder, folder.write("lying.npy", npy_of(1'000'000'000'000, 3, {1, 2, 3})), "lying.npy");
  check_bad_scene(folder, folder.write("columns.npy", npy_of(3, 2, std::vector<float>(6, 1.0F))),
                  "columns.npy");
  check_bad_scene(folder, folder.write("cut.npz", std::string("PK\x03\x04", 4)), "cut.npz");
  check_bad_scene(folder, folder.write("cut.ply", "ply\nformat ascii 1.0\nelement vertex 9\n"), "cut.ply");
  check_bad_scene(folder,
                  folder.write("lying.ply",
                               "ply\nformat binary_little_endian 1.0\nelement vertex 99999999999\n"
                               "property float x\nproperty float y\nproperty float z\nend_header\n"),
                  "lying.ply");
  check_bad_scene(folder,
                  folder.write("lying.pcd",
                               "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
                               "WIDTH 999999999\nHEIGHT 1\nPOINTS 999999999\nDATA binary\nxyz"),
                  "lying.pcd");
  check_bad_scene(folder, folder.write("cut.pcd", "VERSION .7\nFIELDS x y"), "cut.pcd");
  check_bad_scene(folder, folder.write_floats("odd.bin", {1, 2, 3, 4, 5}), "odd.bin");
}

TEST_CASE("a scene without permission gets exit code 3") {
  if (geteuid() == 0) SKIP("root may read everything");
  const ScratchFolder folder;
  const std::string scan = folder.write_floats("scan.bin", {1, 2, 3, 4});
  fs::permissions(scan, fs::perms::none);
  check_bad_scene(folder, scan, "Permission denied");
}

TEST_CASE("features that f16 cannot hold are refused with the value") {
  const ScratchFolder folder;
  const std::string scan = folder.write_floats("far.bin", {500000, 0, 0, 1});
  check_refused(flexgemm_run({scan, "--dtype", "f16"}), 2, "500000");
  CHECK(flexgemm_run({scan, "--dtype", "bf16"}).exit_code == 0);
}

TEST_CASE("a grid with too many cells along an axis is bad usage") {
  const ScratchFolder folder;
  const std::string scan = folder.write_floats("wide.bin", {-1e30F, 0, 0, 1, 1e30F, 0, 0, 1});
  check_refused(flexgemm_run({scan}), 2, "cells");
}

TEST_CASE("memory that runs out gets one sentence and exit code 1") {
#if defined(__SANITIZE_ADDRESS__)
  SKIP("the address sanitizer does not run under a limit of memory");
#else
  const ProgramRun run = flexgemm_run_in_shell(
      "ulimit -v 1500000; export OPENBLAS_NUM_THREADS=1; "
      "exec \"$program\" sphere:256 --device cpu --threads 1 --channels 1024");
  check_refused(run, 1, "out of memory");
#endif
}

TEST_CASE("a kernel pack that is absent or none gets one sentence and exit code 3, on any device") {
  const ScratchFolder folder;
  check_refused(flexgemm_run({"--kernel-pack", folder / "absent.pack", "sphere:8", "--device", "cpu"}), 3,
                "absent.pack");
  const std::string text = folder.write("text.pack", "this is no pack");
  check_refused(flexgemm_run({"sphere:8", "--device", "cpu", "--kernel-pack", text}), 3, "text.pack");
}
