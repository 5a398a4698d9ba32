// File formats: what was written is read back, and nothing else ever is.
#include <random>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/error.hpp>

#include "cache/kernel_file.hpp"
#include "cache/kernel_pack.hpp"
#include "cache/sha256.hpp"
#include "cache/tuning_file.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace flexgemm::cache_test;

namespace {

std::span<const char> chars(const std::string& text) { return {text.data(), text.size()}; }

TuningEntries entries_of(int count) {
  TuningEntries entries;
  for (int i = 0; i < count; ++i) {
    const TuningEntry entry = made_entry(i);
    entries.emplace(entry.key, entry);
  }
  return entries;
}

std::vector<char> made_pack() {
  std::map<std::string, std::vector<char>> kernels;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const MadeKernel kernel = made_kernel(i, 700);
    kernels.emplace(kernel.hash, encode_kernel(image_of(kernel)));
  }
  const TuningEntries entries = entries_of(3);
  return encode_pack(kernels, {{tuning_file_name(entries.begin()->first), encode_tuning(entries)}});
}

/// Calls `is_refused` with every single-byte change of some kind at every position, with every truncation,
/// and with bytes added. Returns how many damaged files were tried and how many were believed.
struct Trials {
  int tried = 0;
  int believed = 0;
};
template <class IsRefused>
Trials damage_everywhere(const std::vector<char>& sound, IsRefused is_refused, std::size_t step = 1) {
  Trials trials;
  std::mt19937 generator(20261125);
  const auto attempt = [&](const std::vector<char>& bytes) {
    ++trials.tried;
    if (!is_refused(bytes)) ++trials.believed;
  };
  for (std::size_t position = 0; position < sound.size(); position += step) {
    std::vector<char> damaged = sound;
    damaged[position] = static_cast<char>(damaged[position] ^ (1 << generator() % 8));
    attempt(damaged);
    damaged[position] = static_cast<char>(sound[position] + 1 + static_cast<int>(generator() % 255));
    attempt(damaged);
  }
  for (std::size_t size = 0; size < sound.size(); size += step) {
    attempt({sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size)});
  }
  for (const std::size_t more : {1u, 2u, 100u}) {
    std::vector<char> longer = sound;
    longer.resize(sound.size() + more);
    attempt(longer);
  }
  return trials;
}

}  // namespace

