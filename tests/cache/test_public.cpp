// The public header: what flexgemm-tune and users of the library see.
#include <algorithm>
#include <functional>
#include <map>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sys/stat.h>

#include <flexgemm/error.hpp>

#include "cache/disk_kernel_store.hpp"
#include "cache/stores.hpp"
#include "cache/tuning_store.hpp"
#include "codegen/kernel_spec.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace flexgemm::cache_test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

CompiledKernel compiled(const KernelImage& kernel) {
  return {.image = kernel.image, .is_ptx = kernel.is_ptx, .log = kernel.log};
}

/// A cache with four present kernels of two architectures, one old kernel, three present tuning results and
/// an old one.
struct SampleCache {
  TemporaryFolder folder;
  fs::path path = folder.path() / "cache";
  std::vector<KernelImage> kernels{current_kernel(0), current_kernel(1), current_kernel(0, "sm_80"),
                                   current_kernel(1, "sm_80")};

  SampleCache() {
    DiskKernelStore store(cache_in(path));
    for (const KernelImage& kernel : kernels) {
      REQUIRE(store.save(kernel.hash, codegen::parse_spec(kernel.spec), compiled(kernel)));
    }
    REQUIRE(store.save(made_kernel(1).hash, made_kernel(1).spec, made_kernel(1).compiled));
    TuningStore tuning(cache_in(path));
    for (int i = 0; i < 3; ++i) REQUIRE(tuning.save(made_entry(i)));
    TuningEntry old = made_entry(7, 9);
    old.key.template_hash = "0123456789abcdef";
    const std::string text = encode_tuning({{old.key, old}});
    write_file(path / "tuning" / tuning_file_name(old.key), {text.begin(), text.end()});
    fs::permissions(path / "tuning" / tuning_file_name(old.key), fs::perms(0600));
  }
  CacheOptions options() const { return options_for(path); }
  fs::path pack() const { return folder.path() / "kernels.pack"; }
};

int count(const CacheReport& report, CacheFinding::Kind kind) {
  return static_cast<int>(std::count_if(report.findings.begin(), report.findings.end(),
                                        [&](const CacheFinding& finding) { return finding.kind == kind; }));
}

std::string error_of(const std::function<void()>& action, ErrorCode code = ErrorCode::io) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL("nothing was thrown");
  return {};
}

std::map<std::string, std::vector<char>> content_of(const fs::path& folder) {
  std::map<std::string, std::vector<char>> content;
  for (const char* inner : {"kernels", "tuning"}) {
    if (!fs::exists(folder / inner)) continue;
    for (const std::string& name : files_in(folder / inner)) content[name] = read_file(folder / inner / name);
  }
  return content;
}

}  // namespace

TEST_CASE("lists show every entry and whether it will be used") {
  const SampleCache cache;
  const std::vector<KernelEntry> kernels = list_kernels(cache.options());
  REQUIRE(kernels.size() == 5);
  int present = 0;
  for (const KernelEntry& kernel : kernels) {
    present += kernel.current ? 1 : 0;
    CHECK(kernel.current == (kernel.hash != made_kernel(1).hash));
    CHECK(kernel.bytes == fs::file_size(cache.path / "kernels" / (kernel.hash + ".cubin")));
    CHECK(kernel.last_used.size() == 20);
    CHECK(kernel.spec.ends_with("." + kernel.architecture));
  }
  CHECK(present == 4);
  CHECK(list_tuning(cache.options()).size() == 4);
  CHECK(list_kernels(options_for(cache.folder.path() / "absent")).empty());
  CHECK(list_tuning(options_for(cache.folder.path() / "absent")).empty());
}

