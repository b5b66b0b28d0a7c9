#include "tests/flow/own_cluster.hpp"

#include "config/paths.hpp"
#include "config/rolling.hpp"
#include "guard/put_back.hpp"
#include "guard/report.hpp"
#include "guard/told.hpp"
#include "kube/reading.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "manifests/trial.hpp"
#include "phases/node.hpp"
#include "support/encoding.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::flow {

namespace {

namespace judged = phases::guard;

const std::string kSets = "/apis/apps/v1/namespaces/kube-system/daemonsets/", kPods = "/api/v1/namespaces/kube-system/pods/";
constexpr Duration reports = std::chrono::seconds(10);

std::string text(std::string_view view) { return std::string(view); }

/// "10.0.0.12" of n2.
std::string addressOf(const std::string& node) { return "10.0.0.1" + node.substr(1); }

Value nodeDocument(const std::string& name) {
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", {{"name", name}, {"annotations", {{text(manifests::heldAnnotation), ""}}},
                        {"labels", {{text(kube::controlPlaneLabel), ""}, {text(manifests::selfHostedLabel), "true"}}}}},
          {"status", {{"addresses", Value::array({{{"type", "InternalIP"}, {"address", addressOf(name)}}})}, {"conditions", Value::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
}

} // namespace

OwnCluster::OwnCluster(std::vector<std::string> nodes) : nodes_(std::move(nodes)) {
  etcd.database = std::string(16, '\0') + "\xed\xda\x0c\xed" + std::string(100, 'x');
  machine.version = machine.host.machine.kubeletVersion = "v1.36.3";
  machine.cri.images = {"kubestrap.io/kubestrap:v1"};
  machine.host.put("/etc/hosts", "127.0.0.1 localhost\n10.0.0.11 n1\n", 0644);
  machine.api.servers = {"https://api.kubernetes.internal:6443", "https://127.64.43.1:6443", "https://127.64.43.2:6443"};
  for (const auto& node : nodes_) machine.api.servers.push_back(fmt::format("https://{}:6444", addressOf(node)));
  machine.adjust = [this](config::Setup& setup) {
    setup.cluster.kubestrap.layout = config::Layout::hosted;
    setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
    setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.kubernetes.internal", 6443};
    setup.request.ownImage = "kubestrap.io/kubestrap:v1";
    setup.node.hostsFile = machine.host.text("/etc/hosts");
  };
  machine.init();
  setup_ = machine.setup();
  kubeconfig_ = kube::parseKubeconfig(machine.host.text(config::paths::adminConf.string()), "admin.conf");
  setup_.cluster.kubestrap.hosting = config::Hosting::self;
  auto admin = client();
  for (const auto& document : manifests::uploadedKubestrapConfig(setup_.cluster)) admin.apply(document);
  for (const auto& name : nodes_) machine.api.put(nodeDocument(name), "kubelet");
  for (const auto component : manifests::hostedComponents) admin.apply(manifests::daemonSet(manifests::component(component), setup_, manifests::Slot::blue, 1));
  for (const auto& name : nodes_) guards_[name].state = judged::begin(now().time_since_epoch());
  wire();
  machine.api.reachable = nullptr;
  passes(std::chrono::minutes(3)); // the guards have their standbys
  wire();
  writes.clear();
  outages.clear();
}

OwnCluster::OwnCluster(const OwnCluster& other)
    : net::Transport(other), bad(other.bad), outages(other.outages), nodes_(other.nodes_), setup_(other.setup_), kubeconfig_(other.kubeconfig_), pods_(other.pods_),
      kept_(other.kept_), guards_(other.guards_), worked_(other.worked_), count_(other.count_) {
  etcd.database = other.etcd.database;
  machine.host = other.machine.host;
  machine.api = other.machine.api;
  machine.api.forgetRecords();
  wire();
}

void OwnCluster::wire() {
  machine.adjust = nullptr;
  machine.api.intercept = nullptr;
  machine.api.now = [this] { return now(); };
  machine.api.reachable = [this](const net::Request&) { return isServed("kube-apiserver"); };
  machine.clock.onSleep = [this] { work(); };
}

// ---- what drivers and tests ask

config::Setup OwnCluster::setup() const {
  config::Setup setup{.cluster = {}, .node = setup_.node, .request = {}};
  setup.request.ownImage = setup_.request.ownImage;
  return setup;
}

kube::Client OwnCluster::clientAt(const std::string& url) { return kube::Client(*this, kubeconfig_, url); }

kube::Client OwnCluster::client() { return kube::Client(*this, kubeconfig_, phases::asAdmin(setup_).server); }

std::optional<Value> OwnCluster::daemonSet(const std::string& component) const { return machine.api.object(kSets + component); }

std::string OwnCluster::revision(const std::string& component) const {
  return kube::annotationOf(daemonSet(component)->at("spec").at("template"), config::revisionAnnotation).value_or("");
}

std::set<std::string> OwnCluster::pods(const std::string& component) const {
  std::set<std::string> all;
  for (const auto& pod : pods_)
    if (pod.component == component) all.insert(fmt::format("{} on {}{}", pod.version, pod.node, pod.serves() ? "" : ", not ready"));
  return all;
}

void OwnCluster::passes(Duration time, Duration step) {
  for (const auto end = now() + time; now() < end;) machine.clock.sleep(step);
}

net::Response OwnCluster::perform(const net::Request& request) {
  if (request.method == "GET" || request.url.find("/leases/kubestrap-tried-out?") != request.url.npos) return machine.api.perform(request);
  if (onWrite) onWrite();
  auto response = machine.api.perform(request);
  writes.push_back(request.method + " " + machine.api.records().back().path);
  machine.api.forgetRecords();
  look();
  if (onWrite) onWrite();
  return response;
}

net::Response OwnCluster::stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) {
  if (onWrite) onWrite();
  auto response = etcd.stream(request, onData);
  if (onWrite) onWrite();
  return response;
}

