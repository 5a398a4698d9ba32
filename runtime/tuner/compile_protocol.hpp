#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the library and its compile workers say to each other, over a stream socket: messages of
//   uint32 magic, uint32 fields, then for each field uint64 length and so many bytes,
// in the byte order of the machine, which both share. A request has the fields name, architecture, source; a
// response has status ("ok", or the text of an error), "ptx" or "cubin", image, log.

namespace flexgemm::detail {

inline constexpr std::uint32_t compile_protocol_magic = 0x57434746;  // "FGCW": changes with the format
inline constexpr std::uint32_t most_message_fields = 8;
inline constexpr std::uint64_t most_field_bytes = std::uint64_t{256} << 20;

using Message = std::vector<std::string>;

std::string encode(const Message& message);

/// Takes bytes as they come and gives whole messages back.
class MessageReader {
 public:
  void append(const char* data, std::size_t size) { bytes_.append(data, size); }
  /// The next whole message, or none yet. Throws Error{internal} if the bytes are no message: then the stream
  /// is of no further use.
  std::optional<Message> next();

 private:
  std::string bytes_;
};

/// Writes all bytes to a blocking socket. False if the other end is gone.
bool send_all(int socket, const std::string& bytes) noexcept;

}  // namespace flexgemm::detail
