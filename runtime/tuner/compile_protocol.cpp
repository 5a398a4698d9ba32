#include "tuner/compile_protocol.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>

#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

template <class Number>
void put(std::string& bytes, Number number) {
  char raw[sizeof(Number)];
  std::memcpy(raw, &number, sizeof(Number));
  bytes.append(raw, sizeof(Number));
}

/// Reads numbers and fields from the front of a text; `complete` turns false when it ends too early.
struct Cursor {
  const std::string& bytes;
  std::size_t at = 0;
  bool complete = true;

  template <class Number>
  Number number() {
    Number value{};
    if (bytes.size() - at < sizeof(Number)) {
      complete = false;
      return value;
    }
    std::memcpy(&value, bytes.data() + at, sizeof(Number));
    at += sizeof(Number);
    return value;
  }
  std::string field(std::uint64_t length) {
    if (bytes.size() - at < length) {
      complete = false;
      return {};
    }
    std::string text = bytes.substr(at, length);
    at += length;
    return text;
  }
};

}  // namespace

std::string encode(const Message& message) {
  std::string bytes;
  put(bytes, compile_protocol_magic);
  put(bytes, static_cast<std::uint32_t>(message.size()));
  for (const std::string& field : message) {
    put(bytes, static_cast<std::uint64_t>(field.size()));
    bytes += field;
  }
  return bytes;
}

std::optional<Message> MessageReader::next() {
  Cursor cursor{bytes_};
  const auto magic = cursor.number<std::uint32_t>();
  const auto fields = cursor.number<std::uint32_t>();
  if (!cursor.complete) return std::nullopt;
  if (magic != compile_protocol_magic || fields > most_message_fields) {
    fail(ErrorCode::internal, "a compile worker sent what is no message");
  }
  Message message;
  for (std::uint32_t i = 0; i < fields; ++i) {
    const auto length = cursor.number<std::uint64_t>();
    if (cursor.complete && length > most_field_bytes) {
      fail(ErrorCode::internal, "a compile worker sent a field of {} bytes", length);
    }
    if (!cursor.complete) return std::nullopt;
    message.push_back(cursor.field(length));
    if (!cursor.complete) return std::nullopt;
  }
  bytes_.erase(0, cursor.at);
  return message;
}

bool send_all(int socket, const std::string& bytes) noexcept {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace flexgemm::detail
