#include "scene/synthetic_scene.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "scene/fail.hpp"

namespace flexgemm::scene {
namespace {

constexpr std::int64_t most_voxels = std::int64_t{1} << 27;
constexpr double surface_thickness = 1.25;  // as sphere_scene
constexpr double least_thickness = 1.0;

/// splitmix64: a well-mixed function of a counter.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

double unit(std::uint64_t& state) {
  state = mix(state);
  return static_cast<double>(state >> 11) * 0x1p-53;
}

/// Voxels whose centre lies in a shell about the origin, of which a share is kept.
struct Shell {
  double outer = 1;      ///< radius, voxels
  double thickness = 1;  ///< the inner radius is outer - thickness, or 0
  double kept = 1;       ///< share of the voxels

  double inner() const { return std::max(0.0, outer - thickness); }

  bool keeps(std::int64_t x, std::int64_t y, std::int64_t z) const {
    if (kept >= 1) return true;
    const auto bits = [](std::int64_t value) { return static_cast<std::uint64_t>(value) & 0x1fffff; };
    const std::uint64_t cell = bits(x) << 42 | bits(y) << 21 | bits(z);
    return static_cast<double>(mix(cell) >> 11) * 0x1p-53 < kept;
  }

  bool holds(std::int64_t x, std::int64_t y, std::int64_t z) const {
    const auto squared = static_cast<double>(x * x + y * y + z * z);
    return squared <= outer * outer && squared >= inner() * inner() && keeps(x, y, z);
  }

  double expected_voxels() const {
    const double volume = std::pow(outer, 3) - std::pow(inner(), 3);
    return 4.0 / 3.0 * std::numbers::pi * volume * kept;
  }
};

/// The radius for which `shell` is expected to hold so many voxels.
Shell with_voxels(Shell shell, double voxels) {
  double low = 0;
  double high = 1;
  const auto expected = [&shell](double radius) {
    Shell sized = shell;
    sized.outer = radius;
    return sized.expected_voxels();
  };
  while (expected(high) < voxels) high *= 2;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (expected(middle) < voxels ? low : high) = middle;
  }
  shell.outer = high;
  return shell;
}

/// Calls visit(x, y, z) for every voxel in x, y, z order until it returns false.
template <class Visit>
void visit_voxels(const Shell& shell, const Visit& visit) {
  const auto reach = static_cast<std::int64_t>(shell.outer);
  for (std::int64_t x = -reach; x <= reach; ++x) {
    for (std::int64_t y = -reach; y <= reach; ++y) {
      const auto radial = static_cast<double>(x * x + y * y);
      const double far_squared = shell.outer * shell.outer - radial;
      if (far_squared < 0) continue;
      const auto far = static_cast<std::int64_t>(std::sqrt(far_squared)) + 1;
      const double near_squared = shell.inner() * shell.inner() - radial;
      const auto near = near_squared > 0 ? static_cast<std::int64_t>(std::sqrt(near_squared)) : 0;
      for (std::int64_t z = -far; z <= far; ++z) {
        if (z > -near && z < near) z = near;  // across the hollow
        if (shell.holds(x, y, z) && !visit(x, y, z)) return;
      }
    }
  }
}

/// Mean number of neighbors, the voxel itself included, over a sample of the shell's voxels.
double pairs_per_voxel(const Shell& shell, const SubmanifoldOptions& map) {
  constexpr int samples = 4096;
  std::uint64_t state = 1;
  std::int64_t voxels = 0;
  std::int64_t pairs = 0;
  for (int sample = 0; sample < samples; ++sample) {
    const double cosine = 2 * unit(state) - 1;
    const double angle = 2 * std::numbers::pi * unit(state);
    const double cube = std::pow(shell.inner(), 3);
    const double radius = std::cbrt(cube + (std::pow(shell.outer, 3) - cube) * unit(state));
    const double sine = std::sqrt(1 - cosine * cosine);
    const std::int64_t x = std::llround(radius * sine * std::cos(angle));
    const std::int64_t y = std::llround(radius * sine * std::sin(angle));
    const std::int64_t z = std::llround(radius * cosine);
    const Shell whole{shell.outer, shell.thickness, 1};
    if (!whole.holds(x, y, z)) continue;
    ++voxels;
    const auto& [kernel, dilation, checked] = map;
    for (int kx = 0; kx < kernel.x; ++kx) {
      for (int ky = 0; ky < kernel.y; ++ky) {
        for (int kz = 0; kz < kernel.z; ++kz) {
          const std::int64_t dx = std::int64_t{kx - kernel.x / 2} * dilation.x;
          const std::int64_t dy = std::int64_t{ky - kernel.y / 2} * dilation.y;
          const std::int64_t dz = std::int64_t{kz - kernel.z / 2} * dilation.z;
          const bool itself = dx == 0 && dy == 0 && dz == 0;
          pairs += itself || shell.holds(x + dx, y + dy, z + dz) ? 1 : 0;
        }
      }
    }
  }
  return voxels == 0 ? 1 : static_cast<double>(pairs) / static_cast<double>(voxels);
}

/// The shells of a given number of voxels as a line: sparse ones from 0 to 1, then ever thicker ones to the
/// solid ball at 2. Pairs grow along it.
Shell shell_at(double position, double voxels) {
  constexpr double least_kept = 0.02;  // of sparser ones most of the work would be looking for voxels
  if (position < 1) {
    const double kept = least_kept + (1 - least_kept) * position;
    return with_voxels({.outer = 1, .thickness = least_thickness, .kept = kept}, voxels);
  }
  const double ball = with_voxels({.outer = 1, .thickness = 1e9, .kept = 1}, voxels).outer;
  const double thickness = least_thickness * std::pow(std::max(1.0, ball), position - 1);
  return with_voxels({.outer = 1, .thickness = thickness, .kept = 1}, voxels);
}

Shell fitting_shell(const SyntheticOptions& options) {
  const auto voxels = static_cast<double>(options.voxels);
  if (!options.pairs_per_voxel) {
    return with_voxels({.outer = 1, .thickness = surface_thickness, .kept = 1}, voxels);
  }
  double low = 0;
  double high = 2;
  for (int step = 0; step < 24; ++step) {
    const double middle = (low + high) / 2;
    const double pairs = pairs_per_voxel(shell_at(middle, voxels), options.map);
    (pairs < *options.pairs_per_voxel ? low : high) = middle;
  }
  return shell_at(high, voxels);
}

}  // namespace

