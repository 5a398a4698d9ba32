#include "cache/finding.hpp"

#include <mutex>
#include <set>

#include "core/fail.hpp"
#include "core/log.hpp"

namespace flexgemm {

const char* name(CacheFinding::Kind kind) noexcept {
  switch (kind) {
    case CacheFinding::Kind::no_folder:
      return "no_folder";
    case CacheFinding::Kind::switched_off:
      return "switched_off";
    case CacheFinding::Kind::untrusted:
      return "untrusted";
    case CacheFinding::Kind::read_only:
      return "read_only";
    case CacheFinding::Kind::damaged:
      return "damaged";
    case CacheFinding::Kind::foreign:
      return "foreign";
    case CacheFinding::Kind::newer:
      return "newer";
    case CacheFinding::Kind::outdated:
      return "outdated";
    case CacheFinding::Kind::set_aside:
      return "set_aside";
    case CacheFinding::Kind::left_over:
      return "left_over";
    case CacheFinding::Kind::unreadable:
      return "unreadable";
  }
  return "unknown";
}

namespace detail {

namespace {

std::string sentences(const CacheFinding& finding) {
  return finding.remedy.empty() ? finding.problem : finding.problem + " " + finding.remedy;
}

}  // namespace

void report_once(const CacheFinding& finding) noexcept {
  constexpr std::size_t most_reports = 4096;  // more would help nobody
  try {
    static std::mutex mutex;
    static std::set<std::string> reported;
    std::string text = sentences(finding);
    {
      const std::lock_guard lock(mutex);
      if (reported.size() >= most_reports || !reported.insert(text).second) return;
    }
    log(1, "cache: {}", text);
  } catch (...) {  // a log line is never worth failing for
  }
}

void fail_with(const CacheFinding& finding) { fail(ErrorCode::io, "{}", sentences(finding)); }

}  // namespace detail
}  // namespace flexgemm