TEST_CASE("the diagnosis of a healthy cache counts it; of an ill one it names every file and what to do") {
  const SampleCache cache;
  const CacheReport healthy = diagnose_cache(cache.options());
  CHECK(healthy.folder == cache.path);
  CHECK(healthy.usable);
  CHECK(healthy.writable);
  CHECK(healthy.kernels == 5);
  CHECK(healthy.kernel_bytes > 5 * 2000);
  CHECK(healthy.tuning_entries == 4);
  CHECK(healthy.findings.size() == 2);
  CHECK(count(healthy, CacheFinding::Kind::outdated) == 2);

  const fs::path kernels = cache.path / "kernels";
  const auto kernel_file = [&](std::size_t i) { return kernels / (cache.kernels[i].hash + ".cubin"); };
  std::vector<char> bytes = read_file(kernel_file(0));
  bytes.back() ^= 1;
  write_file(kernel_file(0), bytes);
  bytes = read_file(kernel_file(1));
  bytes[8] = 9;
  write_file(kernel_file(1), bytes);
  fs::permissions(kernel_file(2), fs::perms(0666));
  write_file(kernels / "notes.txt", {'x'});
  write_file(kernels / "0123456789abcdef.cubin.bad", {'x'});
  write_file(kernels / ".0123456789abcdef.cubin.1-1.tmp", {'x'});
  for (const std::size_t i : {0u, 1u}) fs::permissions(kernel_file(i), fs::perms(0600));
  const auto before = content_of(cache.path);
  const CacheReport ill = diagnose_cache(cache.options());
  CHECK(ill.usable);
  CHECK(ill.kernels == 2);
  for (const auto kind :
       {CacheFinding::Kind::damaged, CacheFinding::Kind::newer, CacheFinding::Kind::untrusted,
        CacheFinding::Kind::foreign, CacheFinding::Kind::set_aside, CacheFinding::Kind::left_over}) {
    INFO(name(kind));
    CHECK(count(ill, kind) == 1);
  }
  for (const CacheFinding& finding : ill.findings) {
    CHECK_THAT(finding.problem, ContainsSubstring(finding.path.string()));
    CHECK(finding.problem.ends_with('.'));
    CHECK_FALSE(finding.remedy.empty());
  }
  CHECK(content_of(cache.path) == before);
  const CacheReport absent = diagnose_cache(options_for(cache.folder.path() / "absent"));
  CHECK_FALSE(absent.usable);
  CHECK(count(absent, CacheFinding::Kind::no_folder) == 1);
}

TEST_CASE("clearing removes what was asked for and nothing else") {
  const SampleCache cache;
  write_file(cache.path / "kernels" / "0123456789abcdef.cubin.bad", {'x'});
  write_file(cache.path / "kernels" / "notes.txt", {'x'});
  SECTION("all") {
    const CacheChange change = clear_cache(cache.options());
    CHECK(change.kernels == 5);
    CHECK(change.tuning_entries == 4);
    CHECK(change.other_files == 1);
    CHECK(files_in(cache.path / "kernels") == std::vector<std::string>{"notes.txt"});
    CHECK(files_in(cache.path / "tuning").empty());
  }
  SECTION("tuning results") {
    const CacheChange change = clear_cache(cache.options(), {.kernels = false});
    CHECK(change.kernels == 0);
    CHECK(change.tuning_entries == 4);
    CHECK(list_kernels(cache.options()).size() == 5);
  }
  SECTION("what is of another version") {
    const CacheChange change = clear_cache(cache.options(), {.only_outdated = true});
    CHECK(change.kernels == 1);
    CHECK(change.tuning_entries == 1);
    CHECK(change.other_files == 1);
    CHECK(list_kernels(cache.options()).size() == 4);
    CHECK(list_tuning(cache.options()).size() == 3);
    CHECK(diagnose_cache(cache.options()).findings.size() == 1);  // notes.txt
  }
  SECTION("of a cache that is not there") {
    CHECK(clear_cache(options_for(cache.folder.path() / "absent")).kernels == 0);
  }
}

TEST_CASE("merging adds what is missing and keeps the newer of two results") {
  const SampleCache source;
  const TemporaryFolder folder;
  const CacheOptions target = options_for(folder.path() / "target");
  TuningEntry newer = made_entry(1);
  newer.date = "2027-01-01T00:00:00Z";
  TuningEntry older = made_entry(2);
  older.date = "2020-01-01T00:00:00Z";
  {
    TuningStore store(cache_in(target.folder));
    REQUIRE(store.save(newer));
    REQUIRE(store.save(older));
  }
  const CacheChange change = merge_cache(source.path, target);
  CHECK(change.kernels == 5);
  CHECK(change.tuning_entries == 2);
  CHECK(change.findings.empty());
  CHECK(list_kernels(target).size() == 5);
  CHECK(list_tuning(target) == std::vector{made_entry(0), newer, made_entry(2)});
  const CacheChange again = merge_cache(source.path, target);
  CHECK(again.kernels == 0);
  CHECK(again.tuning_entries == 0);
  CHECK_THAT(error_of([&] { merge_cache(folder.path() / "absent", target); }),
             ContainsSubstring("does not exist"));
  fs::permissions(source.path, fs::perms(0777));
  CHECK_THAT(error_of([&] { merge_cache(source.path, target); }),
             ContainsSubstring("may be written by everybody"));
}

