#include "scene/lidar_street.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

// Only + - * / and sqrt on double here: see lidar_scan.cpp.

namespace flexgemm::scene {
namespace {

constexpr double sensor_height = 1.73;
constexpr double kerb_height = 0.12;
constexpr double street_end = 95.0;

/// Interval of distances in which a ray is inside a box, and the axis of the face it enters by.
struct Interval {
  double enter;
  double leave;
  int axis;
};

std::optional<Interval> box_interval(const Vector& centre, const Vector& half, const Vector& direction) {
  const std::array<double, 3> origin{-centre.x, -centre.y, -centre.z};  // of the ray, seen from the centre
  const std::array<double, 3> step{direction.x, direction.y, direction.z};
  const std::array<double, 3> extent{half.x, half.y, half.z};
  Interval result{0, 1e9, 0};
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    if (step[a] == 0) {
      if (origin[a] < -extent[a] || origin[a] > extent[a]) return std::nullopt;
      continue;
    }
    double first = (-extent[a] - origin[a]) / step[a];
    double second = (extent[a] - origin[a]) / step[a];
    if (first > second) std::swap(first, second);
    if (first > result.enter) result = {first, result.leave, axis};
    result.leave = std::min(result.leave, second);
  }
  if (result.enter > result.leave) return std::nullopt;
  return result;
}

/// Roots of a t^2 - 2 b t + c = 0.
std::optional<std::pair<double, double>> roots(double a, double b, double c) {
  const double discriminant = b * b - a * c;
  if (a <= 0 || discriminant < 0) return std::nullopt;
  const double root = std::sqrt(discriminant);
  return std::pair{(b - root) / a, (b + root) / a};
}

Hit cast_box(const Vector& centre, const Vector& half, double reflectivity, const Vector& direction) {
  const auto interval = box_interval(centre, half, direction);
  if (!interval || interval->enter <= 0) return {};
  const double step = interval->axis == 0 ? direction.x : interval->axis == 1 ? direction.y : direction.z;
  return {interval->enter, std::abs(step), reflectivity};
}

/// The mantle of an upright cylinder.
Hit cast_cylinder(const Vector& centre, const Vector& half, double reflectivity, const Vector& direction) {
  const double a = direction.x * direction.x + direction.y * direction.y;
  const double b = direction.x * centre.x + direction.y * centre.y;
  const auto found = roots(a, b, centre.x * centre.x + centre.y * centre.y - half.x * half.x);
  if (!found || found->first <= 0) return {};
  const double distance = found->first;
  if (std::abs(direction.z * distance - centre.z) > half.z) return {};
  const double outward_x = (direction.x * distance - centre.x) / half.x;
  const double outward_y = (direction.y * distance - centre.y) / half.x;
  const double incidence = std::abs(direction.x * outward_x + direction.y * outward_y);
  return {distance, std::min(incidence, 1.0), reflectivity};
}

/// An ellipsoid of leaves: a ray goes some way into it before a leaf stops it, or passes through.
Hit cast_foliage(const Vector& centre, const Vector& half, double reflectivity, const Vector& direction,
                 Random& random) {
  const Vector d{direction.x / half.x, direction.y / half.y, direction.z / half.z};
  const Vector c{centre.x / half.x, centre.y / half.y, centre.z / half.z};
  const auto found = roots(d.x * d.x + d.y * d.y + d.z * d.z, d.x * c.x + d.y * c.y + d.z * c.z,
                           c.x * c.x + c.y * c.y + c.z * c.z - 1);
  if (!found || found->first <= 0) return {};
  constexpr double mean_free_path = 1.1;  // metres
  double travelled = 0;
  while (random.uniform() > 0.12) travelled += 0.12 * mean_free_path;  // geometric, for want of a logarithm
  const double distance = found->first + travelled + 0.1 * random.uniform();
  if (distance > found->second) return {};
  return {distance, random.uniform(0.3, 1.0), reflectivity};
}

}  // namespace

