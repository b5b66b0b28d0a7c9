#include "net/grpc.hpp"

#include "support/encoding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace kubestrap::net {

namespace {

constexpr std::size_t prefixSize = 5;
constexpr std::uint32_t largestMessage = 256u << 20;

std::string_view name(GrpcCode code) {
  static constexpr std::string_view names[] = {
      "ok",        "cancelled",      "unknown",           "invalid argument",   "deadline exceeded",
      "not found", "exists",         "permission denied", "resource exhausted", "failed precondition",
      "aborted",   "out of range",   "unimplemented",     "internal",           "unavailable",
      "data loss", "unauthenticated"};
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(names) ? names[index] : "unknown";
}

/// What an HTTP status means when there is no grpc-status (grpc: doc/http-grpc-status-mapping.md).
GrpcCode codeOf(int httpStatus) {
  switch (httpStatus) {
  case 400: return GrpcCode::internal;
  case 401: return GrpcCode::unauthenticated;
  case 403: return GrpcCode::permissionDenied;
  case 404: return GrpcCode::unimplemented;
  case 429:
  case 502:
  case 503:
  case 504: return GrpcCode::unavailable;
  default: return GrpcCode::unknown;
  }
}

/// At most eight digits and a unit.
std::string timeoutHeader(Duration timeout) {
  using namespace std::chrono;
  const auto milli = duration_cast<milliseconds>(timeout).count();
  if (milli < 100'000'000) return fmt::format("{}m", std::max<long>(milli, 1));
  return fmt::format("{}S", std::min<long>(milli / 1000, 99'999'999));
}

std::string percentDecode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      if (const auto octet = fromHex(text.substr(i + 1, 2))) {
        decoded += *octet;
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

std::string header(const Response& response, const std::string& name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

/// Throws unless the answer says OK.
void checkStatus(const Response& response, std::string_view method) {
  const std::string status = header(response, "grpc-status");
  if (status.empty()) {
    if (response.status == 200)
      throw GrpcError(GrpcCode::unknown, method, "the answer ended without a status; is this a gRPC server");
    throw GrpcError(codeOf(response.status), method, fmt::format("HTTP status {}", response.status));
  }
  int code = static_cast<int>(GrpcCode::unknown);
  std::from_chars(status.data(), status.data() + status.size(), code);
  if (code == 0) return;
  if (code < 0 || code > static_cast<int>(GrpcCode::unauthenticated)) code = static_cast<int>(GrpcCode::unknown);
  throw GrpcError(static_cast<GrpcCode>(code), method, percentDecode(header(response, "grpc-message")));
}

} // namespace

GrpcError::GrpcError(GrpcCode code, std::string_view method, std::string detail)
    : Error(fmt::format("{}: {} ({})", method, detail.empty() ? "no details given" : detail, name(code))), code_(code),
      detail_(std::move(detail)) {}

std::string grpcFrame(std::string_view message) {
  const auto size = static_cast<std::uint32_t>(message.size());
  std::string frame;
  frame.reserve(prefixSize + message.size());
  frame += '\0';
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>((size >> shift) & 0xffu);
  return frame.append(message);
}

bool GrpcDeframer::feed(std::string_view bytes, const std::function<bool(std::string_view)>& onMessage) {
  buffer_.append(bytes);
  std::size_t at = 0;
  bool more = true;
  while (more && buffer_.size() - at >= prefixSize) {
    if (buffer_[at] != '\0')
      throw GrpcError(GrpcCode::internal, method_, "the server sent a compressed message, which was not asked for");
    std::uint32_t size = 0;
    for (std::size_t i = 1; i < prefixSize; ++i) size = size << 8 | static_cast<unsigned char>(buffer_[at + i]);
    if (size > largestMessage)
      throw GrpcError(GrpcCode::resourceExhausted, method_, fmt::format("a message of {} octets is too large", size));
    if (buffer_.size() - at - prefixSize < size) break;
    more = onMessage(std::string_view(buffer_).substr(at + prefixSize, size));
    at += prefixSize + size;
  }
  buffer_.erase(0, at);
  return more;
}

GrpcClient::GrpcClient(Transport& transport, GrpcPeer peer) : transport_(transport), peer_(std::move(peer)) {}

Request GrpcClient::request(std::string_view method, std::string_view message, Duration timeout) const {
  Request request{.method = "POST",
                  .url = peer_.url + std::string(method),
                  .headers = {{"Content-Type", "application/grpc"}, {"TE", "trailers"}, {"User-Agent", "kubestrap"}},
                  .body = grpcFrame(message),
                  .tls = peer_.tls,
                  .unixSocket = peer_.unixSocket,
                  .timeout = {},
                  .protocol = Request::Protocol::two};
  request.headers.insert(request.headers.end(), peer_.metadata.begin(), peer_.metadata.end());
  if (timeout > Duration::zero()) {
    request.headers.emplace_back("grpc-timeout", timeoutHeader(timeout));
    // The server's own "deadline exceeded" says more than ours: let it come first.
    request.timeout = timeout + std::chrono::milliseconds(500);
  }
  return request;
}

std::string GrpcClient::unary(std::string_view method, std::string_view message, Duration timeout) {
  auto call = request(method, message, timeout);
  call.largestAnswer = prefixSize + largestMessage;
  const Response response = transport_.perform(call);
  checkStatus(response, method);
  std::optional<std::string> answer;
  GrpcDeframer deframer{std::string(method)};
  deframer.feed(response.body, [&](std::string_view bytes) {
    if (answer) throw GrpcError(GrpcCode::internal, method, "more than one message in the answer");
    answer = bytes;
    return true;
  });
  if (!answer || !deframer.complete())
    throw GrpcError(GrpcCode::internal, method, "the answer ended before its message was complete");
  return *std::move(answer);
}

void GrpcClient::serverStream(std::string_view method, std::string_view message, Duration timeout,
                              const std::function<bool(std::string_view)>& onMessage) {
  GrpcDeframer deframer{std::string(method)};
  bool more = true;
  const Response response = transport_.stream(request(method, message, timeout), [&](std::string_view bytes) {
    more = deframer.feed(bytes, onMessage);
    return more;
  });
  if (!more) return;
  checkStatus(response, method);
  if (!deframer.complete())
    throw GrpcError(GrpcCode::internal, method, "the answer ended before its last message was complete");
}

} // namespace kubestrap::net
