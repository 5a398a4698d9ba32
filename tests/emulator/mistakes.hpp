#pragma once

#include <string>
#include <vector>

namespace flexgemm::emulator {

/// A change to one template that makes a kernel wrong, at least under some schedules: what the model must
/// find, so that its silence means something.
struct Mistake {
  const char* name;
  const char* spec;      ///< a kernel that the change breaks
  const char* file;      ///< below templates/
  const char* original;  ///< occurs once in the file
  const char* changed;
  const char* symptom;  ///< part of what the model says
};

const std::vector<Mistake>& planted_mistakes();

}  // namespace flexgemm::emulator
