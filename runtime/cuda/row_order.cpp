#include "cuda/row_order.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

namespace flexgemm::detail {

MaskOffsets mask_offsets(const Extent3& kernel) {
  const int volume = kernel.x * kernel.y * kernel.z;
  const auto distance = [&kernel](int v) {
    const int x = v / kernel.z / kernel.y - kernel.x / 2;
    const int y = v / kernel.z % kernel.y - kernel.y / 2;
    const int z = v % kernel.z - kernel.z / 2;
    return x * x + y * y + z * z;
  };
  std::vector<int> nearest(static_cast<std::size_t>(volume));
  std::iota(nearest.begin(), nearest.end(), 0);
  std::stable_sort(nearest.begin(), nearest.end(), [&](int a, int b) { return distance(a) < distance(b); });
  nearest.resize(static_cast<std::size_t>(std::min(volume, 32)));
  const std::vector<int> by_distance = nearest;
  std::sort(nearest.begin(), nearest.end());

  MaskOffsets offsets;
  offsets.count = static_cast<int>(nearest.size());
  std::transform(nearest.begin(), nearest.end(), offsets.offset,
                 [](int v) { return static_cast<std::int16_t>(v); });
  std::vector<int> farthest(by_distance.begin() + 1, by_distance.end());
  std::stable_sort(farthest.begin(), farthest.end(), [&](int a, int b) {
    return distance(a) != distance(b) ? distance(a) > distance(b) : a > b;
  });
  std::transform(farthest.begin(), farthest.end(), offsets.significance, [&](int v) {
    return static_cast<std::int8_t>(std::find(nearest.begin(), nearest.end(), v) - nearest.begin());
  });
  return offsets;
}

std::uint32_t group_mask(int volume, int groups, int group) noexcept {
  if (groups == 1) return 0xffffffffu;
  const auto below = [](int bits) { return bits >= 32 ? 0xffffffffu : (1u << bits) - 1u; };
  return below(group_begin(volume, groups, group + 1)) & ~below(group_begin(volume, groups, group));
}

GroupMasks group_masks(int volume, int groups) {
  GroupMasks masks;
  masks.count = groups;
  for (int group = 0; group < groups; ++group) masks.mask[group] = group_mask(volume, groups, group);
  return masks;
}

RowKey row_key(const MaskOffsets& offsets, std::int64_t rows, int volume, int groups) {
  constexpr std::int64_t rows_that_need_blocks = 1'000'000;
  constexpr std::int64_t wanted_block_rows = 65'536;
  RowKey key;
  key.rank_bits = groups == 1 ? offsets.count - 1 : (volume + groups - 1) / groups;
  key.group_bits = static_cast<int>(std::bit_width(static_cast<unsigned>(groups - 1)));
  key.block_rows = std::max<std::int64_t>(rows, 1);
  const int spare_bits = 32 - key.rank_bits;
  if (groups > 1 || rows < rows_that_need_blocks || spare_bits == 0) return key;
  const std::int64_t most_blocks = std::int64_t{1} << std::min(spare_bits, 16);
  key.block_rows = std::max(wanted_block_rows, (rows + most_blocks - 1) / most_blocks);
  const std::int64_t blocks = (rows + key.block_rows - 1) / key.block_rows;
  key.block_bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(blocks - 1)));
  return key;
}

}  // namespace flexgemm::detail
