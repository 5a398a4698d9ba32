#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flexgemm::run {

/// Throws Error{io} if `folder` exists and is no folder, if it (or, where it does not exist yet, the nearest
/// folder above it) cannot be written to, or if what stands at an output's place is no regular file. Creates
/// nothing: asked before the work starts.
void require_writable_folder(const std::string& folder);

/// Features and coordinates of N voxels, in host memory.
struct FolderContents {
  const std::vector<float>& feats;          ///< [N, channels]
  std::int64_t channels = 0;                ///< of feats
  const std::vector<std::int32_t>& coords;  ///< [N, 4]
};

/// Writes feats.npy and coords.npy to `folder`, which is created with the folders above it if need be. Both
/// are written completely before either takes its place; on any failure what was created is removed, what was
/// there stays, and Error{io} names the path and the system's reason.
void write_folder(const std::string& folder, const FolderContents& contents);

}  // namespace flexgemm::run
