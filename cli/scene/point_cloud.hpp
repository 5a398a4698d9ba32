#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flexgemm::scene {

/// Points of one scan: `values` is float [points, columns], row-major; columns 0..2 are x, y, z in metres,
/// any further columns are features (intensity, colour, ...). Values may be NaN or infinite: voxelize() drops
/// such points.
struct PointCloud {
  std::vector<float> values;
  int columns = 3;
  std::int64_t points() const noexcept { return static_cast<std::int64_t>(values.size()) / columns; }
};

struct ReadOptions {
  int bin_columns = 4;  ///< float32 values a point in headerless .bin files, 3 to 64
};

/// Reads a scan by its extension, in either case: .npy (integers and floats, either byte order, C or Fortran
/// order, [N, C >= 3]), .npz (stored or deflated; the array `pc` or `points`, else the only two-dimensional
/// one), .ply (ascii, binary little and big endian), .pcd (ascii, binary, binary_compressed), .bin (raw
/// little-endian float32). Columns other than x, y, z keep their order; list properties, padding and elements
/// other than vertices are skipped. No points are valid (and all that an empty .bin says); bytes behind
/// binary data are ignored, words behind ascii data refused. Files are untrusted: sizes in headers are
/// checked against the bytes that exist before memory is taken. Throws Error{io} with the path and what is
/// wrong (of any path but a readable regular file: the system's reason), Error{invalid_argument} for
/// bin_columns out of range, Error{out_of_memory}.
PointCloud read_point_cloud(const std::string& path, const ReadOptions& options = {});

/// The formats, from memory; `what` names the source in messages. For tests and fuzzers.
PointCloud parse_npy(const std::uint8_t* data, std::size_t size, const std::string& what);
PointCloud parse_npz(const std::uint8_t* data, std::size_t size, const std::string& what);
PointCloud parse_ply(const std::uint8_t* data, std::size_t size, const std::string& what);
PointCloud parse_pcd(const std::uint8_t* data, std::size_t size, const std::string& what);
PointCloud parse_bin(const std::uint8_t* data, std::size_t size, int columns, const std::string& what);

}  // namespace flexgemm::scene
