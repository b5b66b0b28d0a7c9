// What a conversion wants of one node. Both layouts want port 6443, so the API server of the one has to be gone before that of the other can
// begin: everything else is there by then.
#include "phases/conversion.hpp"

#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "manifests/kubelet.hpp"
#include "manifests/vip.hpp"
#include "phases/certificates.hpp"
#include "phases/front.hpp"
#include "phases/hosted.hpp"
#include "phases/node.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::conversion {

namespace {

using config::Path;
using config::Setup;
using manifests::Slot;
using plan::Resources;
namespace paths = config::paths;

constexpr std::string_view apiServer = "kube-apiserver", others[] = {"kube-controller-manager", "kube-scheduler"};

Path plainManifest(std::string_view component) { return manifests::manifestPath(manifests::component(component)); }
Path hostedManifest(std::string_view component, Slot slot) { return manifests::rescueManifest(manifests::component(component), slot); }

/// No container of a static pod is left: what it listened on is free. `pod` is its name, without the node's.
plan::Condition gone(const Setup& setup, std::string_view pod) {
  const auto name = fmt::format("{}-{}", pod, setup.node.name);
  return {.what = fmt::format("{} is gone", name),
          .probe = plan::StaticPodGone{name},
          .patience = setup.request.timeouts.upgradeManifests,
          .hint = "look at: journalctl -u kubelet",
          .fatal = {plan::UnitFails{"kubelet"}}};
}

plan::Condition apiServerAnswers(const Setup& setup, const std::string& server) {
  return {.what = fmt::format("the API server answers at {}/livez", server),
          .probe = plan::ApiServerAnswers{{paths::adminConf, server}},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = "look at its log below /var/log/pods, and at: journalctl -u kubelet",
          .fatal = staticPodSigns(setup, {"etcd", apiServer})};
}

bool isManifest(const plan::Resource& resource) {
  const auto* file = std::get_if<plan::File>(&resource);
  return file && file->path.parent_path() == paths::manifests;
}

/// What comes before the first static pod of a list, and the rest.
std::pair<Resources, Resources> splitAtManifest(Resources all) {
  const auto first = std::ranges::find_if(all, isManifest);
  Resources rest(std::make_move_iterator(first), std::make_move_iterator(all.end()));
  all.erase(first, all.end());
  return {std::move(all), std::move(rest)};
}

/// The API server's certificate has the endpoint's name, and kubeconfigs lead to it.
Resources credentials(const Setup& setup, const Here& here) {
  Resources all{plan::Certificate{resolve(*certs::findRow("apiserver"), setup)}};
  for (const auto& row : certs::kubeconfigs())
    if (row.name != "kubelet" && (row.name != "super-admin" || here.superAdmin)) all.push_back(resolve(row, setup));
  return all;
}

/// The kubelet speaks to its balancer, or where it has none to what `joining.server` says.
Resources kubelet(const Setup& setup) {
  auto kubeconfig = rotatedKubeletConf(setup);
  if (!setup.node.controlPlane && !manifests::hasFront(setup.cluster)) kubeconfig.server = setup.request.joining.server;
  Resources all;
  std::vector<Path> read{paths::kubeletConf};
  if (manifests::frontHasSlots(setup) && setup.node.hasSystemd) {
    all.push_back(plan::File{.path = paths::kubeletOrder, .content = manifests::kubeletOrder()});
    read.push_back(paths::kubeletOrder);
  } else if (setup.node.controlPlane) {
    all.push_back(plan::Absent{.path = paths::kubeletOrder, .reason = "of layout hosted"});
  }
  all.push_back(std::move(kubeconfig));
  all.push_back(plan::Service{.name = "kubelet", .restartWhenChanged = std::move(read), .restartWhenIdle = {}});
  append(all, kubeletIsHealthy(setup));
  return all;
}

Resources component(const Setup& setup, std::string_view name) {
  auto all = controlPlanePod(name, setup);
  all.push_back(componentHealthy(setup, name));
  return all;
}

// ---- to hosted

Resources toHosted(const Setup& setup, const Here& here) {
  auto [guardFiles, guardPod] = splitAtManifest(guard(setup, {}));
  auto [frontFiles, frontPods] = splitAtManifest(front(setup, {}));
  auto all = frontImage(setup);
  append(all, std::move(frontFiles)); // the endpoint's name first of all
  append(all, credentials(setup, here));
  append(all, std::move(guardFiles));

  for (const auto name : others) all.push_back(plan::Absent{.path = plainManifest(name), .reason = "of layout plain"});
  all.push_back(plan::Absent{.path = plainManifest(apiServer), .reason = "of layout plain"});
  for (const auto name : others) all.push_back(gone(setup, name));
  // Its watches would keep it for the whole of its grace period, half a minute; it listens no more, and what was asked is answered by now.
  if (!here.record.empty()) all.push_back(plan::Task{plan::RestartStaticPod{{std::string(apiServer), {}, plainManifest(apiServer)}, {underWay}}});
  all.push_back(gone(setup, apiServer));
  append(all, controlPlanePod(apiServer, setup));
  append(all, std::move(frontPods));
  all.push_back(apiServerAnswers(setup, manifests::ownApiServers(setup).url()));
  append(all, frontAnswers(setup, paths::adminConf));

  for (const auto name : others) append(all, component(setup, name));
  append(all, std::move(guardPod));
  append(all, vipAnswers(setup, paths::adminConf));
  append(all, kubelet(setup));
  for (const auto& file : {paths::controllerManagerConf, paths::schedulerConf}) all.push_back(plan::Absent{.path = file, .reason = "of layout plain"});
  append(all, apiServerIsTold(setup, asAdmin(setup)));
  return all;
}

// ---- to plain

bool isAsWanted(const Setup& setup, const std::string& slot, const std::string& manifest) {
  return manifests::hasFront(setup.cluster) && sameDocument(parseYamlValue(manifest, manifests::frontManifest(slot).string()), manifests::frontPod(setup, slot));
}

/// Balancers of the other layout, which has the API server's port, or of a node that is to have none.
std::vector<std::string> leavingFronts(const Setup& setup) {
  std::vector<std::string> slots;
  for (const auto& [slot, manifest] : setup.node.fronts)
    if (!isAsWanted(setup, slot, manifest)) slots.push_back(slot);
  return slots;
}

/// Their pods are told to end: they stop listening at once, and what they have accepted may last for a minute.
Resources frontsLeave(const Setup& setup) {
  Resources all;
  for (const auto& slot : leavingFronts(setup)) all.push_back(plan::Absent{.path = manifests::frontManifest(slot), .reason = "of the other layout, or not wanted any more"});
  return all;
}

Resources frontsAreGone(const Setup& setup) {
  Resources all;
  for (const auto& slot : leavingFronts(setup)) all.push_back(gone(setup, "kubestrap-front-" + slot));
  return all;
}

/// The next balancer begins with this node's own API server, which is not among those that the former one knew.
Resources serversAreForgotten(const Setup& setup) {
  const auto& fronts = setup.node.fronts;
  if (!manifests::hasFront(setup.cluster) || std::ranges::any_of(fronts, [&](const auto& each) { return isAsWanted(setup, each.first, each.second); })) return {};
  return {plan::Absent{.path = manifests::frontServersFile(), .reason = "of the former balancer"}};
}

/// Nothing of a balancer is left. A kubelet that is started anew in the second in which a manifest goes would look after that pod for minutes: so it
/// goes first, and the kubelet's own connections last as long as that takes.
Resources noFront(const Setup& setup) {
  if (manifests::hasFront(setup.cluster)) return {};
  Resources all = frontsLeave(setup);
  append(all, frontsAreGone(setup));
  all.push_back(plan::Absent{.path = manifests::vipManifest(), .reason = "endpoint.mode is not vip"});
  all.push_back(plan::File{.path = paths::hosts, .content = manifests::hostsFileWithoutFront(setup.node)});
  for (const auto& folder : {paths::front, paths::frontState})
    all.push_back(plan::Absent{.path = folder, .depth = plan::Absent::Depth::tree, .reason = "of a balancer"});
  return all;
}

/// What only control planes of layout hosted have.
Resources noStandbys(const Setup& setup) {
  Resources all;
  for (const auto& folder : {paths::standbys, paths::credentials})
    all.push_back(plan::Absent{.path = folder, .depth = plan::Absent::Depth::tree, .reason = "of layout hosted"});
  for (const auto& file : {paths::nodeState, keptConfiguration}) all.push_back(plan::Absent{.path = file, .reason = "of layout hosted"});
  if (!manifests::hasFront(setup.cluster)) all.push_back(plan::Absent{.path = paths::nodeState.parent_path(), .depth = plan::Absent::Depth::whenEmpty, .reason = "of layout hosted"});
  return all;
}

Resources notice(const Setup& setup) {
  const auto access = asAdmin(setup);
  if (manifests::hasFront(setup.cluster)) return apiServerIsTold(setup, access);
  return {plan::Object{.document = manifests::apiServerWithdrawal(setup.node), .mode = plan::ApplyMode::mark, .access = access}};
}

Resources toPlain(const Setup& setup, const Here& here) {
  auto all = frontImage(setup);
  append(all, credentials(setup, here));
  // First the guard, who would bring the others back.
  all.push_back(plan::Absent{.path = manifests::guardManifest(), .reason = "of layout hosted"});
  all.push_back(gone(setup, "kubestrap-guard"));
  for (const auto name : manifests::hostedComponents)
    for (const auto slot : {Slot::rescue, Slot::previous}) all.push_back(plan::Absent{.path = hostedManifest(name, slot), .reason = "of layout hosted"});
  for (const auto name : others)
    for (const auto* ending : {"-rescue", "-rescue-prev"}) all.push_back(gone(setup, fmt::format("{}{}", name, ending)));
  // An API server serves for ten seconds after it was told to end: long enough for the balancer to have let go of the port.
  append(all, frontsLeave(setup));
  for (const auto* pod : {"kube-apiserver-rescue", "kube-apiserver-rescue-prev"}) all.push_back(gone(setup, pod));
  append(all, serversAreForgotten(setup));
  append(all, controlPlanePod(apiServer, setup));
  all.push_back(apiServerAnswers(setup, setup.node.localEndpoint().url()));
  append(all, notice(setup)); // before the next balancer reads it

  for (const auto name : others) append(all, component(setup, name));
  append(all, front(setup, {}));
  append(all, frontAnswers(setup, paths::adminConf));
  append(all, vipAnswers(setup, paths::adminConf));
  append(all, frontsAreGone(setup));
  append(all, noFront(setup));
  append(all, kubelet(setup));
  append(all, noStandbys(setup));
  return all;
}

Resources worker(const Setup& setup) {
  auto all = frontImage(setup);
  append(all, front(setup, {}));
  append(all, frontAnswers(setup, paths::kubeletConf));
  append(all, noFront(setup));
  append(all, kubelet(setup));
  return all;
}

} // namespace

