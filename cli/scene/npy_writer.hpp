#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flexgemm::scene {

/// Writes a little-endian C-order .npy (version 1.0) atomically: to a temporary file in the same directory,
/// flushed and synced, then renamed. On any failure (no permission, disk full) the temporary file is removed,
/// an existing `path` is left as it was, and Error{io} names the path and the system's reason. `descr` is the
/// NumPy type, such as "<f4" or "<i4"; `data` has the bytes of all elements.
void write_npy(const std::string& path, const std::string& descr, const std::vector<std::int64_t>& shape,
               const void* data, std::size_t bytes);

}  // namespace flexgemm::scene
