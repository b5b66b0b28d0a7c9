#pragma once

#include "config/schema.hpp"
#include "support/ip.hpp"

#include <utility>

#include <optional>
#include <string_view>

namespace kubestrap::config::rules {

// What single values have to be; what concerns several at once is in validate.hpp. The rules are kubeadm's
// (apis/kubeadm/validation).
extern const schema::Rule ipAddress, port, absolutePath, certificatePath, dnsSubdomain, nodeName, alternativeName,
    hostAndPort, imageRepository, certificateKey, token, tokenUsage, tokenGroup, argumentName, criSocket, url,
    pinnedHash, fileOrHttps, imageReference;
extern const schema::Rule encryptionAlgorithm, pullPolicy, unmountFlag, hostPathType, taintEffect;
extern const schema::Rule layout, hosting, endpointMode, virtualRouter, virtualRouterPriority;
extern const schema::Rule addonName, addressRange, nodePort, flannelBackend, calicoEncapsulation, metallbMode, ingressExposure, proxyMode;
extern const schema::Rule mebibytes, count, encryptionProvider, encryptedResource;

/// The first and the last address of "10.0.0.240/28" or "10.0.0.240-10.0.0.250"; nothing when it is neither.
std::optional<std::pair<IpAddress, IpAddress>> parseAddressRange(std::string_view text);
bool isAlternativeName(std::string_view text);
/// Whether `<repository>/name:tag` is a valid image reference.
bool isImageRepository(std::string_view text);
/// Whether it is `<repository>[:tag][@sha256:digest]`.
bool isImageReference(std::string_view text);
/// The MiB of a Kubernetes quantity that is a whole number of them, like 100Mi or 1Gi.
std::optional<int> parseMebibytes(std::string_view text);
/// "https" of "https://10.0.0.1:2379"; empty when there is none.
std::string_view schemeOf(std::string_view text);

} // namespace kubestrap::config::rules
