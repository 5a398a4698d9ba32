#include "reference/resident_layout.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace flexgemm::reference {

namespace {

struct Place {
  std::int64_t batch, x, y, z;
};

Place place_of(const std::int32_t* coords, const Grid& grid, std::int64_t row) {
  const auto clamped = [&](int i, std::int32_t extent) {
    return std::int64_t{std::clamp(coords[row * 4 + i], 0, extent - 1)};
  };
  return {clamped(0, grid.batch), clamped(1, grid.x), clamped(2, grid.y), clamped(3, grid.z)};
}

/// Whether `a` comes before `b` in Morton order under batch: the axis that differs at the highest bit
/// decides, x before y before z where several do.
bool precedes(const Place& a, const Place& b) {
  if (a.batch != b.batch) return a.batch < b.batch;
  const std::int64_t differences[] = {a.x ^ b.x, a.y ^ b.y, a.z ^ b.z};
  for (int bit = 31; bit >= 0; --bit) {
    const auto differs = [&](int axis) { return ((differences[axis] >> bit) & 1) != 0; };
    if (differs(0)) return a.x < b.x;
    if (differs(1)) return a.y < b.y;
    if (differs(2)) return a.z < b.z;
  }
  return false;
}

/// Offsets but the centre, the farthest first, of equally far ones the higher first.
std::vector<int> significance(const Extent3& kernel) {
  const auto distance = [&](int v) {
    const int x = v / (kernel.y * kernel.z) - kernel.x / 2;
    const int y = v / kernel.z % kernel.y - kernel.y / 2;
    const int z = v % kernel.z - kernel.z / 2;
    return x * x + y * y + z * z;
  };
  std::vector<int> offsets;
  for (int v = 0; v < kernel.x * kernel.y * kernel.z; ++v) {
    if (distance(v) != 0) offsets.push_back(v);
  }
  std::sort(offsets.begin(), offsets.end(),
            [&](int a, int b) { return std::tuple(distance(a), a) > std::tuple(distance(b), b); });
  return offsets;
}

std::uint32_t bit(int v) { return 1u << v; }

std::int32_t neighbor(const MapView& map, std::int64_t row, int v) {
  return row < 0 ? -1 : map.indices[row * map.volume + v];
}

std::uint32_t mask_of(const MapView& map, std::int64_t row) {
  std::uint32_t mask = 0;
  for (int v = 0; v < map.volume; ++v) mask |= neighbor(map, row, v) < 0 ? 0 : bit(v);
  return mask;
}

/// The mask, its bits by significance, read as a Gray code.
std::uint32_t gray_rank(std::uint32_t mask, const std::vector<int>& significance) {
  std::uint32_t rank = 0;
  for (const int v : significance) rank = rank * 2 + ((rank ^ (mask >> v)) & 1u);
  return rank;
}

class Builder {
 public:
  Builder(const std::int32_t* coords, const Grid& grid, const MapView& map, const Extent3& kernel,
          ResidentLayout& layout)
      : coords_(coords), grid_(grid), map_(map), kernel_(kernel), layout_(layout) {}

  void build() {
    write_order();
    layout_.phase_begin = {0};
    layout_.input_begin = {0};
    layout_.locals.resize(static_cast<std::size_t>(layout_.blocks) * layout_.volume * layout_.block_rows);
    for (std::int64_t block = 0; block < layout_.blocks; ++block) {
      write_masks(block);
      write_phases(block);
    }
  }

 private:
  std::uint32_t color(std::int64_t row) const { return resident_color(coords_, grid_, row); }
  std::int32_t slot_row(std::int64_t block, int slot) const {
    return layout_.order[static_cast<std::size_t>(block * layout_.block_rows + slot)];
  }

  void write_order() {
    std::vector<std::int32_t> rows(static_cast<std::size_t>(map_.rows));
    std::iota(rows.begin(), rows.end(), 0);
    std::stable_sort(rows.begin(), rows.end(), [&](std::int32_t a, std::int32_t b) {
      return precedes(place_of(coords_, grid_, a), place_of(coords_, grid_, b));
    });
    const std::vector<int> significant = significance(kernel_);
    const auto rank = [&](std::int32_t row) { return gray_rank(mask_of(map_, row), significant); };
    const auto run = [&](std::int64_t first, std::int64_t length) {
      const auto end = std::min(first + length, map_.rows);
      return std::pair(rows.begin() + first, rows.begin() + end);
    };
    for (std::int64_t first = 0; first < map_.rows; first += layout_.block_rows) {
      const auto [begin, end] = run(first, layout_.block_rows);
      std::stable_sort(begin, end, [&](std::int32_t a, std::int32_t b) { return rank(a) < rank(b); });
    }
    for (std::int64_t first = 0; first < map_.rows; first += 16) {
      const auto [begin, end] = run(first, 16);
      if (end - begin == 16) deal(&*begin);
    }
    rows.resize(static_cast<std::size_t>(layout_.blocks * layout_.block_rows), -1);
    layout_.order = std::move(rows);
  }