VoxelScene synthetic_scene(const SyntheticOptions& options) {
  if (options.voxels < 1 || options.voxels > most_voxels) {
    fail_argument("a synthetic scene of {} voxels was asked for; it may have 1 to {}", options.voxels,
                  most_voxels);
  }
  if (options.pairs_per_voxel && !(*options.pairs_per_voxel > 0)) {
    fail_argument("{} pairs per voxel were asked for; there must be more than 0", *options.pairs_per_voxel);
  }
  Shell shell = fitting_shell(options);
  VoxelScene scene;
  const auto wanted = static_cast<std::size_t>(options.voxels);
  std::vector<std::int32_t>& coords = scene.coords;
  // A lattice does not hold exactly the shell's volume: grow until there are enough, then leave out the last.
  for (;; shell.outer = shell.outer * 1.005 + 0.05) {
    coords.clear();
    coords.reserve(4 * wanted);
    const auto centre = static_cast<std::int64_t>(shell.outer);
    visit_voxels(shell, [&](std::int64_t x, std::int64_t y, std::int64_t z) {
      const auto cell = [centre](std::int64_t value) { return static_cast<std::int32_t>(value + centre); };
      coords.insert(coords.end(), {0, cell(x), cell(y), cell(z)});
      return coords.size() < 4 * wanted;
    });
    if (coords.size() < 4 * wanted) continue;
    const auto side = static_cast<std::int32_t>(2 * centre + 1);
    scene.grid = {.batch = 1, .x = side, .y = side, .z = side};
    scene.points = options.voxels;
    return scene;
  }
}

}  // namespace flexgemm::scene
