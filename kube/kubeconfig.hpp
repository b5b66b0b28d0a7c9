#pragma once
// kube/ speaks to API servers: objects, kubeconfigs, discovery, tokens. It knows the wire (net/) and keys (certs/), and
// neither this machine nor what should be true.

#include "net/http.hpp"
#include "support/secret.hpp"
#include "support/value.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace kubestrap::kube {

/// A kubeconfig's current context, or its only cluster when there is no context.
struct Kubeconfig {
  std::string server, tlsServerName, clusterName, user;
  std::string authorities;       ///< PEM
  std::string clientCertificate; ///< PEM; empty when it is a file or there is none
  Secret clientKey;
  std::string clientCertificateFile, clientKeyFile, authorityFile;
  Secret token;
  std::string otherCredential; ///< "exec", "username": a kind of credentials in it that kubestrap cannot use
};

/// Throws Error naming `source` and the field.
Kubeconfig parseKubeconfig(std::string_view text, std::string_view source);
/// Certificate and key from the files that it names, if it names any; empty where `read` finds nothing.
void readCredentials(Kubeconfig& kubeconfig, const std::function<std::optional<std::string>(const std::string& file)>& read);
/// With the names that kubeadm gives: context "<user>@<cluster>"; fields in client-go's order.
std::string emitKubeconfig(const Kubeconfig& kubeconfig);
/// The text of cluster-info's key `kubeconfig`: one unnamed cluster, nothing else.
std::string emitDiscoveryKubeconfig(const std::string& server, const std::string& authorities);

} // namespace kubestrap::kube
