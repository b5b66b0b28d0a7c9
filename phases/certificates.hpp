#pragma once

#include "certs/catalogue.hpp"
#include "config/model.hpp"
#include "plan/resource.hpp"

namespace kubestrap::phases {

/// A row of the catalogue for this node: names, addresses and files filled in.
certs::CertSpec resolve(const certs::CertificateRow& row, const config::Setup& setup);
/// The kubeconfig of a row for this node.
plan::Kubeconfig resolve(const certs::KubeconfigRow& row, const config::Setup& setup);

/// What the operator wants otherwise of a certificate or a kubeconfig's.
const certs::Override& wishOf(const config::Setup& setup, std::string_view name);

/// Every kubeconfig that control planes of this cluster have, in the order of the catalogue.
std::vector<certs::KubeconfigRow> kubeconfigRows(const config::Cluster& cluster);
/// Where it lies: in `folder`, but for those that a pod of the hosted layout mounts.
config::Path kubeconfigFile(const certs::KubeconfigRow& row, const config::Cluster& cluster, const config::Path& folder = config::paths::kubernetes);
/// The kubeconfigs that a control plane has only in the hosted layout; none in another.
plan::Resources hostedKubeconfigs(const config::Setup& setup);

/// Whether this cluster needs it: with an external etcd its certificates are the operator's business.
bool isNeeded(const certs::CertificateRow& row, const config::Cluster& cluster);

config::Path certificateFile(const config::Cluster& cluster, std::string_view row); ///< "ca" -> "/etc/kubernetes/pki/ca.crt"
config::Path keyFile(const config::Cluster& cluster, std::string_view row);

} // namespace kubestrap::phases
