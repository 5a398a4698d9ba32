// The cache on disk and kernel packs.
#include <algorithm>

#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>
#include <flexgemm/kernels.hpp>

#include "capi/convert.hpp"
#include "capi/structs.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

namespace {

CacheOptions to_cache_options(const flexgemm_cache_options* options) {
  const flexgemm_cache_options given = read_optional_struct(options, "options");
  CacheOptions result;
  if (given.folder != nullptr) result.folder = given.folder;
  result.limit_bytes = given.limit_bytes;
  return result;
}

flexgemm_cache_filter read_filter(const flexgemm_cache_filter* filter) {
  const flexgemm_cache_filter given = read_optional_struct(filter, "filter");
  require_reserved(given.reserved, "filter");
  return given;
}

void tell(const std::vector<CacheFinding>& findings, flexgemm_finding_callback callback, void* user_data) {
  if (callback == nullptr) return;
  for (const CacheFinding& finding : findings) {
    const std::string path = finding.path.string();
    const flexgemm_cache_finding told{.struct_size = sizeof(flexgemm_cache_finding),
                                      .kind = from_finding_kind(finding.kind),
                                      .reserved = 0,
                                      .path = path.c_str(),
                                      .problem = finding.problem.c_str(),
                                      .remedy = finding.remedy.c_str()};
    callback(user_data, &told);
  }
}

/// The struct of an optional target is looked at before anything is changed on disk.
template <class Struct>
void require_optional_target(const Struct* target, const char* name) {
  if (target != nullptr) require_struct_size(target->struct_size, name);
}

void write_change(const CacheChange& change, flexgemm_cache_change* target) {
  if (target == nullptr) return;
  write_struct(target,
               {0, change.kernels, change.tuning_entries, change.other_files, change.bytes,
                static_cast<std::int64_t>(change.findings.size())},
               "change");
}

PassDescription to_description(const flexgemm_pass_description* pass, const std::string& name) {
  const flexgemm_pass_description given = read_struct(pass, name.c_str());
  PassDescription description;
  description.op = to_op(given.op);
  description.conv = to_conv_options(given.conv, (name + "->conv").c_str());
  description.rows = given.rows;
  description.pairs_per_row = given.pairs_per_row;
  if (given.alignment != 0) description.alignment = given.alignment;
  return description;
}

std::vector<PassDescription> to_descriptions(const flexgemm_pass_description* const* passes,
                                             std::size_t count) {
  if (count > 0) require_pointer(passes, "passes");
  std::vector<PassDescription> descriptions;
  for (std::size_t i = 0; i < count; ++i)
    descriptions.push_back(to_description(passes[i], fmt::format("passes[{}]", i)));
  return descriptions;
}

/// Specs of all kernels that the passes may need on all architectures, each once.
std::vector<std::string> specs_of(const std::vector<PassDescription>& passes,
                                  const std::vector<std::string>& architectures, int multiprocessors) {
  std::vector<std::string> specs;
  for (const std::string& architecture : architectures) {
    const std::vector<std::string> more = kernels_for_pack(passes, complete({architecture, multiprocessors}));
    specs.insert(specs.end(), more.begin(), more.end());
  }
  std::sort(specs.begin(), specs.end());
  specs.erase(std::unique(specs.begin(), specs.end()), specs.end());
  return specs;
}

/// Compiles all of them into the builder.
void compile_into(PackBuilder& builder, const std::vector<std::string>& specs,
                  const flexgemm_compile_options& options) {
  std::size_t finished = 0;
  const auto tell_progress = [&] {
    if (options.progress != nullptr) options.progress(options.user_data, finished, specs.size());
  };
  tell_progress();
  compile_kernels(specs, {.jobs = options.jobs,
                          .finished =
                              [&](std::size_t, const KernelImage& kernel) {
                                builder.add(kernel);
                                ++finished;
                                tell_progress();
                              },
                          .failed =
                              [&](std::size_t position, const std::string& problem) {
                                detail::fail(ErrorCode::compile, "the kernel {} could not be compiled: {}",
                                             specs[position], problem);
                              },
                          .cancelled = {}});
}

}  // namespace

flexgemm_status flexgemm_cache_get_folder(const flexgemm_cache_options* options, char* buffer,
                                          size_t capacity, size_t* length) {
  return guarded([&] {
    write_text(cache_folder(to_cache_options(options)).string(), buffer, capacity, length, "buffer");
  });
}

