#include "cmd/peer_reach.hpp"

#include "certs/x509.hpp"
#include "host/port_listener.hpp"
#include "kube/client.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/reach.hpp"
#include "manifests/static_pods.hpp"
#include "phases/certificates.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using namespace std::chrono_literals;
using config::ReachFacts;
using config::Setup;

constexpr int etcdPorts[] = {2379, 2380};
constexpr Duration connects = 3s, ///< a connection may take: as long as etcd's own (etcd: client/pkg/transport)
    answers = 20s,                ///< a pod may take to begin where a machine is busy
    begun = 8s,                   ///< connections may take from when the pod has run
    certificateLives = 10min;

/// What signs and is signed for a question that is asked before anything is written.
std::optional<kube::Kubeconfig> administrator(const Setup& setup, Machine& machine) {
  if (const auto text = machine.host().read(config::paths::adminConf)) return kube::parseKubeconfig(*text, config::paths::adminConf.string());
  const auto shared = [&](const std::string& key, const config::Path& path) -> std::optional<std::string> {
    const auto come = setup.request.joining.sharedFiles.find(key);
    if (come != setup.request.joining.sharedFiles.end()) return come->second.reveal();
    return machine.host().read(path);
  };
  const auto authority = shared("ca.crt", phases::certificateFile(setup.cluster, "ca")), key = shared("ca.key", phases::keyFile(setup.cluster, "ca"));
  if (!authority || !key) return std::nullopt;
  const auto& row = *std::ranges::find(certs::kubeconfigs(), "admin", &certs::KubeconfigRow::name);
  auto kubeconfig = phases::resolve(row, setup);
  const auto* client = std::get_if<plan::EmbeddedCertificate>(&kubeconfig.credential);
  if (!client) return std::nullopt;
  const auto issuer = certs::X509Certificate::parse(*authority, "ca.crt");
  const auto issuerKey = certs::PrivateKey::parse(Secret(*key), "ca.key"), own = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  const auto now = machine.clock().now();
  const auto made = certs::issue(client->spec, own, {&issuer, issuerKey}, {.notBefore = now - 5min, .notAfter = now + certificateLives, .serialBytes = machine.entropy().bytes(8)});
  kube::Kubeconfig asked;
  asked.server = setup.request.joining.server;
  asked.authorities = *authority;
  asked.clientCertificate = made.pem();
  asked.clientKey = own.pem();
  return asked;
}

struct Peer {
  std::string node, address, image; ///< the image of its etcd
};

/// Control planes whose member of etcd is well; one that is not is told by others.
std::vector<Peer> peersOf(kube::Client& client, const std::string& own) {
  std::vector<Peer> peers;
  for (const auto& pod : client.list("v1", "Pod", "kube-system", "component=etcd,tier=control-plane")) {
    const auto node = stringAt(pod, "spec.nodeName"), address = stringAt(pod, "status.hostIP");
    if (node == own || address.empty() || !kube::isReady(pod)) continue;
    peers.push_back({node, address, pod["spec"]["containers"][0].value("image", "")});
  }
  return peers;
}

/// Why a port of another machine is not reached; empty: it is. Whatever it says when there is a connection is no business of this.
std::string whyClosed(const std::string& address, int port, net::Transport& http) {
  net::Request request{.url = fmt::format("https://{}/", joinHostPort(address, port)), .timeout = connects};
  request.tls.verify = net::TlsIdentity::Verify::no;
  using Kind = net::TransportError::Kind;
  try {
    (void)http.perform(request);
  } catch (const net::TransportError& error) {
    if (error.kind() == Kind::refused) return "it is refused";
    if (error.kind() == Kind::timeout) return fmt::format("no answer in {}", humanDuration(connects));
    if (error.kind() == Kind::other) return error.message();
  }
  return {};
}

/// A pod on another machine, which goes with this.
class Question {
public:
  Question(const Peer& peer, const Setup& setup, const std::vector<int>& ports, kube::Client& client)
      : client_(client), document_(manifests::reachPod(peer.image, peer.node, setup.node.name, setup.node.advertiseAddress, ports)) {
    client_.remove(kube::keyOf(document_)); // of a run that was stopped
    client_.create(document_);
  }
  Question(const Question&) = delete;
  ~Question() {
    try {
      client_.remove(kube::keyOf(document_));
    } catch (const std::exception& error) {
      log::info(1, "{} stays: {}", kube::keyOf(document_).string(), error.what());
    }
  }

