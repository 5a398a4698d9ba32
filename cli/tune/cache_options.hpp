#pragma once

#include <string>

#include <flexgemm/cache.hpp>

namespace CLI {
class App;
}

namespace flexgemm::tune {

/// The options --cache and --json, which most subcommands have.
class CacheFlags {
 public:
  void declare(CLI::App& app);
  bool json() const noexcept { return json_; }
  /// Throws Error{invalid_argument} for an empty --cache.
  CacheOptions options() const;
  /// The folder in words, for sentences.
  std::string place() const;

 private:
  const CLI::App* app_ = nullptr;
  std::string folder_;
  bool json_ = false;
};

}  // namespace flexgemm::tune