  /// Of 16 rows, deals those of a color in turn to the first and to the last 8.
  void deal(std::int32_t* rows) const {
    std::vector<std::int32_t> by_color(rows, rows + 16);
    std::stable_sort(by_color.begin(), by_color.end(),
                     [&](std::int32_t a, std::int32_t b) { return color(a) < color(b); });
    for (std::size_t i = 0; i < 16; ++i) rows[i % 2 * 8 + i / 2] = by_color[i];
  }

  void write_masks(std::int64_t block) {
    for (int first = 0; first < layout_.block_rows; first += 16) {
      std::uint32_t mask = 0;
      for (int slot = first; slot < first + 16; ++slot) mask |= mask_of(map_, slot_row(block, slot));
      layout_.masks.push_back(mask);
    }
  }

  std::set<std::int32_t> inputs_of(std::int64_t block, int v) const {
    std::set<std::int32_t> rows;
    for (int slot = 0; slot < layout_.block_rows; ++slot)
      rows.insert(neighbor(map_, slot_row(block, slot), v));
    rows.erase(-1);
    return rows;
  }

  void write_phases(std::int64_t block) {
    std::uint32_t offsets = 0;
    std::set<std::int32_t> inputs;
    for (int v = 0; v < layout_.volume; ++v) {
      const std::set<std::int32_t> more = inputs_of(block, v);
      std::set<std::int32_t> together = inputs;
      together.insert(more.begin(), more.end());
      if (together.size() > static_cast<std::size_t>(layout_.capacity)) {
        write_phase(block, offsets, inputs);
        offsets = 0;
        together = more;
      }
      inputs = std::move(together);
      if (!more.empty()) offsets |= bit(v);
    }
    write_phase(block, offsets, inputs);
    layout_.phase_begin.push_back(static_cast<std::int32_t>(layout_.phase_offsets.size()));
    for (int v = 0; v < layout_.volume; ++v) {
      if (inputs_of(block, v).empty()) write_locals(block, v, {});
    }
  }

  void write_phase(std::int64_t block, std::uint32_t offsets, const std::set<std::int32_t>& inputs) {
    layout_.phase_offsets.push_back(offsets);
    for (const std::int32_t row : inputs) {
      layout_.inputs.push_back(static_cast<std::uint32_t>(row) | color(row) << 29);
    }
    layout_.input_begin.push_back(static_cast<std::int64_t>(layout_.inputs.size()));
    const std::vector<std::int32_t> ascending(inputs.begin(), inputs.end());
    for (int v = 0; v < layout_.volume; ++v) {
      if ((offsets & bit(v)) != 0) write_locals(block, v, ascending);
    }
  }

  void write_locals(std::int64_t block, int v, const std::vector<std::int32_t>& inputs) {
    for (int slot = 0; slot < layout_.block_rows; ++slot) {
      const std::int32_t row = slot_row(block, slot);
      const std::int32_t input = neighbor(map_, row, v);
      std::uint32_t local = 0;
      if (input >= 0) {
        const auto at = std::lower_bound(inputs.begin(), inputs.end(), input) - inputs.begin();
        local = static_cast<std::uint32_t>(1 + at) | color(input) << 13;
      } else {
        local = (row < 0 ? static_cast<std::uint32_t>(slot) % 8 : color(row)) << 13;
      }
      layout_.locals[static_cast<std::size_t>((block * layout_.volume + v) * layout_.block_rows + slot)] =
          static_cast<std::uint16_t>(local);
    }
  }

