#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "cache/tuning_file.hpp"
#include "cache/tuning_store.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace flexgemm::cache_test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

TEST_CASE("buckets of rows and of pairs") {
  CHECK(rows_bucket(0) == 0);
  CHECK(rows_bucket(1) == 0);
  CHECK(rows_bucket(2) == 1);
  CHECK(rows_bucket(3) == 1);
  CHECK(rows_bucket(131072) == 17);
  CHECK(rows_bucket(131071) == 16);
  CHECK(rows_bucket(std::int64_t{1} << 40) == 40);
  CHECK(pairs_bucket(0) == 0);
  CHECK(pairs_bucket(1) == 0);
  CHECK(pairs_bucket(2) == 2);
  CHECK(pairs_bucket(8) == 6);
  CHECK(pairs_bucket(343) == 17);
}

TEST_CASE("a tuning result is found by exactly its key, in this process and in the next") {
  const TemporaryFolder folder;
  const TuningEntry entry = made_entry(5);
  TuningStore store(cache_in(folder.path()));
  CHECK_FALSE(store.find(entry.key));
  REQUIRE(store.save(entry));
  CHECK(store.find(entry.key) == entry);
  TuningStore next(cache_in(folder.path()));
  CHECK(next.find(entry.key) == entry);
  const auto differs = [&](auto change) {
    TuningKey key = entry.key;
    change(key);
    return !next.find(key);
  };
  CHECK(differs([](TuningKey& key) { key.device += "x"; }));
  CHECK(differs([](TuningKey& key) { key.architecture = "sm_80"; }));
  CHECK(differs([](TuningKey& key) { ++key.multiprocessors; }));
  CHECK(differs([](TuningKey& key) { key.op = Op::grad_weight; }));
  CHECK(differs([](TuningKey& key) { key.dtype = DType::bf16; }));
  CHECK(differs([](TuningKey& key) { key.result_dtype = DType::f32; }));
  CHECK(differs([](TuningKey& key) { ++key.in_channels; }));
  CHECK(differs([](TuningKey& key) { ++key.out_channels; }));
  CHECK(differs([](TuningKey& key) { ++key.volume; }));
  CHECK(differs([](TuningKey& key) { ++key.rows_bucket; }));
  CHECK(differs([](TuningKey& key) { ++key.pairs_bucket; }));
  CHECK(differs([](TuningKey& key) { key.epilogue.clear(); }));
  CHECK(differs([](TuningKey& key) { key.algorithm = Algorithm::explicit_gemm; }));
  CHECK(differs([](TuningKey& key) { key.template_hash = "0"; }));
}

TEST_CASE(
    "results of another process are seen when its file changes; a later result replaces an earlier one") {
  const TemporaryFolder folder;
  TuningStore reader(cache_in(folder.path()));
  TuningStore writer(cache_in(folder.path()));
  TuningEntry entry = made_entry(1);
  CHECK_FALSE(reader.find(entry.key));
  REQUIRE(writer.save(entry));
  CHECK(reader.find(entry.key) == entry);
  entry.winner.splits = 9;
  entry.date = "2020-01-01T00:00:00Z";  // the clock was set back
  REQUIRE(writer.save(entry));
  CHECK(reader.find(entry.key) == entry);
}

TEST_CASE("without a folder, results live as long as the store") {
  TuningStore store;
  CHECK_FALSE(store.save(made_entry(1)));
  CHECK(store.find(made_entry(1).key) == made_entry(1));
  CHECK_FALSE(store.find(made_entry(2).key));
  CHECK(store.nearest(made_entry(2).key)->entry == made_entry(1));
}

TEST_CASE(
    "results of older templates are not found, and leave the file when it is written next, they alone") {
  const TemporaryFolder folder;
  TuningEntry old = made_entry(1);
  old.key.template_hash = "0123456789abcdef";
  const TuningEntry present = made_entry(2);
  fs::create_directories(folder.path() / "tuning");
  fs::permissions(folder.path() / "tuning", fs::perms::owner_all);
  const fs::path file = folder.path() / "tuning" / tuning_file_name(old.key);
  const std::string text = encode_tuning({{old.key, old}, {present.key, present}});
  write_file(file, {text.begin(), text.end()});
  fs::permissions(file, fs::perms(0600));
  TuningStore store(cache_in(folder.path()));
  CHECK_FALSE(store.find(old.key));
  CHECK(store.find(present.key) == present);
  CHECK_FALSE(store.nearest(old.key));
  CHECK(store.nearest(made_entry(1).key)->entry == present);
  CHECK_FALSE(store.save(old));
  CHECK(list_tuning(options_for(folder.path())).size() == 2);
  REQUIRE(store.save(made_entry(3)));
  CHECK(list_tuning(options_for(folder.path())) == std::vector{present, made_entry(3)});
}

