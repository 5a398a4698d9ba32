#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace flexgemm::detail {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
class Sha256 {
 public:
  Sha256& add(std::span<const char> bytes) noexcept;
  /// The digest of all bytes added; the object is spent.
  Sha256Digest finish() noexcept;

 private:
  void add_block(const std::uint8_t* block) noexcept;

  std::array<std::uint32_t, 8> state_{0x6a09e667U, 0xbb67ae85U, 0x3c6ef372U, 0xa54ff53aU,
                                      0x510e527fU, 0x9b05688cU, 0x1f83d9abU, 0x5be0cd19U};
  std::array<std::uint8_t, 64> pending_{};
  std::size_t pending_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

Sha256Digest sha256(std::span<const char> bytes) noexcept;

/// 64 hexadecimal digits, lower case, as sha256sum prints them.
std::string hexadecimal(const Sha256Digest& digest);

}  // namespace flexgemm::detail
