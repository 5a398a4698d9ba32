#include "cache/kernel_pack.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cache/binary.hpp"
#include "cache/kernel_file.hpp"

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;

constexpr std::string_view magic = "FLEXPACK";
constexpr std::uint64_t fixed_bytes = 40;  // of the header, without its digest
constexpr std::uint64_t header_bytes = fixed_bytes + sizeof(Sha256Digest);
constexpr std::uint64_t most_members = 1 << 20;
constexpr std::uint32_t kernel_member = 1;
constexpr std::uint32_t tuning_member = 2;

std::span<const char> as_chars(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

void append_member(BinaryWriter& index, std::uint32_t kind, const std::string& name,
                   std::span<const char> content) {
  index.integer(kind);
  index.integer(static_cast<std::uint32_t>(name.size()));
  index.integer<std::uint64_t>(content.size());
  index.bytes(as_chars(sha256(content)));
  index.text(name);
}

std::string cut_off(std::uint64_t found, std::uint64_t expected) {
  return fmt::format("it has {} bytes instead of {}", found, expected);
}

}  // namespace

std::vector<char> encode_pack(const std::map<std::string, std::vector<char>>& kernels,
                              const std::map<std::string, std::string>& tuning) {
  BinaryWriter index;
  std::uint64_t content_bytes = 0;
  for (const auto& [name, content] : kernels) {
    append_member(index, kernel_member, name, content);
    content_bytes += content.size();
  }
  for (const auto& [name, content] : tuning) {
    append_member(index, tuning_member, name, content);
    content_bytes += content.size();
  }
  const std::uint64_t index_bytes = index.data().size();
  BinaryWriter pack;
  pack.data().reserve(header_bytes + index_bytes + content_bytes);
  pack.text(magic);
  pack.integer(kernel_pack_version);
  pack.integer(std::uint32_t{0});
  pack.integer(header_bytes + index_bytes + content_bytes);
  pack.integer(index_bytes);
  pack.integer<std::uint64_t>(kernels.size() + tuning.size());
  pack.bytes(as_chars(Sha256().add(pack.data()).add(index.data()).finish()));
  pack.bytes(index.data());
  for (const auto& [name, content] : kernels) pack.bytes(content);
  for (const auto& [name, content] : tuning) pack.text(content);
  return std::move(pack.data());
}

KernelPack::KernelPack(std::filesystem::path path, FileDescriptor file, std::uint64_t bytes)
    : path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}

Outcome<std::shared_ptr<const KernelPack>> KernelPack::open(const std::filesystem::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!file || ::fstat(file.number(), &status) != 0) {
    return CacheFinding{
        Kind::unreadable, path,
        fmt::format("The kernel pack {} could not be read: {}.", path.string(), system_words(errno)), ""};
  }
  if (!S_ISREG(status.st_mode)) {
    return CacheFinding{Kind::foreign, path, fmt::format("{} is not a regular file.", path.string()),
                        "Give the path of a kernel pack."};
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return CacheFinding{
        Kind::untrusted, path,
        fmt::format("The kernel pack {} may be written by everybody (mode {:04o}), and it is code that "
                    "the GPU runs: it is not used.",
                    path.string(), status.st_mode & 07777),
        fmt::format("If nobody has tampered with it: chmod o-w '{}'", path.string())};
  }
  std::shared_ptr<KernelPack> pack(
      new KernelPack(path, std::move(file), static_cast<std::uint64_t>(status.st_size)));
  if (auto finding = pack->read_index()) return *finding;
  return std::shared_ptr<const KernelPack>(std::move(pack));
}

CacheFinding KernelPack::damaged(const std::string& clause, Kind kind) const {
  const char* what = kind == Kind::foreign ? "is not a kernel pack"
                     : kind == Kind::newer ? "was written by a newer version of FlexGEMM"
                                           : "is damaged";
  return {kind, path_, fmt::format("The kernel pack {} {}: {}.", path_.string(), what, clause),
          kind == Kind::newer ? "Update the library, or make the pack with this version."
                              : "Get a sound copy of it."};
}

Outcome<std::vector<char>> KernelPack::read(std::uint64_t offset, std::uint64_t bytes) const {
  std::vector<char> content(static_cast<std::size_t>(bytes));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::pread(file_.number(), content.data() + done, content.size() - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return CacheFinding{
          Kind::unreadable, path_,
          fmt::format("The kernel pack {} could not be read: {}.", path_.string(), system_words(errno)), ""};
    }
    if (got == 0) return damaged("it became shorter while it was in use");
    done += static_cast<std::size_t>(got);
  }
  return content;
}

std::optional<CacheFinding> KernelPack::read_index() {
  const auto header = read(0, std::min(bytes_, header_bytes));
  if (!header) return header.problem();
  BinaryReader reader(*header);
  if (reader.text(magic.size()) != magic) {
    const bool short_one =
        bytes_ < magic.size() && magic.starts_with(std::string_view(header->data(), header->size()));
    return short_one ? damaged("it is cut off") : damaged("it does not begin as one does", Kind::foreign);
  }
  const auto version = reader.integer<std::uint32_t>();
  if (reader.ok() && version > kernel_pack_version) {
    return damaged(
        fmt::format("it has the format version {}; this library reads {}", version, kernel_pack_version),
        Kind::newer);
  }
  const auto flags = reader.integer<std::uint32_t>();
  const auto total = reader.integer<std::uint64_t>();
  const auto index_bytes = reader.integer<std::uint64_t>();
  const auto members = reader.integer<std::uint64_t>();
  const std::span<const char> digest = reader.bytes(sizeof(Sha256Digest));
  if (!reader.ok()) return damaged("it is cut off");
  if (total != bytes_) return damaged(cut_off(bytes_, total));
  if (index_bytes > bytes_ - header_bytes) return damaged("its index does not fit into it");
  const auto index = read(header_bytes, index_bytes);
  if (!index) return index.problem();
  const Sha256Digest actual = Sha256().add(std::span(*header).first(fixed_bytes)).add(*index).finish();
  if (!std::ranges::equal(as_chars(actual), digest))
    return damaged("the checksum of its index does not match");
  if (version != kernel_pack_version || flags != 0 || members > most_members) {
    return damaged("its header has values that no version writes", Kind::foreign);
  }
  return read_members(*index, members, header_bytes + index_bytes);
}

