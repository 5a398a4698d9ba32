#include <algorithm>
#include <cmath>

#include "scene/lidar_street.hpp"
#include "scene/voxel_scene.hpp"

// The same seed must give the same bits on every machine: this file and lidar_street.cpp use only + - * / and
// sqrt on double (exact by IEEE 754) and their own sine, and are compiled without fused multiply-add.

namespace flexgemm::scene {
namespace {

constexpr int beams = 64;
constexpr int azimuths = 2048;
constexpr double lowest_elevation = -24.9 / 360;  // turns
constexpr double highest_elevation = 2.0 / 360;   // turns
constexpr double nearest = 1.5;                   // metres: the carrying vehicle hides what is closer
constexpr double farthest = 90.0;
constexpr double range_noise = 0.015;  // standard deviation, metres
constexpr double drop_out = 0.04;      // share of returns lost for no reason

/// Sine of `turns` full turns, by its Taylor series on a quarter turn: 1e-11 accurate.
double sine(double turns) {
  turns -= std::floor(turns);
  double sign = 1;
  if (turns >= 0.5) {
    turns -= 0.5;
    sign = -1;
  }
  if (turns > 0.25) turns = 0.5 - turns;
  const double angle = turns * 6.283185307179586476925;
  double term = angle;
  double sum = angle;
  for (int k = 1; k <= 8; ++k) {
    term *= -(angle * angle) / static_cast<double>((2 * k) * (2 * k + 1));
    sum += term;
  }
  return sign * sum;
}

double cosine(double turns) { return sine(turns + 0.25); }

}  // namespace

PointCloud lidar_scan(std::uint64_t seed) {
  Random random(seed);
  const Street street(random);
  PointCloud cloud;
  cloud.columns = 4;
  cloud.values.reserve(std::size_t{4} * beams * azimuths);
  std::vector<int> candidates;
  for (int azimuth = 0; azimuth < azimuths; ++azimuth) {
    const double heading = static_cast<double>(azimuth) / azimuths;
    const double forward = cosine(heading);
    const double left = sine(heading);
    street.collect_candidates(forward, left, candidates);
    for (int beam = 0; beam < beams; ++beam) {
      const double elevation =
          highest_elevation + (lowest_elevation - highest_elevation) * beam / (beams - 1);
      const Vector direction{cosine(elevation) * forward, cosine(elevation) * left, sine(elevation)};
      const Hit hit = street.cast(direction, candidates, random);
      if (hit.distance < nearest || hit.distance > farthest) continue;
      const double strength = hit.reflectivity * (0.35 + 0.65 * hit.incidence) * (1 - hit.distance / 120);
      const double lost = drop_out + (strength < 0.08 ? 0.5 : 0.0);
      if (random.uniform() < lost) continue;
      const double distance = hit.distance + range_noise * random.normal();
      const double intensity = std::clamp(strength + 0.03 * random.normal(), 0.0, 1.0);
      for (const double value :
           {direction.x * distance, direction.y * distance, direction.z * distance, intensity})
        cloud.values.push_back(static_cast<float>(value));
    }
  }
  return cloud;
}

}  // namespace flexgemm::scene
