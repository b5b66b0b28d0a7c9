#include "tests/flow/joining.hpp"

#include "manifests/cluster_objects.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::flow {

namespace {

namespace paths = config::paths;

constexpr const char* kServer = "https://10.0.0.12:6443";
constexpr const char* kPeerUrl = "https://10.0.0.11:2380";

/// The control plane that was there before: its files by their key in kubeadm-certs.
const std::map<std::string, Secret>& filesOfTheCluster() {
  static const auto files = [] {
    Machine first;
    first.init();
    std::map<std::string, Secret> found;
    for (const auto& file : manifests::sharedFiles(first.setup().cluster)) found.emplace(file.key, Secret(first.host.text(file.path.string())));
    return found;
  }();
  return files;
}

/// As a kubelet writes it when it has asked with the bootstrap kubeconfig.
std::string kubeletConf(const std::string& authorities) {
  return fmt::format("apiVersion: v1\nkind: Config\nclusters:\n- name: default-cluster\n  cluster:\n    server: {}\n"
                     "    certificate-authority-data: {}\nusers:\n- name: default-auth\n  user:\n    client-certificate: {}\n    client-key: {}\n"
                     "contexts:\n- name: default-context\n  context: {{cluster: default-cluster, user: default-auth}}\ncurrent-context: default-context\n",
                     kServer, base64(authorities), paths::kubeletClientCertificate.string(), paths::kubeletClientCertificate.string());
}

} // namespace

Joining::Joining(Role role) : role_(role) {
  auto& api = machine.api;
  api.servers = {kServer, "https://10.0.0.11:6443"};
  api.reachable = [own = api.reachable](const net::Request& request) { return request.url.starts_with(kServer) || own(request); };
  api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n2"}, {"labels", {{"node-role.kubernetes.io/control-plane", ""}}}}}});
  api.put({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", "etcd-n2"}, {"namespace", "kube-system"},
           {"labels", {{"component", "etcd"}, {"tier", "control-plane"}}},
           {"annotations", {{"kubeadm.kubernetes.io/etcd.advertise-client-urls", "https://10.0.0.12:2379"}}}}}, {"spec", {{"nodeName", "n2"}}}});
  api.put({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", "kube-apiserver-n2"}, {"namespace", "kube-system"},
           {"labels", {{"component", "kube-apiserver"}, {"tier", "control-plane"}}},
           {"annotations", {{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", "10.0.0.12:6443"}}}}}, {"spec", {{"nodeName", "n2"}}}});
  etcd.members = {{.id = 1, .name = "n2", .peerUrl = "https://10.0.0.12:2380", .clientUrl = "https://10.0.0.12:2379"}};
  etcd.onChange = [this](const std::string& change) { machine.host.effect("etcd " + change); };
  machine.http = &etcd;
  machine.clock.onSleep = [this] { settle(); };
}

void Joining::settle() {
  machine.settle();
  auto& host = machine.host;
  const auto& kubelet = host.services["kubelet"];
  if (kubelet.active != "active" || !kubelet.startedAt || !host.files.contains(paths::kubeletConfig)) return;
  const auto age = host.now - *kubelet.startedAt;
  if (age >= machine.timetable.clientCertificate && host.files.contains(paths::bootstrapKubeletConf) &&
      !host.files.contains(paths::kubeletConf))
    host.put(paths::kubeletConf, kubeletConf(host.text("/etc/kubernetes/pki/ca.crt")), 0600);
  if (role_ == Role::worker && age >= machine.timetable.node && host.files.contains(paths::kubeletConf)) machine.registerNode();
  if (host.files.contains("/etc/kubernetes/manifests/etcd.yaml"))
    for (auto& member : etcd.members)
      if (member.peerUrl == kPeerUrl) member.name = "n1", member.clientUrl = "https://10.0.0.11:2379";
}

config::Setup Joining::setup() {
  auto wanted = machine.setup();
  const auto& files = filesOfTheCluster();
  wanted.node.controlPlane = role_ == Role::controlPlane;
  wanted.node.externalAuthority = false; // its key comes with the shared files
  wanted.request.tokens.clear();
  auto& joining = wanted.request.joining;
  joining.server = kServer;
  joining.authorities = files.at("ca.crt").reveal();
  joining.token = Secret(token);
  joining.user = "tls-bootstrap-token-user";
  joining.sharedFiles = files;
  joining.kubeletHasCredentials = machine.host.files.contains(paths::kubeletConf);
  return wanted;
}

plan::Outcome Joining::join() {
  settle();
  plan::World world{machine.host, machine.cri, etcd, machine.clock, machine.entropy};
  const plan::Selection selection{.skip = {"preflight"}};
  return plan::run(phases::joinWorkflow(), selection, setup(), machine.host.machine, world, plan::Mode::apply, machine.listener, "join");
}

std::string Joining::joinFails() {
  try {
    join();
    return {};
  } catch (const Error& error) {
    return error.message() + (error.hint().empty() ? "" : "; " + error.hint());
  }
}

bool Joining::joinStoppedAt(std::size_t n) {
  machine.host.stopAtEffect = machine.host.effects.size() + n;
  try {
    join();
    machine.host.stopAtEffect.reset();
    return false;
  } catch (const fakes::Killed&) {
    return true;
  }
}

} // namespace kubestrap::flow