bool OwnCluster::isServed(const std::string& component) const {
  return std::ranges::any_of(pods_, [&](const Pod& pod) { return pod.component == component && pod.serves(); });
}

void OwnCluster::look() {
  const auto paths = machine.api.paths();
  std::erase_if(pods_, [&](const Pod& pod) { return !std::ranges::binary_search(paths, kPods + pod.name); });
  for (const auto& component : kComponents)
    for (const auto& node : nodes_) {
      if (std::ranges::any_of(pods_, [&](const Pod& pod) { return pod.component == component && pod.node == node && pod.serves(); })) continue;
      auto line = fmt::format("{} on {}: no pod is ready", component, node);
      if (std::ranges::find(outages, line) == outages.end()) outages.push_back(std::move(line));
    }
}

// ---- those who work

void OwnCluster::work() {
  if (now() - worked_ < std::chrono::seconds(1)) return;
  worked_ = machine.host.now = std::max(now(), worked_ + turn);
  machine.api.forgetRecords();
  runPods();
  for (const auto& component : kComponents) control(component);
  tryOut();
  lead();
  watch();
  look();
}

void OwnCluster::change(const std::string& path, const std::function<void(Value&)>& how) {
  auto object = *machine.api.object(path);
  object["metadata"].erase("managedFields");
  how(object);
  machine.api.put(std::move(object));
}

void OwnCluster::show(const Pod& pod) {
  change(kPods + pod.name, [&](Value& object) {
    object["status"] = {{"phase", "Running"}, {"conditions", Value::array({{{"type", "Ready"}, {"status", pod.ready ? "True" : "False"}}})}};
    if (pod.ending) object["metadata"]["deletionTimestamp"] = formatRfc3339(*pod.ending);
  });
}

/// Two pods of a component cannot listen at one place: the second waits for the end of the first.
void OwnCluster::runPods() {
  for (const auto& pod : pods_)
    if (pod.ending) machine.api.remove(kPods + pod.name);
  std::erase_if(pods_, [](const Pod& pod) { return pod.ending.has_value(); });
  for (auto& pod : pods_) {
    const auto first = std::ranges::find_if(pods_, [&](const Pod& each) { return each.component == pod.component && each.node == pod.node && each.slot == pod.slot; });
    if (pod.ready || pod.ending || first->name != pod.name || bad == std::pair(pod.component, pod.revision)) continue;
    pod.ready = now();
    show(pod);
  }
}

