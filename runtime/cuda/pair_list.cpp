#include "cuda/pair_list.hpp"

#include <algorithm>
#include <utility>

#include "core/fail.hpp"
#include "cuda/cuda_map.hpp"
#include "cuda/driver.hpp"
#include "cuda/launch.hpp"
#include "cuda/pair_fill.hpp"
#include "cuda/pair_shares.hpp"

namespace flexgemm::detail {

namespace {

PairBuild build_of(const LayoutSource& source, const PairKey& key, const PairList& list) {
  return {.indices = key.kind == PairKind::identity ? nullptr : source.indices,
          .rows = key.rows,
          .volume = key.kind == PairKind::identity ? 1 : source.volume,
          .offsets = list.offsets,
          .groups = list.groups,
          .row_blocks = row_blocks_of(key.rows),
          .counts = nullptr,
          .positions = nullptr,
          .group_begin = list.group_begin.data()};
}

void allocate_pairs(PairList& list, DeviceMemory& memory, Stream stream) {
  list.pairs = DeviceArray<std::int32_t>(memory, list.blocks * (1 + list.offsets) * pairs_a_block, stream);
}

void build_valid(const LayoutSource& source, const PairKey& key, PairList& list, Stream stream) {
  DeviceMemory& memory = source.device.memory();
  PairBuild build = build_of(source, key, list);
  const std::int64_t entries = build.groups * build.row_blocks + 1;
  const DeviceArray<std::int32_t> counts(memory, entries, stream);
  const DeviceArray<std::int64_t> positions(memory, entries, stream);
  build.counts = counts.data();
  build.positions = positions.data();
  const std::size_t bytes = pair_scan_scratch(build);
  const DeviceArray<std::byte> scratch(memory, static_cast<std::int64_t>(bytes), stream);
  count_pairs(build, scratch.data(), bytes, stream.handle());
  source.device.read_back(&list.blocks, list.group_begin.data() + list.groups, sizeof(list.blocks),
                          stream.handle());
  allocate_pairs(list, memory, stream);
  build.pairs = list.pairs.data();
  fill_pairs(build, stream.handle());
}

void build_every(const LayoutSource& source, const PairKey& key, PairList& list, Stream stream) {
  list.blocks = ceil_div(key.rows, padded_pairs) * (padded_pairs / pairs_a_block) * list.groups;
  allocate_pairs(list, source.device.memory(), stream);
  PairBuild build = build_of(source, key, list);
  build.pairs = list.pairs.data();
  write_every_pair(build, stream.handle());
}

}  // namespace

std::shared_ptr<const PairList> build_pair_list(const LayoutSource& source, const PairKey& key,
                                                Stream stream) {
  const int volume = key.kind == PairKind::identity ? 1 : source.volume;
  if (key.offsets < 1 || key.offsets > volume) {
    fail(ErrorCode::internal, "a pair list of groups of {} offsets was asked for; there are {}", key.offsets,
         volume);
  }
  auto list = std::make_shared<PairList>();
  list->offsets = key.offsets;
  list->groups = static_cast<int>(ceil_div(volume, key.offsets));
  list->group_begin = DeviceArray<std::int64_t>(source.device.memory(), list->groups + 1, stream);
  if (key.kind == PairKind::valid) {
    build_valid(source, key, *list, stream);
  } else {
    build_every(source, key, *list, stream);
  }
  list->parts = DeviceArray<PairPart>(source.device.memory(), list->groups, stream);
  list_groups(list->group_begin.data(), list->groups, list->parts.data(), stream.handle());
  list->ready.record(stream.handle());
  list->group_begin.free_on(source.device.release_stream());
  list->parts.free_on(source.device.release_stream());
  list->pairs.free_on(source.device.release_stream());
  return list;
}

std::shared_ptr<const ShareTable> build_share_table(const CudaDevice& device, const PairList& list,
                                                    int shares, Stream stream) {
  if (shares < 1)
    fail(ErrorCode::internal, "{} shares of pairs were asked for; at least one is needed", shares);
  DeviceMemory& memory = device.memory();
  const std::int64_t places =
      std::max<std::int64_t>(PairLine::places(list.blocks / blocks_a_run, list.groups), 1);
  const std::int64_t length = ceil_div(places, shares);
  auto table = std::make_shared<ShareTable>();
  table->shares = static_cast<int>(ceil_div(places, length));
  table->part_count = table->shares + list.groups - 1;
  table->share_begin = DeviceArray<std::int32_t>(memory, table->shares + 1, stream);
  table->parts = DeviceArray<PairPart>(memory, table->part_count, stream);
  table->part_range = DeviceArray<std::int32_t>(memory, std::int64_t{2} * list.groups, stream);
  share_pairs({.line = {.group_begin = list.group_begin.data(), .groups = list.groups, .length = length},
               .shares = table->shares,
               .share_begin = table->share_begin.data(),
               .parts = table->parts.data(),
               .part_range = table->part_range.data()},
              stream.handle());
  table->ready.record(stream.handle());
  CUstream_st* const release = device.release_stream();
  table->share_begin.free_on(release);
  table->parts.free_on(release);
  table->part_range.free_on(release);
  return table;
}

const ShareTable& CudaMap::share_table(const PairKey& key, int shares, Stream stream) const {
  const PairList& list = pair_list(key, stream);
  const std::lock_guard lock(mutex_);
  auto found = share_tables_.find({key, shares});
  if (found == share_tables_.end()) {
    try {
      found = share_tables_.emplace(std::pair(key, shares), build_share_table(*device_, list, shares, stream))
                  .first;
    } catch (...) {  // nobody would remember that work on the stream still reads the list
      driver().cuStreamSynchronize(stream.handle());
      throw;
    }
  }
  found->second->ready.wait(stream.handle());
  return *found->second;
}

const PairList& CudaMap::pair_list(const PairKey& key, Stream stream) const {
  const std::lock_guard lock(mutex_);
  auto found = pair_lists_.find(key);
  if (found == pair_lists_.end()) {
    ready_->wait(stream.handle());
    const LayoutSource source{
        .device = *device_, .indices = indices_.data(), .rows = rows, .volume = volume(), .kernel = kernel};
    try {
      found = pair_lists_.emplace(key, build_pair_list(source, key, stream)).first;
    } catch (...) {  // nobody would remember that work on the stream still reads the map
      driver().cuStreamSynchronize(stream.handle());
      throw;
    }
  }
  found->second->ready.wait(stream.handle());
  return *found->second;
}

}  // namespace flexgemm::detail
