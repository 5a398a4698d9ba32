#pragma once

namespace flexgemm::tune {

/// From now on SIGINT, SIGTERM and SIGHUP only leave a note, so that work can end in good order. A second one
/// ends the process at once.
void watch_for_interrupts();

/// The number of the signal that came, or 0.
int interrupted() noexcept;

}  // namespace flexgemm::tune
