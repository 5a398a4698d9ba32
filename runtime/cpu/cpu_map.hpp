#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "core/backend.hpp"
#include "cpu/cpu_device.hpp"
#include "cpu/host_buffer.hpp"

namespace flexgemm::detail {

/// The transposed map: for each input row m all (offset v, output row n) with map[n, v] = m, by v, then n.
struct InverseMap {
  struct Entry {
    std::int32_t offset;
    std::int32_t row;
  };
  HostBuffer<std::int64_t> starts;  ///< [rows + 1]: entries of row m are starts[m] ... starts[m + 1] - 1
  HostBuffer<Entry> entries;        ///< [pairs]
};

/// Neighbor map in host memory.
class CpuMap final : public MapData {
 public:
  /// Builds the map. Throws Error{invalid_coordinate} in checked mode, Error{out_of_memory}.
  static std::shared_ptr<const CpuMap> build(const std::shared_ptr<CpuDevice>& device,
                                             const MapArguments& arguments);

  std::int64_t pairs() const override { return pairs_; }
  const std::int32_t* indices() const override { return indices_.data(); }

  /// Whether map[n, v] = m is the same as map[m, V - 1 - v] = n, so that the map serves as its own inverse.
  /// True for odd kernels, unless a coordinate occurs twice (only possible unchecked).
  bool symmetric() const noexcept { return symmetric_; }

  /// The inverse, for maps that are not symmetric; built on the first call and kept. Thread-safe.
  const InverseMap& inverse() const;

 private:
  CpuMap(std::shared_ptr<CpuDevice> cpu, const MapArguments& arguments);

  const std::shared_ptr<CpuDevice> cpu_;  // before what holds its memory
  HostBuffer<std::int32_t> indices_;
  std::int64_t pairs_ = 0;
  bool symmetric_ = false;
  mutable std::mutex inverse_mutex_;
  mutable std::unique_ptr<const InverseMap> inverse_;  // guarded by inverse_mutex_
};

}  // namespace flexgemm::detail
