#include <cmath>

#include "scene/fail.hpp"
#include "scene/voxel_scene.hpp"

namespace flexgemm::scene {
namespace {

// In units of half a voxel a centre lies at the odd or even integers a = 2 i + 1 - RES of each axis, and the
// shell is (RES - 2.5)^2 <= ax^2 + ay^2 + az^2 <= RES^2: integers decide, not rounding.

/// Largest a >= 0 with a^2 <= value, for 0 <= value < 2^52.
std::int64_t floor_sqrt(std::int64_t value) {
  auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(value)));
  while (root * root > value) --root;
  while ((root + 1) * (root + 1) <= value) ++root;
  return root;
}

/// Calls visit(x, y, first_z, last_z) for every run of shell voxels, in x, y, z order.
template <class Visit>
void visit_runs(std::int64_t resolution, const Visit& visit) {
  const std::int64_t outer = resolution * resolution;
  const std::int64_t inner_root = 2 * resolution - 5;  // twice RES - 2.5
  const std::int64_t inner = inner_root > 0 ? (inner_root * inner_root + 3) / 4 : 0;
  for (std::int64_t x = 0; x < resolution; ++x) {
    const std::int64_t ax = 2 * x + 1 - resolution;
    for (std::int64_t y = 0; y < resolution; ++y) {
      const std::int64_t ay = 2 * y + 1 - resolution;
      const std::int64_t radial = ax * ax + ay * ay;
      if (radial > outer) continue;
      // |az| lies in [near, far]; z = (az - 1 + RES) / 2.
      const std::int64_t far = floor_sqrt(outer - radial);
      const std::int64_t near = radial >= inner ? 0 : floor_sqrt(inner - radial - 1) + 1;
      const std::int64_t parity = 1 - resolution;
      const std::int64_t top = far - ((far - parity) & 1);
      const std::int64_t bottom = near + ((near - parity) & 1);
      if (top < bottom) continue;
      const std::int64_t last = (top - 1 + resolution) / 2;
      const std::int64_t first = (bottom - 1 + resolution) / 2;
      const std::int64_t mirrored_first = resolution - 1 - last;
      const std::int64_t mirrored_last = resolution - 1 - first;
      if (mirrored_last + 1 >= first) {
        visit(x, y, mirrored_first, last);
      } else {
        visit(x, y, mirrored_first, mirrored_last);
        visit(x, y, first, last);
      }
    }
  }
}

}  // namespace

VoxelScene sphere_scene(int resolution) {
  if (resolution < 1 || resolution > 4096)
    fail_argument("the sphere's resolution is {}; it must be 1 to 4096", resolution);
  std::size_t voxels = 0;
  visit_runs(resolution, [&](std::int64_t, std::int64_t, std::int64_t first, std::int64_t last) {
    voxels += static_cast<std::size_t>(last - first + 1);
  });
  VoxelScene scene;
  scene.feature_columns = 3;
  scene.grid = {.batch = 1, .x = resolution, .y = resolution, .z = resolution};
  scene.points = static_cast<std::int64_t>(voxels);
  scene.coords.resize(4 * voxels);
  scene.feats.resize(3 * voxels);
  std::int32_t* coordinate = scene.coords.data();
  float* feature = scene.feats.data();
  visit_runs(resolution, [&](std::int64_t x, std::int64_t y, std::int64_t first, std::int64_t last) {
    const auto ax = static_cast<float>(2 * x + 1 - resolution);
    const auto ay = static_cast<float>(2 * y + 1 - resolution);
    for (std::int64_t z = first; z <= last; ++z) {
      const auto az = static_cast<float>(2 * z + 1 - resolution);
      const float length = std::sqrt(ax * ax + ay * ay + az * az);
      const float scale = length > 0 ? 1 / length : 0;  // the centre voxel of an odd cube has no direction
      *coordinate++ = 0;
      *coordinate++ = static_cast<std::int32_t>(x);
      *coordinate++ = static_cast<std::int32_t>(y);
      *coordinate++ = static_cast<std::int32_t>(z);
      *feature++ = ax * scale;
      *feature++ = ay * scale;
      *feature++ = az * scale;
    }
  });
  return scene;
}

}  // namespace flexgemm::scene
