#pragma once

#include "config/model.hpp"
#include "host/host.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// How long a certificate of the PKI folder, or the one in a kubeconfig, is valid.
struct Expiry {
  std::string name;
  std::optional<TimePoint> begins, ends; ///< nothing: it is not there
  std::string issuer;                    ///< empty: an authority
  bool managedElsewhere = false;         ///< its authority's key is not on this machine
};

struct Expiries {
  std::vector<Expiry> certificates, authorities; ///< by name
};

/// All of this machine but the kubelet's own, which it renews itself. Throws Error for what cannot be read.
Expiries lookAtCertificates(host::Host& host, const config::Cluster& cluster, const config::Path& folder);

/// As kubeadm's check-expiration prints them.
void printExpiries(const Expiries& found, TimePoint now);

} // namespace kubestrap::cmd
