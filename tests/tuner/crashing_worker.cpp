#include <csignal>

#include <sys/socket.h>

// Takes the first bytes of a request and crashes, as a compiler with a bug would.
int main() {
  char byte = 0;
  if (recv(0, &byte, 1, 0) == 1) raise(SIGKILL);
  return 3;
}