  const std::int32_t* coords_;
  const Grid& grid_;
  const MapView& map_;
  const Extent3& kernel_;
  ResidentLayout& layout_;
};

std::string defect_of_sizes(const ResidentLayout& layout, const MapView& map) {
  const auto size_is = [](const auto& array, std::int64_t size) {
    return static_cast<std::int64_t>(array.size()) == size;
  };
  const std::int64_t slots = layout.blocks * layout.block_rows;
  const auto phases = static_cast<std::int64_t>(layout.phase_offsets.size());
  if (layout.volume != map.volume) return "the volume is not the map's";
  if (layout.block_rows < 1 || layout.blocks != (map.rows + layout.block_rows - 1) / layout.block_rows) {
    return "the number of blocks is wrong";
  }
  if (!size_is(layout.order, slots)) return "the size of order is wrong";
  if (!size_is(layout.masks, slots / 16)) return "the size of masks is wrong";
  if (!size_is(layout.locals, slots * layout.volume)) return "the size of locals is wrong";
  if (!size_is(layout.phase_begin, layout.blocks + 1)) return "the size of phase_begin is wrong";
  if (!size_is(layout.input_begin, phases + 1)) return "the size of input_begin is wrong";
  if (layout.phase_begin.front() != 0 || layout.phase_begin.back() != phases) return "phase_begin is wrong";
  if (layout.input_begin.front() != 0 || !size_is(layout.inputs, layout.input_begin.back())) {
    return "input_begin is wrong";
  }
  return {};
}

std::string defect_of_order(const ResidentLayout& layout, const MapView& map) {
  std::vector<int> seen(static_cast<std::size_t>(map.rows));
  for (std::size_t slot = 0; slot < layout.order.size(); ++slot) {
    const std::int32_t row = layout.order[slot];
    const bool padding = static_cast<std::int64_t>(slot) >= map.rows;
    if (padding != (row == -1)) return fmt::format("slot {} of {} rows has row {}", slot, map.rows, row);
    if (padding) continue;
    if (row < 0 || row >= map.rows) return fmt::format("slot {} has row {}", slot, row);
    if (seen[static_cast<std::size_t>(row)]++ != 0) return fmt::format("row {} has two slots", row);
  }
  return {};
}

std::string defect_of_masks(const ResidentLayout& layout, const MapView& map) {
  for (std::size_t run = 0; run < layout.masks.size(); ++run) {
    std::uint32_t mask = 0;
    for (std::size_t slot = run * 16; slot < run * 16 + 16; ++slot) mask |= mask_of(map, layout.order[slot]);
    if (mask != layout.masks[run]) {
      return fmt::format("mask {} is {:#x} instead of {:#x}", run, layout.masks[run], mask);
    }
  }
  return {};
}

/// The offsets that some row of a block has.
std::uint32_t block_mask(const ResidentLayout& layout, std::int64_t block) {
  std::uint32_t mask = 0;
  const int runs = layout.block_rows / 16;
  for (int run = 0; run < runs; ++run) mask |= layout.masks[static_cast<std::size_t>(block * runs + run)];
  return mask;
}

std::string defect_of_inputs(const ResidentLayout& layout, const std::int32_t* coords, const Grid& grid,
                             const MapView& map) {
  for (std::size_t phase = 0; phase < layout.phase_offsets.size(); ++phase) {
    const std::int64_t begin = layout.input_begin[phase];
    const std::int64_t end = layout.input_begin[phase + 1];
    if (end < begin || end > static_cast<std::int64_t>(layout.inputs.size())) {
      return fmt::format("phase {} has inputs {} to {}", phase, begin, end);
    }
    if (end - begin > layout.capacity) return fmt::format("phase {} has {} inputs", phase, end - begin);
    std::int64_t last = -1;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint32_t input = layout.inputs[static_cast<std::size_t>(i)];
      const std::int64_t row = input & 0x1fffffffu;
      if (row <= last || row >= map.rows) return fmt::format("input {} is row {} after {}", i, row, last);
      if (input >> 29 != resident_color(coords, grid, row)) return fmt::format("input {}: color", i);
      last = row;
    }
  }
  return {};
}

/// Offsets of the block in no phase, `inputs` none: nobody may have a neighbor by them.
std::string defect_of_locals(const ResidentLayout& layout, const std::int32_t* coords, const Grid& grid,
                             const MapView& map, std::int64_t block, int v, std::int64_t input_begin,
                             std::int64_t inputs, std::vector<bool>& used) {
  for (int slot = 0; slot < layout.block_rows; ++slot) {
    const auto at = static_cast<std::size_t>((block * layout.volume + v) * layout.block_rows + slot);
    const std::uint32_t position = layout.locals[at] & 0x1fffu;
    const std::uint32_t color = layout.locals[at] >> 13;
    const std::int32_t row = layout.order[static_cast<std::size_t>(block * layout.block_rows + slot)];
    const std::int32_t wanted = neighbor(map, row, v);
    const auto here = [&](std::string_view what) {
      return fmt::format("block {}, offset {}, slot {}: {}", block, v, slot, what);
    };
    if (position > inputs) return here("the position is behind the inputs");
    if ((position == 0) != (wanted < 0)) return here("a neighbor too many or too few");
    const std::uint32_t own =
        row < 0 ? static_cast<std::uint32_t>(slot) % 8 : resident_color(coords, grid, row);
    if (wanted < 0 && color != own) return here("the color of a row without a neighbor");
    if (wanted < 0) continue;
    const std::int64_t input = input_begin + position - 1;
    const std::uint32_t entry = layout.inputs[static_cast<std::size_t>(input)];
    if ((entry & 0x1fffffffu) != static_cast<std::uint32_t>(wanted)) return here("another row's position");
    if (entry >> 29 != color) return here("the color of the neighbor");
    used[static_cast<std::size_t>(input)] = true;
  }
  return {};
}

