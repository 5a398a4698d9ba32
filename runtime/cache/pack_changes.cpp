// Kernel packs as the public header has them.
#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

#include "cache/cache_import.hpp"
#include "cache/kernel_file.hpp"
#include "cache/kernel_pack.hpp"
#include "cache/survey.hpp"
#include "codegen/emit.hpp"
#include "core/fail.hpp"

namespace flexgemm {

using namespace detail;

struct PackBuilder::Parts {
  std::map<std::string, std::vector<char>> kernels;
  TuningEntries tuning;
};

namespace {

using Kind = CacheFinding::Kind;

bool takes_architecture(const PackFilter& filter, const std::string& architecture) {
  return filter.architectures.empty() ||
         std::ranges::find(filter.architectures, architecture) != filter.architectures.end();
}

/// Writes a file beside others of any owner: a pack's folder is not a cache.
void write_file(const std::filesystem::path& file, std::span<const char> bytes) {
  const std::filesystem::path parent = file.has_parent_path() ? file.parent_path() : ".";
  const OpenFolder folder{FileDescriptor(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), parent};
  if (!folder.descriptor || !file.has_filename()) {
    fail(ErrorCode::io, "The kernel pack {} could not be written: {}.", file.string(),
         folder.descriptor ? "it has no file name" : system_words(errno));
  }
  auto temporary = TemporaryFile::write(folder, file.filename().string(), bytes, 0644);
  std::optional<CacheFinding> finding;
  if (!temporary) {
    finding = temporary.problem();
  } else if (!(finding = temporary->publish())) {
    finding = flush_folder(folder);
  }
  if (finding) fail(ErrorCode::io, "{}", finding->problem);
}

/// Every byte of an open pack, checked. Throws Error{io}.
void for_each_kernel(const KernelPack& pack, const std::function<void(KernelImage&)>& visit) {
  for (const std::string& hash : pack.kernel_hashes()) {
    auto kernel = pack.kernel(hash);
    if (!kernel) fail_with(kernel.problem());
    visit(**kernel);
  }
}

std::shared_ptr<const KernelPack> open_pack(const std::filesystem::path& file) {
  auto pack = KernelPack::open(file);
  if (!pack) fail_with(pack.problem());
  return *pack;
}

}  // namespace

PackBuilder::PackBuilder() : parts_(std::make_unique<Parts>()) {}
PackBuilder::~PackBuilder() = default;
PackBuilder::PackBuilder(PackBuilder&&) noexcept = default;
PackBuilder& PackBuilder::operator=(PackBuilder&&) noexcept = default;

void PackBuilder::add(const KernelImage& kernel) {
  try {
    codegen::parse_spec(kernel.spec);
  } catch (const std::logic_error& error) {
    fail(ErrorCode::invalid_argument, "a kernel cannot be packed: {}", error.what());
  }
  if (!is_source_hash(kernel.hash)) {
    fail(ErrorCode::invalid_argument,
         "the kernel {} cannot be packed: \"{}\" is no source hash (16 hex digits)", kernel.spec,
         kernel.hash);
  }
  std::vector<char> bytes = encode_kernel(kernel);
  if (const auto decoded = decode_kernel(bytes); !decoded) {
    fail(ErrorCode::invalid_argument,
         "the kernel {} cannot be packed: it is neither a cubin nor zero-terminated PTX", kernel.spec);
  }
  parts_->kernels.insert_or_assign(kernel.hash, std::move(bytes));
}

void PackBuilder::add(const TuningEntry& entry) {
  const auto [place, fresh] = parts_->tuning.emplace(entry.key, entry);
  if (!fresh && place->second.date < entry.date) place->second = entry;
}

CacheChange PackBuilder::write(const std::filesystem::path& file) const {
  std::map<std::string, TuningEntries> by_file;
  for (const auto& [key, entry] : parts_->tuning) by_file[tuning_file_name(key)].emplace(key, entry);
  std::map<std::string, std::string> tuning;
  for (const auto& [name, entries] : by_file) tuning.emplace(name, encode_tuning(entries));
  const std::vector<char> bytes = encode_pack(parts_->kernels, tuning);
  write_file(file, bytes);
  return {.kernels = static_cast<std::int64_t>(parts_->kernels.size()),
          .tuning_entries = static_cast<std::int64_t>(parts_->tuning.size()),
          .other_files = 0,
          .bytes = bytes.size(),
          .findings = {}};
}

CacheChange pack_cache(const std::filesystem::path& file, const CacheOptions& options,
                       const PackFilter& filter) {
  const auto cache = require_folder(options);
  require_usable(*cache);
  PackBuilder builder;
  std::vector<CacheFinding> findings;
  CacheVisitor visitor{.finding = [&](const CacheFinding& finding) {
    if (finding.kind != Kind::left_over && finding.kind != Kind::set_aside) findings.push_back(finding);
  }};
  if (filter.kernels) {
    visitor.kernel = [&](const StoredKernel& stored) {
      if (takes_architecture(filter, architecture_of_spec(stored.kernel.spec)) &&
          (filter.outdated || is_current(stored.kernel))) {
        builder.add(stored.kernel);
      }
    };
  }
  if (filter.tuning) {
    visitor.tuning = [&](const TuningEntries& entries) {
      for (const auto& [key, entry] : entries) {
        if (takes_architecture(filter, key.architecture) &&
            (filter.outdated || key.template_hash == codegen::template_hash())) {
          builder.add(entry);
        }
      }
    };
  }
  survey(*cache, visitor);
  CacheChange change = builder.write(file);
  change.findings = std::move(findings);
  return change;
}

PackContents verify_pack(const std::filesystem::path& file) {
  const auto pack = open_pack(file);
  PackContents contents;
  contents.bytes = pack->bytes();
  for_each_kernel(*pack, [&](const KernelImage& kernel) {
    contents.kernels.push_back(entry_of(kernel, encode_kernel(kernel).size()));
  });
  for (const auto& [key, entry] : pack->tuning()) contents.tuning.push_back(entry);
  return contents;
}

CacheChange unpack(const std::filesystem::path& file, const CacheOptions& options) {
  const auto target = require_folder(options);
  const auto pack = open_pack(file);
  for_each_kernel(*pack, [](const KernelImage&) {});  // the last one may be the damaged one
  CacheImport addition(target);
  for_each_kernel(*pack, [&](const KernelImage& kernel) { addition.add(kernel); });
  addition.add(pack->tuning());
  return addition.finish();
}

}  // namespace flexgemm