TEST_CASE("a damaged entry is not merged and not packed, and is reported") {
  const SampleCache source;
  const fs::path file = source.path / "kernels" / (source.kernels[0].hash + ".cubin");
  std::vector<char> bytes = read_file(file);
  bytes[100] ^= 1;
  write_file(file, bytes);
  fs::permissions(file, fs::perms(0600));
  const CacheChange merged = merge_cache(source.path, options_for(source.folder.path() / "target"));
  CHECK(merged.kernels == 4);
  REQUIRE(merged.findings.size() == 1);
  CHECK(merged.findings[0].path == file);
  const CacheChange packed = pack_cache(source.pack(), source.options());
  CHECK(packed.kernels == 3);
  REQUIRE(packed.findings.size() == 1);
  CHECK(packed.findings[0].kind == CacheFinding::Kind::damaged);
}

TEST_CASE("a pack of a cache, unpacked into another, gives the same files") {
  const SampleCache cache;
  const CacheChange packed = pack_cache(cache.pack(), cache.options(), {.outdated = true});
  CHECK(packed.kernels == 5);
  CHECK(packed.tuning_entries == 4);
  CHECK(packed.bytes == fs::file_size(cache.pack()));
  const PackContents contents = verify_pack(cache.pack());
  CHECK(contents.bytes == packed.bytes);
  CHECK(contents.kernels.size() == 5);
  CHECK(contents.tuning.size() == 4);
  const CacheOptions target = options_for(cache.folder.path() / "target");
  const CacheChange unpacked = unpack(cache.pack(), target);
  CHECK(unpacked.kernels == 5);
  CHECK(unpacked.tuning_entries == 3);  // results of older templates are of no use
  auto expected = content_of(cache.path);
  expected.erase(tuning_file_name(made_entry(7, 9).key));
  CHECK(content_of(target.folder) == expected);
  const fs::path again = cache.folder.path() / "again.pack";
  pack_cache(again, cache.options(), {.outdated = true});
  CHECK(read_file(again) == read_file(cache.pack()));
}

TEST_CASE("a filter chooses what goes into a pack") {
  const SampleCache cache;
  pack_cache(cache.pack(), cache.options(), {.architectures = {"sm_80"}});
  CHECK(verify_pack(cache.pack()).kernels.size() == 2);
  CHECK(verify_pack(cache.pack()).tuning.empty());
  pack_cache(cache.pack(), cache.options(), {.tuning = false});
  CHECK(verify_pack(cache.pack()).kernels.size() == 4);
  CHECK(verify_pack(cache.pack()).tuning.empty());
  pack_cache(cache.pack(), cache.options(), {.kernels = false});
  CHECK(verify_pack(cache.pack()).kernels.empty());
  CHECK(verify_pack(cache.pack()).tuning.size() == 3);
}

TEST_CASE("a pack with one damaged byte changes nothing when it is unpacked") {
  const SampleCache cache;
  pack_cache(cache.pack(), cache.options());
  const std::vector<char> sound = read_file(cache.pack());
  const fs::path target = cache.folder.path() / "target";
  for (std::size_t position = 3; position < sound.size(); position += sound.size() / 40) {
    std::vector<char> damaged = sound;
    damaged[position] ^= 4;
    write_file(cache.pack(), damaged);
    error_of([&] { unpack(cache.pack(), options_for(target)); });
    REQUIRE_FALSE(fs::exists(target));
  }
}

TEST_CASE("errors of packs say what is wrong") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "some.pack";
  CHECK_THAT(error_of([&] { verify_pack(file); }), ContainsSubstring("could not be read: No such file"));
  write_file(file, {'x'});
  CHECK_THAT(error_of([&] { verify_pack(file); }), ContainsSubstring("is not a kernel pack"));
  CHECK_THAT(error_of([&] { verify_pack(folder.path()); }), ContainsSubstring("is not a regular file"));
  PackBuilder builder;
  builder.add(current_kernel(0));
  builder.write(file);
  CHECK(verify_pack(file).kernels.size() == 1);
  fs::permissions(file, fs::perms(0666));
  CHECK_THAT(error_of([&] { verify_pack(file); }), ContainsSubstring("may be written by everybody"));
  CHECK_THAT(error_of([&] { builder.write(folder.path() / "absent" / "x.pack"); }),
             ContainsSubstring("could not be written: No such file"));
  KernelImage wrong = current_kernel(0);
  wrong.hash = "../x";
  CHECK_THAT(error_of([&] { builder.add(wrong); }, ErrorCode::invalid_argument),
             ContainsSubstring("no source hash"));
  wrong = current_kernel(0);
  wrong.spec = "no spec";
  error_of([&] { builder.add(wrong); }, ErrorCode::invalid_argument);
  wrong = current_kernel(0);
  wrong.image[0] = 'x';
  error_of([&] { builder.add(wrong); }, ErrorCode::invalid_argument);
}