std::optional<CacheFinding> KernelPack::read_members(std::span<const char> index, std::uint64_t count,
                                                     std::uint64_t offset) {
  BinaryReader reader(index);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const auto kind = reader.integer<std::uint32_t>();
    const auto name_bytes = reader.integer<std::uint32_t>();
    Member member{.offset = offset, .bytes = reader.integer<std::uint64_t>(), .digest = {}};
    const std::span<const char> digest = reader.bytes(member.digest.size());
    std::copy(digest.begin(), digest.end(), reinterpret_cast<char*>(member.digest.data()));
    const std::string name = reader.text(name_bytes);
    if (!reader.ok() || member.bytes > bytes_ - offset || member.bytes > most_file_bytes) {
      return damaged("its index does not fit its content", Kind::foreign);
    }
    offset += member.bytes;
    if (kind == kernel_member && is_source_hash(name)) {
      kernels_.insert_or_assign(name, member);
    } else if (kind == tuning_member) {
      if (auto finding = read_tuning(name, member)) return finding;
    } else {
      return damaged(fmt::format("it has a member \"{}\" of the unknown kind {}", name, kind), Kind::foreign);
    }
  }
  if (!reader.ok() || reader.remaining() != 0 || offset != bytes_) {
    return damaged("its index does not fit its content", Kind::foreign);
  }
  return std::nullopt;
}

std::optional<CacheFinding> KernelPack::read_tuning(const std::string& name, const Member& member) {
  const auto content = read(member.offset, member.bytes);
  if (!content) return content.problem();
  if (sha256(*content) != member.digest)
    return damaged(fmt::format("the checksum of {} does not match", name));
  auto entries = decode_tuning(*content);
  if (!entries) return damaged(fmt::format("{}: {}", name, entries.problem().clause), entries.problem().kind);
  tuning_.merge(*entries);
  return std::nullopt;
}

std::vector<std::string> KernelPack::kernel_hashes() const {
  std::vector<std::string> hashes;
  for (const auto& [hash, member] : kernels_) hashes.push_back(hash);
  return hashes;
}

Outcome<std::optional<KernelImage>> KernelPack::kernel(const std::string& hash) const {
  const auto found = kernels_.find(hash);
  if (found == kernels_.end()) return std::optional<KernelImage>();
  const Member& member = found->second;
  const auto content = read(member.offset, member.bytes);
  if (!content) return content.problem();
  if (sha256(*content) != member.digest) {
    return damaged(fmt::format("the checksum of the kernel {} does not match", hash));
  }
  auto kernel = decode_kernel(*content);
  if (!kernel)
    return damaged(fmt::format("kernel {}: {}", hash, kernel.problem().clause), kernel.problem().kind);
  if (kernel->hash != hash) {
    return damaged(fmt::format("it holds the kernel {} under the name of {}", kernel->hash, hash),
                   Kind::foreign);
  }
  return std::optional(std::move(*kernel));
}

std::shared_ptr<const KernelPack> require_pack(const std::filesystem::path& path) {
  auto pack = KernelPack::open(path);
  if (!pack) fail_with(pack.problem());
  return *pack;
}

PackedKernelStore::PackedKernelStore(std::vector<std::shared_ptr<const KernelPack>> packs,
                                     std::shared_ptr<KernelStore> behind)
    : behind_(std::move(behind)), packs_(std::move(packs)) {}

void PackedKernelStore::add(std::shared_ptr<const KernelPack> pack) {
  const std::lock_guard lock(mutex_);
  packs_.push_back(std::move(pack));
}

std::optional<CompiledKernel> PackedKernelStore::find(const std::string& hash,
                                                      const codegen::KernelSpec& spec) {
  std::unique_lock lock(mutex_);
  if (refused_.contains(hash)) return std::nullopt;
  const auto packs = packs_;
  lock.unlock();
  for (const auto& pack : packs) {
    auto kernel = pack->kernel(hash);
    if (!kernel) {
      report_once(kernel.problem());
    } else if (*kernel && (*kernel)->spec == codegen::to_string(spec)) {
      KernelImage& image = **kernel;
      return CompiledKernel{
          .image = std::move(image.image), .is_ptx = image.is_ptx, .log = std::move(image.log)};
    }
  }
  return std::nullopt;
}

std::optional<CompiledKernel> PackedKernelStore::load(const std::string& hash,
                                                      const codegen::KernelSpec& spec) noexcept {
  try {
    if (auto kernel = find(hash, spec)) return kernel;
  } catch (...) {  // out of memory: as good as absent
  }
  return behind_ == nullptr ? std::nullopt : behind_->load(hash, spec);
}

bool PackedKernelStore::save(const std::string& hash, const codegen::KernelSpec& spec,
                             const CompiledKernel& kernel) noexcept {
  return behind_ != nullptr && behind_->save(hash, spec, kernel);
}

void PackedKernelStore::refuse(const std::string& hash, const codegen::KernelSpec& spec,
                               const std::string& why) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    refused_.insert(hash);
  } catch (...) {  // out of memory: it may be handed out again, and refused again
  }
  if (behind_ != nullptr) behind_->refuse(hash, spec, why);
}

}  // namespace flexgemm::detail
