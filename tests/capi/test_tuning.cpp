// Tuning, the cache on disk and kernel packs through the C interface, without a GPU.
#include <cstddef>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include <flexgemm/flexgemm.hpp>
#include <flexgemm/system.hpp>

#include "capi/support.hpp"
#include "scene/temporary_folder.hpp"

using namespace flexgemm;
using namespace flexgemm::capi_test;
namespace fs = std::filesystem;

namespace {

/// The kernels of a small layer, never compiled: what stands in a pack for machine code is not looked at.
std::vector<KernelImage> made_kernels() {
  const PassDescription pass{
      .conv = {.in_channels = 8, .out_channels = 16, .dtype = DType::f16}, .rows = 2000, .bias = {}};
  std::vector<KernelImage> kernels;
  for (const std::string& spec : kernels_for_pack({&pass, 1}, {.architecture = "sm_90a"})) {
    KernelImage kernel{.spec = spec, .hash = kernel_hash(spec), .image = {'\x7f', 'E', 'L', 'F'}, .log = {}};
    kernel.image.resize(100, 'x');
    kernels.push_back(std::move(kernel));
  }
  REQUIRE(kernels.size() > 1);
  return kernels;
}

TuningEntry made_entry(const std::vector<KernelImage>& kernels) {
  TuningEntry entry;
  entry.key.device = "NVIDIA H200";
  entry.key.architecture = "sm_90a";
  entry.key.multiprocessors = 132;
  entry.key.dtype = entry.key.result_dtype = DType::f16;
  entry.key.in_channels = 8;
  entry.key.out_channels = 16;
  entry.key.volume = 27;
  entry.key.rows_bucket = 10;
  entry.key.epilogue = "none";
  entry.key.template_hash = template_hash();
  entry.winner = {.algorithm = Algorithm::implicit_gemm,
                  .kernel = kernels.front().spec,
                  .layout = {},
                  .predicted_ms = {},
                  .measured_ms = 0.5,
                  .problem = {}};
  entry.candidates = {entry.winner};
  entry.rows = 2000;
  entry.pairs = 20'000;
  entry.date = "2026-11-25T14:05:09Z";
  entry.version = version();
  return entry;
}

/// A pack with those, and a cache's folder beside it that does not exist yet.
struct Pack {
  Pack() : kernels(made_kernels()), options(zeroed<flexgemm_cache_options>()) {
    options.folder = cache.c_str();
    PackBuilder builder;
    for (const KernelImage& kernel : kernels) builder.add(kernel);
    builder.add(made_entry(kernels));
    builder.write(file);
  }
  void damage() const {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(fs::file_size(file)) - 40);
    stream.put('\x55');
  }
  TemporaryFolder folder;
  std::string file = folder / "some.pack";
  std::string cache = folder / "cache";
  std::vector<KernelImage> kernels;
  flexgemm_cache_options options;
};

flexgemm_cache_report diagnose(const flexgemm_cache_options& options) {
  auto report = zeroed<flexgemm_cache_report>();
  require_ok(flexgemm_cache_diagnose(&options, &report, nullptr, nullptr));
  return report;
}

}  // namespace

