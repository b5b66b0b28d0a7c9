#pragma once
// What `certs renew` and `upgrade` both say of certificates that are there: new keys and a new life, else as they are.

#include "plan/phase.hpp"

#include <initializer_list>
#include <string_view>

namespace kubestrap::phases {

/// Those among the names of the catalogue that request.renewal wants.
plan::Resources renewedCertificates(const config::Setup& setup, std::initializer_list<std::string_view> names);
/// "controller-manager.conf", if request.renewal wants it.
plan::Resources renewedKubeconfig(const config::Setup& setup, std::string_view file);
/// admin.conf and super-admin.conf.
plan::Resources renewedAdministrators(const config::Setup& setup, const plan::Phase& phase);

} // namespace kubestrap::phases
