#include <span>

#include "scene/fail.hpp"
#include "scene/npy_header.hpp"
#include "scene/point_cloud.hpp"

namespace flexgemm::scene {

PointCloud parse_npy(const std::uint8_t* data, std::size_t size, const std::string& what) {
  const std::span<const std::uint8_t> bytes(data, size);
  const NpyHeader header = parse_npy_header(bytes, what);
  const NpyPointLayout layout = npy_point_layout(header, what);
  const std::span<const std::uint8_t> values = bytes.subspan(header.data_offset);
  if (layout.data_bytes > values.size())
    fail_input(what, "the .npy file is truncated: shape {} of {} needs {} bytes and {} follow the header",
               shape_text(header.shape), quote(header.descr), layout.data_bytes, values.size());

  PointCloud cloud;
  cloud.columns = static_cast<int>(layout.columns);
  cloud.values.resize(static_cast<std::size_t>(layout.points * layout.columns));
  const std::size_t element = size_of(layout.type);
  if (!header.fortran_order) {
    convert_to_float({values.data(), element, layout.type, layout.order}, layout.points * layout.columns,
                     cloud.values.data(), 1);
  } else if (layout.points > 0) {
    for (std::int64_t column = 0; column < layout.columns; ++column) {
      const std::size_t begin = static_cast<std::size_t>(column * layout.points) * element;
      convert_to_float({values.data() + begin, element, layout.type, layout.order}, layout.points,
                       cloud.values.data() + column, layout.columns);
    }
  }
  return cloud;
}

}  // namespace flexgemm::scene
