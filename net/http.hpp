#pragma once
// net/ is the wire: HTTP and gRPC over libcurl, TLS identities from memory. It knows nothing of Kubernetes.

#include "support/error.hpp"
#include "support/secret.hpp"
#include "support/time.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kubestrap::net {

/// Whom we trust and who we are, in PEM, from memory.
struct TlsIdentity {
  std::string authorities; ///< trusted CA certificates; empty: the machine's own
  std::string certificate; ///< ours; empty: none
  Secret key;
  std::string serverName; ///< name to verify instead of the URL's host ("kubernetes")
  /// Never but for a component's self-signed health port and the first read of cluster-info, whose content is verified
  /// otherwise.
  enum class Verify { yes, no } verify = Verify::yes;
};

struct Request {
  std::string method = "GET"; ///< GET, PUT, POST, PATCH, DELETE
  std::string url;            ///< http:// or https://
  std::vector<std::pair<std::string, std::string>> headers;
  Secret bearerToken;
  std::string body;
  TlsIdentity tls;
  std::string unixSocket;                      ///< path; empty: TCP
  Duration timeout = std::chrono::seconds(10); ///< whole call; zero: no limit but 10 s to connect
  std::size_t largestAnswer = std::size_t{1} << 30; ///< octets of a body that is kept; a longer one is no answer
  enum class Proxy { environment, none } proxy = Proxy::none;
  /// `two` is HTTP/2 and nothing else; over http:// without an upgrade, as gRPC servers want it. `one` is HTTP/1.1.
  enum class Protocol { automatic, two, one } protocol = Protocol::automatic;
};

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers; ///< names in lower case; trailers too
  std::string body;
};

/// The call did not come to an answer. `kind` is for callers that branch; the message says URL, peer and curl's own
/// diagnosis.
class TransportError : public Error {
public:
  enum class Kind { refused, timeout, resolve, tls, clientCertificateRefused, closed, other };
  TransportError(Kind kind, std::string message, std::string hint = {});
  Kind kind() const { return kind_; }

private:
  Kind kind_;
};

/// The seam to the network.
class Transport {
public:
  virtual ~Transport() = default;
  /// An HTTP status is a value, whatever it is; throws TransportError when there is none, Interrupted when asked to
  /// stop.
  virtual Response perform(const Request& request) = 0;
  /// As perform, with the body handed over as it arrives (watch, snapshot); `onData` returns false to end the call,
  /// which is no failure. The body of an answer with a status of 300 or more is in the Response instead, as with
  /// perform.
  virtual Response stream(const Request& request, const std::function<bool(std::string_view)>& onData) = 0;
  /// The certificates, in PEM, that a TLS server shows: its own first. Nothing is asked of it, and nothing that it shows is believed.
  virtual std::vector<std::string> peerCertificates(const std::string& host, int port, Duration timeout);
};

} // namespace kubestrap::net
