#pragma once

#include "certs/spec.hpp"

#include <span>
#include <string_view>

namespace kubestrap::certs {

/// Where a certificate's alternative names come from; phases/certs.cpp resolves them for a node.
enum class NamesOf { nobody, apiServer, etcdServer, etcdPeer, ownCommonName };

/// One certificate of the PKI folder, as kubeadm has it (phases/certs/certlist.go).
struct CertificateRow {
  std::string_view name;               ///< "etcd-server": the phase and what renew calls it
  std::string_view file;               ///< "etcd/server": below the PKI folder, without ending
  std::string_view issuer;             ///< name of the issuing row; its own name for an authority
  std::string_view commonName;         ///< empty: the node's name
  std::string_view summary;            ///< for help and status
  bool server = false, client = false; ///< extended key usages
  NamesOf names = NamesOf::nobody;
  bool localEtcdOnly = false;
  bool authority() const { return name == issuer; }
  std::vector<ExtendedUsage> usages() const;
  /// Whether the common name is a user with rights. etcd takes all clients of its authority alike.
  bool isUser() const { return client && !server && issuer != "etcd-ca"; }
};

/// One kubeconfig of a control plane node with an embedded client certificate.
struct KubeconfigRow {
  std::string_view name;         ///< "admin": the phase
  std::string_view file;         ///< "admin.conf": what renew calls it, and its name in /etc/kubernetes where it lies there
  std::string_view user;         ///< common name; the kubelet's is completed with the node's name
  std::string_view organization; ///< may be empty
  bool localServer = false;      ///< speaks to this node's own API server
  bool firstNodeOnly = false;
  std::string_view summary;
};

/// Every certificate of a cluster in the order they are made. Commands, renewal, status and reset read this table.
std::span<const CertificateRow> catalogue();
std::span<const KubeconfigRow> kubeconfigs();
/// Those that control planes of the hosted layout have besides (decision D6), which kubeadm does not know.
std::span<const KubeconfigRow> hostedKubeconfigs();
const CertificateRow* findRow(std::string_view name);

} // namespace kubestrap::certs