TEST_CASE("a context's tuning is read and changed through the C interface") {
  auto context_options = zeroed<flexgemm_context_options>();
  context_options.tuning_policy = FLEXGEMM_TUNE_ON_MISS;
  context_options.tuning_jobs = 3;
  const Owned<flexgemm_context> context = open_cpu(&context_options);
  auto options = zeroed<flexgemm_tuning_options>();
  require_ok(flexgemm_context_get_tuning(context.get(), &options));
  CHECK(options.policy == FLEXGEMM_TUNE_ON_MISS);
  CHECK(options.jobs == 3);
  CHECK(options.budget_ms == 10'000);
  options.policy = FLEXGEMM_TUNE_FORCE;
  options.jobs = 2;
  options.budget_ms = 1234;
  require_ok(flexgemm_context_set_tuning(context.get(), &options));
  options = zeroed<flexgemm_tuning_options>();
  require_ok(flexgemm_context_get_tuning(context.get(), &options));
  CHECK(options.policy == FLEXGEMM_TUNE_FORCE);
  CHECK(options.jobs == 2);
  CHECK(options.budget_ms == 1234);

  const auto refused = [&](auto&& change, std::initializer_list<std::string> texts) {
    auto wrong = zeroed<flexgemm_tuning_options>();
    change(wrong);
    check_failure(flexgemm_context_set_tuning(context.get(), &wrong), FLEXGEMM_INVALID_ARGUMENT, texts);
  };
  refused([](auto& wrong) { wrong.policy = 3; }, {"tuning_policy is 3", "0 to 2"});
  refused([](auto& wrong) { wrong.jobs = -1; }, {"jobs is -1"});
  refused([](auto& wrong) { wrong.budget_ms = -1; }, {"options->budget_ms is -1"});
  refused([](auto& wrong) { wrong.struct_size = 0; }, {"options->struct_size is 0"});
  require_ok(flexgemm_context_get_tuning(context.get(), &options));
  CHECK(options.policy == FLEXGEMM_TUNE_FORCE);  // what is refused changes nothing

  options.budget_ms = INT64_MAX;
  require_ok(flexgemm_context_set_tuning(context.get(), &options));
  require_ok(flexgemm_context_get_tuning(context.get(), &options));
  CHECK(options.budget_ms > INT64_MAX / 2);
  context_options.tuning_jobs = -4;
  flexgemm_context* made = nullptr;
  check_failure(flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 0, &context_options, &made),
                FLEXGEMM_INVALID_ARGUMENT, {"jobs is -4"});
}

TEST_CASE("tuning checks its request, and says that a CPU has nothing to tune") {
  const Owned<flexgemm_context> context = open_cpu();
  const Layer layer;
  const Owned<flexgemm_map> map = layer.map(context.get());
  const Owned<flexgemm_conv3d> conv = layer.conv(context.get());
  int unused = 0;
  auto* report = reinterpret_cast<flexgemm_tune_report*>(&unused);
  check_failure(flexgemm_conv3d_tune(conv.get(), map.get(), nullptr, nullptr, &report), FLEXGEMM_UNSUPPORTED,
                {"CPU"});
  CHECK(report == nullptr);
  const auto refused = [&](auto&& change, std::initializer_list<std::string> texts) {
    auto request = zeroed<flexgemm_tune_request>();
    change(request);
    check_failure(flexgemm_conv3d_tune(conv.get(), map.get(), &request, nullptr, &report),
                  FLEXGEMM_INVALID_ARGUMENT, texts);
    CHECK(report == nullptr);
  };
  refused([](auto& request) { request.op = 3; }, {"op is 3"});
  refused([](auto& request) { request.struct_size = 1; }, {"request->struct_size is 1"});
  refused([](auto& request) { request.reserved = 1; }, {"request->reserved is 1"});
  refused([](auto& request) { request.budget_ms = -2; }, {"request->budget_ms is -2"});
  refused([](auto& request) { request.jobs = -3; }, {"jobs is -3"});
  refused([](auto& request) { request.most_candidates = -2; }, {"request->most_candidates is -2", "-1"});
  refused(
      [](auto& request) {
        request.has_bias = 1;
        request.bias_dtype = 9;
      },
      {"request->bias_dtype is 9"});
  refused(
      [](auto& request) {
        request.has_bias = 1;
        request.bias_dtype = FLEXGEMM_F16;
      },
      {"bias", "f16", "f32"});
  refused(
      [](auto& request) {
        request.has_bias = 1;
        request.op = FLEXGEMM_GRAD_INPUT;
      },
      {"bias", "grad_input"});
  refused([](auto& request) { request.weight_gradient_dtype = FLEXGEMM_BF16; }, {"bf16", "forward"});
  refused([](auto& request) { request.choice_count = 1; }, {"request->choices is NULL"});
  auto choice = zeroed<flexgemm_kernel_choice>();
  const flexgemm_kernel_choice* const choices[] = {&choice, nullptr};
  const auto with_choices = [&](auto& request) {
    request.choices = choices;
    request.choice_count = 2;
  };
  refused(with_choices, {"request->choices[0]->kernel is NULL"});
  choice.kernel = "some";
  refused(with_choices, {"request->choices[1] is NULL"});
  choice.algorithm = 17;
  refused(with_choices, {"algorithm is 17"});
}

