#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/frames.hpp"
#include "cuda/cuda_map.hpp"
#include "cuda/frame_state.hpp"

namespace flexgemm::detail {

/// The map of a FrameMap: its memory is taken once for the capacity, and the orders and layouts that kernels
/// asked for so far are filled anew with every frame, none of it by the host. Nothing waits for anything:
/// calls are ordered by the stream.
class CudaFrameRows final : public CudaMap {
 public:
  CudaFrameRows(std::shared_ptr<const CudaDevice> gpu, const FrameMapArguments& arguments, Stream stream);
  ~CudaFrameRows() override;

  /// Enqueues the map, the orders and the layouts of a frame.
  void build(const std::int32_t* coords, const std::int32_t* count, Stream stream) const;
  FrameStatus status(Stream stream) const;
  void reset_status(Stream stream) const;

  std::int64_t pairs() const override { return status({}).pairs; }
  bool is_frame() const noexcept override { return true; }
  /// Takes the memory of a layout that is asked for the first time, and fills it for the frame at hand.
  const TileLayout& layout(const LayoutKey& key, Stream stream) const override;
  void wait_ready(Stream) const override {}
  void record_use(Stream) const override {}
  const std::int32_t* live_rows() const noexcept override { return &state_.data()->rows; }
  std::int64_t expected_pairs() const override { return expected_pairs_; }

 private:
  /// An order with the memory that sorting takes.
  struct Order;
  /// A layout with the memory that filling it takes.
  struct Layout;
  LayoutSource source() const;
  Order& order(LayoutKind kind, int groups, Stream stream) const;  // needs the lock
  void fill(Order& order, Stream stream) const;
  void fill(Layout& layout, Stream stream) const;

  FrameMapArguments arguments_;
  std::int64_t expected_pairs_;
  TableShape table_shape_;
  bool symmetric_;
  DeviceArray<std::byte> table_;
  DeviceArray<FrameState> state_;
  mutable std::mutex mutex_;                                                     // guards what follows
  mutable std::map<std::pair<LayoutKind, int>, std::unique_ptr<Order>> orders_;  // by groups
  mutable std::map<LayoutKey, std::unique_ptr<Layout>> layouts_;
};

std::shared_ptr<const FrameMapData> make_cuda_frame_map(std::shared_ptr<const CudaDevice> gpu,
                                                        const FrameMapArguments& arguments, Stream stream);

}  // namespace flexgemm::detail
