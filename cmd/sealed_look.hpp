#pragma once
// Both ends of a file that goes from one control plane to another, sealed (phases/sealed.hpp; decision D24).

#include "config/model.hpp"
#include "host/host.hpp"
#include "kube/client.hpp"
#include "support/secret.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace kubestrap::cmd {

/// The certificate (PEM) of what a node shows as its API server's, for which a file may be sealed. Throws Error where this cluster's authority has not
/// signed it.
std::string receiverOf(const std::string& node, const std::string& shown, const config::Cluster& cluster, host::Host& host);

/// What has come to this machine in that Secret of kube-system; nothing: it has not come.
std::optional<Secret> opened(kube::Client& client, const std::string& secret, std::string_view member, const config::Cluster& cluster, host::Host& host);

} // namespace kubestrap::cmd
