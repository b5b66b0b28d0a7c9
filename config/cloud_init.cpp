#include "config/cloud_init.hpp"

namespace kubestrap::config {

namespace {

Value discoveryOf(const ClusterFile& file, const CloudInitWords& words) {
  if (words.token.empty()) return {{"file", {{"kubeConfigPath", std::string(discoveryFile)}}}};
  return {{"bootstrapToken", {{"apiServerEndpoint", file.endpoint}, {"token", words.token.reveal()}, {"caCertHashes", words.caCertHashes}}}};
}

} // namespace

std::string cloudInit(const ClusterFile& file, const InventoryHost& host, const CloudInitWords& words) {
  const bool begins = &host == &file.first();
  const std::string step = begins ? "init" : "join", path = "/etc/kubestrap/" + step + ".yaml";
  const auto documents = begins ? initDocuments(file, host) : std::vector<Value>{joinDocument(file, host, discoveryOf(file, words), words.certificateKey.reveal())};
  Value preflight = Value::array({"kubestrap", "preflight", step, "--fix", "--config", path});
  if (!begins && host.controlPlane()) preflight.push_back("--control-plane");
  if (file.inventory.offline) preflight.push_back("--offline");
  const std::string offline = file.inventory.offline ? " --offline" : "";
  // The file may hold a token: it goes when it has done its work.
  const std::string hosting = begins && file.selfHosted ? " --self-hosted" : "";
  const auto run = "kubestrap " + step + hosting + offline + " --config " + path + (begins ? "" : " && rm -f " + path);
  const Value data{{"write_files", Value::array({{{"path", path}, {"permissions", "0600"}, {"content", emitYamlStream(documents)}}})}, {"runcmd", Value::array({preflight, run})}};
  return "#cloud-config\n" + emitYaml(data);
}

} // namespace kubestrap::config
