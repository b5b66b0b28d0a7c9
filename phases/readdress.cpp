// The story of `node readdress`. A control plane's own address is in its certificates, in the manifests of etcd and of the API server, in
// kubeconfigs, and in what the other members of etcd know of this one. Whatever else stands in those files stays.
#include "phases/readdress.hpp"

#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/static_pods.hpp"
#include "phases/front.hpp"
#include "phases/node.hpp"
#include "phases/renewal.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Phase;
using plan::Resources;
namespace paths = config::paths;

const config::Readdressing& wanted(const Setup& setup) { return setup.request.readdressing; }
bool ownControlPlane(const Setup& setup) { return setup.node.controlPlane && wanted(setup).own; }
bool hasEtcd(const Setup& setup) { return ownControlPlane(setup) && setup.cluster.etcd.isLocal(); }

/// Whether a character beside an address makes it part of another one, or of another word.
bool continues(char beside, bool v6) { return std::isxdigit(static_cast<unsigned char>(beside)) != 0 || (v6 && beside == ':'); }

bool standsAlone(std::string_view text, std::size_t at, std::size_t length, bool v6) {
  if (at > 0 && (continues(text[at - 1], v6) || text[at - 1] == '.')) return false;
  const auto after = text.substr(at + length);
  if (after.empty()) return true;
  if (continues(after[0], v6)) return false;
  return after[0] != '.' || after.size() == 1 || !continues(after[1], v6);
}

Resources begin(const Setup& setup, const Phase&) {
  const auto record = Value::object({{"from", wanted(setup).from}, {"to", wanted(setup).to}, {"own", wanted(setup).own}});
  return {plan::File{.path = readdressing, .content = record.dump() + "\n", .folderMode = 0700}};
}

Resources noRecord(const Setup&, const Phase&) { return {plan::Absent{.path = readdressing, .reason = "done"}}; }

Resources member(const Setup& setup, const plan::Access& access) {
  return {plan::Task{plan::MoveEtcdMember{.access = etcdAccessOf(setup.cluster, access),
                                          .name = setup.node.name,
                                          .peerUrl = manifests::etcdPeerUrl(setup.node),
                                          .patience = setup.request.timeouts.etcdAPICall}}};
}

/// The others go on asking the old address until they are told. This node's own API server is not there to be asked by.
Resources memberFirst(const Setup& setup, const Phase&) {
  if (!hasEtcd(setup) || !wanted(setup).othersVote) return {};
  return member(setup, {setup.request.kubeconfig.value_or(paths::adminConf), {}});
}
Resources memberAtLast(const Setup& setup, const Phase&) { return hasEtcd(setup) ? member(setup, asAdmin(setup)) : Resources{}; }

Resources certificates(const Setup& setup, const Phase&) { return renewedCertificates(setup, {"etcd-server", "etcd-peer", "apiserver"}); }

Resources files(const Setup& setup, const Phase&) {
  Resources resources;
  for (const auto& [path, text] : wanted(setup).files)
    resources.push_back(plan::File{.path = path,
                                   .content = readdressed(text.content, wanted(setup).from, wanted(setup).to),
                                   .mode = text.mode,
                                   .secrecy = path.extension() == ".conf" ? plan::Secrecy::secret : plan::Secrecy::open});
  return resources;
}

Resources balancer(const Setup& setup, const Phase& phase) { return ownControlPlane(setup) ? front(setup, phase) : Resources{}; }