TEST_CASE("a loaded pack is checked, on a CPU too") {
  const Pack pack;
  const Owned<flexgemm_context> context = open_cpu();
  require_ok(flexgemm_context_load_kernel_pack(context.get(), pack.file.c_str()));
  const std::string absent = pack.folder / "absent.pack";
  check_failure(flexgemm_context_load_kernel_pack(context.get(), absent.c_str()), FLEXGEMM_IO,
                {absent, "No such file"});
  fs::permissions(pack.file, fs::perms(0666));
  check_failure(flexgemm_context_load_kernel_pack(context.get(), pack.file.c_str()), FLEXGEMM_IO,
                {"written by everybody"});
}

TEST_CASE("a pack is verified, unpacked into a cache, packed again and cleared") {
  const Pack pack;
  const auto kernels = static_cast<int64_t>(pack.kernels.size());
  auto info = zeroed<flexgemm_pack_info>();
  require_ok(flexgemm_pack_verify(pack.file.c_str(), &info));
  CHECK(info.bytes == fs::file_size(pack.file));
  CHECK(info.kernels == kernels);
  CHECK(info.current_kernels == kernels);
  CHECK(info.tuning_entries == 1);
  require_ok(flexgemm_pack_verify(pack.file.c_str(), nullptr));

  char folder[4096];
  require_ok(flexgemm_cache_get_folder(&pack.options, folder, sizeof folder, nullptr));
  CHECK(folder == pack.cache);
  CHECK(diagnose(pack.options).kernels == 0);
  auto change = zeroed<flexgemm_cache_change>();
  require_ok(flexgemm_pack_unpack(pack.file.c_str(), &pack.options, &change, nullptr, nullptr));
  CHECK(change.kernels == kernels);
  CHECK(change.tuning_entries == 1);
  CHECK(change.bytes > 0);
  CHECK(change.findings == 0);
  const flexgemm_cache_report report = diagnose(pack.options);
  CHECK(report.kernels == kernels);
  CHECK(report.tuning_entries == 1);
  CHECK(report.usable == 1);
  CHECK(report.writable == 1);
  CHECK(report.findings == 0);
  CHECK(report.limit_bytes > 0);

  const std::string again = pack.folder / "again.pack";
  auto filter = zeroed<flexgemm_cache_filter>();
  require_ok(flexgemm_pack_write(again.c_str(), &pack.options, nullptr, &change, nullptr, nullptr));
  CHECK(change.kernels == kernels);
  CHECK(fs::file_size(again) == info.bytes);
  const char* const other[] = {"sm_80"};
  filter.architectures = other;
  filter.architecture_count = 1;
  require_ok(flexgemm_pack_write(again.c_str(), &pack.options, &filter, &change, nullptr, nullptr));
  CHECK(change.kernels == 0);
  check_failure(flexgemm_cache_clear(&pack.options, &filter, nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"filter->architecture_count is 1"});

  const std::string merged = pack.folder / "merged";
  auto into = zeroed<flexgemm_cache_options>();
  into.folder = merged.c_str();
  require_ok(flexgemm_cache_merge(&into, pack.cache.c_str(), &change, nullptr, nullptr));
  CHECK(change.kernels == kernels);
  CHECK(diagnose(into).kernels == kernels);

  filter = zeroed<flexgemm_cache_filter>();
  filter.no_kernels = 1;
  require_ok(flexgemm_cache_clear(&pack.options, &filter, &change));
  CHECK(change.kernels == 0);
  CHECK(change.tuning_entries == 1);
  CHECK(diagnose(pack.options).kernels == kernels);
  filter.no_kernels = 0;
  filter.outdated = 1;
  require_ok(flexgemm_cache_clear(&pack.options, &filter, &change));
  CHECK(diagnose(pack.options).kernels == kernels);
  require_ok(flexgemm_cache_clear(&pack.options, nullptr, nullptr));
  CHECK(diagnose(pack.options).kernels == 0);
}

