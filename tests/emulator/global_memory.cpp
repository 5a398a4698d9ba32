#include "emulator/global_memory.hpp"

#include <algorithm>
#include <functional>
#include <new>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace flexgemm::emulator {

namespace {

struct Range {
  const std::byte* begin;
  const std::byte* end;
};
std::vector<Range> ranges;

}  // namespace

Buffer::Buffer(std::size_t bytes, std::size_t alignment) : bytes_(bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::size_t used = (bytes + alignment - 1) / alignment * alignment;
  if (alignment < 16 && used / alignment % 2 == 0) used += alignment;
  const std::size_t whole = (used + page - 1) / page * page;
  mapped_ = whole + page;
  void* mapping = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  mprotect(mapping_ + whole, page, PROT_NONE);
  data_ = mapping_ + (whole - used);
  std::memset(mapping_, 0xff, whole);
  ranges.push_back({data_, data_ + bytes_});
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(other.data_),
      bytes_(other.bytes_),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(other.mapped_) {}

Buffer::~Buffer() {
  if (mapping_ == nullptr) return;
  std::erase_if(ranges, [this](const Range& range) { return range.begin == data_; });
  munmap(mapping_, mapped_);
}

void Buffer::poison() const noexcept { std::memset(data_, 0xff, bytes_); }

bool is_in_a_buffer(const void* pointer, std::size_t bytes) noexcept {
  static std::size_t last = 0;  // the same buffer is read many times in a row
  const auto* begin = static_cast<const std::byte*>(pointer);
  const auto holds = [&](const Range& range) {
    return std::greater_equal<>()(begin, range.begin) && std::less_equal<>()(begin + bytes, range.end);
  };
  if (last < ranges.size() && holds(ranges[last])) return true;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (holds(ranges[i])) {
      last = i;
      return true;
    }
  }
  return false;
}

}  // namespace flexgemm::emulator
