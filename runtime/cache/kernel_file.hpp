#pragma once

#include <span>
#include <string>
#include <vector>

#include <flexgemm/cache.hpp>

#include "cache/finding.hpp"
#include "cache/kernel_store.hpp"

namespace flexgemm::detail {

/// The format of a stored kernel, in a cache and in a pack (docs/tuning.md, Kernel file). All integers are
/// little-endian:
///   "FLEXKERN", version u32, flags u32 (bit 0: PTX), bytes of the whole file u64, bytes of the image u64,
///   source hash u64, bytes of spec, architecture and log u32 each, then spec, architecture, log, image, and
///   the SHA-256 of everything before it.
inline constexpr std::uint32_t kernel_file_version = 1;

std::vector<char> encode_kernel(const KernelImage& kernel);

/// Believes nothing that the checksum does not cover, and no image that a driver could read past the end of.
Outcome<KernelImage, Damage> decode_kernel(std::span<const char> bytes);

/// Whether text is a source hash: 16 lower-case hexadecimal digits.
bool is_source_hash(const std::string& text) noexcept;

/// Whether this version of the library would generate the very source that the kernel was compiled from.
bool is_current(const KernelImage& kernel);

/// What lists show of a kernel. `last_used` stays empty.
KernelEntry entry_of(const KernelImage& kernel, std::uint64_t bytes);

/// The last field of a spec's text: its architecture.
std::string architecture_of_spec(const std::string& spec);

}  // namespace flexgemm::detail
