#pragma once

#include "cmd/machine.hpp"
#include "config/load.hpp"
#include "config/paths.hpp"
#include "kube/client.hpp"

#include <optional>
#include <string>

namespace kubestrap::cmd {

/// The configuration that this machine's certificates belong to.
struct OwnCluster {
  config::Cluster cluster;
  bool known = true; ///< false: neither a file nor the cluster could say; these are the defaults
};

/// Of the file that `flags` name, else of the cluster, else kubeadm's defaults, with a warning.
OwnCluster ownCluster(const config::InitFlags& flags, const std::optional<std::string>& kubeconfig, Machine& machine);

/// The documents in which the cluster keeps its configuration, the kubelet's and kube-proxy's with it unless they were generated: then they
/// are made anew. Those that may not be read are left out.
std::vector<Document> storedDocuments(kube::Client& client);

/// The configuration that the cluster keeps of itself, the kubelet's and kube-proxy's with it; nothing: it keeps none. With `version` it
/// is what it would be in that one: images and defaults follow. Documents in `instead` take the place of those of their kind; a version
/// that they do not say stays.
std::optional<config::Cluster> storedCluster(kube::Client& client, const std::optional<Version>& version = {}, std::vector<Document> instead = {});

/// The same of documents that were read already.
config::Cluster clusterOf(std::vector<Document> stored, const std::optional<Version>& version = {}, std::vector<Document> instead = {});

/// A kubeconfig of this machine, with certificate and key from the files that it names; nothing: it is not there. Throws Error for what cannot be
/// read.
std::optional<kube::Kubeconfig> readKubeconfig(host::Host& host, const config::Path& path);
/// Whether this machine is a control plane node, in whichever layout, or is one that an upgrade left half-way.
bool isControlPlane(host::Host& host);
/// Whether it is one in the layout plain.
bool isPlainControlPlane(host::Host& host);
/// How this machine is called as a node: by the certificate with which its kubelet, or else its etcd, makes itself known.
std::optional<std::string> nameOfNode(host::Host& host, const config::Path& pki = config::paths::pki);
/// The container runtime's socket as the kubelet was told; nothing: nobody has recorded it.
std::optional<std::string> recordedSocket(host::Host& host);
/// That of the first runtime that was found; where none was, containerd's.
std::string foundSocket(const config::Facts& facts);

/// This control plane node, as its own files tell: its name of the kubelet's or etcd's certificate, its address of the API server's
/// manifest. Throws Error where there is none.
config::Node ownNode(Machine& machine, const config::Cluster& cluster);

/// This node, which is a worker. Throws Error where the machine is none.
config::Node workerNode(Machine& machine, const config::Cluster& cluster);
/// What its machine adds to a node that is known by its files.
void completeNode(config::Node& node, const config::Facts& facts, host::Host& host, const config::Cluster& cluster);

} // namespace kubestrap::cmd
