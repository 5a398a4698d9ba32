#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "scene/fail.hpp"
#include "scene/npy_header.hpp"
#include "scene/point_cloud.hpp"
#include "scene/zip_archive.hpp"

namespace flexgemm::scene {
namespace {

constexpr std::size_t header_prefix_bytes = max_npy_header_bytes + 12;

std::string source_of(const std::string& archive, const ZipMember& member) {
  return fmt::format("{}, array {}", archive, quote(member.name));
}

NpyHeader header_of(const ZipArchive& archive, const ZipMember& member, const std::string& what) {
  return parse_npy_header(archive.read_prefix(member, header_prefix_bytes), source_of(what, member));
}

/// `pc`, else `points`, else the only two-dimensional array.
const ZipMember& find_points(const ZipArchive& archive, const std::string& what) {
  const auto& members = archive.members();
  for (const std::string_view name : {"pc.npy", "points.npy"}) {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const ZipMember& member) { return member.name == name; });
    if (found != members.end()) return *found;
  }
  const ZipMember* candidate = nullptr;
  for (const ZipMember& member : members) {
    if (!member.name.ends_with(".npy") || header_of(archive, member, what).shape.size() != 2) continue;
    if (candidate != nullptr)
      fail_input(what,
                 "two-dimensional arrays {} and {}: name the one that holds the points 'pc' or 'points'",
                 quote(candidate->name), quote(member.name));
    candidate = &member;
  }
  if (candidate == nullptr)
    fail_input(what, "none of the {} members is an array 'pc' or 'points' or is two-dimensional",
               members.size());
  return *candidate;
}

}  // namespace

PointCloud parse_npz(const std::uint8_t* data, std::size_t size, const std::string& what) {
  const ZipArchive archive(std::span(data, size), what);
  const ZipMember& member = find_points(archive, what);
  const NpyHeader header = header_of(archive, member, what);
  const std::string source = source_of(what, member);
  const NpyPointLayout layout = npy_point_layout(header, source);
  if (layout.data_bytes + header.data_offset != member.size)
    fail_input(source, "shape {} of {} needs {} bytes with its header, and the archive claims {}",
               shape_text(header.shape), quote(header.descr), layout.data_bytes + header.data_offset,
               member.size);
  const std::vector<std::uint8_t> array = archive.read(member);
  return parse_npy(array.data(), array.size(), source);
}

}  // namespace flexgemm::scene
