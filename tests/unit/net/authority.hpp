#pragma once

#include "certs/x509.hpp"

#include <string>
#include <vector>

namespace kubestrap::net::tests {

/// A certificate and its key in PEM.
struct Pair {
  std::string certificate;
  Secret key;
};

/// Issues certificates that are good for an hour.
class Authority {
public:
  explicit Authority(const std::string& commonName);
  Pair pair() const { return {certificate_.pem(), key_.pem()}; }
  Pair issue(const certs::Subject& subject, certs::ExtendedUsage usage, certs::AlternativeNames names = {}) const;
  /// For both sides of a connection, as etcd wants it.
  Pair issueForBoth(const certs::Subject& subject, certs::AlternativeNames names) const;

private:
  Pair issue(const certs::Subject& subject, std::vector<certs::ExtendedUsage> usages,
             certs::AlternativeNames names) const;
  certs::PrivateKey key_;
  certs::X509Certificate certificate_;
};

} // namespace kubestrap::net::tests
