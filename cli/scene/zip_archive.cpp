#include "scene/zip_archive.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include <zlib.h>

#include "scene/fail.hpp"
#include "scene/scalar_type.hpp"

namespace flexgemm::scene {
namespace {

constexpr std::uint32_t local_signature = 0x04034b50;
constexpr std::uint32_t directory_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50;
constexpr std::uint32_t end64_signature = 0x06064b50;
constexpr std::uint32_t locator64_signature = 0x07064b50;
constexpr std::size_t local_bytes = 30;
constexpr std::size_t directory_bytes = 46;
constexpr std::size_t end_bytes = 22;
constexpr std::size_t end64_bytes = 56;
constexpr std::size_t locator64_bytes = 20;
constexpr std::uint64_t max_members = 4096;
constexpr std::uint32_t in_extra_field = 0xffffffff;

/// Position of the end-of-directory record, which a comment of up to 65,535 bytes may follow.
std::optional<std::size_t> find_end(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < end_bytes) return std::nullopt;
  const std::size_t last = bytes.size() - end_bytes;
  const std::size_t first = last - std::min<std::size_t>(last, 65535);
  for (std::size_t position = last + 1; position-- > first;) {
    if (load<std::uint32_t>(&bytes[position]) != end_signature) continue;
    if (load<std::uint16_t>(&bytes[position + 20]) <= last - position) return position;
  }
  return std::nullopt;
}

/// Replaces the 32-bit sizes and offset that say "see the zip64 extra field".
bool apply_zip64_field(std::span<const std::uint8_t> extra, ZipMember& member) {
  std::vector<std::uint64_t*> wanted;
  for (std::uint64_t* value : {&member.size, &member.compressed_size, &member.header_offset})
    if (*value == in_extra_field) wanted.push_back(value);
  while (!wanted.empty() && extra.size() >= 4) {
    const std::size_t length = load<std::uint16_t>(&extra[2]);
    if (length > extra.size() - 4) return false;
    if (load<std::uint16_t>(&extra[0]) == 1) {
      if (length < 8 * wanted.size()) return false;
      for (std::size_t i = 0; i < wanted.size(); ++i) *wanted[i] = load<std::uint64_t>(&extra[4 + 8 * i]);
      return true;
    }
    extra = extra.subspan(4 + length);
  }
  return wanted.empty();
}

/// zlib's raw inflate over one span, released on every path.
class Inflater {
 public:
  explicit Inflater(std::span<const std::uint8_t> input) : input_(input) {
    if (inflateInit2(&stream_, -MAX_WBITS) != Z_OK)
      throw Error(ErrorCode::out_of_memory, "zlib has no memory to inflate with");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  enum class Result { more, end, damaged };

  /// Fills as much of `output` as it can; `written` says how much.
  Result inflate_into(std::span<std::uint8_t> output, std::size_t& written) {
    constexpr std::size_t largest = std::numeric_limits<uInt>::max() / 2;
    const std::size_t room = std::min(output.size(), largest);
    stream_.next_out = output.data();
    stream_.avail_out = static_cast<uInt>(room);
    int code = Z_OK;
    while (code == Z_OK && stream_.avail_out > 0) {
      if (stream_.avail_in == 0) {
        const std::size_t slice = std::min(input_.size(), largest);
        stream_.next_in = const_cast<Bytef*>(input_.data());  // zlib reads it only
        stream_.avail_in = static_cast<uInt>(slice);
        input_ = input_.subspan(slice);
      }
      code = ::inflate(&stream_, Z_NO_FLUSH);
    }
    written = room - stream_.avail_out;
    if (code == Z_STREAM_END) return Result::end;
    return code == Z_OK ? Result::more : Result::damaged;
  }

 private:
  z_stream stream_{};
  std::span<const std::uint8_t> input_;
};

}  // namespace

ZipArchive::ZipArchive(std::span<const std::uint8_t> bytes, std::string source)
    : bytes_(bytes), source_(std::move(source)) {
  const std::optional<std::size_t> end = find_end(bytes_);
  if (!end)
    fail_input(source_, "not a zip archive, or a truncated one: no end-of-directory record in {} bytes",
               bytes_.size());
  std::uint64_t entries = load<std::uint16_t>(&bytes_[*end + 10]);
  std::uint64_t length = load<std::uint32_t>(&bytes_[*end + 12]);
  std::uint64_t begin = load<std::uint32_t>(&bytes_[*end + 16]);
  if (*end >= locator64_bytes &&
      load<std::uint32_t>(&bytes_[*end - locator64_bytes]) == locator64_signature) {
    const std::uint64_t end64 = load<std::uint64_t>(&bytes_[*end - locator64_bytes + 8]);
    if (bytes_.size() < end64_bytes || end64 > bytes_.size() - end64_bytes ||
        load<std::uint32_t>(&bytes_[end64]) != end64_signature)
      fail_input(source_, "the zip64 directory record is said to be at byte {} and is not there", end64);
    entries = load<std::uint64_t>(&bytes_[end64 + 32]);
    length = load<std::uint64_t>(&bytes_[end64 + 40]);
    begin = load<std::uint64_t>(&bytes_[end64 + 48]);
  }
  read_directory(begin, length, entries);
}

void ZipArchive::read_directory(std::uint64_t begin, std::uint64_t bytes, std::uint64_t entries) {
  if (begin > bytes_.size() || bytes > bytes_.size() - begin)
    fail_input(source_, "the zip directory claims bytes {} to {}+{}, and the file has {}", begin, begin,
               bytes, bytes_.size());
  if (entries > max_members)
    fail_input(source_, "the zip archive claims {} members; at most {} are accepted", entries, max_members);
  std::span<const std::uint8_t> rest = bytes_.subspan(begin, bytes);
  for (std::uint64_t entry = 0; entry < entries; ++entry) {
    if (rest.size() < directory_bytes || load<std::uint32_t>(&rest[0]) != directory_signature)
      fail_input(source_, "the zip directory is damaged at entry {} of {}", entry, entries);
    const std::size_t name_bytes = load<std::uint16_t>(&rest[28]);
    const std::size_t extra_bytes = load<std::uint16_t>(&rest[30]);
    const std::size_t comment_bytes = load<std::uint16_t>(&rest[32]);
    const std::size_t entry_bytes = directory_bytes + name_bytes + extra_bytes + comment_bytes;
    if (entry_bytes > rest.size())
      fail_input(source_, "entry {} of the zip directory claims {} bytes and {} are left", entry, entry_bytes,
                 rest.size());
    ZipMember member{
        .name = std::string(reinterpret_cast<const char*>(&rest[0]) + directory_bytes, name_bytes),
        .flags = load<std::uint16_t>(&rest[8]),
        .method = load<std::uint16_t>(&rest[10]),
        .crc = load<std::uint32_t>(&rest[16]),
        .compressed_size = load<std::uint32_t>(&rest[20]),
        .size = load<std::uint32_t>(&rest[24]),
        .header_offset = load<std::uint32_t>(&rest[42])};
    if (!apply_zip64_field(rest.subspan(directory_bytes + name_bytes, extra_bytes), member))
      fail_input(source_, "zip member {} has a damaged zip64 field", quote(member.name));
    members_.push_back(std::move(member));
    rest = rest.subspan(entry_bytes);
  }
}

std::span<const std::uint8_t> ZipArchive::compressed_bytes(const ZipMember& member) const {
  if ((member.flags & 1) != 0) fail_input(source_, "zip member {} is encrypted", quote(member.name));
  if (member.method != 0 && member.method != 8)
    fail_input(source_, "zip member {} is compressed by method {}; stored (0) and deflated (8) can be read",
               quote(member.name), member.method);
  if (bytes_.size() < local_bytes || member.header_offset > bytes_.size() - local_bytes ||
      load<std::uint32_t>(&bytes_[member.header_offset]) != local_signature)
    fail_input(source_, "zip member {} is said to begin at byte {} and does not", quote(member.name),
               member.header_offset);
  const std::uint8_t* const local = &bytes_[member.header_offset];
  const std::uint64_t begin =
      member.header_offset + local_bytes + load<std::uint16_t>(local + 26) + load<std::uint16_t>(local + 28);
  if (begin > bytes_.size() || member.compressed_size > bytes_.size() - begin)
    fail_input(source_, "zip member {} claims {} bytes from byte {}, and the file has {}", quote(member.name),
               member.compressed_size, begin, bytes_.size());
  if (member.method == 0 && member.compressed_size != member.size)
    fail_input(source_, "zip member {} is stored in {} bytes but claims to be {}", quote(member.name),
               member.compressed_size, member.size);
  return bytes_.subspan(begin, member.compressed_size);
}

std::vector<std::uint8_t> ZipArchive::inflate_member(const ZipMember& member, std::size_t longest) const {
  Inflater inflater(compressed_bytes(member));
  std::vector<std::uint8_t> output;
  auto result = Inflater::Result::more;
  while (result == Inflater::Result::more && output.size() < longest) {
    const std::size_t begin = output.size();
    const std::size_t room = std::min(longest - begin, std::max<std::size_t>(begin, 65536));
    output.resize(begin + room);
    std::size_t written = 0;
    result = inflater.inflate_into(std::span(output).subspan(begin, room), written);
    output.resize(begin + written);
  }
  if (result == Inflater::Result::damaged)
    fail_input(source_, "the deflated data of zip member {} is damaged after {} bytes", quote(member.name),
               output.size());
  return output;
}

std::vector<std::uint8_t> ZipArchive::read_prefix(const ZipMember& member, std::size_t longest) const {
  if (member.method == 8) return inflate_member(member, longest);
  const auto stored = compressed_bytes(member);
  return {stored.begin(), stored.begin() + static_cast<std::ptrdiff_t>(std::min(longest, stored.size()))};
}

std::vector<std::uint8_t> ZipArchive::read(const ZipMember& member) const {
  // One byte more than claimed, so that a member that inflates to more is noticed.
  std::vector<std::uint8_t> output = read_prefix(
      member, member.method == 8 ? static_cast<std::size_t>(member.size) + 1 : member.compressed_size);
  if (output.size() != member.size)
    fail_input(source_, "zip member {} claims {} bytes and inflates to {}{}", quote(member.name), member.size,
               output.size(), output.size() > member.size ? " or more" : "");
  const auto crc = static_cast<std::uint32_t>(crc32_z(crc32_z(0, nullptr, 0), output.data(), output.size()));
  if (crc != member.crc)
    fail_input(source_, "zip member {} is damaged: its CRC is {:08x} and should be {:08x}",
               quote(member.name), crc, member.crc);
  return output;
}

}  // namespace flexgemm::scene
