#include "cache/kernel_file.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "cache/binary.hpp"
#include "cache/sha256.hpp"
#include "codegen/emit.hpp"
#include "codegen/text.hpp"

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;

constexpr std::string_view magic = "FLEXKERN";
constexpr std::uint32_t ptx_flag = 1;
constexpr std::size_t digest_bytes = sizeof(Sha256Digest);

std::uint64_t hash_value(const std::string& hash) {
  std::uint64_t value = 0;
  std::from_chars(hash.data(), hash.data() + hash.size(), value, 16);
  return value;
}

std::span<const char> as_chars(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// Whether the driver can be handed the image: it takes no length.
bool is_sound_image(const KernelImage& kernel) {
  constexpr std::string_view elf =
      "\x7f"
      "ELF";
  const std::string_view image(kernel.image.data(), kernel.image.size());
  return kernel.is_ptx ? image.ends_with('\0') : image.size() >= 64 && image.starts_with(elf);
}

struct Header {
  std::uint32_t flags;
  std::uint64_t file_bytes, image_bytes, hash;
  std::uint32_t spec_bytes, architecture_bytes, log_bytes;
};

}  // namespace

bool is_source_hash(const std::string& text) noexcept {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string architecture_of_spec(const std::string& spec) {
  const std::size_t dot = spec.rfind('.');
  return dot == std::string::npos ? std::string() : spec.substr(dot + 1);
}

std::vector<char> encode_kernel(const KernelImage& kernel) {
  constexpr std::size_t header_bytes = 52;
  const std::string architecture = architecture_of_spec(kernel.spec);
  BinaryWriter writer;
  const std::size_t total = header_bytes + kernel.spec.size() + architecture.size() + kernel.log.size() +
                            kernel.image.size() + digest_bytes;
  writer.data().reserve(total);
  writer.text(magic);
  writer.integer(kernel_file_version);
  writer.integer(kernel.is_ptx ? ptx_flag : 0u);
  writer.integer<std::uint64_t>(total);
  writer.integer<std::uint64_t>(kernel.image.size());
  writer.integer(hash_value(kernel.hash));
  writer.integer(static_cast<std::uint32_t>(kernel.spec.size()));
  writer.integer(static_cast<std::uint32_t>(architecture.size()));
  writer.integer(static_cast<std::uint32_t>(kernel.log.size()));
  writer.text(kernel.spec);
  writer.text(architecture);
  writer.text(kernel.log);
  writer.bytes(kernel.image);
  writer.bytes(as_chars(sha256(writer.data())));
  return std::move(writer.data());
}

Outcome<KernelImage, Damage> decode_kernel(std::span<const char> bytes) {
  BinaryReader reader(bytes);
  if (reader.text(magic.size()) != magic) {
    return Damage{bytes.size() < magic.size() ? Kind::damaged : Kind::foreign,
                  bytes.size() < magic.size() ? "it is cut off" : "it does not begin as a kernel file does"};
  }
  const auto version = reader.integer<std::uint32_t>();
  if (reader.ok() && version > kernel_file_version) {
    return Damage{Kind::newer, fmt::format("it has the format version {}; this library reads {}", version,
                                           kernel_file_version)};
  }
  Header header{};
  header.flags = reader.integer<std::uint32_t>();
  header.file_bytes = reader.integer<std::uint64_t>();
  header.image_bytes = reader.integer<std::uint64_t>();
  header.hash = reader.integer<std::uint64_t>();
  header.spec_bytes = reader.integer<std::uint32_t>();
  header.architecture_bytes = reader.integer<std::uint32_t>();
  header.log_bytes = reader.integer<std::uint32_t>();
  if (!reader.ok() || header.file_bytes != bytes.size()) {
    return Damage{Kind::damaged,
                  fmt::format("it has {} bytes instead of {}", bytes.size(),
                              reader.ok() ? fmt::to_string(header.file_bytes) : "a whole header")};
  }
  const std::size_t covered = bytes.size() - digest_bytes;  // the header alone is longer than a digest
  const Sha256Digest digest = sha256(bytes.first(covered));
  if (!std::ranges::equal(as_chars(digest), bytes.subspan(covered))) {
    return Damage{Kind::damaged, "its checksum does not match"};
  }
  KernelImage kernel;
  kernel.spec = reader.text(header.spec_bytes);
  const std::string architecture = reader.text(header.architecture_bytes);
  kernel.log = reader.text(header.log_bytes);
  const std::span<const char> image = reader.bytes(header.image_bytes);
  kernel.image.assign(image.begin(), image.end());
  kernel.is_ptx = (header.flags & ptx_flag) != 0;
  kernel.hash = codegen::hexadecimal(header.hash);
  // Whole, but not written by this library: its checksum is right and its content is not.
  if (!reader.ok() || reader.remaining() != digest_bytes || version != kernel_file_version ||
      (header.flags & ~ptx_flag) != 0 || architecture != architecture_of_spec(kernel.spec) ||
      !is_sound_image(kernel)) {
    return Damage{Kind::foreign, "its parts do not fit together"};
  }
  return kernel;
}

bool is_current(const KernelImage& kernel) {
  try {
    return codegen::source_hash(codegen::parse_spec(kernel.spec)) == kernel.hash;
  } catch (const std::logic_error&) {  // a spec of another version, or one that is no longer built
    return false;
  }
}

KernelEntry entry_of(const KernelImage& kernel, std::uint64_t bytes) {
  return {.spec = kernel.spec,
          .architecture = architecture_of_spec(kernel.spec),
          .hash = kernel.hash,
          .is_ptx = kernel.is_ptx,
          .bytes = bytes,
          .last_used = {},
          .current = is_current(kernel)};
}

}  // namespace flexgemm::detail
