#include "cmd/cluster_inventory.hpp"

#include "cmd/output.hpp"
#include "support/ip.hpp"
#include "support/text.hpp"

namespace kubestrap::cmd {

namespace {

/// "admin@w1.example.org:2222"
std::string reachedAt(const config::HostSsh& ssh) {
  return (ssh.user.empty() ? "" : ssh.user + "@") + (ssh.port == 0 ? ssh.host : joinHostPort(ssh.host, ssh.port));
}

std::string labelsOf(const config::InventoryHost& host) {
  std::vector<std::string> labels;
  for (const auto& [name, value] : host.labels) labels.push_back(name + "=" + value);
  return join(labels, ",");
}

} // namespace

std::string inventoryText(const config::ClusterFile& file) {
  std::vector<std::vector<std::string>> rows{{"HOST", "ROLE", "ADDRESS", "SSH", "LABELS"}};
  for (const auto& host : file.inventory.hosts) rows.push_back({host.name, host.role, host.address, reachedAt(config::sshOf(file.inventory, host)), orDash(labelsOf(host))});
  return table(rows);
}

Value inventoryValue(const config::ClusterFile& file, const std::vector<std::string>& warnings) {
  auto inventory = file.inventory;
  inventory.metadata.reset(); // its name is the cluster's
  if (!inventory.binary.empty()) inventory.image = imageFor(inventory, inventory.binary);
  for (auto& host : inventory.hosts) host.ssh = config::sshOf(inventory, host);
  Value value{{"cluster", file.name}};
  if (!file.version.empty()) value["kubernetesVersion"] = file.version;
  value.update(config::encodeInventory(inventory));
  if (inventory.ssh && !inventory.ssh->configFile.empty())
    for (auto& host : value["hosts"]) host["ssh"]["configFile"] = inventory.ssh->configFile;
  value["documents"] = Value::object();
  for (const auto& document : file.documents) value["documents"][stringAt(document.value, "kind")] = document.value;
  value["warnings"] = warnings;
  return value;
}

} // namespace kubestrap::cmd
