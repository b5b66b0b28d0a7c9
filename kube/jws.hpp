#pragma once

#include "support/secret.hpp"

#include <string>
#include <string_view>

namespace kubestrap::kube {

/// The signature under key `jws-kubeconfig-<id>` of the ConfigMap cluster-info: a compact JWS (RFC 7515, HS256) whose
/// payload is left out, since it stands beside it under `kubeconfig`. The key is the text of the token's secret. A
/// signature is compared as a whole, so the header is byte for byte what the bootstrap signer writes
/// (k8s.io/cluster-bootstrap: token/jws).
std::string signDetached(std::string_view content, std::string_view tokenId, const Secret& tokenSecret);
bool verifyDetached(std::string_view signature, std::string_view content, std::string_view tokenId,
                    const Secret& tokenSecret);

} // namespace kubestrap::kube
