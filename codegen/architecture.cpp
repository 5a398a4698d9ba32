#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "architectures/family.hpp"

namespace flexgemm::codegen {

namespace {

struct Found {
  const ArchitectureFamily* family;
  ArchitectureLimits limits;
};

// The listed member nearest below `number`, or the oldest one.
Found nearest_below(int number) {
  Found best{};
  Found oldest{};
  for (const ArchitectureFamily* family : architecture_families()) {
    for (const ArchitectureLimits& member : family->members) {
      if (member.number <= number && (best.family == nullptr || member.number > best.limits.number)) {
        best = {family, member};
      }
      if (oldest.family == nullptr || member.number < oldest.limits.number) oldest = {family, member};
    }
  }
  return best.family != nullptr ? best : oldest;
}

ArchitectureLimits least_of_major(ArchitectureLimits limits) {
  for (const ArchitectureFamily* family : architecture_families()) {
    for (const ArchitectureLimits& member : family->members) {
      if (member.number / 10 != limits.number / 10) continue;
      limits.shared_kib_per_block = std::min(limits.shared_kib_per_block, member.shared_kib_per_block);
      limits.shared_kib_per_multiprocessor =
          std::min(limits.shared_kib_per_multiprocessor, member.shared_kib_per_multiprocessor);
      limits.threads_per_multiprocessor =
          std::min(limits.threads_per_multiprocessor, member.threads_per_multiprocessor);
    }
  }
  return limits;
}

[[noreturn]] void fail_architecture(std::string_view text) {
  std::string known;
  for (const ArchitectureFamily* family : architecture_families()) {
    for (const ArchitectureLimits& member : family->members) {
      known += (known.empty() ? "sm_" : ", sm_") + std::to_string(member.number);
    }
  }
  throw std::invalid_argument("\"" + std::string(text) +
                              "\" is not an architecture that can be generated for: " + "give one such as " +
                              known + "; from sm_90 on also with the suffix a, as in sm_90a");
}

constexpr int first_with_suffix = 90;

}  // namespace

const ArchitectureFamily& family_of(const Architecture& architecture) {
  return *nearest_below(architecture.number()).family;
}

ArchitectureLimits limits_of(const Architecture& architecture) {
  const ArchitectureLimits limits = nearest_below(architecture.number()).limits;
  return limits.number == architecture.number() ? limits : least_of_major(limits);
}

bool is_known_major(int major) {
  for (const ArchitectureFamily* family : architecture_families()) {
    for (const ArchitectureLimits& member : family->members) {
      if (member.number / 10 == major) return true;
    }
  }
  return false;
}

bool Architecture::has_wgmma(ElementType compute) const noexcept {
  return number() == 90 && suffix == 'a' && compute != ElementType::f32;
}

bool Architecture::has_mma_sync(ElementType compute) const noexcept {
  switch (compute) {
    case ElementType::f32:
      return false;
    case ElementType::f16:
      return number() >= 75;
    case ElementType::tf32:
    case ElementType::bf16:
      return number() >= 80;
  }
  return false;
}

int Architecture::shared_bytes_per_block() const noexcept {
  return limits_of(*this).shared_kib_per_block * 1024;
}

int Architecture::shared_bytes_per_multiprocessor() const noexcept {
  return limits_of(*this).shared_kib_per_multiprocessor * 1024;
}

int Architecture::threads_per_multiprocessor() const noexcept {
  return limits_of(*this).threads_per_multiprocessor;
}

std::string to_string(const Architecture& architecture) {
  std::string text = "sm_" + std::to_string(architecture.number());
  if (architecture.suffix != '\0') text += architecture.suffix;
  return text;
}

Architecture parse_architecture(std::string_view text) {
  std::string_view digits = text;
  if (!digits.starts_with("sm_")) fail_architecture(text);
  digits.remove_prefix(3);
  Architecture architecture;
  if (digits.ends_with('a')) {
    architecture.suffix = 'a';
    digits.remove_suffix(1);
  }
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) fail_architecture(text);
  architecture.major = number / 10;
  architecture.minor = number % 10;
  const bool too_old = nearest_below(number).limits.number > number;
  const bool bad_suffix = architecture.suffix != '\0' && number < first_with_suffix;
  if (too_old || bad_suffix || !is_known_major(architecture.major) || to_string(architecture) != text) {
    fail_architecture(text);
  }
  return architecture;
}

}  // namespace flexgemm::codegen