TEST_CASE("what is wrong with a pack or a cache is FLEXGEMM_IO or a finding, and changes nothing") {
  const Pack pack;
  require_ok(flexgemm_pack_unpack(pack.file.c_str(), &pack.options, nullptr, nullptr, nullptr));
  for (const auto& file : fs::directory_iterator(fs::path(pack.cache) / "kernels"))
    fs::resize_file(file.path(), 10);
  struct Seen {
    std::string problems;
    int64_t count = 0;
  } seen;
  const auto note = [](void* user_data, const flexgemm_cache_finding* finding) {
    auto& told = *static_cast<Seen*>(user_data);
    CHECK(finding->struct_size == sizeof(flexgemm_cache_finding));
    CHECK(std::string(flexgemm_finding_kind_name(finding->kind)) == "damaged");
    CHECK(fs::exists(finding->path));
    CHECK(finding->remedy != nullptr);
    told.problems += finding->problem;
    ++told.count;
  };
  auto report = zeroed<flexgemm_cache_report>();
  require_ok(flexgemm_cache_diagnose(&pack.options, &report, note, &seen));
  CHECK(report.kernels == 0);
  CHECK(report.findings == static_cast<int64_t>(pack.kernels.size()));
  CHECK(seen.count == report.findings);
  CHECK(seen.problems.find("kernels/") != std::string::npos);

  pack.damage();
  auto info = zeroed<flexgemm_pack_info>();
  auto change = zeroed<flexgemm_cache_change>();
  auto fresh = zeroed<flexgemm_cache_options>();
  const std::string target = pack.folder / "fresh";
  fresh.folder = target.c_str();
  check_failure(flexgemm_pack_verify(pack.file.c_str(), &info), FLEXGEMM_IO, {pack.file, "is damaged"});
  CHECK(info.kernels == 0);
  check_failure(flexgemm_pack_unpack(pack.file.c_str(), &fresh, &change, nullptr, nullptr), FLEXGEMM_IO,
                {pack.file, "is damaged"});
  CHECK_FALSE(fs::exists(target));
  change.struct_size = 3;  // seen before anything is done
  check_failure(flexgemm_cache_clear(&pack.options, nullptr, &change), FLEXGEMM_INVALID_ARGUMENT,
                {"change->struct_size is 3"});
  CHECK(fs::exists(fs::path(pack.cache) / "tuning"));
  check_failure(flexgemm_pack_write((pack.folder / "absent/x.pack").c_str(), &fresh, nullptr, nullptr,
                                    nullptr, nullptr),
                FLEXGEMM_IO, {"absent/x.pack"});
}

TEST_CASE("a pack is compiled from descriptions of layers, without a GPU") {
  const Pack pack;  // for its folder
  const Layer layer;
  auto description = zeroed<flexgemm_pass_description>();
  description.conv = &layer.options;
  description.rows = 2000;
  const flexgemm_pass_description* const passes[] = {&description, nullptr};
  const char* const architectures[] = {"sm_80"};
  const std::string file = pack.folder / "net.pack";
  const auto compile = [&](const flexgemm_pass_description* const* given, size_t count,
                           const char* const* names, const flexgemm_compile_options* options,
                           flexgemm_cache_change* change) {
    return flexgemm_pack_compile(file.c_str(), given, count, names, 1, options, change);
  };
  check_failure(compile(passes, 2, architectures, nullptr, nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"passes[1] is NULL"});
  const char* const unknown[] = {"sm_12"};
  check_failure(compile(passes, 1, unknown, nullptr, nullptr), FLEXGEMM_INVALID_ARGUMENT, {"sm_12"});
  const char* const none[] = {nullptr};
  check_failure(compile(passes, 1, none, nullptr, nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"architectures[0] is NULL"});
  description.rows = 0;
  check_failure(compile(passes, 1, architectures, nullptr, nullptr), FLEXGEMM_INVALID_ARGUMENT, {"0 rows"});
  description.rows = 2000;
  description.conv = nullptr;
  check_failure(compile(passes, 1, architectures, nullptr, nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"passes[0]->conv is NULL"});
  CHECK_FALSE(fs::exists(file));

  description.conv = &layer.options;
  if (!system_information().compiler_problem.empty()) {
    check_failure(compile(passes, 1, architectures, nullptr, nullptr), FLEXGEMM_COMPILE, {});
    CHECK_FALSE(fs::exists(file));
    SKIP("no NVRTC: " << system_information().compiler_problem);
  }
  struct Told {
    size_t finished = 0, kernels = 0, calls = 0;
  } told;
  auto options = zeroed<flexgemm_compile_options>();
  options.jobs = 2;
  options.user_data = &told;
  options.progress = [](void* user_data, size_t finished, size_t kernels) {
    auto& last = *static_cast<Told*>(user_data);
    last = {finished, kernels, last.calls + 1};
  };
  auto change = zeroed<flexgemm_cache_change>();
  require_ok(compile(passes, 1, architectures, &options, &change));
  CHECK(told.finished == told.kernels);
  CHECK(told.calls == told.kernels + 1);
  CHECK(change.kernels == static_cast<int64_t>(told.kernels));
  auto info = zeroed<flexgemm_pack_info>();
  require_ok(flexgemm_pack_verify(file.c_str(), &info));
  CHECK(info.kernels == change.kernels);
  CHECK(info.current_kernels == info.kernels);
  CHECK(info.kernels > 1);
}