flexgemm_status flexgemm_cache_diagnose(const flexgemm_cache_options* options, flexgemm_cache_report* report,
                                        flexgemm_finding_callback callback, void* user_data) {
  return guarded([&] {
    require_pointer(report, "report");
    require_optional_target(report, "report");
    const CacheReport found = diagnose_cache(to_cache_options(options));
    write_struct(
        report,
        {0, found.kernels, found.kernel_bytes, found.limit_bytes, found.tuning_entries,
         static_cast<std::int64_t>(found.findings.size()), found.usable ? 1 : 0, found.writable ? 1 : 0},
        "report");
    tell(found.findings, callback, user_data);
  });
}

flexgemm_status flexgemm_cache_clear(const flexgemm_cache_options* options,
                                     const flexgemm_cache_filter* filter, flexgemm_cache_change* change) {
  return guarded([&] {
    require_optional_target(change, "change");
    const flexgemm_cache_filter given = read_filter(filter);
    if (given.architecture_count > 0) {
      detail::fail(ErrorCode::invalid_argument,
                   "filter->architecture_count is {}; a cache is cleared of all architectures",
                   given.architecture_count);
    }
    write_change(clear_cache(to_cache_options(options), {.kernels = given.no_kernels == 0,
                                                         .tuning = given.no_tuning == 0,
                                                         .only_outdated = given.outdated != 0}),
                 change);
  });
}

flexgemm_status flexgemm_cache_merge(const flexgemm_cache_options* options, const char* source_folder,
                                     flexgemm_cache_change* change, flexgemm_finding_callback callback,
                                     void* user_data) {
  return guarded([&] {
    require_pointer(source_folder, "source_folder");
    require_optional_target(change, "change");
    const CacheChange merged = merge_cache(source_folder, to_cache_options(options));
    write_change(merged, change);
    tell(merged.findings, callback, user_data);
  });
}

flexgemm_status flexgemm_pack_write(const char* file, const flexgemm_cache_options* options,
                                    const flexgemm_cache_filter* filter, flexgemm_cache_change* change,
                                    flexgemm_finding_callback callback, void* user_data) {
  return guarded([&] {
    require_pointer(file, "file");
    require_optional_target(change, "change");
    const flexgemm_cache_filter given = read_filter(filter);
    const CacheChange packed = pack_cache(
        file, to_cache_options(options),
        {.architectures = to_texts(given.architectures, given.architecture_count, "filter->architectures"),
         .kernels = given.no_kernels == 0,
         .tuning = given.no_tuning == 0,
         .outdated = given.outdated != 0});
    write_change(packed, change);
    tell(packed.findings, callback, user_data);
  });
}

flexgemm_status flexgemm_pack_verify(const char* file, flexgemm_pack_info* info) {
  return guarded([&] {
    require_pointer(file, "file");
    require_optional_target(info, "info");
    const PackContents contents = verify_pack(file);
    if (info == nullptr) return;
    const auto current = std::count_if(contents.kernels.begin(), contents.kernels.end(),
                                       [](const KernelEntry& kernel) { return kernel.current; });
    write_struct(info,
                 {0, contents.bytes, static_cast<std::int64_t>(contents.kernels.size()), current,
                  static_cast<std::int64_t>(contents.tuning.size())},
                 "info");
  });
}

flexgemm_status flexgemm_pack_unpack(const char* file, const flexgemm_cache_options* options,
                                     flexgemm_cache_change* change, flexgemm_finding_callback callback,
                                     void* user_data) {
  return guarded([&] {
    require_pointer(file, "file");
    require_optional_target(change, "change");
    const CacheChange unpacked = unpack(file, to_cache_options(options));
    write_change(unpacked, change);
    tell(unpacked.findings, callback, user_data);
  });
}

flexgemm_status flexgemm_pack_compile(const char* file, const flexgemm_pass_description* const* passes,
                                      size_t pass_count, const char* const* architectures,
                                      size_t architecture_count, const flexgemm_compile_options* options,
                                      flexgemm_cache_change* change) {
  return guarded([&] {
    require_pointer(file, "file");
    require_optional_target(change, "change");
    const flexgemm_compile_options given = read_optional_struct(options, "options");
    const std::vector<PassDescription> described = to_descriptions(passes, pass_count);
    const std::vector<std::string> named = to_texts(architectures, architecture_count, "architectures");
    PackBuilder builder;
    compile_into(builder, specs_of(described, named, given.multiprocessors), given);
    write_change(builder.write(file), change);
  });
}
