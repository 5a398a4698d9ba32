#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include <flexgemm/flexgemm.hpp>

#include "commands.hpp"
#include "results.hpp"
#include "suite_scenes.hpp"
#include "tuning.hpp"

namespace flexgemm::bench {

void declare_tuning(CLI::App& app, Command& command) {
  struct Arguments {
    TuningBenchOptions options;
    SceneArguments scenes;
    std::string device = "cuda:0";
    std::vector<std::string> dtypes{"f16"};
    std::vector<std::string> ops{"forward"};
    std::vector<std::string> choices;
    std::string choices_file;
    std::string out;
    bool markdown = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  TuningBenchOptions& options = arguments->options;
  CLI::App* tuning = app.add_subcommand(
      "tuning", "Tune the passes of every scene's layers, cold; compare with the cost model's choice");
  tuning->add_option("--device", arguments->device, "cuda:N")->capture_default_str();
  declare_scene_arguments(*tuning, arguments->scenes);
  tuning->add_option("--dtype", arguments->dtypes, "Types, such as f16,tf32")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "tf32", "f16", "bf16"}))
      ->capture_default_str();
  tuning->add_option("--op", arguments->ops, "Passes: forward,grad_input,grad_weight")
      ->delimiter(',')
      ->check(CLI::IsMember({"forward", "grad_input", "grad_weight"}))
      ->capture_default_str();
  tuning->add_option("--budget", options.budget_seconds, "Seconds a layer, at most; 0: no limit")
      ->capture_default_str();
  tuning->add_option("--jobs", options.jobs, "Worker processes that compile; 0: one a processor, at most 16");
  tuning
      ->add_option("--candidates", options.most_candidates,
                   "Candidates to try, the best predicted first; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  tuning
      ->add_option("--exhaustive", options.exhaustive,
                   "Also try all candidates for a scene and type, such as 'sphere:256 f16'; may be repeated")
      ->allow_extra_args(false);
  tuning
      ->add_option("--choice", arguments->choices,
                   "Time this instead: ALGORITHM SPLITS[/GROUPS] KERNEL, as tables, --out's file and "
                   "FLEXGEMM_VERBOSE=1 print it; forward has a bias here; may be repeated")
      ->allow_extra_args(false);
  tuning->add_option("--choices", arguments->choices_file, "File with a choice a line; # starts a comment")
      ->check(CLI::ExistingFile);
  tuning->add_option("--out", arguments->out, "Folder for tuning.json");
  tuning->add_flag("--markdown", arguments->markdown, "Print the table as Markdown");
  tuning->callback([arguments, &command] {
    command = [arguments] {
      TuningBenchOptions chosen = arguments->options;
      chosen.device = Device::parse(arguments->device);
      chosen.scenes = scene_requests(arguments->scenes, false, false);
      for (const std::string& dtype : arguments->dtypes) chosen.dtypes.push_back(parse_dtype(dtype));
      for (const std::string& words : arguments->choices) chosen.choices.push_back(parse_choice(words));
      std::ifstream lines(arguments->choices_file);
      for (std::string line; std::getline(lines, line);) {
        if (!line.empty() && line.front() != '#') chosen.choices.push_back(parse_choice(line));
      }
      chosen.ops.clear();
      for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
        const auto& asked = arguments->ops;
        if (std::find(asked.begin(), asked.end(), name(op)) != asked.end()) chosen.ops.push_back(op);
      }
      const nlohmann::ordered_json results = measure_tuning(chosen);
      if (!arguments->out.empty()) {
        std::filesystem::create_directories(arguments->out);
        write_results(results, (std::filesystem::path(arguments->out) / "tuning.json").string());
      }
      fmt::print("{}", tuning_text(results, arguments->markdown));
      return 0;
    };
  });
}

}  // namespace flexgemm::bench
