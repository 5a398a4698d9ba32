// One libFuzzer program for each scan format: FLEXGEMM_FUZZED_PARSER names the function under test. A refusal
// must be Error{io} that names the source; anything else is a finding, as is what the sanitizers see.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <flexgemm/error.hpp>

#include "scene/point_cloud.hpp"

namespace {

[[maybe_unused]] flexgemm::scene::PointCloud parse_columns_and_bin(const std::uint8_t* data, std::size_t size,
                                                                   const std::string& what) {
  if (size == 0) return {};
  return flexgemm::scene::parse_bin(data + 1, size - 1, 3 + data[0] % 62, what);
}

using flexgemm::scene::parse_npy;
using flexgemm::scene::parse_npz;
using flexgemm::scene::parse_pcd;
using flexgemm::scene::parse_ply;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto cloud = FLEXGEMM_FUZZED_PARSER(data, size, "fuzzed input");
    if (cloud.columns < 3 || cloud.values.size() % static_cast<std::size_t>(cloud.columns) != 0) std::abort();
  } catch (const flexgemm::Error& error) {
    const std::string message = error.what();
    if (error.code() != flexgemm::ErrorCode::io || message.find("fuzzed input") != 0) std::abort();
  }
  return 0;
}
