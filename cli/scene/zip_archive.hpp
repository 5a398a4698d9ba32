#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace flexgemm::scene {

/// One file of an archive, as the central directory describes it: nothing here is to be trusted.
struct ZipMember {
  std::string name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;  ///< 0 stored, 8 deflated
  std::uint32_t crc = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t size = 0;
  std::uint64_t header_offset = 0;
};

/// A zip or zip64 archive in memory, which must outlive this object. Sizes come from the central directory,
/// so members written as a stream (data descriptors) are read like any other. Source: PKWARE's APPNOTE 6.3.
class ZipArchive {
 public:
  /// Error{io} when the directory is missing, damaged or has more than 4096 members.
  ZipArchive(std::span<const std::uint8_t> bytes, std::string source);

  const std::vector<ZipMember>& members() const noexcept { return members_; }

  /// The first `longest` bytes of a member, or all of a shorter one. No checksum.
  std::vector<std::uint8_t> read_prefix(const ZipMember& member, std::size_t longest) const;

  /// All of a member, its size and CRC-32 checked. Memory grows with what is really inflated, never beyond
  /// member.size.
  std::vector<std::uint8_t> read(const ZipMember& member) const;

 private:
  void read_directory(std::uint64_t begin, std::uint64_t bytes, std::uint64_t entries);
  std::span<const std::uint8_t> compressed_bytes(const ZipMember& member) const;
  std::vector<std::uint8_t> inflate_member(const ZipMember& member, std::size_t longest) const;

  std::span<const std::uint8_t> bytes_;
  std::string source_;
  std::vector<ZipMember> members_;
};

}  // namespace flexgemm::scene
