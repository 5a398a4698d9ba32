// flexgemm-driver-start [ORDINAL]: what a process pays for the driver alone, for `flexgemm-bench cold`. Opens
// libcuda, initializes it, makes the primary context of a GPU current, gives it back, and prints one JSON
// object with the milliseconds of each step. Exit codes: 0 done, 1 a step failed.

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>

namespace {

using Clock = std::chrono::steady_clock;

class Stopwatch {
 public:
  /// Milliseconds since the last call.
  double lap() {
    const Clock::time_point now = Clock::now();
    const double milliseconds = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return milliseconds;
  }

 private:
  Clock::time_point last_ = Clock::now();
};

[[noreturn]] void give_up(const char* step, int code) {
  std::fprintf(stderr, "flexgemm-driver-start: %s failed (%d)\n", step, code);
  std::exit(1);
}

template <class... Arguments>
void call(void* library, const char* name, Arguments... arguments) {
  const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library, name));
  if (function == nullptr) give_up(name, -1);
  if (const int code = function(arguments...); code != 0) give_up(name, code);
}

}  // namespace

int main(int argc, char** argv) {
  Stopwatch watch;
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) give_up("loading libcuda.so.1", 0);
  const double load = watch.lap();
  call(library, "cuInit", 0U);
  const double init = watch.lap();
  int device = 0;
  void* context = nullptr;
  call(library, "cuDeviceGet", &device, argc > 1 ? std::atoi(argv[1]) : 0);
  call(library, "cuDevicePrimaryCtxRetain", &context, device);
  call(library, "cuCtxSetCurrent", context);
  const double open = watch.lap();
  call(library, "cuDevicePrimaryCtxRelease_v2", device);
  const double close = watch.lap();
  std::printf(
      "{\"stages\": [{\"name\": \"load\", \"ms\": %.3f}, {\"name\": \"cuInit\", \"ms\": %.3f}, "
      "{\"name\": \"context\", \"ms\": %.3f}, {\"name\": \"release\", \"ms\": %.3f}]}\n",
      load, init, open, close);
}