/// As the real one (daemon/update.go, daemon_controller.go): one node at a time gets a pod of the present template, the old one goes when the new one is available,
/// or when it is not ready itself; and a node's oldest pod is the one that status counts.
void OwnCluster::control(const std::string& component) {
  const auto set = daemonSet(component);
  const bool first = kept_[component].empty(); // made by the static pods that there were before pivot
  if (!set || (!first && !isServed("kube-controller-manager"))) return;
  const auto made = keep(component, *set);
  const auto end = [&](Pod& pod) {
    pod.ending = now();
    show(pod);
  };
  const auto isAvailable = [&](const Pod& pod) { return pod.ready && now() - *pod.ready >= manifests::minReady(pod.component); };
  std::vector<std::string> begins, waits;
  bool surges = false;
  int updated = 0, isThere = 0;
  for (const auto& node : nodes_) {
    Pod *oldest = nullptr, *present = nullptr, *old = nullptr;
    for (auto& pod : pods_) {
      if (pod.component != component || pod.node != node) continue;
      if (!oldest) oldest = &pod;
      if (pod.ending) continue;
      auto*& place = pod.made == made ? present : old;
      if (place) end(pod);
      else place = &pod;
    }
    if (oldest && oldest->made == made) ++updated;
    if (oldest && isAvailable(*oldest)) ++isThere;
    if (present && old) {
      surges = true;
      if (!old->ready || isAvailable(*present)) end(*old);
    } else if (!present) (old && old->ready ? waits : begins).push_back(node);
  }
  if (!surges && !waits.empty()) begins.push_back(waits.front());
  for (const auto& node : begins) begin(node, component, made, set->at("spec").at("template"));
  const auto count = static_cast<int>(nodes_.size());
  const Value status{{"desiredNumberScheduled", count}, {"numberAvailable", isThere}, {"numberUnavailable", count - isThere},
                     {"observedGeneration", set->at("metadata").at("generation")}, {"updatedNumberScheduled", updated}};
  if (!set->contains("status") || set->at("status") != status) change(kSets + component, [&](Value& object) { object["status"] = status; });
}

/// The name of its ControllerRevision, which is the last one from now on.
std::string OwnCluster::keep(const std::string& component, const Value& daemonSet) {
  auto podTemplate = daemonSet.at("spec").at("template");
  const auto name = fmt::format("{}-{}", component, sha256Hex(sorted(podTemplate).dump()).substr(0, 10));
  auto& kept = kept_[component];
  if (!kept.empty() && kept.back().first == name) return name;
  const int number = kept.empty() ? 1 : kept.back().second + 1;
  std::erase_if(kept, [&](const auto& each) { return each.first == name; });
  kept.emplace_back(name, number);
  podTemplate["$patch"] = "replace";
  machine.api.put({{"apiVersion", "apps/v1"},
                   {"kind", "ControllerRevision"},
                   {"metadata", {{"name", name}, {"namespace", "kube-system"}, {"labels", podTemplate["metadata"]["labels"]},
                                 {"ownerReferences", Value::array({{{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"name", component}, {"uid", stringAt(daemonSet, "metadata.uid")}}})}}},
                   {"data", {{"spec", {{"template", podTemplate}}}}},
                   {"revision", number}});
  return name;
}

