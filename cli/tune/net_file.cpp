#include "tune/net_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "common/failure.hpp"
#include "scene/fail.hpp"

namespace flexgemm::tune {

namespace {

using cli::fail;
using Json = nlohmann::json;

constexpr std::size_t most_bytes = std::size_t{16} << 20;
constexpr std::size_t most_layers = 10000;

std::string read_file(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  errno = 0;
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) fail(ErrorCode::io, "{}: cannot be opened: {}", path, std::generic_category().message(errno));
  std::string text;
  std::array<char, 65536> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    text.append(buffer.data(), count);
    if (text.size() > most_bytes) {
      fail(ErrorCode::io, "{}: is larger than {} MiB, which no network's description is", path,
           most_bytes >> 20);
    }
  }
  if (std::ferror(file.get()) != 0) {
    fail(ErrorCode::io, "{}: cannot be read: {}", path, std::generic_category().message(errno));
  }
  return text;
}

/// A value as a message shows it: short, and printable.
std::string shown(const Json& value) {
  return scene::quote(value.dump(-1, ' ', true, Json::error_handler_t::replace));
}

/// Parses JSON and refuses a key that an object has twice: of two contradicting values neither is a guess.
Json parse_json(const std::string& text, const std::string& source) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      fail(ErrorCode::io, "{}: has the field {} twice in one object", source, shown(value));
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    const std::string_view before = std::string_view(text).substr(0, error.byte == 0 ? 0 : error.byte - 1);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t last_line = before.rfind('\n');
    const std::size_t column = before.size() - (last_line == std::string_view::npos ? 0 : last_line + 1) + 1;
    fail(ErrorCode::io, "{}: is not valid JSON at line {}, column {}", source, line, column);
  }
}

/// One layer's object, field by field.
class LayerReader {
 public:
  LayerReader(const Json& layer, std::string place) : layer_(layer), place_(std::move(place)) {}

  LayerRequest read() {
    if (!layer_.is_object()) fail(ErrorCode::io, "{} is {}; it must be an object", place_, shown(layer_));
    refuse_unknown_fields();
    LayerRequest request;
    request.op = words("op", {}, parse_op);
    request.conv.in_channels = whole("in_channels", most_channels);
    request.conv.out_channels = whole("out_channels", most_channels);
    request.conv.kernel = extent("kernel", most_taps, false);
    request.conv.dtype = words("dtype", {}, [](std::string_view text) {
      const DType dtype = parse_dtype(text);
      if (dtype == DType::i32) fail(ErrorCode::invalid_argument, "'i32' is no type of features");
      return dtype;
    });
    request.voxels = whole("voxels", most_voxels);
    request.pairs_per_voxel = pairs(request.conv.kernel);
    request.dilation = extent("dilation", most_dilation, true);
    request.conv.algorithm = words("algorithm", "auto", parse_algorithm);
    words("epilogue", "none", [&request](std::string_view text) {
      parse_epilogue(text, request);
      return true;
    });
    return request;
  }

 private:
  template <class... Arguments>
  [[noreturn]] void refuse(const char* field, fmt::format_string<Arguments...> format,
                           Arguments&&... arguments) const {
    fail(ErrorCode::io, "{}.{} {}", place_, field,
         fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  void refuse_unknown_fields() const {
    static const std::set<std::string> known{"op",       "in_channels", "out_channels",    "kernel",
                                             "dtype",    "voxels",      "pairs_per_voxel", "dilation",
                                             "epilogue", "algorithm"};
    for (const auto& [key, value] : layer_.items()) {
      if (!known.contains(key)) {
        fail(ErrorCode::io,
             "{} has the unknown field {}; known are op, in_channels, out_channels, kernel, dtype, voxels, "
             "pairs_per_voxel, dilation, epilogue and algorithm",
             place_, scene::quote(key));
      }
    }
  }

  const Json& required(const char* field) const {
    const auto found = layer_.find(field);
    if (found == layer_.end()) refuse(field, "is missing");
    return *found;
  }

  std::int64_t whole_value(const char* field, const Json& value, std::int64_t most) const {
    const bool fits = value.is_number_unsigned()  // every non-negative integer that fits 64 bits
                      && value.get<std::uint64_t>() >= 1 &&
                      value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most);
    if (!fits) refuse(field, "is {}; it must be a whole number between 1 and {}", shown(value), most);
    return value.get<std::int64_t>();
  }

  std::int64_t whole(const char* field, std::int64_t most) const {
    return whole_value(field, required(field), most);
  }

  Extent3 extent(const char* field, std::int64_t most, bool optional) const {
    if (optional && !layer_.contains(field)) return {1, 1, 1};
    const Json& value = required(field);
    if (!value.is_array() || value.size() != 3) {
      refuse(field, "is {}; it must be an array of three numbers", shown(value));
    }
    const auto axis = [&](std::size_t index) {
      return static_cast<std::int32_t>(
          whole_value(fmt::format("{}[{}]", field, index).c_str(), value[index], most));
    };
    return {axis(0), axis(1), axis(2)};
  }

  std::optional<double> pairs(const Extent3& kernel) const {
    const auto found = layer_.find("pairs_per_voxel");
    if (found == layer_.end()) return std::nullopt;
    const int volume = kernel.x * kernel.y * kernel.z;
    const double value = found->is_number() ? found->get<double>() : 0;
    if (!(value > 0) || value > volume) {
      refuse("pairs_per_voxel", "is {}; it must be a number above 0, at most {}, the taps of the kernel",
             shown(*found), volume);
    }
    return value;
  }

  /// A field of words that `parse` understands; absent, it is `otherwise`, or missing if that is empty.
  template <class Parse>
  std::invoke_result_t<Parse, std::string_view> words(const char* field, std::string_view otherwise,
                                                      const Parse& parse) const {
    if (!otherwise.empty() && !layer_.contains(field)) return parse(otherwise);
    const Json& value = required(field);
    if (!value.is_string()) refuse(field, "is {}; it must be a text", shown(value));
    try {
      return parse(std::string_view(value.get_ref<const std::string&>()));
    } catch (const Error& error) {
      refuse(field, "is not understood: {}", error.what());
    }
  }

  const Json& layer_;
  const std::string place_;
};

}  // namespace

std::vector<LayerRequest> parse_net(const std::string& text, const std::string& source) {
  const Json net = parse_json(text, source);
  if (!net.is_object()) fail(ErrorCode::io, "{}: is {}; it must be an object", source, shown(net));
  for (const auto& [key, value] : net.items()) {
    if (key != "layers") {
      fail(ErrorCode::io, "{}: has the unknown field {}; known is layers", source, scene::quote(key));
    }
  }
  if (!net.contains("layers")) fail(ErrorCode::io, "{}: layers is missing", source);
  const Json& layers = net["layers"];
  if (!layers.is_array() || layers.empty() || layers.size() > most_layers) {
    fail(ErrorCode::io, "{}: layers is {}; it must be an array of 1 to {} layers", source,
         layers.is_array() ? fmt::format("an array of {}", layers.size()) : shown(layers), most_layers);
  }
  std::vector<LayerRequest> requests;
  for (std::size_t index = 0; index < layers.size(); ++index) {
    requests.push_back(LayerReader(layers[index], fmt::format("{}: layers[{}]", source, index)).read());
  }
  return requests;
}

std::vector<LayerRequest> read_net_file(const std::string& path) { return parse_net(read_file(path), path); }

}  // namespace flexgemm::tune
