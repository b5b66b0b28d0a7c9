#pragma once

#include "net/http.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace kubestrap::net {

/// gRPC's status codes (grpc: doc/statuscodes.md).
enum class GrpcCode : int {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalidArgument = 3,
  deadlineExceeded = 4,
  notFound = 5,
  alreadyExists = 6,
  permissionDenied = 7,
  resourceExhausted = 8,
  failedPrecondition = 9,
  aborted = 10,
  outOfRange = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  dataLoss = 15,
  unauthenticated = 16,
};

/// The server answered with a status other than OK, or with something that is no gRPC answer (code unknown or
/// internal). message() names the method; detail() is the server's own text.
class GrpcError : public Error {
public:
  GrpcError(GrpcCode code, std::string_view method, std::string detail);
  GrpcCode code() const { return code_; }
  const std::string& detail() const { return detail_; }

private:
  GrpcCode code_;
  std::string detail_;
};

/// Who is spoken to.
struct GrpcPeer {
  std::string url = "http://localhost"; ///< scheme, host and port; http:// is HTTP/2 in the clear, as on a unix socket
  std::string unixSocket;               ///< path ("/run/containerd/containerd.sock"); empty: TCP
  TlsIdentity tls;                      ///< for https://
  std::vector<std::pair<std::string, std::string>> metadata = {}; ///< goes with each call: {{"containerd-namespace", "k8s.io"}}
};

/// Calls with one request message and one or many answers, messages as serialized bytes. It is HTTP/2 over a Transport
/// (over TLS the connection is kept); a message is at most 256 MiB. One call, one attempt: throws GrpcError,
/// TransportError, Interrupted.
class GrpcClient {
public:
  GrpcClient(Transport& transport, GrpcPeer peer);

  /// `method` is "/runtime.v1.RuntimeService/Version"; `timeout` holds for the whole call and is told to the server.
  std::string unary(std::string_view method, std::string_view message, Duration timeout = std::chrono::seconds(10));
  /// Each answer is handed over when it is complete; `onMessage` returns false to end the call early.
  void serverStream(std::string_view method, std::string_view message, Duration timeout,
                    const std::function<bool(std::string_view)>& onMessage);

private:
  Request request(std::string_view method, std::string_view message, Duration timeout) const;
  Transport& transport_;
  GrpcPeer peer_;
};

/// One message as it travels: a zero (not compressed), its length in four octets, the message.
std::string grpcFrame(std::string_view message);

/// Cuts a body that arrives in pieces into messages. Throws GrpcError for a compressed or an oversized one.
class GrpcDeframer {
public:
  explicit GrpcDeframer(std::string method) : method_(std::move(method)) {}
  /// Returns false as soon as `onMessage` does.
  bool feed(std::string_view bytes, const std::function<bool(std::string_view)>& onMessage);
  /// Whether the body ended between two messages.
  bool complete() const { return buffer_.empty(); }

private:
  std::string method_, buffer_;
};

} // namespace kubestrap::net
