#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Scan files made in memory by code that shares nothing with the readers: for their tests and the fuzzers'
/// seed corpus.
namespace scan_files {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::string_view text);
void append(Bytes& bytes, const Bytes& more);

/// The value as type "i1", "u2", "f4", ... in a byte order; "f2" takes what half precision holds exactly.
void append_value(Bytes& bytes, double value, std::string_view type, std::endian order);
/// Little-endian, `width` bytes.
void append_integer(Bytes& bytes, std::uint64_t value, int width);

/// A .npy file around `data`; `dictionary` is the header without padding.
Bytes npy_file(std::string_view dictionary, const Bytes& data, int version = 1);
/// [rows, columns] of 0.5 * index, in Fortran order if asked.
Bytes npy_of_numbers(std::string_view descr, bool fortran_order, int rows, int columns, int version = 1);

struct ZipOptions {
  bool deflate = false;
  bool data_descriptor = false;
  bool zip64 = false;
  std::string comment = {};
  std::uint64_t claimed_size = 0;  ///< 0: the truth
  std::uint32_t crc_change = 0;    ///< added to the true CRC
};
struct ZipEntry {
  std::string name;
  Bytes data;
};
Bytes zip_file(const std::vector<ZipEntry>& entries, const ZipOptions& options = {});

/// LZF with literals and back references, as LibLZF would read it.
Bytes lzf_compress(const Bytes& plain);
/// The body of a binary_compressed .pcd file.
Bytes compressed_pcd_body(const Bytes& plain);

/// One file a format and encoding, small and sound, with a file name: "cloud.npy" and so on.
struct NamedFile {
  std::string name;
  Bytes bytes;
};
std::vector<NamedFile> sound_files();

}  // namespace scan_files
