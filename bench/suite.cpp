#include "suite.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

#include "layer_bench.hpp"
#include "waste.hpp"

namespace flexgemm::bench {

namespace {

constexpr int rounds = 2;

class Suite {
 public:
  using AddRow = std::function<void(nlohmann::ordered_json)>;
  using AddNote = std::function<void(const std::string&)>;

  Suite(const SuiteOptions& options, MeasuringDevice& device, const AddRow& add_row, const AddNote& add_note)
      : options_(options),
        device_(device),
        add_row_(add_row),
        add_note_(add_note),
        repeats_(repeats_of(options)) {}

  void run() {
    std::vector<std::future<scene::VoxelScene>> loading;
    for (const SceneRequest& request : options_.scenes) loading.push_back(load_scene(request));
    for (std::size_t i = 0; i < loading.size(); ++i) measure_scene(options_.scenes[i], loading[i].get());
  }

 private:
  /// All layers of the scene, then all of them again: between the two rounds of a row lie all other rows.
  void measure_scene(const SceneRequest& request, const scene::VoxelScene& voxels) {
    if (voxels.voxels() == 0) {
      note_once(fmt::format("{} has no rows: it has no voxels (is --range right?)", request.name));
      return;
    }
    const SceneOnDevice scene = upload(request, voxels);
    std::deque<LayerBench> layers;
    const auto progress = [&](const std::string& text) { report(text); };
    for (int round = 0; round < rounds; ++round) {
      std::size_t next = 0;
      for (const DType dtype : options_.dtypes) {
        for (const std::int64_t channels : request.channels) {
          if (round == 0) {
            layers.emplace_back(device_, scene, channels, dtype,
                                options_.float_gradients ? DType::f32 : storage_type(dtype), repeats_,
                                [&](const std::string& text) { note_once(text); });
          }
          layers[next++].measure_round(progress);
        }
      }
    }
    std::vector<nlohmann::ordered_json> rows;
    for (const LayerBench& layer : layers) {
      for (nlohmann::ordered_json& row : layer.rows()) rows.push_back(std::move(row));
    }
    if (device_.device().is_cuda() && !layers.empty()) add_waste(rows, layers.front().map());
    for (nlohmann::ordered_json& row : rows) add_row_(std::move(row));
  }

  SceneOnDevice upload(const SceneRequest& request, const scene::VoxelScene& voxels) {
    SceneOnDevice scene{.name = request.name,
                        .coords = device_.allocate(voxels.coords.size() * sizeof(std::int32_t)),
                        .voxels = voxels.voxels(),
                        .grid = voxels.grid,
                        .layers = request.layers};
    device_.upload(scene.coords.get(), voxels.coords.data(), voxels.coords.size() * sizeof(std::int32_t));
    return scene;
  }

  void add_waste(std::vector<nlohmann::ordered_json>& rows, const NeighborMap& map) {
    if (!map) return;
    const HostMap host = copy_to_host(map);
    std::map<std::pair<Algorithm, int>, std::future<std::optional<double>>> pending;
    std::map<std::pair<Algorithm, int>, std::optional<double>> waste;
    const auto key_of = [](const nlohmann::ordered_json& row) -> std::optional<std::pair<Algorithm, int>> {
      if (!row.contains("kernel")) return std::nullopt;
      const std::optional<int> row_tile = row_tile_of(row["kernel"].get<std::string>());
      if (!row_tile || row["op"] == "grad_weight") return std::nullopt;
      return std::pair(parse_algorithm(row["algorithm"].get<std::string>()), *row_tile);
    };
    for (const nlohmann::ordered_json& row : rows) {
      const auto key = key_of(row);
      if (!key || pending.contains(*key)) continue;
      pending[*key] =
          std::async(std::launch::async, [&host, key] { return waste_of(host, key->first, key->second); });
    }
    for (auto& [key, value] : pending) waste[key] = value.get();
    for (nlohmann::ordered_json& row : rows) {
      const auto key = key_of(row);
      if (key && waste[*key]) row["waste"] = *waste[*key];
    }
  }

  HostMap copy_to_host(const NeighborMap& map) {
    HostMap host{.indices = {}, .rows = map.rows(), .pairs = map.pairs(), .kernel = map.kernel()};
    host.indices.resize(static_cast<std::size_t>(map.rows()) * static_cast<std::size_t>(map.volume()));
    const Context context = Context::open(device_.device(), device_.context_options());
    context.synchronize(device_.stream());
    context.copy_to_host(host.indices.data(), map.indices().data, host.indices.size() * sizeof(std::int32_t),
                         device_.stream());
    return host;
  }

  void note_once(const std::string& text) {
    if (notes_.insert(text).second) add_note_(text);
  }

  void report(const std::string& text) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    fmt::print(stderr, "[{:6.1f} s] {}\n", seconds, text);
  }

  const SuiteOptions& options_;
  MeasuringDevice& device_;
  const AddRow& add_row_;
  const AddNote& add_note_;
  const Repeats repeats_;
  std::set<std::string> notes_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

Repeats repeats_of(const SuiteOptions& options) {
  if (options.device.is_cpu()) {
    if (options.quick) {
      const Repeat few{.least = 2, .most = 4, .seconds = 0.2};
      return {few, few, few};
    }
    return {{.least = 10, .most = 20, .seconds = 1},
            {.least = 10, .most = 20, .seconds = 1},
            {.least = 10, .most = 10, .seconds = 1}};
  }
  if (options.quick) {
    const Repeat few{.least = 5, .most = 10, .seconds = 0.02};
    return {few, few, few};
  }
  return {{.least = 20, .most = 100, .seconds = 0.1},
          {.least = 20, .most = 50, .seconds = 0.05},
          {.least = 20, .most = 50, .seconds = 0.05}};
}

void run_suite(const SuiteOptions& options, MeasuringDevice& device,
               const std::function<void(nlohmann::ordered_json)>& add_row,
               const std::function<void(const std::string&)>& add_note) {
  Suite(options, device, add_row, add_note).run();
}

}  // namespace flexgemm::bench
