#pragma once

#include <cstdint>
#include <vector>

namespace flexgemm::scene {

/// SplitMix64 (Steele, Lea and Flood 2014), and what a scan needs of it. The same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept;
  double uniform() noexcept;                         ///< in [0, 1)
  double uniform(double low, double high) noexcept;  ///< in [low, high)
  double normal() noexcept;                          ///< mean 0, variance 1: the sum of 12 uniforms, less 6

 private:
  std::uint64_t state_;
};

/// Metres from the sensor: x along the street, y to the left, z up.
struct Vector {
  double x = 0;
  double y = 0;
  double z = 0;
};

/// Where a ray ends.
struct Hit {
  double distance = 1e9;    ///< metres; 1e9 for the open sky
  double incidence = 0;     ///< cosine between the ray and the surface's normal, 0 to 1
  double reflectivity = 0;  ///< 0 to 1
};

/// A street through a town, made at random: a road with kerbs and pavements, building fronts with side
/// streets between them, parked and driving cars, lamp posts, trees and pedestrians. The sensor stands over
/// the road at the origin.
class Street {
 public:
  explicit Street(Random& random);

  /// The objects that a ray with this heading (a unit vector in the plane) may meet.
  void collect_candidates(double forward, double left, std::vector<int>& candidates) const;

  /// The nearest thing on the ray from the origin. `random` decides where foliage stops a ray.
  Hit cast(const Vector& direction, const std::vector<int>& candidates, Random& random) const;

 private:
  enum class Shape : std::uint8_t { box, cylinder, foliage };
  struct Object {
    Shape shape;
    Vector centre;
    Vector half;  ///< half extents; a cylinder's radius is half.x
    double reflectivity;
    double bounding_radius;  ///< around the centre, in the plane
  };

  void add(Shape shape, const Vector& centre, const Vector& half, double reflectivity);
  void add_buildings(Random& random, double side);
  void add_cars(Random& random, double side);
  void add_car(Random& random, double x, double y);
  void add_street_furniture(Random& random, double side);
  void add_pedestrians(Random& random);
  Hit cast_ground(const Vector& direction) const;
  static Hit cast_object(const Object& object, const Vector& direction, Random& random);

  double half_road_;  ///< from the middle of the road to a kerb
  double pavement_;   ///< width of a pavement
  double sensor_y_;   ///< the sensor's place left of the road's middle
  std::vector<Object> objects_;
};

}  // namespace flexgemm::scene