TEST_CASE("functions of tuning, cache and packs report NULL by the argument's name") {
  const Owned<flexgemm_context> context = open_cpu();
  const Layer layer;
  const Owned<flexgemm_map> map = layer.map(context.get());
  const Owned<flexgemm_conv3d> conv = layer.conv(context.get());
  auto options = zeroed<flexgemm_tuning_options>();
  auto summary = zeroed<flexgemm_tune_summary>();
  auto candidate = zeroed<flexgemm_tune_candidate>();
  flexgemm_tune_report* report = nullptr;
  const auto check = [](const char* argument, flexgemm_status status) {
    CAPTURE(argument);
    check_failure(status, FLEXGEMM_INVALID_ARGUMENT, {"the argument " + std::string(argument) + " is NULL"});
  };
  check("context", flexgemm_context_get_tuning(nullptr, &options));
  check("options", flexgemm_context_get_tuning(context.get(), nullptr));
  check("context", flexgemm_context_set_tuning(nullptr, &options));
  check("options", flexgemm_context_set_tuning(context.get(), nullptr));
  check("context", flexgemm_context_load_kernel_pack(nullptr, "x"));
  check("file", flexgemm_context_load_kernel_pack(context.get(), nullptr));
  check("conv", flexgemm_conv3d_tune(nullptr, map.get(), nullptr, nullptr, &report));
  check("map", flexgemm_conv3d_tune(conv.get(), nullptr, nullptr, nullptr, &report));
  check("report", flexgemm_conv3d_tune(conv.get(), map.get(), nullptr, nullptr, nullptr));
  check("report", flexgemm_tune_report_get_summary(nullptr, &summary));
  check("report", flexgemm_tune_report_get_candidate(nullptr, 0, &candidate));
  check("report", flexgemm_cache_diagnose(nullptr, nullptr, nullptr, nullptr));
  check("source_folder", flexgemm_cache_merge(nullptr, nullptr, nullptr, nullptr, nullptr));
  check("file", flexgemm_pack_write(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr));
  check("file", flexgemm_pack_verify(nullptr, nullptr));
  check("file", flexgemm_pack_unpack(nullptr, nullptr, nullptr, nullptr, nullptr));
  check("file", flexgemm_pack_compile(nullptr, nullptr, 0, nullptr, 0, nullptr, nullptr));
  check("passes", flexgemm_pack_compile("x", nullptr, 1, nullptr, 0, nullptr, nullptr));
  check("architectures", flexgemm_pack_compile("x", nullptr, 0, nullptr, 1, nullptr, nullptr));
  check_failure(flexgemm_cache_get_folder(nullptr, nullptr, 5, nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"buffer is NULL"});
  flexgemm_tune_report_destroy(nullptr);
}

