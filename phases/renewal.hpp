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

/// A server shows the certificate in its file. Those of Kubernetes and etcd look at it with every handshake, or once a minute.
plan::Condition showsItsCertificate(const config::Setup& setup, std::string_view component, std::string host, int port, std::string_view certificate);

} // namespace kubestrap::phases
