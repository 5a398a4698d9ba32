#include <cstdio>

#include <sys/socket.h>

#include "tuner/compile_worker.hpp"

// flexgemm-compile-worker: compiles kernels for a process of the library, because NVRTC compiles nearly
// serially within one process. The library starts it with a socket as its standard input.
int main() {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    std::fputs("flexgemm-compile-worker is started by the FlexGEMM library and is of no use by itself.\n",
               stderr);
    return 2;
  }
  return flexgemm::detail::serve_compilations(0);
}