std::uint64_t Random::next() noexcept {
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

double Random::uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Random::uniform(double low, double high) noexcept { return low + (high - low) * uniform(); }

double Random::normal() noexcept {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

Street::Street(Random& random)
    : half_road_(random.uniform(4.0, 6.5)),
      pavement_(random.uniform(2.0, 4.5)),
      sensor_y_(-half_road_ * random.uniform(0.2, 0.4)) {
  for (const double side : {-1.0, 1.0}) {
    add_buildings(random, side);
    add_cars(random, side);
    add_street_furniture(random, side);
  }
  add_pedestrians(random);
}

void Street::add(Shape shape, const Vector& centre, const Vector& half, double reflectivity) {
  const double radius = shape == Shape::cylinder ? half.x : std::sqrt(half.x * half.x + half.y * half.y);
  objects_.push_back(
      {shape, {centre.x, centre.y - sensor_y_, centre.z - sensor_height}, half, reflectivity, radius});
}

/// Fronts one behind the other with a step in or out, now and then a gap that a side street fills.
void Street::add_buildings(Random& random, double side) {
  double x = -street_end;
  while (x < street_end) {
    const double length = random.uniform(8, 26);
    const double height = random.uniform(5, 20);
    const double depth = 10;
    const double front = half_road_ + pavement_ + random.uniform(0, 1.8);
    const double shade = random.uniform(0.25, 0.7);
    add(Shape::box, {x + length / 2, side * (front + depth / 2), height / 2},
        {length / 2, depth / 2, height / 2}, shade);
    for (double bay = x + 1.5; bay + 1.5 < x + length; bay += 3.5)  // bay windows and door frames
      if (random.uniform() < 0.6)
        add(Shape::box, {bay + 0.8, side * (front - 0.15), height / 4}, {0.8, 0.2, height / 4 - 0.3}, shade);
    x += length + (random.uniform() < 0.25 ? random.uniform(6, 11) : 0.0);
  }
}

void Street::add_cars(Random& random, double side) {
  for (double x = -street_end + random.uniform(0, 6); x < street_end; x += random.uniform(5.4, 7))
    if (random.uniform() < 0.6) add_car(random, x, side * (half_road_ - 1.05));
  for (double x = -street_end; x < street_end; x += random.uniform(18, 45))
    if (x < -8 || x > 8) add_car(random, x, side * half_road_ * 0.32);
}

/// A body, a cabin on it and two axles under it.
void Street::add_car(Random& random, double x, double y) {
  const double half_length = random.uniform(1.9, 2.4);
  const double half_width = random.uniform(0.8, 0.95);
  const double waist = random.uniform(0.8, 1.0);
  const double roof = waist + random.uniform(0.5, 0.75);
  const double paint = random.uniform(0.1, 0.85);
  add(Shape::box, {x, y, (waist + 0.25) / 2}, {half_length, half_width, (waist - 0.25) / 2}, paint);
  add(Shape::box, {x - 0.2, y, (roof + waist) / 2},
      {half_length * 0.55, half_width * 0.88, (roof - waist) / 2}, paint * 0.6);
  for (const double axle : {-0.62, 0.62})
    add(Shape::box, {x + axle * half_length, y, 0.3}, {0.3, half_width * 0.97, 0.3}, 0.06);
}

/// Lamp posts at even distances, trees at uneven ones.
void Street::add_street_furniture(Random& random, double side) {
  const double line = half_road_ + 0.5;
  const double spacing = random.uniform(22, 30);
  for (double x = -street_end + random.uniform(0, spacing); x < street_end; x += spacing)
    add(Shape::cylinder, {x, side * line, 3.5}, {0.09, 0.09, 3.5}, 0.6);
  for (double x = -street_end + random.uniform(0, 9); x < street_end; x += random.uniform(7, 19)) {
    const double trunk = random.uniform(2.0, 3.0);
    const double crown = random.uniform(1.2, 2.4);
    add(Shape::cylinder, {x, side * (line + 0.2), trunk / 2}, {random.uniform(0.1, 0.25), 0, trunk / 2}, 0.3);
    add(Shape::foliage, {x, side * (line + 0.2), trunk + crown * 0.8}, {crown, crown, crown * 1.2}, 0.45);
  }
}

/// On the pavements, some crossing: a body and a head.
void Street::add_pedestrians(Random& random) {
  for (int i = 0; i < 24; ++i) {
    const double x = random.uniform(-50, 50);
    const double side = random.uniform() < 0.5 ? -1 : 1;
    const double y = random.uniform() < 0.15 ? random.uniform(-half_road_, half_road_)
                                             : side * (half_road_ + random.uniform(0.3, pavement_ - 0.3));
    const double height = random.uniform(1.5, 1.9);
    if (x > -3 && x < 3 && y > sensor_y_ - 2 && y < sensor_y_ + 2) continue;  // not in the sensor's own car
    const double shade = random.uniform(0.2, 0.6);
    add(Shape::cylinder, {x, y, (height - 0.25) / 2}, {0.22, 0.22, (height - 0.25) / 2}, shade);
    add(Shape::cylinder, {x, y, height - 0.12}, {0.1, 0.1, 0.13}, shade);
  }
}

void Street::collect_candidates(double forward, double left, std::vector<int>& candidates) const {
  candidates.clear();
  for (std::size_t i = 0; i < objects_.size(); ++i) {
    const Object& object = objects_[i];
    const double along = object.centre.x * forward + object.centre.y * left;
    const double across = object.centre.y * forward - object.centre.x * left;
    if (along > -object.bounding_radius && std::abs(across) <= object.bounding_radius)
      candidates.push_back(static_cast<int>(i));
  }
}

Hit Street::cast(const Vector& direction, const std::vector<int>& candidates, Random& random) const {
  Hit nearest = cast_ground(direction);
  for (const int candidate : candidates) {
    const Hit hit = cast_object(objects_[static_cast<std::size_t>(candidate)], direction, random);
    if (hit.distance < nearest.distance) nearest = hit;
  }
  return nearest;
}

/// Road, kerb faces and the pavements above them.
Hit Street::cast_ground(const Vector& direction) const {
  if (direction.z >= 0) return {};
  const double kerb = direction.y > 0 ? half_road_ - sensor_y_ : -half_road_ - sensor_y_;
  const double road_distance = -sensor_height / direction.z;
  if (std::abs(road_distance * direction.y) < std::abs(kerb)) return {road_distance, -direction.z, 0.25};
  const double kerb_distance = kerb / direction.y;
  if (kerb_distance * direction.z < kerb_height - sensor_height)
    return {kerb_distance, std::abs(direction.y), 0.5};
  return {(kerb_height - sensor_height) / direction.z, -direction.z, 0.4};
}

Hit Street::cast_object(const Object& object, const Vector& direction, Random& random) {
  switch (object.shape) {
    case Shape::box:
      return cast_box(object.centre, object.half, object.reflectivity, direction);
    case Shape::cylinder:
      return cast_cylinder(object.centre, object.half, object.reflectivity, direction);
    case Shape::foliage:
      break;
  }
  return cast_foliage(object.centre, object.half, object.reflectivity, direction, random);
}

}  // namespace flexgemm::scene
