#include <limits>
#include <string>

#include <flexgemm/allocator.hpp>
#include <flexgemm/tensor_view.hpp>

#include "core/fail.hpp"

namespace flexgemm {

Allocator::~Allocator() = default;

Shape::Shape(std::initializer_list<std::int64_t> extents) {
  if (extents.size() > static_cast<std::size_t>(max_rank)) {
    detail::fail(ErrorCode::invalid_argument, "a shape has at most {} dimensions, not {}", max_rank,
                 extents.size());
  }
  for (const std::int64_t extent : extents) {
    if (extent < 0) {
      detail::fail(ErrorCode::invalid_argument, "dimension {} of a shape is negative: {}", rank_, extent);
    }
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  bool overflow = false;
  for (int dimension = 0; dimension < rank_; ++dimension) {
    const std::int64_t extent = (*this)[dimension];
    if (extent == 0) return 0;
    if (product > std::numeric_limits<std::int64_t>::max() / extent) {
      overflow = true;
    } else {
      product *= extent;
    }
  }
  if (overflow) {
    detail::fail(ErrorCode::invalid_argument, "the shape {} has more than 2^63 - 1 elements",
                 to_string(*this));
  }
  return product;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int dimension = 0; dimension < shape.rank(); ++dimension) {
    text += fmt::format("{}{}", dimension == 0 ? "" : ", ", shape[dimension]);
  }
  return text + "]";
}

}  // namespace flexgemm
