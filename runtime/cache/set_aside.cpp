#include "cache/set_aside.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>

namespace flexgemm::detail {

using Kind = CacheFinding::Kind;

CacheFinding damage_finding(const std::filesystem::path& path, const Damage& damage) {
  const char* what = damage.kind == Kind::foreign ? "is not a file of FlexGEMM"
                     : damage.kind == Kind::newer ? "was written by a newer version of FlexGEMM"
                                                  : "is damaged";
  return {damage.kind, path, fmt::format("{} {}: {}.", path.string(), what, damage.clause),
          "It is set aside and made anew when it is needed."};
}

bool is_set_aside_for(Kind kind) noexcept {
  return kind == Kind::damaged || kind == Kind::foreign || kind == Kind::newer;
}

void set_aside(const CacheFolder& cache, const OpenFolder& folder, const std::string& name,
               const CacheFinding& finding, const std::function<bool()>& is_bad) noexcept {
  try {
    const Outcome<FolderLock> lock = cache.lock();
    if (lock && !is_bad()) return;
    report_once(finding);
    if (!lock) return report_once(lock.problem());
    set_aside_locked(folder, name);
  } catch (...) {  // out of memory: the file is ignored all the same
  }
}

void set_aside_locked(const OpenFolder& folder, const std::string& name) {
  const int number = folder.descriptor.number();
  if (::renameat(number, name.c_str(), number, (name + set_aside_suffix).c_str()) == 0 || errno == ENOENT)
    return;
  const std::filesystem::path path = folder.path / name;
  report_once({Kind::read_only, path,
               fmt::format("{} could not be set aside: {}.", path.string(), system_words(errno)),
               "It is ignored."});
}

}  // namespace flexgemm::detail