Resources onNode(const Setup& setup, const Here& here) {
  if (!setup.node.controlPlane) return worker(setup);
  Resources all;
  if (!here.record.empty()) all.push_back(plan::File{.path = underWay, .content = here.record, .mode = 0600, .folderMode = 0700});
  append(all, manifests::isHosted(setup.cluster) ? toHosted(setup, here) : toPlain(setup, here));
  if (!here.record.empty()) all.push_back(plan::Absent{.path = underWay, .reason = "the node is converted"});
  return all;
}

std::vector<std::string> changedByHand(const Setup& setup, const std::map<std::string, std::string>& manifests) {
  auto plain = setup;
  plain.cluster.kubestrap.layout = config::Layout::plain;
  std::vector<std::string> found;
  for (const auto name : manifests::hostedComponents) {
    const auto here = manifests.find(std::string(name));
    if (here == manifests.end()) continue;
    const auto& component = manifests::component(name);
    const auto pod = parseYamlValue(here->second, manifests::manifestPath(component).string()), wanted = component.pod(plain);
    if (sameDocument(pod, wanted)) continue;
    auto where = differences(pod, wanted);
    for (auto& path : differences(wanted, pod))
      if (std::ranges::find(where, path) == where.end()) where.push_back(std::move(path));
    found.push_back(fmt::format("{} is not as the cluster's configuration says, in {}", manifests::manifestPath(component).string(), join(where, ", ")));
  }
  return found;
}

} // namespace kubestrap::phases::conversion
