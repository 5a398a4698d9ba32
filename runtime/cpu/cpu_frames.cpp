#include "cpu/cpu_frames.hpp"

#include <algorithm>
#include <utility>

namespace flexgemm::detail {

namespace {

std::shared_ptr<const CpuMap> frame(const std::shared_ptr<CpuDevice>& cpu, const FrameMapArguments& arguments,
                                    const std::int32_t* coords, std::int64_t rows) {
  const FrameMapOptions& options = arguments.options;
  return CpuMap::build(
      cpu, {.coords = coords,
            .rows = rows,
            .grid = arguments.grid,
            .options = {.kernel = options.kernel, .dilation = options.dilation, .checked = false}});
}

class CpuFrameMap final : public FrameMapData {
 public:
  CpuFrameMap(std::shared_ptr<CpuDevice> cpu, const FrameMapArguments& arguments)
      : cpu_(std::move(cpu)), arguments_(arguments), rows_(std::make_shared<CpuFrameRows>(cpu_, arguments)) {}

  std::shared_ptr<const MapData> map() const override { return rows_; }

  void build(const std::int32_t* coords, const std::int32_t* count, Stream) const override {
    const std::int64_t wanted = std::max<std::int64_t>(*count, 0);
    const std::int64_t rows = std::min(wanted, arguments_.capacity);
    rows_->replace(frame(cpu_, arguments_, coords, rows));
    status_.rows = rows;
    status_.pairs = rows_->pairs();
    status_.wanted = std::max(status_.wanted, wanted);
    status_.overflow = status_.overflow || wanted > rows;
  }
  FrameStatus status(Stream) const override { return status_; }
  void reset_status(Stream) const override {
    status_.wanted = 0;
    status_.overflow = false;
  }

 private:
  std::shared_ptr<CpuDevice> cpu_;
  FrameMapArguments arguments_;
  std::shared_ptr<CpuFrameRows> rows_;
  mutable FrameStatus status_;  // builds follow each other: the caller's promise
};

}  // namespace

CpuFrameRows::CpuFrameRows(const std::shared_ptr<CpuDevice>& cpu, const FrameMapArguments& arguments)
    : MapData(Device::cpu(), arguments.capacity,
              {.kernel = arguments.options.kernel, .dilation = arguments.options.dilation}),
      indices_(cpu->memory, rows * volume()) {
  replace(frame(cpu, arguments, nullptr, 0));
}

void CpuFrameRows::replace(std::shared_ptr<const CpuMap> map) {
  current_ = std::move(map);
  const std::int64_t filled = current_->rows * volume();
  std::copy_n(current_->indices(), filled, indices_.data());
  std::fill(indices_.data() + filled, indices_.data() + rows * volume(), -1);
}

const CpuMap& cpu_map(const MapData& map) {
  if (const auto* frames = dynamic_cast<const CpuFrameRows*>(&map)) return frames->current();
  return static_cast<const CpuMap&>(map);
}

std::shared_ptr<const FrameMapData> make_cpu_frame_map(std::shared_ptr<CpuDevice> cpu,
                                                       const FrameMapArguments& arguments) {
  return std::make_shared<const CpuFrameMap>(std::move(cpu), arguments);
}

}  // namespace flexgemm::detail
