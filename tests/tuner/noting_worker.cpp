// A compile worker that compiles nothing: it notes each request in the file $NOTES, answers with the name
// that it was sent as the image, and, where the name has "ci32", waits until another request has been noted.

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tuner/compile_protocol.hpp"

using namespace flexgemm::detail;

namespace {

void note(const std::string& line) {
  const int file = open(std::getenv("NOTES"), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(4);
  close(file);
}

std::size_t noted() {
  std::ifstream file(std::getenv("NOTES"));
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

Message answer(const Message& request) {
  const std::size_t before = noted();
  note(request.at(0) + "\n");
  if (request.at(0).find(".ci32.") != std::string::npos && before == 0) {
    for (int i = 0; i < 2000 && noted() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (noted() < 2) return {"nobody else was asked for a kernel", "", "", ""};
  }
  return {"ok", "cubin", request.at(0), "log"};
}

}  // namespace

int main() {
  MessageReader reader;
  char buffer[65536];
  for (ssize_t count = 0; (count = recv(0, buffer, sizeof(buffer), 0)) > 0;) {
    reader.append(buffer, static_cast<std::size_t>(count));
    while (const auto message = reader.next()) {
      if (!send_all(0, encode(answer(*message)))) return 1;
    }
  }
}
