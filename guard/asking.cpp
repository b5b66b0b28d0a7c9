#include "guard/asking.hpp"

#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "manifests/second_etcd.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <thread>

namespace kubestrap::guard {

using phases::guard::Component;
using phases::guard::SlotState;
using Kind = net::TransportError::Kind;

namespace {

constexpr std::size_t longestAnswer = 1 << 16;

/// Every part in a thread of its own; back when the last has ended.
template <typename Part, typename Body> void together(const std::vector<Part*>& parts, Body body) {
  std::vector<std::jthread> threads;
  for (auto* part : parts) threads.emplace_back([part, &body] { body(*part); });
}

} // namespace

SlotState stateOf(int status, const std::string& body) {
  // 401: a server whose operator has forbidden anonymous questions. The front takes it for ready, too.
  if (status == 200 || status == 401) return SlotState::ready;
  return body.find("[-]shutdown") != std::string::npos ? SlotState::draining : SlotState::unready;
}

SlotState stateOf(Kind kind) { return kind == Kind::refused ? SlotState::refuses : SlotState::hangs; }

void Asking::Question::ask() {
  try {
    const auto response = transport->perform(request);
    answer = stateOf(response.status, response.body);
  } catch (const Interrupted&) {
    answer = SlotState::hangs;
  } catch (const net::TransportError& error) {
    // An etcd that wants to know who asks is there.
    answer = error.kind() == Kind::clientCertificateRefused ? SlotState::ready : stateOf(error.kind());
  } catch (const std::exception&) {
    answer = SlotState::hangs;
  }
}

net::TlsIdentity Asking::identity() const {
  return {.authorities = identity_.authorities,
          .certificate = identity_.clientCertificate,
          .key = identity_.clientKey,
          .serverName = identity_.tlsServerName};
}

Asking::Question Asking::question(std::string url, net::TlsIdentity tls) const {
  // Kubernetes' components close a connection of HTTP/2 by which nobody in particular has asked (UnauthenticatedHTTP2DOSMitigation).
  const auto protocol = tls.certificate.empty() ? net::Request::Protocol::one : net::Request::Protocol::automatic;
  return {.request = {.url = std::move(url), .tls = std::move(tls), .timeout = patience, .largestAnswer = longestAnswer, .protocol = protocol},
          .transport = std::make_unique<net::CurlTransport>(stop_)};
}

Asking::Asking(Targets targets, kube::Kubeconfig identity, std::stop_token stop) : identity_(std::move(identity)), stop_(std::move(stop)) {
  // As the kubelet's probes: nobody in particular asks, and only this machine's own addresses.
  const net::TlsIdentity nobody{.verify = net::TlsIdentity::Verify::no};
  for (const auto name : manifests::hostedComponents) {
    const auto& component = manifests::component(name);
    const int port = name == "kube-apiserver" ? targets.apiServerPort : component.port;
    for (const auto slot : manifests::allSlots)
      slots_.push_back(question(fmt::format("https://{}:{}{}", manifests::slotAddress(slot), port, manifests::readyPath(component)), nobody));
  }
  for (const auto& url : targets.etcd) {
    etcd_.push_back(question(url, nobody));
    if (auto second = manifests::secondEtcdHealth(url); !second.empty()) secondEtcd_.push_back(question(std::move(second), nobody));
  }
  front_.push_back(question(targets.front + "/readyz", this->identity()));
}

Asked Asking::all(bool etcdMoves) {
  std::vector<Question*> questions;
  for (auto* list : {&slots_, &etcd_, &front_})
    for (auto& each : *list) questions.push_back(&each);
  if (etcdMoves)
    for (auto& each : secondEtcd_) questions.push_back(&each);
  together(questions, [](Question& each) { each.ask(); });

  Asked asked;
  for (Component component = 0; component < phases::guard::count; ++component)
    for (std::size_t slot = 0; slot < manifests::allSlots.size(); ++slot)
      asked.slots[component][slot] = slots_[component * manifests::allSlots.size() + slot].answer;
  const auto isReady = [](const Question& each) {
    return each.answer == SlotState::ready || (each.answer == SlotState::unready && each.request.url.starts_with("https://"));
  };
  asked.etcdReady = std::ranges::any_of(etcd_, isReady) || (etcdMoves && std::ranges::any_of(secondEtcd_, isReady));
  asked.apiAnswers = front_.front().answer == SlotState::ready;
  return asked;
}

bool Asking::anyReady(const std::map<std::string, config::Endpoint>& peers) {
  std::vector<Question*> questions;
  std::set<std::string> urls;
  for (const auto& [node, endpoint] : peers) {
    const auto url = endpoint.url() + "/readyz";
    urls.insert(url);
    if (!peers_.contains(url)) peers_.emplace(url, question(url, identity()));
    questions.push_back(&peers_.at(url));
  }
  std::erase_if(peers_, [&](const auto& each) { return !urls.contains(each.first); });
  together(questions, [](Question& each) { each.ask(); });
  return std::ranges::any_of(questions, [](const Question* each) { return each->answer == SlotState::ready; });
}

} // namespace kubestrap::guard
