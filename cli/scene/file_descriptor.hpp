#pragma once

#include <unistd.h>

namespace flexgemm::scene {

/// An open file, closed when the object dies.
class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const noexcept { return descriptor_; }

  /// Closes now; close()'s result. For writers, to whom a failing close is a failing write.
  int close() noexcept {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    return ::close(descriptor);
  }

 private:
  int descriptor_;
};

}  // namespace flexgemm::scene
