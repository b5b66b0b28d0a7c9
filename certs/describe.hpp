#pragma once

#include "certs/signing_request.hpp"
#include "certs/x509.hpp"
#include "support/value.hpp"

namespace kubestrap::certs {

/// A certificate as `cfssl certinfo` shows it, and beside that what it may be used for and of what kind its key is.
Value describe(const X509Certificate& certificate);
Value describe(const SigningRequest& request);

/// "server auth" and the like; an identifier where there is no name.
std::vector<std::string> usageNamesOf(const X509Certificate& certificate);

} // namespace kubestrap::certs
