#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <flexgemm/dtype.hpp>
#include <flexgemm/neighbor_map.hpp>

namespace flexgemm::cli {

/// Values of an option, separated by commas. Each throws Error{invalid_argument} that quotes the option and
/// its text when a value is not a number of that kind, does not lie within [least, most], or is not finite.
std::int64_t parse_integer(std::string_view option, std::string_view text, std::int64_t least,
                           std::int64_t most);
std::uint64_t parse_seed(std::string_view option, std::string_view text);
std::vector<std::int64_t> parse_integers(std::string_view option, std::string_view text, std::int64_t least,
                                         std::int64_t most);
std::vector<double> parse_numbers(std::string_view option, std::string_view text);

/// One number for all axes or three for each, within [1, most].
Extent3 parse_extent(std::string_view option, std::string_view text, std::int64_t most);

/// The value of --dtype: f32, tf32, f16 or bf16. Throws Error{invalid_argument} for any other text.
DType parse_feature_type(std::string_view text);

}  // namespace flexgemm::cli
