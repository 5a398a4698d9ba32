#pragma once

#include <cstdint>

#include <flexgemm/device.hpp>

namespace flexgemm::detail {

/// Counts the rows whose coordinate a lower row holds too: those that are not their own neighbor at offset
/// `centre`, the tap of no displacement, although there is one. `count` is set to 0 first.
void count_repeated_rows(const std::int32_t* indices, std::int64_t rows, int volume, int centre,
                         unsigned long long* count, CUstream_st* stream);

/// inverse[m, v] = n where indices[n, v] = m, else -1. At most one n has m as its neighbor at v if no
/// coordinate is repeated, so the writes never meet.
void invert_map(const std::int32_t* indices, std::int64_t rows, int volume, std::int32_t* inverse,
                CUstream_st* stream);

}  // namespace flexgemm::detail