/// A kubelet tells an address that it was not told by itself. It is started anew all the same where it reads a file only once, and so that
/// what failed at the old address is not left alone for minutes.
Resources kubelet(const Setup& setup, const Phase&) {
  std::vector<config::Path> read{readdressing};
  for (const auto& [path, text] : wanted(setup).files) read.push_back(path);
  Resources resources{plan::Service{.name = "kubelet", .restartWhenChanged = std::move(read)}};
  append(resources, kubeletIsHealthy(setup));
  // It reads its servers when it begins.
  if (wanted(setup).files.contains(manifests::frontServersFile()))
    resources.push_back(plan::Task{plan::RestartStaticPod{{"front", manifests::frontImage(setup), manifests::frontManifest(manifests::frontSlots[0])}, {readdressing}}});
  // In slots it is told the node's address by the kubelet, when it begins.
  if (ownControlPlane(setup) && manifests::isHosted(setup.cluster))
    resources.push_back(plan::Task{plan::RestartStaticPod{staticPodOf(setup, "kube-apiserver"), {readdressing}}});
  return resources;
}

Resources answers(const Setup& setup, const Phase&) {
  if (!setup.node.controlPlane)
    return {plan::Condition{.what = "the kubelet reaches an API server",
                            .probe = plan::ApiServerAnswers{{paths::kubeletConf, {}}},
                            .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                            .hint = "look at: journalctl -u kubelet",
                            .fatal = {}}};
  auto access = asAdmin(setup);
  access.server = manifests::ownApiServers(setup).url();
  return {plan::Condition{.what = fmt::format("the API server answers at {}", access.server),
                          .probe = plan::ApiServerAnswers{access, "/readyz"},
                          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                          .hint = "look at the logs of etcd and kube-apiserver below /var/log/pods",
                          .fatal = staticPodSigns(setup, {"etcd"})}};
}

Resources objectsOfTheCluster(const Setup& setup, const Phase&) {
  Resources resources;
  for (const auto& document : wanted(setup).objects)
    resources.push_back(plan::Object{.document = document, .mode = plan::ApplyMode::mark, .access = asAdmin(setup)});
  if (ownControlPlane(setup)) append(resources, apiServerIsTold(setup, asAdmin(setup)));
  return resources;
}

} // namespace

std::string readdressed(std::string_view text, std::string_view from, std::string_view to) {
  const bool v6 = from.find(':') != std::string_view::npos;
  std::string made;
  std::size_t begin = 0;
  for (auto at = text.find(from); at != std::string_view::npos && !from.empty(); at = text.find(from, begin)) {
    made += text.substr(begin, at - begin);
    made += standsAlone(text, at, from.size(), v6) ? to : from;
    begin = at + from.size();
  }
  return made += text.substr(begin);
}

const plan::Workflow& readdressWorkflow() {
  static const Phase phases[] = {
      {.name = "begin", .summary = "Write down what changes, so that it can be gone on with", .desired = begin},
      {.name = "etcd-member", .summary = "Tell the other members of etcd where this one will be", .desired = memberFirst},
      {.name = "certs", .summary = "Sign certificates for the new address", .desired = certificates},
      {.name = "files", .summary = "Name the new address in manifests, kubeconfigs and the kubelet's flags", .desired = files},
      {.name = "front", .summary = "Let this node's balancer listen at the new address", .desired = balancer},
      {.name = "kubelet", .summary = "Start the kubelet anew, and what it runs by the node's address", .desired = kubelet},
      {.name = "wait", .summary = "Wait until an API server answers", .desired = answers},
  };
  static const plan::Workflow workflow{"node readdress", "Let a node go on whose address has changed", phases};
  return workflow;
}

const plan::Workflow& readdressClusterWorkflow() {
  static const Phase phases[] = {
      {.name = "front", .summary = "Let this node's balancer listen at the new address", .desired = balancer},
      {.name = "etcd-member", .summary = "Tell etcd's members where this one is", .desired = memberAtLast},
      {.name = "cluster", .summary = "Name the new address in the cluster's objects, and tell all balancers", .desired = objectsOfTheCluster},
      {.name = "end", .summary = "Forget that something was changed", .desired = noRecord},
  };
  static const plan::Workflow workflow{"node readdress", "Let a node go on whose address has changed", phases};
  return workflow;
}

} // namespace kubestrap::phases