TEST_CASE("a context's stores: packs in front of the cache, and a bad pack left out with one line") {
  const SampleCache cache;
  pack_cache(cache.pack(), cache.options());
  const fs::path target = cache.folder.path() / "target";
  const fs::path bad = cache.folder.path() / "bad.pack";
  write_file(bad, {'b', 'a', 'd'});
  const KernelImage kernel = cache.kernels[0];
  const codegen::KernelSpec spec = codegen::parse_spec(kernel.spec);
  const ChildResult child = in_child([&] {
    const Stores stores = open_stores({.cache = options_for(target), .kernel_packs = {bad, cache.pack()}});
    const auto loaded = stores.kernels->load(kernel.hash, spec);
    if (!loaded || loaded->image != kernel.image || fs::exists(target) || stores.first_start) return false;
    if (stores.tuning->find(made_entry(1).key) != made_entry(1)) return false;
    const KernelImage fresh = current_kernel(5);
    if (!stores.kernels->save(fresh.hash, codegen::parse_spec(fresh.spec), compiled(fresh))) return false;
    if (!stores.kernels->load(fresh.hash, codegen::parse_spec(fresh.spec))) return false;
    stores.kernels->refuse(kernel.hash, spec, "the driver is too old");
    return !stores.kernels->load(kernel.hash, spec);
  });
  CHECK(child.status == 0);
  CHECK_THAT(child.log, ContainsSubstring("The kernel pack " + bad.string() + " is not a kernel pack"));
  const Stores off = open_stores({.cache = {.enabled = false}});
  CHECK_FALSE(off.kernels->save(kernel.hash, spec, compiled(kernel)));
  CHECK_FALSE(off.kernels->load(kernel.hash, spec));
  CHECK_FALSE(off.first_start);
  CHECK_FALSE(off.tuning->save(made_entry(1)));
  const Stores alone = open_stores({.cache = {.enabled = false}, .kernel_packs = {cache.pack()}});
  CHECK(alone.kernels->load(kernel.hash, spec));
  CHECK_FALSE(alone.kernels->save(kernel.hash, spec, compiled(kernel)));
  CHECK_FALSE(alone.first_start);
}

TEST_CASE("a first start has a cache and no kernel") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "cache";
  const auto first_start = [&path] { return open_stores({.cache = options_for(path)}).first_start; };
  CHECK(first_start());
  CHECK_FALSE(fs::exists(path));  // not made by looking
  const Stores stores = open_stores({.cache = options_for(path)});
  REQUIRE(stores.tuning->save(made_entry(1)));
  CHECK(first_start());
  fs::create_directory(path / "kernels");
  fs::permissions(path / "kernels", fs::perms::owner_all);
  CHECK(first_start());
  write_file(path / "kernels" / "0123456789abcdef.cubin.bad", {'x'});  // set aside
  CHECK(first_start());
  const MadeKernel kernel = made_kernel(1);
  REQUIRE(stores.kernels->save(kernel.hash, kernel.spec, kernel.compiled));
  CHECK_FALSE(first_start());
}

TEST_CASE("a pack that is loaded later serves from then on, after those that were there") {
  const SampleCache cache;
  pack_cache(cache.pack(), cache.options());
  const KernelImage kernel = cache.kernels[0];
  const codegen::KernelSpec spec = codegen::parse_spec(kernel.spec);
  const Stores stores = open_stores({.cache = {.enabled = false}});
  CHECK_FALSE(stores.kernels->load(kernel.hash, spec));
  CHECK_FALSE(stores.tuning->find(made_entry(1).key));
  const fs::path absent = cache.folder.path() / "absent.pack";
  CHECK_THAT(error_of([&] { stores.load_pack(absent); }), ContainsSubstring(absent.string()));
  CHECK_FALSE(stores.kernels->load(kernel.hash, spec));

  const fs::path other = cache.folder.path() / "other.pack";
  PackBuilder builder;
  TuningEntry slower = made_entry(1);
  slower.winner.kernel = made_entry(2).winner.kernel;
  builder.add(slower);
  builder.write(other);
  stores.load_pack(cache.pack());
  stores.load_pack(other);
  REQUIRE(stores.kernels->load(kernel.hash, spec));
  CHECK(stores.kernels->load(kernel.hash, spec)->image == kernel.image);
  CHECK(stores.tuning->find(made_entry(1).key) == made_entry(1));
}
