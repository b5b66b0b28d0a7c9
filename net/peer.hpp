#pragma once

#include "support/time.hpp"

#include <string>
#include <vector>

namespace kubestrap::net {

/// The certificates, in PEM, that a TLS server shows: its own first. Nothing is sent to it, and nothing it shows is believed. Throws TransportError
/// when there is no handshake.
std::vector<std::string> peerCertificates(const std::string& host, int port, Duration timeout);

} // namespace kubestrap::net