std::string defect_of_block(const ResidentLayout& layout, const std::int32_t* coords, const Grid& grid,
                            const MapView& map, std::int64_t block, std::vector<bool>& used) {
  const std::int32_t begin = layout.phase_begin[static_cast<std::size_t>(block)];
  const std::int32_t end = layout.phase_begin[static_cast<std::size_t>(block) + 1];
  if (end <= begin) return fmt::format("block {} has no phase", block);
  std::uint32_t seen = 0;
  for (std::int32_t p = begin; p < end; ++p) {
    const auto phase = static_cast<std::size_t>(p);
    const std::uint32_t offsets = layout.phase_offsets[phase];
    if ((offsets & seen) != 0) return fmt::format("block {} has an offset in two phases", block);
    if (offsets != 0 && seen > (offsets & (0u - offsets))) return fmt::format("block {}: descending", block);
    if (offsets == 0 && end - begin > 1) return fmt::format("block {} has an empty phase of several", block);
    seen |= offsets;
    for (int v = 0; v < layout.volume; ++v) {
      if ((offsets & bit(v)) == 0) continue;
      const std::int64_t first = layout.input_begin[phase];
      std::string found = defect_of_locals(layout, coords, grid, map, block, v, first,
                                           layout.input_begin[phase + 1] - first, used);
      if (!found.empty()) return found;
    }
  }
  if (seen != block_mask(layout, block)) return fmt::format("the phases of block {} lack an offset", block);
  for (int v = 0; v < layout.volume; ++v) {
    if ((seen & bit(v)) != 0) continue;
    std::string found = defect_of_locals(layout, coords, grid, map, block, v, 0, 0, used);
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace

std::uint32_t resident_color(const std::int32_t* coords, const Grid& grid, std::int64_t row) {
  const Place place = place_of(coords, grid, row);
  return static_cast<std::uint32_t>((place.x + 2 * place.y + 5 * place.z) % 8);
}

ResidentLayout resident_layout(const std::int32_t* coords, const Grid& grid, const MapView& map,
                               const Extent3& kernel, int block_rows, int capacity) {
  if (block_rows < 64 || block_rows > 512 || block_rows % 64 != 0 || capacity < block_rows ||
      capacity > 8190 || map.volume < 1 || map.volume > 32 || map.volume != kernel.x * kernel.y * kernel.z ||
      map.rows < 1 || map.rows >= std::int64_t{1} << 29) {
    throw std::invalid_argument(
        fmt::format("no resident layout has {} rows, {} offsets, blocks of {}, {} inputs", map.rows,
                    map.volume, block_rows, capacity));
  }
  ResidentLayout layout;
  layout.block_rows = block_rows;
  layout.capacity = capacity;
  layout.volume = map.volume;
  layout.blocks = (map.rows + block_rows - 1) / block_rows;
  Builder(coords, grid, map, kernel, layout).build();
  return layout;
}

std::string defect(const ResidentLayout& layout, const std::int32_t* coords, const Grid& grid,
                   const MapView& map) {
  std::string found = defect_of_sizes(layout, map);
  if (found.empty()) found = defect_of_order(layout, map);
  if (found.empty()) found = defect_of_masks(layout, map);
  if (found.empty()) found = defect_of_inputs(layout, coords, grid, map);
  std::vector<bool> used(layout.inputs.size());
  for (std::int64_t block = 0; block < layout.blocks && found.empty(); ++block) {
    found = defect_of_block(layout, coords, grid, map, block, used);
  }
  if (found.empty() && std::find(used.begin(), used.end(), false) != used.end()) {
    found = "an input that no slot of its phase reads";
  }
  return found;
}

}  // namespace flexgemm::reference
