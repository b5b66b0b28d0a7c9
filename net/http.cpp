#include "net/http.hpp"

#include <fmt/format.h>

namespace kubestrap::net {

TransportError::TransportError(Kind kind, std::string message, std::string hint)
    : Error(std::move(message), std::move(hint)), kind_(kind) {}

std::vector<std::string> Transport::peerCertificates(const std::string& host, int port, Duration) {
  throw TransportError(TransportError::Kind::other, fmt::format("no certificate of {}:{} can be seen from here", host, port));
}

} // namespace kubestrap::net
