#include "tune/cache_options.hpp"

#include <CLI/CLI.hpp>

#include "common/failure.hpp"

namespace flexgemm::tune {

void CacheFlags::declare(CLI::App& app) {
  app_ = &app;
  app.add_option("--cache", folder_, "the cache's folder; default: as programs find it")->type_name("DIR");
  app.add_flag("--json", json_, "print one JSON object");
}

CacheOptions CacheFlags::options() const {
  if (app_->count("--cache") != 0 && folder_.empty()) {
    cli::fail(ErrorCode::invalid_argument, "--cache is empty; it takes a folder");
  }
  CacheOptions options;
  options.folder = folder_;
  return options;
}

std::string CacheFlags::place() const {
  const std::string folder = cache_folder(options()).string();
  return folder.empty() ? "no cache" : folder;
}

}  // namespace flexgemm::tune
