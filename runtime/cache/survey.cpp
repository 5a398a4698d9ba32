#include "cache/survey.hpp"

#include <fmt/format.h>

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;

void tell(const CacheVisitor& visitor, const CacheFinding& finding) {
  if (visitor.finding) visitor.finding(finding);
}

/// Files that are neither kernels nor tuning results.
void tell_other(const CacheVisitor& visitor, const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (is_temporary_name(name)) {
    tell(visitor, {Kind::left_over, path,
                   fmt::format("{} is a file that is being written, or whose writer died.", path.string()),
                   "Old ones are removed by themselves."});
  } else if (is_set_aside_name(name)) {
    tell(visitor,
         {Kind::set_aside, path, fmt::format("{} could not be believed and was set aside.", path.string()),
          "Nothing reads it; flexgemm-tune clear --outdated removes it."});
  } else {
    tell(visitor, {Kind::foreign, path, fmt::format("{} is not a file of FlexGEMM.", path.string()),
                   "Nothing reads it; move it elsewhere."});
  }
}

void survey_kernels(const OpenFolder& kernels, const CacheVisitor& visitor) {
  for (const std::string& name : names_in(kernels)) {
    const auto hash = hash_of_file_name(name);
    if (!hash) {
      tell_other(visitor, kernels.path / name);
      continue;
    }
    auto stored = read_kernel(kernels, *hash);
    if (!stored) {
      tell(visitor, stored.problem());
    } else if (*stored && visitor.kernel) {
      visitor.kernel(**stored);
    }
  }
}

void survey_tuning(const OpenFolder& tuning, const CacheVisitor& visitor) {
  for (const std::string& name : names_in(tuning)) {
    if (!is_tuning_file_name(name)) {
      tell_other(visitor, tuning.path / name);
      continue;
    }
    const auto entries = read_tuning(tuning, name);
    if (!entries) {
      tell(visitor, entries.problem());
    } else if (*entries && visitor.tuning) {
      visitor.tuning(**entries);
    }
  }
}

}  // namespace

void survey(const CacheFolder& cache, const CacheVisitor& visitor) {
  for (const char* inner : {kernels_folder, tuning_folder}) {
    const auto folder = cache.open(inner, CacheFolder::Absent::leave);
    if (folder) {
      inner == std::string_view(kernels_folder) ? survey_kernels(*folder, visitor)
                                                : survey_tuning(*folder, visitor);
    } else if (folder.problem().kind != Kind::no_folder) {
      tell(visitor, folder.problem());
    }
  }
}

std::shared_ptr<const CacheFolder> require_folder(const CacheOptions& options) {
  auto folder = CacheFolder::locate(options);
  if (!folder) fail_with(folder.problem());
  return *folder;
}

bool require_usable(const CacheFolder& cache) {
  const auto folder = cache.open(CacheFolder::Absent::leave);
  if (!folder && folder.problem().kind != Kind::no_folder) fail_with(folder.problem());
  return static_cast<bool>(folder);
}

}  // namespace flexgemm::detail
