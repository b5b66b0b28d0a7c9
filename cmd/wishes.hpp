#pragma once

#include "config/model.hpp"
#include "host/host.hpp"

namespace kubestrap::cmd {

/// Reads what KubestrapConfiguration.pki names into `pki.overrides`: whoever makes certificates has to know it. Throws Error for what is
/// not there, and Problems for what is wrong.
void takeWishes(config::PkiPolicy& pki, host::Host& host);

} // namespace kubestrap::cmd
