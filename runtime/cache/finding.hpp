#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <flexgemm/cache.hpp>

namespace flexgemm::detail {

/// Why bytes cannot be believed: a clause such as "its checksum does not match".
struct Damage {
  CacheFinding::Kind kind;
  std::string clause;
};

/// A value, or what stands in its way.
template <class Value, class Problem = CacheFinding>
class Outcome {
 public:
  Outcome(Value value)
      : content_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Outcome(Problem problem)                                     // NOLINT(google-explicit-constructor)
      : content_(std::in_place_index<1>, std::move(problem)) {}

  explicit operator bool() const noexcept { return content_.index() == 0; }
  Value& operator*() { return std::get<0>(content_); }
  const Value& operator*() const { return std::get<0>(content_); }
  Value* operator->() { return &std::get<0>(content_); }
  const Value* operator->() const { return &std::get<0>(content_); }
  const Problem& problem() const { return std::get<1>(content_); }

 private:
  std::variant<Value, Problem> content_;
};

/// Writes problem and remedy to the log (level 1), the same words once a process. Thread-safe.
void report_once(const CacheFinding& finding) noexcept;

/// The finding as an error: Error{io} with problem and remedy.
[[noreturn]] void fail_with(const CacheFinding& finding);

}  // namespace flexgemm::detail
