#include <array>
#include <fstream>
#include <map>
#include <string>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <flexgemm/flexgemm.hpp>

#include "scene/voxel_scene.hpp"
#include "waste.hpp"

using namespace flexgemm;
using namespace flexgemm::bench;
using Catch::Approx;

namespace {

HostMap sphere_map(int resolution) {
  const scene::VoxelScene scene = scene::sphere_scene(resolution);
  const Context context = Context::open(Device::cpu());
  const NeighborMap map = context.submanifold_map({scene.coords.data(), {scene.voxels(), 4}}, scene.grid);
  const auto* indices = static_cast<const std::int32_t*>(map.indices().data);
  return {.indices = std::vector<std::int32_t>(indices, indices + map.rows() * map.volume()),
          .rows = map.rows(),
          .pairs = map.pairs(),
          .kernel = map.kernel()};
}

}  // namespace

TEST_CASE("the row tile is read from a kernel's name") {
  CHECK(row_tile_of("implicit_gemm.f16.wgmma.ci64.co64.v27.t128x64x32.s4.w4x2.b2") == 128);
  CHECK_FALSE(row_tile_of("gather_gemm avx2").has_value());
  const std::string persistent = "persistent_gemm.f16.wgmma.ci256.co256.v27.t128x256x64.s4.w8x1.b1";
  CHECK(row_tile_of(persistent + ".vec16.16.16.bias0.storage.sm_90a") == 128);
  CHECK_FALSE(row_tile_of(persistent + ".vec16.16.16.bias0.chained.sm_90a").has_value());
  CHECK_FALSE(row_tile_of("implicit_gemm.tf32.ffma").has_value());
}

TEST_CASE("tiles of one row waste nothing, and one tile of all rows visits every offset that any row has") {
  const HostMap map = sphere_map(16);
  CHECK(waste_of(map, Algorithm::masked_implicit_gemm, 1).value() == Approx(1));
  const double all = 27.0 * static_cast<double>(map.rows) / static_cast<double>(map.pairs);
  CHECK(waste_of(map, Algorithm::masked_implicit_gemm, static_cast<int>(map.rows)).value() == Approx(all));
  CHECK(waste_of(map, Algorithm::implicit_gemm, 1).value() == Approx(all));
}

TEST_CASE("the order of rows leaves less waste on the spheres than the baseline's") {
  std::ifstream file(FLEXGEMM_BASELINE);
  const nlohmann::json baseline = nlohmann::json::parse(file);
  // By another program, from the definition: rows sorted by the Gray rank of their offsets, far ones first.
  const std::map<int, std::array<double, 2>> independent{
      {16, {2.088, 2.149}}, {32, {1.678, 1.794}}, {64, {1.474, 1.615}}};
  int compared = 0;
  for (const auto& [resolution, waste] : independent) {
    const HostMap map = sphere_map(resolution);
    CHECK(waste_of(map, Algorithm::masked_implicit_gemm, 64).value() == Approx(waste[0]).margin(0.0006));
    CHECK(waste_of(map, Algorithm::masked_implicit_gemm, 128).value() == Approx(waste[1]).margin(0.0006));
    for (const nlohmann::json& row : baseline["rows"]) {
      if (row["voxels"] != map.rows || row["dtype"] != "fp16") continue;
      CHECK(row["pairs"] == map.pairs);
      for (const int row_tile : {64, 128, 256}) {
        const double theirs = row["padded_over_useful"][std::to_string(row_tile)].get<double>();
        INFO("sphere " << resolution << ", row tile " << row_tile);
        CHECK(waste_of(map, Algorithm::masked_implicit_gemm, row_tile).value() < theirs);
        ++compared;
      }
    }
  }
  CHECK(compared == 9);
}

TEST_CASE("a map without pairs has no waste") {
  CHECK_FALSE(waste_of({}, Algorithm::masked_implicit_gemm, 128).has_value());
}
