#include <algorithm>

#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>

#include "capi/convert.hpp"
#include "capi/handles.hpp"
#include "capi/structs.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

namespace {

constexpr double most_milliseconds = 9e18;  // below 2^63

flexgemm_tune_candidate from_candidate(const CandidateReport& report) noexcept {
  flexgemm_tune_candidate candidate{};
  candidate.struct_size = sizeof candidate;
  candidate.algorithm = from_algorithm(report.choice.algorithm);
  candidate.splits = report.choice.splits;
  candidate.kernel = report.choice.kernel.c_str();
  candidate.predicted_ms = report.predicted_ms;
  candidate.measured_ms = report.measured_ms;
  candidate.least_ms = report.least_ms;
  candidate.error = report.error;
  candidate.disqualified = report.disqualified.empty() ? nullptr : report.disqualified.c_str();
  candidate.samples = report.samples;
  candidate.groups = report.choice.groups;
  return candidate;
}

/// Tells a callback where tuning stands.
void tell(const flexgemm_tune_request& request, const TuneProgress& progress) {
  flexgemm_tune_candidate latest{};
  flexgemm_tune_candidate leader{};
  if (progress.latest != nullptr) latest = from_candidate(*progress.latest);
  if (progress.leader != nullptr) leader = from_candidate(*progress.leader);
  const flexgemm_tune_progress told{.struct_size = sizeof(flexgemm_tune_progress),
                                    .candidates = progress.candidates,
                                    .compiled = progress.compiled,
                                    .measured = progress.measured,
                                    .reserved = 0,
                                    .seconds = progress.seconds,
                                    .latest = progress.latest == nullptr ? nullptr : &latest,
                                    .leader = progress.leader == nullptr ? nullptr : &leader};
  request.progress(request.user_data, &told);
}

int to_most_candidates(std::int32_t given, int default_count) {
  if (given < -1) {
    detail::fail(ErrorCode::invalid_argument, "request->most_candidates is {}; use -1 for all", given);
  }
  if (given == -1) return 0;
  return given == 0 ? default_count : given;
}

KernelChoice to_choice(const flexgemm_kernel_choice* choice, const std::string& name) {
  const flexgemm_kernel_choice given = read_struct(choice, name.c_str());
  require_reserved(given.reserved, name.c_str());
  require_pointer(given.kernel, (name + "->kernel").c_str());
  return {.algorithm = to_algorithm(given.algorithm),
          .kernel = given.kernel,
          .splits = given.splits == 0 ? 1 : given.splits,
          .groups = given.groups == 0 ? 1 : given.groups};
}

TuneRequest to_request(const flexgemm_tune_request& given) {
  require_reserved(given.reserved, "request");
  TuneRequest request;
  request.pass.op = to_op(given.op);
  if (given.has_bias != 0) request.pass.bias = to_dtype(given.bias_dtype, "request->bias_dtype");
  const DType result = to_dtype(given.weight_gradient_dtype, "request->weight_gradient_dtype");
  if (request.pass.op == Op::grad_weight || result != DType::f32) request.pass.result = result;
  request.budget_seconds = to_budget(given.budget_ms, request.budget_seconds, "request->budget_ms");
  request.jobs = given.jobs;
  request.most_candidates = to_most_candidates(given.most_candidates, request.most_candidates);
  request.store = given.no_store == 0;
  if (given.choice_count > 0) require_pointer(given.choices, "request->choices");
  for (std::size_t i = 0; i < given.choice_count; ++i)
    request.choices.push_back(to_choice(given.choices[i], fmt::format("request->choices[{}]", i)));
  if (given.progress != nullptr)
    request.progress = [given](const TuneProgress& progress) { tell(given, progress); };
  if (given.cancelled != nullptr)
    request.cancelled = [given] { return given.cancelled(given.user_data) != 0; };
  return request;
}

std::int64_t position_or_none(const std::optional<std::size_t>& position) noexcept {
  return position ? static_cast<std::int64_t>(*position) : -1;
}

}  // namespace

flexgemm_status flexgemm_context_get_tuning(const flexgemm_context* context,
                                            flexgemm_tuning_options* options) {
  return guarded([&] {
    require_pointer(context, "context");
    const TuningOptions tuning = context->object.tuning();
    write_struct(options,
                 {0, from_tuning_policy(tuning.policy), tuning.jobs,
                  static_cast<std::int64_t>(std::min(tuning.budget_seconds * 1e3 + 0.5, most_milliseconds))},
                 "options");
  });
}

flexgemm_status flexgemm_context_set_tuning(flexgemm_context* context,
                                            const flexgemm_tuning_options* options) {
  return guarded([&] {
    require_pointer(context, "context");
    const flexgemm_tuning_options given = read_struct(options, "options");
    TuningOptions tuning;
    tuning.policy = to_tuning_policy(given.policy);
    tuning.jobs = given.jobs;
    tuning.budget_seconds = to_budget(given.budget_ms, tuning.budget_seconds, "options->budget_ms");
    context->object.set_tuning(tuning);
  });
}

flexgemm_status flexgemm_context_load_kernel_pack(flexgemm_context* context, const char* file) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(file, "file");
    context->object.load_kernel_pack(file);
  });
}

flexgemm_status flexgemm_conv3d_tune(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                     const flexgemm_tune_request* request, void* stream,
                                     flexgemm_tune_report** report) {
  return guarded([&] {
    require_target(report, "report");
    require_pointer(conv, "conv");
    require_pointer(map, "map");
    const TuneRequest asked = to_request(read_optional_struct(request, "request"));
    *report = new flexgemm_tune_report{conv->object.tune(map->object, asked, to_stream(stream))};
  });
}

void flexgemm_tune_report_destroy(flexgemm_tune_report* report) { delete report; }

flexgemm_status flexgemm_tune_report_get_summary(const flexgemm_tune_report* report,
                                                 flexgemm_tune_summary* summary) {
  return guarded([&] {
    require_pointer(report, "report");
    const TuneReport& known = report->report;
    write_struct(summary,
                 {0, static_cast<std::int64_t>(known.candidates.size()), position_or_none(known.winner),
                  position_or_none(known.predicted), known.predicted_choice_ms, known.seconds,
                  from_tuning_end(known.end), known.stored ? 1 : 0},
                 "summary");
  });
}

flexgemm_status flexgemm_tune_report_get_candidate(const flexgemm_tune_report* report, int64_t position,
                                                   flexgemm_tune_candidate* candidate) {
  return guarded([&] {
    require_pointer(report, "report");
    const std::vector<CandidateReport>& candidates = report->report.candidates;
    if (position < 0 || position >= static_cast<std::int64_t>(candidates.size())) {
      detail::fail(ErrorCode::invalid_argument, "position is {}, but the report has {} candidates", position,
                   candidates.size());
    }
    write_struct(candidate, from_candidate(candidates[static_cast<std::size_t>(position)]), "candidate");
  });
}
