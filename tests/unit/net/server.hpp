#pragma once

#include "net/http.hpp"
#include "tests/unit/net/authority.hpp"

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace kubestrap::net::tests {

/// server.py, running as long as this lives, with an authority of its own.
class Server {
public:
  Server();
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string http, https, mutual, mutual12; ///< "https://127.0.0.1:40123"; mutual asks for client certificates
  std::string grpcSocket;
  Pair authority, otherAuthority, client, stranger; ///< stranger is signed by otherAuthority

  /// Trusts the server under its certificate's only name.
  TlsIdentity trusting() const { return {.authorities = authority.certificate, .serverName = "kubernetes"}; }
  TlsIdentity as(const Pair& pair) const;

private:
  std::filesystem::path folder_;
  pid_t process_ = -1;
  int input_ = -1;
};

} // namespace kubestrap::net::tests