void OwnCluster::begin(const std::string& node, const std::string& component, const std::string& made, const Value& podTemplate) {
  const auto annotation = [&](std::string_view name) { return kube::annotationOf(podTemplate, name).value_or(""); };
  const auto* container = manifests::containerOf(podTemplate, component);
  pods_.push_back({.name = fmt::format("{}-{}", component, ++count_), .component = component, .node = node, .made = made, .revision = annotation(config::revisionAnnotation),
                   .slot = annotation(manifests::slotAnnotation), .version = manifests::tagOf(stringAt(*container, "image"))});
  Value document{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", podTemplate.at("metadata")}, {"spec", {{"nodeName", node}}}};
  document["metadata"].update({{"name", pods_.back().name}, {"namespace", "kube-system"}});
  machine.api.put(std::move(document));
  show(pods_.back());
}

void OwnCluster::tryOut() {
  for (const auto& path : machine.api.paths()) {
    if (path.starts_with(kPods + "kubestrap-rehearsal-") && !machine.api.object(path)->contains("status"))
      change(path, [](Value& object) { object["status"] = {{"phase", "Succeeded"}}; });
    if (path == kPods + "kubestrap-canary-kube-scheduler" && isServed("kube-scheduler")) change(path, [&](Value& object) { object["spec"]["nodeName"] = nodes_.front(); });
    if (path == kSets + "kubestrap-canary-kube-controller-manager" && isServed("kube-controller-manager"))
      change(path, [](Value& object) { object["status"] = {{"observedGeneration", object["metadata"]["generation"]}}; });
  }
}

void OwnCluster::lead() {
  for (const auto* component : {"kube-controller-manager", "kube-scheduler"})
    if (isServed(component))
      machine.api.put({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", {{"name", component}, {"namespace", "kube-system"}}},
                       {"spec", {{"holderIdentity", nodes_.front() + "_1"}, {"leaseDurationSeconds", 15}, {"renewTime", formatRfc3339(now())}}}}, component);
}

// ---- guards: the real ones' judgement, report and way back

void OwnCluster::watch() {
  guard::Told told;
  told.plan.emplace(machine.api.object(fmt::format("/api/v1/namespaces/kube-system/configmaps/{}", config::planName)));
  for (judged::Component component = 0; component < judged::count; ++component) told.daemonSets[component].emplace(daemonSet(text(judged::nameOf(component))));
  for (std::size_t rank = 0; rank < nodes_.size(); ++rank) {
    const auto& node = nodes_[rank];
    auto& guard = guards_.at(node);
    told.node.emplace(machine.api.object("/api/v1/nodes/" + node));
    judged::Seen seen{.etcdReady = true, .apiAnswers = isServed("kube-apiserver"), .rank = rank};
    guard::put(told, node, guard.standbys, seen);
    std::array<std::string, judged::count> standbys;
    for (judged::Component component = 0; component < judged::count; ++component) {
      auto& own = seen.components[component];
      own.standbyValid = guard.standbys[component].has_value();
      if (own.standbyValid) standbys[component] = kube::annotationOf(*guard.standbys[component], config::revisionAnnotation).value_or("");
      for (const auto& pod : pods_)
        if (pod.component == judged::nameOf(component) && pod.node == node && (pod.ready || !pod.ending))
          own.slots[static_cast<std::size_t>(manifests::slotOf(pod.slot))] = pod.serves() ? judged::SlotState::ready : pod.ending ? judged::SlotState::draining : judged::SlotState::unready;
    }
    const auto decision = judged::decide(seen, guard.state, now().time_since_epoch());
    guard.state = decision.state;
    for (const auto& action : decision.actions) act(action, guard, node);
    auto report = guard::report(node, seen, decision, standbys);
    if (report == guard.report && now() - guard.renewed < reports) continue;
    machine.api.put(guard::leaseOf(node, report, now()), "kubestrap-guard");
    guard.report = std::move(report);
    guard.renewed = now();
  }
}

void OwnCluster::act(const judged::Action& action, Guard& guard, const std::string& node) {
  if (const auto* written = std::get_if<judged::WriteStandby>(&action)) {
    const auto name = text(judged::nameOf(written->component));
    guard.standbys[written->component] = manifests::rescuePodOf(manifests::component(name), daemonSet(name)->at("spec").at("template"));
  } else if (const auto* back = std::get_if<judged::PutBack>(&action)) {
    const auto binding = fmt::format("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/{}", manifests::putBackRole);
    if (!machine.api.object(binding)) outages.push_back(fmt::format("the guard of {} may not put {} back", node, judged::nameOf(back->rolling.component)));
    kube::Client client(machine.api, kubeconfig_, phases::asAdmin(setup_).server);
    guard::putBack(client, back->rolling);
  } else if (const auto* promote = std::get_if<judged::Promote>(&action)) {
    outages.push_back(fmt::format("the guard of {} promotes {}, since {}", node, judged::nameOf(promote->component), promote->why));
  }
}

} // namespace kubestrap::flow
