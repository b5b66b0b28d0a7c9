#pragma once

#include "config/schema.hpp"
#include "config/token.hpp"
#include "support/yaml.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// How a machine is reached by ssh; what is not said is left to ssh's own configuration.
struct HostSsh {
  std::string host, user, identityFile;
  int port = 0;
};

/// What is the same for all of them.
struct InventorySsh {
  std::string user, identityFile, configFile;
  int port = 0;
};

struct InventoryHost {
  std::string name, address, role;
  std::optional<HostSsh> ssh;
  std::map<std::string, std::string> labels;
  std::optional<std::vector<Value>> taints; ///< nothing: the role's own; empty: none
  bool controlPlane() const { return role == "control-plane"; }
};

struct InventoryMetadata {
  std::string name;
};

/// What is brought to machines of an architecture.
struct InventoryArchitecture {
  std::string binary, image, bundle;
};

/// kubestrap.io/v1alpha1 Cluster: the machines of a cluster, how they are reached, and what is brought to them.
struct Inventory {
  std::optional<InventoryMetadata> metadata;
  std::optional<InventorySsh> ssh;
  std::string binary, image, bundle; ///< for all that `architectures` does not have
  std::map<std::string, InventoryArchitecture> architectures; ///< "arm64"
  bool offline = false;
  std::vector<InventoryHost> hosts;
};

extern const schema::Type clusterInventory;
inline constexpr std::string_view inventoryKind = "Cluster";

/// What concerns several fields at once: names and addresses that are there twice, control planes.
void validateInventory(const Value& document, const schema::Report& report, std::vector<std::string>& warnings);
Inventory decodeInventory(const Value& document);
/// As a document again, without what is not said.
Value encodeInventory(const Inventory& inventory);

/// Makes its paths those that programs take: from the file's folder, and with `home` for a ~ at their beginning.
void resolvePaths(Inventory& inventory, const std::string& folder, const std::string& home);
/// Whether any machine gets a bundle.
bool bringsBundle(const Inventory& inventory);
/// How that machine is reached: by its own settings, by those for all, at its address.
HostSsh sshOf(const Inventory& inventory, const InventoryHost& host);

/// A whole file: the machines, and the documents that say what cluster they become.
struct ClusterFile {
  Inventory inventory;
  std::vector<Document> documents; ///< all but the inventory
  std::string name;                ///< of the cluster
  std::string version;             ///< of Kubernetes: "v1.37.2"; empty: the file does not say
  bool selfHosted = false;         ///< its control plane shall run in its own cluster: hosting: self
  std::string endpoint;            ///< "api.example.org:6443", where machines that join may ask; of the first control plane where the file names none

  const InventoryHost* find(std::string_view host) const;
  const InventoryHost& first() const; ///< the first control plane
};

/// Throws Problems with everything that is wrong with the file, its other documents included.
ClusterFile loadClusterFile(const std::vector<Document>& documents, const RandomBytes& random, std::vector<std::string>& warnings);

/// Of that machine's Node, its own or those of the file's InitConfiguration; nothing: the file does not say.
std::optional<std::vector<Value>> taintsOf(const ClusterFile& file, const InventoryHost& host);

/// Whether the file tells kubelets another address than that of their machine.
bool saysNodeIp(const ClusterFile& file);

/// What `reconfigure` is given: the file's settings of the control plane, but for the version, which `upgrade` changes, who hosts it, which `pivot` does,
/// and add-ons.
std::vector<Value> settingsDocuments(const ClusterFile& file);

/// What `addons apply` is given; nothing: the file does not say which add-ons there shall be.
std::optional<Value> addonsDocument(const ClusterFile& file);

/// What `init` is given on that machine: the documents of the file, with its name, address and taints. Of hosting: self there is only the layout, which it needs.
std::vector<Value> initDocuments(const ClusterFile& file, const InventoryHost& host);
/// What `join` is given there. Its registration is that of the file's InitConfiguration; `discovery` is as in a JoinConfiguration.
Value joinDocument(const ClusterFile& file, const InventoryHost& host, const Value& discovery, const std::string& certificateKey = {});

} // namespace kubestrap::config
