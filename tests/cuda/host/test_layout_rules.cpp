#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "codegen/candidates.hpp"
#include "cuda/kernel_parameters.hpp"
#include "cuda/map_build.hpp"
#include "cuda/row_order.hpp"
#include "templates/parameters.cuh"

using namespace flexgemm;
using namespace flexgemm::detail;

namespace {

constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();

#define FLEXGEMM_SAME_OFFSET(type, member) \
  static_assert(offsetof(flexgemm::type, member) == offsetof(flexgemm::detail::type, member))

static_assert(sizeof(flexgemm::ImplicitGemmParameters) == sizeof(flexgemm::detail::ImplicitGemmParameters));
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, feats);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, weight);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, bias);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, output);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, order);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, tile_begin);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, step_offset);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, step_rows);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, tile_order);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, rows);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, tiles);
FLEXGEMM_SAME_OFFSET(ImplicitGemmParameters, splits);
static_assert(sizeof(flexgemm::PersistentGemmParameters) ==
              sizeof(flexgemm::detail::PersistentGemmParameters));
static_assert(alignof(flexgemm::PersistentGemmParameters) ==
              alignof(flexgemm::detail::PersistentGemmParameters));
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, weight);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, feats);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, bias);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, output);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, sums);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, order);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, tile_begin);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, step_offset);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, step_rows);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, tile_order);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, counters);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, residual);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, scale);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, shift);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, rows);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, tiles);
FLEXGEMM_SAME_OFFSET(PersistentGemmParameters, tiles_per_group);
static_assert(sizeof(flexgemm::GatherRowsParameters) == sizeof(flexgemm::detail::GatherRowsParameters));
FLEXGEMM_SAME_OFFSET(GatherRowsParameters, gathered);
FLEXGEMM_SAME_OFFSET(GatherRowsParameters, first_row);
FLEXGEMM_SAME_OFFSET(GatherRowsParameters, rows);
static_assert(sizeof(flexgemm::ReducePartialsParameters) ==
              sizeof(flexgemm::detail::ReducePartialsParameters));
FLEXGEMM_SAME_OFFSET(ReducePartialsParameters, partials);
FLEXGEMM_SAME_OFFSET(ReducePartialsParameters, bias);
FLEXGEMM_SAME_OFFSET(ReducePartialsParameters, output);
FLEXGEMM_SAME_OFFSET(ReducePartialsParameters, rows);
FLEXGEMM_SAME_OFFSET(ReducePartialsParameters, splits);

}  // namespace

TEST_CASE("rows of small kernels are ordered by all their offsets") {
  const MaskOffsets offsets = mask_offsets({3, 3, 3});
  CHECK(offsets.count == 27);
  std::set<int> ordering(offsets.significance, offsets.significance + 26);
  CHECK(ordering.size() == 26);
  CHECK_FALSE(ordering.contains(13));
  // Corners first, then edges, then faces; of equal ones the higher offset.
  for (const auto& [at, offset] : {std::pair{0, 26}, {7, 0}, {8, 25}, {19, 1}, {20, 22}, {25, 4}}) {
    CHECK(offsets.significance[at] == offset);
  }
  for (int i = 0; i < 27; ++i) CHECK(offsets.offset[i] == i);
  CHECK(mask_offsets({2, 4, 4}).count == 32);
  CHECK(mask_offsets({1, 1, 1}).count == 1);
}

TEST_CASE("rows of large kernels are ordered by the 32 offsets nearest to the centre") {
  const MaskOffsets offsets = mask_offsets({7, 7, 7});
  CHECK(offsets.count == 32);
  std::set<int> chosen(offsets.offset, offsets.offset + 32);
  CHECK(chosen.size() == 32);
  const int centre = (3 * 7 + 3) * 7 + 3;
  std::set<int> ordering;
  for (int i = 0; i < 31; ++i) ordering.insert(offsets.offset[offsets.significance[i]]);
  CHECK(ordering.size() == 31);
  CHECK_FALSE(ordering.contains(centre));
  for (int x = -1; x <= 1; ++x) {  // the 27 of the inner cube are at distance sqrt(3) at most, the next at 2
    for (int y = -1; y <= 1; ++y) {
      for (int z = -1; z <= 1; ++z) CHECK(chosen.contains(centre + (x * 7 + y) * 7 + z));
    }
  }
}