TEST_CASE("SHA-256 gives the digests of FIPS 180-4") {
  CHECK(hexadecimal(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hexadecimal(sha256(chars("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hexadecimal(sha256(chars("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 million;
  const std::string thousand(1000, 'a');
  for (int i = 0; i < 1000; ++i) million.add(chars(thousand));
  CHECK(hexadecimal(million.finish()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 of pieces is that of the whole, at every length around a block") {
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string text(size, 'x');
    for (const std::size_t cut : {std::size_t{0}, size / 3, size / 2, size}) {
      Sha256 pieces;
      pieces.add(chars(text).first(cut)).add(chars(text).subspan(cut));
      REQUIRE(pieces.finish() == sha256(chars(text)));
    }
  }
}

TEST_CASE("a kernel file gives back the kernel") {
  KernelImage kernel = image_of(made_kernel(7));
  SECTION("a cubin") {}
  SECTION("PTX") {
    kernel.is_ptx = true;
    kernel.image.back() = '\0';
  }
  const auto decoded = decode_kernel(encode_kernel(kernel));
  REQUIRE(decoded);
  CHECK(decoded->spec == kernel.spec);
  CHECK(decoded->hash == kernel.hash);
  CHECK(decoded->is_ptx == kernel.is_ptx);
  CHECK(decoded->image == kernel.image);
  CHECK(decoded->log == kernel.log);
}

TEST_CASE("no kernel file with a changed byte, cut off anywhere, or with more at its end is believed") {
  const std::vector<char> sound = encode_kernel(image_of(made_kernel(1, 1500)));
  REQUIRE(decode_kernel(sound));
  const Trials trials =
      damage_everywhere(sound, [](const std::vector<char>& bytes) { return !decode_kernel(bytes); });
  CHECK(trials.tried > 4000);
  CHECK(trials.believed == 0);
}

TEST_CASE("no image that a driver would read past the end of is believed, whatever its checksum") {
  KernelImage kernel = image_of(made_kernel(2));
  kernel.image.front() = 'x';
  CHECK_FALSE(decode_kernel(encode_kernel(kernel)));  // neither a cubin
  kernel.is_ptx = true;
  kernel.image.back() = 'x';
  CHECK_FALSE(decode_kernel(encode_kernel(kernel)));  // nor terminated
}

TEST_CASE("a tuning file gives back every result, with all of its candidates") {
  const TuningEntries entries = entries_of(20);
  const std::string text = encode_tuning(entries);
  const auto decoded = decode_tuning(chars(text));
  REQUIRE(decoded);
  CHECK(*decoded == entries);
  CHECK(encode_tuning(*decoded) == text);
  const auto none = decode_tuning(chars(encode_tuning({})));
  REQUIRE(none);
  CHECK(none->empty());
}

TEST_CASE("no tuning file with a changed byte, cut off anywhere, or with more at its end is believed") {
  const std::string text = encode_tuning(entries_of(2));
  const Trials trials = damage_everywhere(
      {text.begin(), text.end()}, [](const std::vector<char>& bytes) { return !decode_tuning(bytes); });
  CHECK(trials.tried > 6000);
  CHECK(trials.believed == 0);
}

TEST_CASE("a tuning file whose checksum is right and whose content is not is refused") {
  for (const char* wrong : {"\"entries\": {", "\"entries\": [1",
                            "\"entries\": [{\"key\": 1, \"winner\": 2, "
                            "\"candidates\": [3]}"}) {
    std::string text = encode_tuning({});
    text.replace(text.find("\"entries\": ["), 12, wrong);
    if (std::string(wrong).ends_with('{')) text.replace(text.rfind("]"), 1, "}");
    const std::size_t digits = text.find("sha256") + 10;
    text.replace(digits, 64, std::string(64, '0'));
    text.replace(digits, 64, hexadecimal(sha256(chars(text))));
    const auto decoded = decode_tuning(chars(text));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.problem().kind == CacheFinding::Kind::foreign);
  }
}

TEST_CASE("files of different devices have different names that any file system takes") {
  std::set<std::string> names;
  for (const char* device : {"NVIDIA H200", "NVIDIA_H200", "../../etc/passwd", "NVIDIA/H200", ".hidden", "",
                             "\xc3\xa9", "NVIDIA-H200", "NVIDIA%20H200"}) {
    TuningKey key = made_entry(0).key;
    key.device = device;
    const std::string name = tuning_file_name(key);
    CHECK(is_tuning_file_name(name));
    CHECK(name.find('/') == std::string::npos);
    CHECK(names.insert(name).second);
  }
  TuningKey key = made_entry(0).key;
  key.device = "NVIDIA H200";
  CHECK(tuning_file_name(key) == "NVIDIA_H200-sm_90a-132.json");
  key.device = std::string(3000, 'x');
  CHECK(tuning_file_name(key).size() < 120);
}

TEST_CASE("no pack with a changed byte, cut off anywhere, or with more at its end is believed") {
  const TemporaryFolder folder;
  const std::vector<char> sound = made_pack();
  const std::filesystem::path file = folder.path() / "test.pack";
  write_file(file, sound);
  REQUIRE(verify_pack(file).kernels.size() == 5);
  REQUIRE(verify_pack(file).tuning.size() == 3);
  const auto is_refused = [&](const std::vector<char>& bytes) {
    write_file(file, bytes);
    try {
      verify_pack(file);
      return false;
    } catch (const Error& error) {
      return error.code() == ErrorCode::io;
    }
  };
  const Trials trials = damage_everywhere(sound, is_refused, 3);
  CHECK(trials.tried > 5000);
  CHECK(trials.believed == 0);
}

TEST_CASE("a damaged pack in use gives its sound kernels and no other") {
  const TemporaryFolder folder;
  const std::vector<char> sound = made_pack();
  const std::filesystem::path file = folder.path() / "test.pack";
  int refused = 0;
  for (std::size_t position = 0; position < sound.size(); position += 7) {
    std::vector<char> damaged = sound;
    damaged[position] = static_cast<char>(~damaged[position]);
    write_file(file, damaged);
    const auto pack = KernelPack::open(file);
    if (!pack) {
      ++refused;
      continue;
    }
    int lost = 0;
    for (std::uint64_t i = 0; i < 5; ++i) {
      const MadeKernel made = made_kernel(i, 700);
      const auto kernel = (*pack)->kernel(made.hash);
      if (!kernel) {
        ++lost;
      } else if (*kernel) {
        REQUIRE((**kernel).image == made.compiled.image);
      }
    }
    REQUIRE(lost == 1);
  }
  CHECK(refused > 100);
}