TEST_CASE("a damaged tuning file is set aside, reported once, and written anew") {
  const TemporaryFolder folder;
  {
    TuningStore store(cache_in(folder.path()));
    REQUIRE(store.save(made_entry(1)));
  }
  const fs::path file = folder.path() / "tuning" / files_in(folder.path() / "tuning").front();
  std::vector<char> bytes = read_file(file);
  bytes[bytes.size() / 2] ^= 1;
  write_file(file, bytes);
  fs::permissions(file, fs::perms(0600));
  const bool write_first = GENERATE(false, true);
  const ChildResult child = in_child([&] {
    TuningStore store(cache_in(folder.path()));
    if (!write_first && (store.find(made_entry(1).key) || store.nearest(made_entry(2).key))) return false;
    return store.save(made_entry(2)) && !TuningStore(cache_in(folder.path())).find(made_entry(1).key) &&
           TuningStore(cache_in(folder.path())).find(made_entry(2).key);
  });
  CHECK(child.status == 0);
  CHECK(child.log ==
        "flexgemm: cache: " + file.string() +
            " is damaged: its checksum does not match. It is set aside and made anew when it is needed.\n");
  CHECK(read_file(file.string() + ".bad") == bytes);
}

TEST_CASE(
    "the nearest result is of the same op, type, volume, architecture and algorithm, and of the least "
    "distance") {
  const TemporaryFolder folder;
  TuningStore store(cache_in(folder.path()));
  TuningEntry entry = made_entry(63);  // 64 channels
  const TuningKey key = entry.key;
  CHECK_FALSE(store.nearest(key));
  const auto add = [&](auto change) {
    entry.key = key;
    change(entry.key);
    REQUIRE(store.save(entry));
    return entry.key;
  };
  for (const auto& useless : {+[](TuningKey& other) { other.op = Op::grad_input; },
                              +[](TuningKey& other) { other.dtype = DType::bf16; },
                              +[](TuningKey& other) { other.result_dtype = DType::f32; },
                              +[](TuningKey& other) { other.volume = 125; },
                              +[](TuningKey& other) { other.architecture = "sm_80"; },
                              +[](TuningKey& other) { other.algorithm = Algorithm::implicit_gemm; }}) {
    add(useless);
    CHECK_FALSE(store.nearest(key));
  }
  const auto is_nearest = [&](const TuningKey& expected, double distance) {
    const auto match = TuningStore(cache_in(folder.path())).nearest(key);
    REQUIRE(match);
    CHECK(match->entry.key == expected);
    CHECK(match->distance == distance);
  };
  is_nearest(add([](TuningKey& other) { other.in_channels = 512; }), 3);
  is_nearest(add([](TuningKey& other) { other.out_channels = 128, other.in_channels = 32; }), 2);
  is_nearest(add([](TuningKey& other) { other.rows_bucket -= 4; }), 1);
  is_nearest(add([](TuningKey& other) { other.pairs_bucket += 3; }), 0.75);
  is_nearest(add([](TuningKey& other) { other.epilogue = "other"; }), 0.5);
  is_nearest(add([](TuningKey& other) { other.device = "NVIDIA Other"; }), 0.125);
  is_nearest(add([](TuningKey&) {}), 0);
}

TEST_CASE("threads that tune at once lose nothing") {
  const TemporaryFolder folder;
  TuningStore store(cache_in(folder.path()));
  std::vector<std::thread> threads;
  for (std::int64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&store, thread] {
      for (std::int64_t i = 0; i < 10; ++i) store.save(made_entry(thread * 10 + i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(list_tuning(options_for(folder.path())).size() == 40);
}
