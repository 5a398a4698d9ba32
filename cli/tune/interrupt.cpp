#include "tune/interrupt.hpp"

#include <csignal>
#include <initializer_list>

namespace flexgemm::tune {

namespace {

volatile std::sig_atomic_t signal_number = 0;

extern "C" void note_signal(int number) { signal_number = number; }

}  // namespace

void watch_for_interrupts() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;  // as under nohup
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART | SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);
  }
}

int interrupted() noexcept { return signal_number; }

}  // namespace flexgemm::tune
