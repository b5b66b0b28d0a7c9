#include "guard/watcher.hpp"

#include "config/assemble.hpp"
#include "config/rolling.hpp"
#include "guard/report.hpp"
#include "manifests/guard.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

#include <ctime>

namespace kubestrap::guard {

using phases::guard::Component;
using phases::guard::Membership;
using phases::guard::Moment;

namespace {

const kube::ObjectKey planKey{"v1", "ConfigMap", "kube-system", std::string(config::planName)};
const kube::ObjectKey clusterInfoKey{"v1", "ConfigMap", "kube-public", "cluster-info"};

/// What a question says that may be refused (429, 403, ...): the next round asks again. No answer at all goes on to the caller.
template <typename Question> auto learned(Question question) -> std::optional<decltype(question())> {
  try {
    return question();
  } catch (const Interrupted&) {
    throw;
  } catch (const net::TransportError&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "{}", error.message());
    return {};
  }
}

std::vector<Value> podsOf(kube::Client& client, const std::string& node) {
  const auto path = fmt::format("/api/v1/namespaces/kube-system/pods?labelSelector={}&fieldSelector={}", percentEncode(manifests::componentLabel),
                                percentEncode(fmt::format("spec.nodeName={}", node)));
  const auto answer = client.raw("GET", path);
  if (answer.status != 200) throw Error(fmt::format("the node's pods cannot be listed: {}", answer.status));
  const auto list = parseJson(answer.body, path);
  std::vector<Value> pods;
  for (const auto& each : list.value("items", Value::array())) pods.push_back(each);
  return pods;
}

std::map<std::string, Value> leasesOf(kube::Client& client) {
  std::map<std::string, Value> leases;
  for (auto& each : client.list("coordination.k8s.io/v1", "Lease", "kube-system")) {
    const auto name = stringAt(each, "metadata.name"); // before it is moved from
    leases.insert_or_assign(name, std::move(each));
  }
  return leases;
}

std::string versionOf(kube::Client& client) {
  const auto answer = client.raw("GET", "/version");
  return answer.status == 200 ? stringAt(parseJson(answer.body, "/version"), "gitVersion") : "";
}

/// Whether an API server of another node says, too, that the node has no part in the control plane.
bool peersAgree(std::vector<kube::Client> peers, const kube::ObjectKey& key) {
  for (auto& peer : peers) {
    try {
      return membershipIn(peer.get(key)) != Membership::labelled;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      continue;
    }
  }
  return false;
}

} // namespace

Moment sinceBoot() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

net::Response Limited::perform(const net::Request& request) {
  auto limited = request;
  limited.timeout = limit_;
  return transport_.perform(limited);
}

net::Response Limited::stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) {
  auto limited = request;
  limited.timeout = limit_;
  return transport_.stream(limited, onData);
}

Told askApi(kube::Client& client, const std::string& node, const std::function<std::vector<kube::Client>()>& peers) {
  Told told;
  const kube::ObjectKey key{"v1", "Node", {}, node};
  try {
    told.node = learned([&] { return client.get(key); });
    told.pods = learned([&] { return podsOf(client, node); });
    told.leases = learned([&] { return leasesOf(client); });
    told.plan = learned([&] { return client.get(planKey); });
    for (Component component = 0; component < phases::guard::count; ++component)
      told.daemonSets[component] =
          learned([&] { return client.get({"apps/v1", "DaemonSet", "kube-system", std::string(phases::guard::nameOf(component))}); });
    told.version = learned([&] { return versionOf(client); }).value_or("");
    if (const auto membership = membershipIn(told.node); membership == Membership::unlabelled || membership == Membership::gone)
      told.unlabelledAtPeer = peersAgree(peers(), key);
  } catch (const net::TransportError& error) {
    log::info(1, "{}", error.message());
  }
  return told;
}

std::map<std::string, config::Endpoint> askForPeers(kube::Client& client) {
  const auto info = client.get(clusterInfoKey);
  const auto* data = info ? find(*info, "data") : nullptr;
  std::map<std::string, std::string> notices;
  if (data && data->is_object())
    for (const auto& [name, text] : data->items())
      if (text.is_string()) notices[name] = text.get<std::string>();
  return config::apiServersIn(notices);
}

void writeLease(kube::Client& client, const Value& lease) {
  const auto key = kube::keyOf(lease);
  try {
    client.mergePatch(key, lease);
  } catch (const kube::ApiError& error) {
    if (error.status() != 404) throw;
    client.create(lease);
  }
}

Watcher::Watcher(std::string node, kube::Kubeconfig identity, std::string server, std::stop_token stop)
    : node_(std::move(node)), identity_(std::move(identity)), server_(std::move(server)), transport_(stop), limited_(transport_, limit),
      thread_([this, stop] { run(stop); }) {}

std::optional<Told> Watcher::told() {
  const std::lock_guard lock(mutex_);
  return told_ && sinceBoot() - told_->at < young ? told_ : std::nullopt;
}

std::map<std::string, config::Endpoint> Watcher::peers() {
  const std::lock_guard lock(mutex_);
  return found_;
}

void Watcher::tell(Value report, std::map<std::string, config::Endpoint> peers, bool calm) {
  const std::lock_guard lock(mutex_);
  const bool changed = report_ != report;
  woken_ = woken_ || changed;
  report_ = std::move(report);
  peers_ = std::move(peers);
  calm_ = calm;
  if (changed) wake_.notify_all();
}

void Watcher::renew(kube::Client& client) {
  Value report;
  {
    const std::lock_guard lock(mutex_);
    report = report_;
  }
  const auto now = sinceBoot();
  if (report.is_null() || (report == written_ && now - renewed_ < renewal)) return;
  writeLease(client, leaseOf(node_, report, std::chrono::system_clock::now()));
  written_ = std::move(report);
  renewed_ = now;
}

void Watcher::round() {
  kube::Client client(limited_, identity_, server_);
  const auto begin = sinceBoot();
  std::map<std::string, config::Endpoint> others;
  {
    const std::lock_guard lock(mutex_);
    others = peers_;
  }
  auto told = askApi(client, node_, [&] {
    std::vector<kube::Client> peers;
    for (const auto& [name, endpoint] : others) peers.emplace_back(limited_, identity_, endpoint.url());
    return peers;
  });
  told.at = begin;
  const bool answered = told.node.has_value();
  {
    const std::lock_guard lock(mutex_);
    told_ = std::move(told);
  }
  if (!answered) return;
  renew(client);
  if (peersAsked_ != Moment{} && begin - peersAsked_ < peersAge) return;
  auto found = askForPeers(client);
  peersAsked_ = begin;
  const std::lock_guard lock(mutex_);
  found_ = std::move(found);
}

void Watcher::run(const std::stop_token& stop) {
  std::string trouble;
  while (!stop.stop_requested()) {
    try {
      round();
      trouble.clear();
    } catch (const Interrupted&) {
      return;
    } catch (const std::exception& error) {
      if (trouble != error.what()) log::warn(error.what());
      trouble = error.what();
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, calm_ ? seldom : often, [this] { return woken_; });
    woken_ = false;
  }
}

} // namespace kubestrap::guard
