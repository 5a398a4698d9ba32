#include "tuner/compile_worker.hpp"

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

#include "codegen/kernel_spec.hpp"
#include "cuda/nvrtc.hpp"
#include "tuner/compile_protocol.hpp"

namespace flexgemm::detail {

namespace {

/// Requests that have arrived and are not compiled yet.
class Inbox {
 public:
  void put(Message message) {
    {
      const std::lock_guard lock(mutex_);
      messages_.push_back(std::move(message));
    }
    arrived_.notify_one();
  }
  Message take() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !messages_.empty(); });
    Message message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Message> messages_;
};

/// Reads until the parent is gone, and ends the process then: nobody waits for a result any more.
void receive(int socket, Inbox& inbox) noexcept {
  try {
    MessageReader reader;
    char buffer[65536];
    while (true) {
      const ssize_t count = recv(socket, buffer, sizeof(buffer), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) _exit(0);
      reader.append(buffer, static_cast<std::size_t>(count));
      while (std::optional<Message> message = reader.next()) inbox.put(std::move(*message));
    }
  } catch (...) {
    _exit(1);
  }
}

/// What kernels use of the compiler, in little. Which architecture it is for does not matter.
void warm_up() noexcept {
  constexpr const char* source = R"(
template <int kCount>
struct Sum {
  static __device__ __forceinline__ float of(const float* values) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum += __ldg(values + 32 * i);
    return sum;
  }
};
extern "C" __global__ void flexgemm_kernel(const float* in, float4* out, int steps) {
  __shared__ float shared[128];
  for (int step = 0; step < steps; ++step) {
    shared[threadIdx.x] = Sum<8>::of(in + step * 256 + threadIdx.x % 32);
    __syncthreads();
    if (threadIdx.x < 32) out[step * 32 + threadIdx.x] = reinterpret_cast<const float4*>(shared)[threadIdx.x];
    __syncthreads();
  }
}
)";
  try {
    compile_source(source, "warm-up", {.major = 8, .minor = 0, .suffix = '\0'});
  } catch (...) {  // the first request will fail likewise, and say why
  }
}

Message compile(const Message& request) {
  try {
    const CompiledKernel compiled =
        compile_source(request.at(2), request.at(0), codegen::parse_architecture(request.at(1)));
    return {"ok", compiled.is_ptx ? "ptx" : "cubin",
            std::string(compiled.image.begin(), compiled.image.end()), compiled.log};
  } catch (const std::exception& error) {
    return {error.what(), "", "", ""};
  }
}

}  // namespace

int serve_compilations(int socket) {
  static Inbox inbox;  // outlives this function: the thread below never ends
  std::thread(receive, socket, std::ref(inbox)).detach();
  warm_up();  // while nobody waits: the first compilation of a process costs what loads and fills its caches
  while (send_all(socket, encode(compile(inbox.take())))) {
  }
  return 0;
}

}  // namespace flexgemm::detail