TEST_CASE("numbers and layouts of tuning, cache and packs are what was published") {
  const char* const ends[] = {"complete", "budget", "cancelled", "unknown"};
  for (int i = 0; i < 4; ++i) CHECK(std::string(flexgemm_tuning_end_name(i)) == ends[i]);
  const char* const findings[] = {"no_folder", "switched_off", "untrusted", "read_only",
                                  "damaged",   "foreign",      "newer",     "outdated",
                                  "set_aside", "left_over",    "unreadable"};
  for (int i = 0; i < 11; ++i) CHECK(std::string(flexgemm_finding_kind_name(i)) == findings[i]);
  CHECK(std::string(flexgemm_finding_kind_name(11)) == "unknown");
#if defined(__LP64__)
  static_assert(sizeof(flexgemm_tuning_options) == 24 && offsetof(flexgemm_tuning_options, policy) == 8 &&
                offsetof(flexgemm_tuning_options, jobs) == 12 &&
                offsetof(flexgemm_tuning_options, budget_ms) == 16);
  static_assert(sizeof(flexgemm_tune_candidate) == 72 && offsetof(flexgemm_tune_candidate, kernel) == 16 &&
                offsetof(flexgemm_tune_candidate, predicted_ms) == 24 &&
                offsetof(flexgemm_tune_candidate, error) == 48 &&
                offsetof(flexgemm_tune_candidate, disqualified) == 56 &&
                offsetof(flexgemm_tune_candidate, samples) == 64 &&
                offsetof(flexgemm_tune_candidate, groups) == 68);
  static_assert(sizeof(flexgemm_tune_progress) == 48 && offsetof(flexgemm_tune_progress, seconds) == 24 &&
                offsetof(flexgemm_tune_progress, latest) == 32 &&
                offsetof(flexgemm_tune_progress, leader) == 40);
  static_assert(sizeof(flexgemm_kernel_choice) == 32 && offsetof(flexgemm_kernel_choice, kernel) == 16 &&
                offsetof(flexgemm_kernel_choice, groups) == 24);
  static_assert(
      sizeof(flexgemm_tune_request) == 88 && offsetof(flexgemm_tune_request, choices) == 72 &&
      offsetof(flexgemm_tune_request, op) == 8 && offsetof(flexgemm_tune_request, has_bias) == 12 &&
      offsetof(flexgemm_tune_request, bias_dtype) == 16 &&
      offsetof(flexgemm_tune_request, weight_gradient_dtype) == 20 &&
      offsetof(flexgemm_tune_request, budget_ms) == 24 && offsetof(flexgemm_tune_request, jobs) == 32 &&
      offsetof(flexgemm_tune_request, most_candidates) == 36 &&
      offsetof(flexgemm_tune_request, no_store) == 40 && offsetof(flexgemm_tune_request, progress) == 48 &&
      offsetof(flexgemm_tune_request, cancelled) == 56 && offsetof(flexgemm_tune_request, user_data) == 64);
  static_assert(sizeof(flexgemm_tune_summary) == 56 && offsetof(flexgemm_tune_summary, winner) == 16 &&
                offsetof(flexgemm_tune_summary, predicted_choice_ms) == 32 &&
                offsetof(flexgemm_tune_summary, end) == 48 && offsetof(flexgemm_tune_summary, stored) == 52);
  static_assert(sizeof(flexgemm_cache_options) == 24 && offsetof(flexgemm_cache_options, limit_bytes) == 16);
  static_assert(sizeof(flexgemm_cache_finding) == 40 && offsetof(flexgemm_cache_finding, path) == 16 &&
                offsetof(flexgemm_cache_finding, remedy) == 32);
  static_assert(sizeof(flexgemm_cache_report) == 56 && offsetof(flexgemm_cache_report, findings) == 40 &&
                offsetof(flexgemm_cache_report, usable) == 48);
  static_assert(sizeof(flexgemm_cache_change) == 48 && offsetof(flexgemm_cache_change, bytes) == 32 &&
                offsetof(flexgemm_cache_change, findings) == 40);
  static_assert(sizeof(flexgemm_cache_filter) == 40 && offsetof(flexgemm_cache_filter, outdated) == 16 &&
                offsetof(flexgemm_cache_filter, architectures) == 24);
  static_assert(sizeof(flexgemm_pack_info) == 40 && offsetof(flexgemm_pack_info, current_kernels) == 24);
  static_assert(sizeof(flexgemm_pass_description) == 40 && offsetof(flexgemm_pass_description, rows) == 16 &&
                offsetof(flexgemm_pass_description, op) == 32 &&
                offsetof(flexgemm_pass_description, alignment) == 36);
  static_assert(sizeof(flexgemm_compile_options) == 32 &&
                offsetof(flexgemm_compile_options, multiprocessors) == 12 &&
                offsetof(flexgemm_compile_options, progress) == 16);
#endif
}