  /// "Running", "Succeeded", "Failed", "Pending" with the reason why; empty: it is gone.
  std::string phase() {
    const auto pod = client_.get(kube::keyOf(document_));
    if (!pod) return {};
    const auto* containers = find(*pod, "status.containerStatuses");
    const auto reason = containers && !containers->empty() ? stringAt((*containers)[0], "state.waiting.reason") : "";
    return stringAt(*pod, "status.phase", "Pending") + (reason.empty() || reason == "ContainerCreating" ? "" : ": " + reason);
  }

private:
  kube::Client& client_;
  Value document_;
};

std::vector<int> unheard(const std::vector<int>& ports, const std::map<int, std::set<IpAddress>>& seen, const IpAddress& from) {
  std::vector<int> missing;
  for (const auto port : ports)
    if (const auto who = seen.find(port); who == seen.end() || !who->second.contains(from)) missing.push_back(port);
  return missing;
}

/// Waits until the peer has come to all ports, or has had its time.
void hear(ReachFacts& facts, Question& question, const host::PortListener& listener, TimePoint asked, plan::Clock& clock) {
  const auto from = IpAddress::parse(facts.address).value_or(IpAddress());
  std::optional<TimePoint> ran;
  std::string phase;
  for (;;) {
    facts.unheard = unheard(listener.ports(), listener.seen(), from);
    if (facts.unheard.empty()) return;
    phase = question.phase();
    const auto now = clock.now();
    if (!ran && !phase.starts_with("Pending")) ran = now;
    if (ran && (phase != "Running" || now - *ran > begun)) return;
    if (!ran && now - asked > answers) break;
    clock.sleep(100ms);
  }
  facts.unheard.clear();
  facts.unasked = fmt::format("the pod that was to try it there did not begin within {} ({})", humanDuration(answers), phase);
}

/// A machine that speaks to this one from another address than its Node's was heard all the same.
void forgiveOtherAddresses(std::vector<ReachFacts>& reach, const host::PortListener& listener) {
  const auto seen = listener.seen();
  for (const auto& [port, who] : seen) {
    const auto strange = std::ranges::count_if(who, [&](const auto& address) { return std::ranges::none_of(reach, [&](const auto& each) { return each.address == address.string(); }); });
    if (strange == 0) continue;
    for (auto& each : reach) std::erase(each.unheard, port);
  }
}

void askBack(std::vector<ReachFacts>& reach, const std::vector<Peer>& peers, const Setup& setup, kube::Client& client, Machine& machine) {
  std::vector<int> ports(std::begin(etcdPorts), std::end(etcdPorts));
  if (manifests::hasFront(setup.cluster)) ports.push_back(manifests::ownApiServers(setup).port);
  const host::PortListener listener(setup.node.advertiseAddress, ports);
  if (listener.ports().empty()) return;
  std::vector<std::unique_ptr<Question>> questions;
  const auto asked = machine.clock().now();
  for (const auto& peer : peers) questions.push_back(std::make_unique<Question>(peer, setup, listener.ports(), client));
  for (std::size_t at = 0; at < reach.size(); ++at) hear(reach[at], *questions[at], listener, asked, machine.clock());
  forgiveOtherAddresses(reach, listener);
}

} // namespace

std::vector<ReachFacts> lookAtReach(const Setup& setup, bool mutually, Machine& machine, plan::Reporter& reporter) {
  if (!setup.node.controlPlane || !setup.cluster.etcd.isLocal() || machine.host().status(manifests::manifestPath(manifests::component("etcd")))) return {};
  std::vector<ReachFacts> reach;
  try {
    const auto identity = administrator(setup, machine);
    if (!identity) {
      reporter.warning("preflight", "whether the control planes reach each other is not tried: there is nothing here to ask the cluster as its administrator");
      return {};
    }
    kube::Client client(machine.http(), *identity, setup.request.joining.server);
    const auto peers = peersOf(client, setup.node.name);
    for (const auto& peer : peers) {
      auto& facts = reach.emplace_back(ReachFacts{.peer = peer.node, .address = peer.address, .closed = {}, .unheard = {}, .unasked = {}});
      for (const auto port : etcdPorts)
        if (auto why = whyClosed(peer.address, port, machine.http()); !why.empty()) facts.closed[port] = std::move(why);
    }
    if (mutually && !peers.empty()) askBack(reach, peers, setup, client, machine);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    reporter.warning("preflight", fmt::format("whether the control planes reach each other was not tried to the end: {}", error.message()));
  }
  return reach;
}

} // namespace kubestrap::cmd
