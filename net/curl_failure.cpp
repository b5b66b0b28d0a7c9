#include "net/curl_failure.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>

namespace kubestrap::net {

namespace {

using Kind = TransportError::Kind;

bool mentions(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

/// A TLS alert with which a server says that it does not want our certificate, in OpenSSL's words.
bool refusesCertificate(std::string_view text) {
  return mentions(text, {"alert certificate", "alert bad certificate", "alert unknown ca",
                         "alert unsupported certificate", "alert access denied", "alert handshake failure"});
}

Kind kindOf(CURLcode code, long osError, std::string_view text, bool tls, bool freshAndSilent) {
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY: return Kind::resolve;
  case CURLE_OPERATION_TIMEDOUT: return Kind::timeout;
  case CURLE_COULDNT_CONNECT:
    if (osError == ETIMEDOUT) return Kind::timeout;
    return osError == ECONNREFUSED || osError == ENOENT || osError == 0 ? Kind::refused : Kind::other;
  case CURLE_SSL_CONNECT_ERROR:
    if (refusesCertificate(text)) return Kind::clientCertificateRefused;
    if (osError == ECONNRESET || mentions(text, {"SSL_ERROR_SYSCALL", "reset by peer", "unexpected eof"}))
      return Kind::closed;
    return Kind::tls;
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_ISSUER_ERROR: return Kind::tls;
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
    if (tls && refusesCertificate(text)) return Kind::clientCertificateRefused;
    // With TLS 1.3 our certificate is judged after the handshake has ended for us; the socket may be gone before the
    // alert was read, and then this is all that curl can say. A reset that ends our reading may be a server's death as well.
    if (tls && freshAndSilent && (mentions(text, {"getpeername", "Broken pipe"}) || (code == CURLE_SEND_ERROR && mentions(text, {"reset by peer"}))))
      return Kind::clientCertificateRefused;
    return Kind::closed;
  case CURLE_GOT_NOTHING:
  case CURLE_PARTIAL_FILE:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM: return Kind::closed;
  default: return Kind::other;
  }
}

struct Wording {
  Kind kind;
  std::string_view what, hint;
};
constexpr Wording wordings[] = {
    {Kind::refused, "nobody listens there", ""},
    {Kind::timeout, "no answer in time",
     "look at what listens there and at the network between; then the same command goes on where it ended"},
    {Kind::resolve, "the name is not known", "check the name, /etc/hosts and the machine's DNS servers"},
    {Kind::tls, "no trusted TLS connection",
     "check that the authority, the names in the server's certificate and the clocks of both machines fit"},
    {Kind::clientCertificateRefused, "the server did not accept our client certificate",
     "check that it was issued by the authority that the server trusts, and that it has not expired"},
    {Kind::closed, "the connection was closed before the answer was complete", ""},
    {Kind::other, "no answer", ""},
};

} // namespace

void fail(const Request& request, CURL* curl, CURLcode code, std::string_view diagnosis, bool answered) {
  long osError = 0, connections = 0;
  curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &osError);
  curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connections);
  const bool tls = request.url.starts_with("https:");
  std::string text(trim(diagnosis));
  if (text.empty()) text = curl_easy_strerror(code);
  const Kind kind = kindOf(code, osError, text, tls, connections > 0 && !answered);
  const auto* wording =
      std::find_if(std::begin(wordings), std::end(wordings), [&](auto& row) { return row.kind == kind; });

  std::string peer;
  if (!request.unixSocket.empty()) peer = fmt::format(" (socket {})", request.unixSocket);
  if (!request.tls.serverName.empty()) peer += fmt::format(" (as {})", request.tls.serverName);
  throw TransportError(kind,
                       fmt::format("{} {}{}: {}: {} (curl {})", request.method, request.url, peer, wording->what, text,
                                   static_cast<int>(code)),
                       std::string(wording->hint));
}

} // namespace kubestrap::net
