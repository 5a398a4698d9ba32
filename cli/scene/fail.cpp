#include "scene/fail.hpp"

#include <system_error>

namespace flexgemm::scene {

std::string quote(std::string_view text) {
  constexpr std::size_t longest = 40;
  std::string result = "'";
  for (const char character : text.substr(0, longest)) {
    if (character >= 0x20 && character < 0x7f) {
      result += character;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(character));
    }
  }
  return result + (text.size() > longest ? "...'" : "'");
}

std::string system_reason(int error_number) { return std::generic_category().message(error_number); }

}  // namespace flexgemm::scene