TEST_CASE("a row's sort key fits into 32 bits") {
  for (const Extent3 kernel : {Extent3{1, 1, 1}, Extent3{3, 3, 3}, Extent3{2, 4, 4}, Extent3{7, 7, 7}}) {
    for (const std::int64_t rows :
         {std::int64_t{1}, std::int64_t{999'999}, std::int64_t{1'000'000}, std::int64_t{4'100'000},
          std::int64_t{100'000'000}, std::int64_t{largest}}) {
      const int volume = kernel.x * kernel.y * kernel.z;
      const RowKey key = row_key(mask_offsets(kernel), rows, volume, 1);
      CHECK(key.bits() <= 32);
      CHECK(key.group_bits == 0);
      CHECK((rows - 1) / key.block_rows < (std::int64_t{1} << key.block_bits));
      for (int groups = 2; groups <= codegen::most_groups(volume); ++groups) {
        const RowKey grouped = row_key(mask_offsets(kernel), rows, volume, groups);
        CHECK(grouped.bits() <= 32);
        CHECK(groups <= 1 << grouped.group_bits);
        CHECK(grouped.block_bits == 0);
      }
    }
  }
  CHECK(row_key(mask_offsets({3, 3, 3}), 4'100'000, 27, 1).block_rows == 65'536);
}

TEST_CASE("groups part the offsets of a kernel, in order") {
  CHECK(codegen::most_groups(27) == 27);
  CHECK(codegen::most_groups(32) == 32);
  CHECK(codegen::most_groups(125) == 1);
  for (int groups = 2; groups <= 27; ++groups) {
    const GroupMasks masks = group_masks(27, groups);
    CHECK(masks.count == groups);
    std::uint32_t all = 0;
    for (int group = 0; group < groups; ++group) {
      CHECK(masks.mask[group] != 0);
      CHECK((all & masks.mask[group]) == 0);
      CHECK(masks.mask[group] > all);  // higher offsets than the groups before
      all |= masks.mask[group];
    }
    CHECK(all == (1u << 27) - 1);
  }
  CHECK(group_mask(27, 3, 1) == 0x1ffu << 9);
  CHECK(group_mask(32, 2, 1) == 0xffff0000u);
}

TEST_CASE("the table of coordinates is the smallest kind that tells the grid's cells apart") {
  const auto kind = [](const Grid& grid) { return table_shape(1000, grid).kind; };
  CHECK(kind({.batch = 1, .x = 65536, .y = 65536, .z = 1}) == TableKind::packed);
  CHECK(kind({.batch = 1, .x = 65536, .y = 65536, .z = 2}) == TableKind::wide);
  CHECK(kind({.batch = 1, .x = 1 << 21, .y = 1 << 21, .z = 1 << 21}) == TableKind::wide);
  CHECK(kind({.batch = 2, .x = 1 << 21, .y = 1 << 21, .z = 1 << 21}) == TableKind::rows);
  CHECK(kind({.batch = largest, .x = largest, .y = largest, .z = largest}) == TableKind::rows);
  CHECK(table_shape(1, {.batch = 1, .x = 1, .y = 1, .z = 1}).slots == 64);
  const auto kind_of_many = [](const Grid& grid) { return table_shape(1'000'000, grid).kind; };
  CHECK(kind_of_many({.batch = 1, .x = 1000, .y = 1000, .z = 40}) == TableKind::blocks);
  CHECK(kind_of_many({.batch = 1, .x = 1 << 17, .y = 1 << 17, .z = 12}) == TableKind::blocks);
  CHECK(kind_of_many({.batch = 1, .x = 1 << 17, .y = 1 << 17, .z = 13}) == TableKind::wide);
  CHECK(table_shape(1'000'000, {.batch = 1, .x = 1000, .y = 1000, .z = 40}).slots == 1 << 21);
  CHECK(table_shape(largest, {.batch = 1, .x = 65536, .y = 65536, .z = 1}).slots == (1ull << 32));
}
