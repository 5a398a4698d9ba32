#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/flexgemm.hpp>

#include "scene/synthetic_scene.hpp"

using namespace flexgemm;
using scene::synthetic_scene;

namespace {

double pairs_per_voxel(const scene::VoxelScene& scene, const SubmanifoldOptions& options) {
  const Context context = Context::open(Device::cpu());
  const NeighborMap map = context.submanifold_map(ConstTensorView(scene.coords.data(), {scene.voxels(), 4}),
                                                  scene.grid, options);  // checked: no duplicates
  return static_cast<double>(map.pairs()) / static_cast<double>(map.rows());
}

}  // namespace

TEST_CASE("a synthetic scene has exactly the voxels and about the pairs that were asked for") {
  struct Case {
    std::int64_t voxels;
    double pairs;
    SubmanifoldOptions map;
  };
  const std::array cases{Case{20000, 3, {}},
                         Case{100000, 6.3, {}},
                         Case{100000, 12.7, {}},
                         Case{50000, 20, {}},
                         Case{300000, 24, {}},
                         Case{30000, 25, {.kernel = {5, 5, 5}}},
                         Case{30000, 5, {.kernel = {3, 3, 3}, .dilation = {2, 2, 2}}},
                         Case{20000, 30, {.kernel = {7, 7, 7}}},
                         Case{20000, 2, {.kernel = {3, 1, 1}}}};
  for (const Case& wanted : cases) {
    CAPTURE(wanted.voxels, wanted.pairs, wanted.map.kernel.x, wanted.map.dilation.x);
    const scene::VoxelScene scene =
        synthetic_scene({.voxels = wanted.voxels, .pairs_per_voxel = wanted.pairs, .map = wanted.map});
    CHECK(scene.voxels() == wanted.voxels);
    const double pairs = pairs_per_voxel(scene, wanted.map);
    CHECK(pairs > 0.93 * wanted.pairs);
    CHECK(pairs < 1.07 * wanted.pairs);
  }
}

TEST_CASE("a synthetic scene without wished pairs is a surface like the sphere's") {
  const double pairs = pairs_per_voxel(synthetic_scene({.voxels = 252392}), {});
  CHECK(std::abs(pairs - 3203048.0 / 252392) < 0.5);
}

TEST_CASE("pairs out of reach give the nearest scene, and few voxels are few") {
  for (const std::int64_t voxels : {1, 2, 31, 500}) {
    CHECK(synthetic_scene({.voxels = voxels, .pairs_per_voxel = 27.0}).voxels() == voxels);
    CHECK(synthetic_scene({.voxels = voxels, .pairs_per_voxel = 0.5}).voxels() == voxels);
    CHECK(synthetic_scene({.voxels = voxels}).voxels() == voxels);
  }
  CHECK(pairs_per_voxel(synthetic_scene({.voxels = 500, .pairs_per_voxel = 27.0}), {}) > 18);
  CHECK(pairs_per_voxel(synthetic_scene({.voxels = 5000, .pairs_per_voxel = 0.5}), {}) < 1.3);
}

TEST_CASE("a synthetic scene of an absurd size is refused") {
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(synthetic_scene({.voxels = 0}), ContainsSubstring("0 voxels"));
  CHECK_THROWS_WITH(synthetic_scene({.voxels = std::int64_t{1} << 40}), ContainsSubstring("134217728"));
  CHECK_THROWS_WITH(synthetic_scene({.voxels = 10, .pairs_per_voxel = std::nan("")}),
                    ContainsSubstring("nan"));
}
