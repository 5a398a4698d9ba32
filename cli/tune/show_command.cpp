#include <algorithm>

#include <CLI/CLI.hpp>

#include "common/failure.hpp"
#include "common/terminal.hpp"
#include "common/text_table.hpp"
#include "tune/cache_json.hpp"
#include "tune/cache_options.hpp"
#include "tune/command.hpp"

namespace flexgemm::tune {

namespace {

using cli::fail;

class ShowCommand final : public Command {
 public:
  explicit ShowCommand(CLI::App& program) {
    app = program.add_subcommand("show", "show one tuning result with all its candidates");
    app->add_option("ID", id_, "its identity, as list prints it; the first digits suffice")
        ->required()
        ->type_name("");
    flags_.declare(*app);
  }

  const char* notes() const override {
    return R"(
Candidates come by measured time, those that were not timed after them by predicted time. A candidate whose result
was wrong, or that did not compile, says so.

Examples
  flexgemm-tune show 3fa9c2
  flexgemm-tune show 3fa9c2 --json
)";
  }

  int run() override {
    const TuningEntry entry = find();
    if (flags_.json()) {
      print_json(to_json(entry, true));
      return cli::exit_ok;
    }
    const TuningKey& key = entry.key;
    std::string text = fmt::format(
        "id               {}\ndevice           {}, {}, {} SMs\nlayer            {}\nmeasured on      {} "
        "voxels, {} "
        "pairs, {} by version {}\n\n",
        entry_name(key), key.device, key.architecture, key.multiprocessors, describe(key), entry.rows,
        entry.pairs, entry.date, entry.version);
    cli::TextTable table(
        {"algorithm", "kernel", "layout", "splits", "measured ms", "predicted ms", "over winner"}, 3);
    std::string problems;
    for (const TuningCandidate& candidate : sorted(entry)) {
      const bool comparable =
          candidate.measured_ms && entry.winner.measured_ms && *entry.winner.measured_ms > 0;
      table.add(
          {name(candidate.algorithm), candidate.kernel, candidate.layout, fmt::format("{}", candidate.splits),
           milliseconds(candidate.measured_ms), milliseconds(candidate.predicted_ms),
           comparable ? fmt::format("{:.2f}x", *candidate.measured_ms / *entry.winner.measured_ms) : "-"});
      if (!candidate.problem.empty())
        problems += fmt::format("{}: {}\n", candidate.kernel, candidate.problem);
    }
    text += table.text();
    if (!problems.empty()) text += "\ndisqualified\n" + problems;
    cli::print(text);
    return cli::exit_ok;
  }

 private:
  TuningEntry find() const {
    std::vector<TuningEntry> found;
    for (TuningEntry& entry : list_tuning(flags_.options())) {
      if (!id_.empty() && entry_name(entry.key).starts_with(id_)) found.push_back(std::move(entry));
    }
    if (found.size() == 1) return std::move(found.front());
    if (found.empty()) {
      fail(ErrorCode::io, "no tuning result in {} has the identity '{}'; flexgemm-tune list shows them",
           flags_.place(), id_);
    }
    fail(ErrorCode::invalid_argument, "{} tuning results begin with '{}': give more digits", found.size(),
         id_);
  }

  static std::vector<TuningCandidate> sorted(const TuningEntry& entry) {
    std::vector<TuningCandidate> candidates = entry.candidates;
    if (candidates.empty()) candidates.push_back(entry.winner);
    const auto rank = [](const TuningCandidate& candidate) {
      return std::pair(candidate.measured_ms.value_or(1e300), candidate.predicted_ms.value_or(1e300));
    };
    std::stable_sort(candidates.begin(), candidates.end(),
                     [&](const auto& first, const auto& second) { return rank(first) < rank(second); });
    return candidates;
  }

  CacheFlags flags_;
  std::string id_;
};

}  // namespace

CommandPointer make_show_command(CLI::App& program) { return std::make_unique<ShowCommand>(program); }

}  // namespace flexgemm::tune
