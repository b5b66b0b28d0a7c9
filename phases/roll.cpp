#include "phases/roll.hpp"

#include "config/rolling.hpp"
#include "config/store.hpp"
#include "manifests/components.hpp"
#include "manifests/flags.hpp"
#include "manifests/front.hpp"
#include "manifests/guard.hpp"
#include "manifests/node_op.hpp"
#include "manifests/second_etcd.hpp"
#include "manifests/static_pods.hpp"
#include "manifests/trial.hpp"
#include "phases/hosted.hpp"
#include "phases/in_cluster.hpp"
#include "phases/node.hpp"
#include "phases/upgrade.hpp"
#include "support/encoding.hpp"
#include "support/ip.hpp"
#include "support/version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::phases::roll {

namespace {

using config::Setup;
using manifests::Slot;
using pivot::NodeSeen;
using plan::Next;
using plan::Resources;
using plan::Waiting;

constexpr Duration forGuard = std::chrono::minutes(4), forLeader = std::chrono::seconds(90), forCanary = std::chrono::seconds(60);
constexpr std::string_view question = " may behave as its own version from now on";
constexpr std::string_view configured = "addons and the cluster's configuration";
/// An appointment that nobody keeps would have been kept by then.
constexpr Duration forNudge = std::chrono::seconds(20);
/// Clocks of nodes may differ by so much.
constexpr Duration skew = std::chrono::seconds(5);
/// An election of etcd's leader, and rights that are not seen everywhere yet, take seconds.
constexpr Duration refusalLasts = std::chrono::seconds(10);
/// Balancers and guards see it ready; that the driver does not reach it is told, and no reason to stand still.
constexpr Duration forSilent = std::chrono::seconds(60);
/// A pod that has ended this often has had its chance.
constexpr int ends = 2;

bool hasLeader(std::string_view component) { return component != "kube-apiserver"; }

std::size_t selfHosted(const Seen& seen) { return std::ranges::count_if(seen.controlPlane.nodes, &NodeSeen::selfHosted); }

const ComponentSeen& of(const Seen& seen, std::string_view component) { return seen.components.at(std::string(component)); }

std::string annotation(const Value& podTemplate, std::string_view name) {
  const auto* annotations = find(podTemplate, "metadata.annotations");
  return annotations && annotations->contains(name) ? annotations->at(std::string(name)).get<std::string>() : "";
}

std::string revisionOf(const Value& podTemplate) { return annotation(podTemplate, config::revisionAnnotation); }
int numberOf(const std::string& revision) {
  int number = 0;
  std::from_chars(revision.data(), revision.data() + revision.size(), number);
  return number;
}
Slot slotOf(const Value& podTemplate) { return manifests::slotOf(annotation(podTemplate, manifests::slotAnnotation)); }

// ---- what there shall be

/// One template that a component gets on the way.
struct Stage {
  std::string component, what; ///< "kube-apiserver v1.37.2, as 1.36"
  Setup setup;
  bool soaks = false; ///< lasts before the next one comes
  std::optional<manifests::Reading> reading = {}; ///< instead of what `setup` says
};

std::string imageTag(std::string_view component, const Setup& setup) {
  return manifests::tagOf(setup.cluster.images.*manifests::component(component).image);
}

bool etcdMoves(const Intent& intent, const Seen& seen) { return intent.rollsEtcd && etcdLags(intent, seen.etcd); }

/// An API server of a new minor version behaves like the one before it until it has lasted: nothing is stored by then that the old one
/// could not read. And while etcd moves it knows both places.
Stage onTheWay(const Intent& intent) {
  Stage stage{"kube-apiserver", fmt::format("kube-apiserver {}", imageTag("kube-apiserver", intent.setup)), intent.setup, !intent.emulates.empty()};
  auto& arguments = stage.setup.cluster.apiServer.extraArgs;
  if (intent.rollsEtcd) {
    arguments.push_back({"etcd-servers", manifests::bothEtcdServers(intent.setup.node)});
    stage.what += ", with two places for etcd";
  }
  if (!intent.emulates.empty()) {
    for (const auto* flag : {"emulated-version", "min-compatibility-version"}) arguments.push_back({flag, intent.emulates});
    stage.what += fmt::format(", as {}", intent.emulates);
  }
  return stage;
}

std::vector<Stage> stages(const Intent& intent) {
  std::vector<Stage> all;
  if (!intent.readings.empty()) {
    for (const auto component : manifests::hostedComponents)
      if (const auto reading = intent.readings.find(std::string(component)); reading != intent.readings.end())
        all.push_back({std::string(component), fmt::format("{} reads anew", component), intent.setup, false, reading->second});
    return all;
  }
  const auto version = [&](std::string_view component) { return fmt::format("{} {}", component, imageTag(component, intent.setup)); };
  if (!intent.emulates.empty() || intent.rollsEtcd) all.push_back(onTheWay(intent));
  for (const auto component : manifests::hostedComponents) all.push_back({std::string(component), version(component), intent.setup});
  return all;
}

Value daemonSet(const Stage& stage, const ComponentSeen& seen, Slot slot, int revision) {
  const auto& component = manifests::component(stage.component);
  if (stage.reading) return manifests::daemonSetReading(component, seen.podTemplate, *stage.reading, slot, revision);
  return manifests::daemonSet(component, stage.setup, slot, revision);
}

Value templateOf(const Value& daemonSet) { return daemonSet.at("spec").at("template"); }

/// What the stage wants, in the slot and with the number that the component has now.
Value inPlace(const Stage& stage, const ComponentSeen& component) {
  auto document = daemonSet(stage, component, slotOf(component.podTemplate), 0);
  document["spec"]["template"]["metadata"]["annotations"][std::string(config::revisionAnnotation)] = revisionOf(component.podTemplate);
  return document;
}

/// Whether the component runs by what the stage wants, whatever slot and number it has.
bool isAt(const Stage& stage, const ComponentSeen& component) {
  if (stage.reading) return manifests::hasRead(manifests::component(stage.component), component.podTemplate, *stage.reading);
  return covers(component.podTemplate, templateOf(inPlace(stage, component)));
}

/// The last stage that a component has reached; those before it are over.
std::vector<Stage> remaining(const Intent& intent, const Seen& seen) {
  auto all = stages(intent);
  const bool underWay = etcdMoves(intent, seen);
  for (auto stage = all.rbegin(); stage != all.rend(); ++stage)
    if (stage->component == "kube-apiserver" && (!underWay || stage.base() - 1 == all.begin()) && isAt(*stage, of(seen, stage->component))) {
      all.erase(all.begin(), stage.base() - 1);
      break;
    }
  return all;
}

plan::Object put(Value daemonSet, const Intent& intent) { return {.document = std::move(daemonSet), .access = asAdmin(intent.setup)}; }

plan::Object gone(std::string_view apiVersion, std::string_view kind, const std::string& name, const Intent& intent) {
  return {.document = Value::object({{"apiVersion", apiVersion}, {"kind", kind}, {"metadata", Value::object({{"name", name}, {"namespace", "kube-system"}})}}),
          .mode = plan::ApplyMode::absent,
          .access = asAdmin(intent.setup)};
}

// ---- for when the driver is not heard of again

/// What guards go by then (phases/guard.hpp). A component that goes on by what it has is left to its driver.
std::map<std::string, std::string> notes(const std::string& component, int to, const std::string& from) {
  return {{std::string(config::rollingNote), component}, {std::string(config::toNote), std::to_string(to)}, {std::string(config::fromNote), from}};
}
/// From here on the revision before does not fit any more, or need not.
std::map<std::string, std::string> noNotes() {
  return {{std::string(config::rollingNote), ""}, {std::string(config::toNote), ""}, {std::string(config::fromNote), ""}};
}

// ---- rehearsals: each node shows that it has the image, and that its program knows the command line

struct Rehearsal {
  std::string component, what, node;
  Value pod;
};

/// Of all that is to come, on every node. Who goes on by what he has needs none.
std::vector<Rehearsal> rehearsals(const Intent& intent, const Seen& seen) {
  std::vector<Rehearsal> all;
  if (!intent.readings.empty()) return all;
  const auto left = remaining(intent, seen);
  for (const auto& node : seen.controlPlane.nodes) {
    for (const auto& stage : left)
      if (!isAt(stage, of(seen, stage.component)))
        all.push_back({stage.component, stage.what, node.name,
                       manifests::rehearsalPod(manifests::component(stage.component), templateOf(daemonSet(stage, of(seen, stage.component), Slot::blue, 0)), node.name)});
    const auto& etcd = manifests::component("etcd");
    if (etcdMoves(intent, seen))
      all.push_back({"etcd", "etcd", node.name, manifests::rehearsalPod(etcd, etcd.pod(intent.setup), node.name)});
  }
  return all;
}

const PodSeen* rehearsed(const Seen& seen, const Value& pod) {
  const auto name = stringAt(pod, "metadata.name");
  const auto found = std::ranges::find(seen.rehearsals, name, &PodSeen::name);
  return found == seen.rehearsals.end() ? nullptr : &*found;
}

std::optional<Next> rehearse(const Intent& intent, const Seen& seen) {
  Resources missing;
  std::string unfinished;
  for (auto& each : rehearsals(intent, seen)) {
    const auto* there = rehearsed(seen, each.pod);
    if (there && there->phase == "Succeeded") continue;
    if (unfinished.empty()) unfinished = fmt::format("{} on {}{}", each.what, each.node, there && !there->trouble.empty() ? ": " + there->trouble : "");
    if (!there) missing.push_back(plan::Object{.document = std::move(each.pod), .mode = plan::ApplyMode::createOnly, .access = asAdmin(intent.setup)});
  }
  if (!missing.empty()) return plan::Step{"every node tries the new command lines", std::move(missing)};
  if (unfinished.empty()) return std::nullopt;
  return Waiting{"every node has tried the new command lines", unfinished, intent.deadline, "look at: kubectl -n kube-system get pods -l kubestrap.io/rehearsal"};
}

/// Rehearsals, canaries, and what guards may do in a roll: nobody needs them any more.
std::optional<Next> tidied(const Intent& intent, const Seen& seen) {
  Resources remains;
  if (seen.mayPutBack) {
    auto rights = manifests::putBackRights();
    std::ranges::reverse(rights); // the binding before what it binds
    for (const auto& each : rights) remains.push_back(gone(stringAt(each, "apiVersion"), stringAt(each, "kind"), stringAt(each, "metadata.name"), intent));
  }
  for (const auto& pod : seen.rehearsals)
    if (!pod.ending) remains.push_back(gone("v1", "Pod", pod.name, intent));
  for (const auto& [component, canary] : seen.canaries) {
    const auto document = manifests::canary(manifests::component(component), intent.setup);
    if (canary.exists) remains.push_back(gone(stringAt(document, "apiVersion"), stringAt(document, "kind"), stringAt(document, "metadata.name"), intent));
  }
  if (remains.empty()) return std::nullopt;
  return plan::Step{"what tried things out is removed", std::move(remains), noNotes()};
}

// ---- etcd on other nodes

std::string etcdStep(const Setup& setup, const std::string& node) { return fmt::format("{}: etcd {}", node, imageTag("etcd", setup)); }

/// What the other node goes by says the version of Kubernetes, and by that of etcd, unless the image is named.
config::Cluster withEtcdNamed(const Intent& intent) {
  auto cluster = intent.setup.cluster;
  if (!intent.keepsNewerEtcd) return cluster;
  auto& local = cluster.etcd.local;
  const auto& image = cluster.images.etcd;
  local.imageTag = manifests::tagOf(image);
  local.imageRepository = image.substr(0, image.rfind("/etcd:"));
  local.tagGiven = local.repositoryGiven = true;
  return cluster;
}

plan::RunOnNode rollEtcdOn(const Intent& intent, const std::string& node) {
  std::vector<std::string> command{"kubestrap", "node", "roll-etcd", "--cluster", base64(config::storedText(withEtcdNamed(intent)))};
  if (!intent.patchesFolder.empty()) command.insert(command.end(), {"--patches", intent.patchesFolder});
  return {.access = asAdmin(intent.setup),
          .pod = manifests::nodeOpPod(intent.setup.request.ownImage, node, "roll-etcd", command),
          .what = etcdStep(intent.setup, node),
          .patience = std::chrono::minutes(15)};
}

// ---- one revision

/// A pod of the present template after which the one before it may end.
bool hasLasted(const PodSeen& pod, const std::string& component, const Seen& seen) {
  return pod.revision == seen.controlPlane.daemonSets.at(component).revision && pod.ready && !pod.ending && pod.readyFor >= manifests::minReady(component);
}

/// How many nodes have got the present template. A controller-manager whose DaemonSets' part does not work leaves the status of its own as
/// it was, so there the pods count.
int reached(const std::string& component, const Seen& seen) {
  const auto& set = seen.controlPlane.daemonSets.at(component);
  const auto& own = of(seen, component);
  if (!set.observed) return 0;
  if (component != "kube-controller-manager") return std::min(own.updated, set.available);
  return static_cast<int>(std::ranges::count_if(own.pods, [&](const PodSeen& each) { return hasLasted(each, component, seen); }));
}

Value marked(const std::string& component, std::string_view annotation, const std::string& text) {
  return Value::object({{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"},
                        {"metadata", Value::object({{"annotations", Value::object({{annotation, text}})}, {"name", component}, {"namespace", "kube-system"}})}});
}

/// A controller that has forgotten to come back. It wants to when a new pod has been available for long enough, and keeps one appointment
/// per DaemonSet, the earliest: an error that is tried again meanwhile takes its place (client-go: delaying_queue.go, insert; seen with
/// 1.36.3, whose controllers refuse to work by what their informers have not caught up with). Then nothing happens until the DaemonSet changes.
std::optional<Next> nudged(const std::string& component, const Intent& intent, const Seen& seen) {
  const auto& own = of(seen, component);
  const auto revision = revisionOf(own.podTemplate);
  const auto forgotten = [&](const PodSeen& old) {
    return old.revision != revision && !old.ending && std::ranges::any_of(own.pods, [&](const PodSeen& each) {
             return each.node == old.node && each.revision == revision && each.readyFor >= forNudge;
           });
  };
  if (own.nudgedFor < forNudge || !std::ranges::any_of(own.pods, forgotten)) return std::nullopt;
  const auto count = std::to_string(numberOf(own.nudges) + 1);
  return plan::Step{fmt::format("{}: its controller is made to look again ({})", component, count),
                    {plan::Object{.document = marked(component, nudgedAnnotation, count), .mode = plan::ApplyMode::mark, .access = asAdmin(intent.setup)}}};
}

/// A controller-manager that ends leaves its Lease to run out, and for a quarter of a minute nobody leads. Who led before any of the pods was made that there are, leads no more: what
/// he would do in the end (client-go: leaderelection.go, release) is done for him.
std::optional<Next> freed(const std::string& component, const Intent& intent, const Seen& seen) {
  const auto& pods = of(seen, component).pods;
  const auto& leader = seen.controlPlane.leaders.at(component);
  const auto oldest = std::ranges::max_element(pods, {}, &PodSeen::made);
  if (oldest == pods.end() || leader.leads < oldest->made + skew) return std::nullopt;
  if (std::ranges::any_of(seen.controlPlane.nodes, [&](const NodeSeen& node) { return pivot::reportOf(node, component).promoted; })) return std::nullopt;
  return plan::Step{fmt::format("{}: the Lease of one that has ended is free", component),
                    {put(Value::object({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", Value::object({{"name", component}, {"namespace", "kube-system"}})},
                                        {"spec", Value::object({{"holderIdentity", ""}, {"leaseDurationSeconds", 1}})}}), intent)}};
}

/// Nothing when the present template is everywhere, and nothing else is left.
std::optional<Next> rolled(const std::string& component, const Intent& intent, const Seen& seen) {
  const auto& set = seen.controlPlane.daemonSets.at(component);
  const auto& own = of(seen, component);
  const auto nodes = static_cast<int>(selfHosted(seen)), there = reached(component, seen);
  const auto patience = (intent.deadline + std::chrono::minutes(2)) * std::max(nodes, 1);
  const auto what = fmt::format("{}: revision {} is on every node", component, set.revision);
  const auto where = fmt::format("look at: kubectl -n kube-system get pods -l {}={} -o wide", manifests::componentLabel, component);
  if (there < std::max(nodes, set.desired)) {
    if (auto step = nudged(component, intent, seen)) return step;
    const auto pod = std::ranges::find_if(own.pods, [&](const PodSeen& each) { return each.revision == set.revision && !each.ready; });
    return Waiting{what, fmt::format("{} of {} nodes{}", there, nodes,
                                     pod == own.pods.end() ? "" : fmt::format(", {} is not ready{}", pod->node, pod->trouble.empty() ? "" : ": " + pod->trouble)),
                   patience, where};
  }
  const auto last = std::ranges::find_if(own.pods, [&](const PodSeen& each) { return each.revision != set.revision; });
  if (last != own.pods.end()) return Waiting{what, fmt::format("{} still runs revision {}", last->node, last->revision), patience, where};
  for (const auto& node : seen.controlPlane.nodes)
    if (node.selfHosted && !pivot::reportOf(node, component).is(slotOf(own.podTemplate), "ready"))
      return Waiting{fmt::format("{}: the guard sees {} ready", node.name, component), "it does not yet", forGuard, pivot::guardLog(node)};
  if (!hasLeader(component)) return std::nullopt;
  const auto leader = seen.controlPlane.leaders.find(component);
  if (leader == seen.controlPlane.leaders.end() || !leader->second.fresh)
    return Waiting{fmt::format("a {} leads", component), "the last one has left its Lease to run out", forLeader, where};
  return freed(component, intent, seen);
}

/// The stage by whose template API servers run; nothing: by another one.
std::optional<Stage> apiServersStage(const Intent& intent, const Seen& seen) {
  const auto all = stages(intent);
  const auto found = std::find_if(all.rbegin(), all.rend(), [&](const Stage& stage) { return stage.component == "kube-apiserver" && isAt(stage, of(seen, stage.component)); });
  return found == all.rend() ? std::nullopt : std::optional(*found);
}

/// Each node's API server does its work: what balancers see is only that it is ready.
std::optional<Next> answered(const std::string& component, const Intent& intent, const Seen& seen) {
  if (component != "kube-apiserver") return std::nullopt;
  for (const auto& each : toAsk(intent, seen)) {
    const auto answer = seen.answers.find(each.node);
    if (answer != seen.answers.end() && answer->second.silent && answer->second.lasts >= forSilent) continue;
    const auto lacking = answer == seen.answers.end() ? "it has not been asked yet" : answer->second.trouble;
    if (!lacking.empty())
      return Waiting{fmt::format("{}: the API server of revision {} lists, and takes writes", each.node, each.revision), lacking, intent.deadline + std::chrono::minutes(2),
                     fmt::format("look at: kubectl -n kube-system logs -l {}={}", manifests::componentLabel, component)};
  }
  return std::nullopt;
}

/// Who leads does its work: it has taken up a canary since the present template came.
std::optional<Next> proved(const std::string& component, const Intent& intent, const Seen& seen) {
  const auto& own = of(seen, component);
  const auto revision = revisionOf(own.podTemplate);
  if (!hasLeader(component) || own.proved == revision) return std::nullopt;
  const auto canary = seen.canaries.find(component);
  auto document = manifests::canary(manifests::component(component), intent.setup);
  if (canary == seen.canaries.end() || !canary->second.exists)
    return plan::Step{fmt::format("{}: gets something to do", component),
                      {plan::Object{.document = std::move(document), .mode = plan::ApplyMode::createOnly, .access = asAdmin(intent.setup)}}};
  if (!canary->second.taken)
    return Waiting{fmt::format("{}: does what it is there for", component), fmt::format("{} is not taken up", plan::subject(plan::Object{.document = document})),
                   forCanary * 2, fmt::format("look at: kubectl -n kube-system logs -l {}={}", manifests::componentLabel, component)};
  return plan::Step{fmt::format("{}: revision {} does its work", component, revision),
                    {plan::Object{.document = marked(component, manifests::provedAnnotation, revision), .mode = plan::ApplyMode::mark, .access = asAdmin(intent.setup)},
                     gone(stringAt(document, "apiVersion"), stringAt(document, "kind"), stringAt(document, "metadata.name"), intent)}};
}

std::optional<Next> soaked(const Stage& stage, const Intent& intent, const Seen& seen) {
  if (intent.confirms) {
    if (seen.said == Said::yes) return std::nullopt;
    return Waiting{fmt::format("{}{}", stage.what, question), "y, or n for the way back", std::chrono::hours(24 * 7), fmt::format("kubestrap {} rollback goes back", intent.command)};
  }
  const auto& pods = of(seen, stage.component).pods;
  const auto youngest = std::ranges::min_element(pods, {}, &PodSeen::readyFor);
  if (youngest == pods.end() || youngest->readyFor >= intent.soak) return std::nullopt;
  return Waiting{fmt::format("{} has lasted for {}", stage.what, humanDuration(intent.soak)), fmt::format("{} left", humanDuration(intent.soak - youngest->readyFor)),
                 intent.soak + intent.deadline, fmt::format("kubestrap {} rollback goes back", intent.command)};
}

/// The new API servers have lasted, and what is left of the ones before is this node's own on its way out, which goes on answering for ten seconds and more: nobody else has to stand still for that.
/// What other nodes' answer is asked when theirs has gone (toAsk).
bool drainsHere(const Intent& intent, const Seen& seen) {
  const auto& set = seen.controlPlane.daemonSets.at("kube-apiserver");
  const auto& own = of(seen, "kube-apiserver");
  const auto hasNewOne = [&](const NodeSeen& node) {
    return std::ranges::any_of(own.pods, [&](const PodSeen& pod) { return pod.node == node.name && hasLasted(pod, "kube-apiserver", seen); });
  };
  return set.observed && std::ranges::all_of(seen.controlPlane.nodes, [&](const NodeSeen& node) {
           return !node.selfHosted || (hasNewOne(node) && pivot::reportOf(node, "kube-apiserver").is(slotOf(own.podTemplate), "ready"));
         }) && std::ranges::all_of(own.pods, [&](const PodSeen& pod) { return pod.revision == set.revision || (pod.ending && pod.node == intent.setup.node.name); });
}

/// Before something new comes all is as it was meant to be: a node whose pod is not available would get a pod of the new revision too,
/// and a bad one would take two nodes (daemon/update.go).
std::optional<Next> atRest(const Stage& coming, const Intent& intent, const Seen& seen) {
  for (const auto& node : seen.controlPlane.nodes)
    for (const auto component : manifests::hostedComponents)
      if (pivot::reportOf(node, component).promoted)
        return Waiting{fmt::format("{}: no static pod stands in for {}", node.name, component), "one does", forGuard, pivot::guardLog(node)};
  for (const auto component : manifests::hostedComponents) {
    if (component == "kube-apiserver" && coming.component != component && drainsHere(intent, seen)) continue;
    if (auto wait = rolled(std::string(component), intent, seen)) return wait;
  }
  return std::nullopt;
}

/// What alone leads back once the new version behaves as itself, or etcd has its own.
std::optional<Next> snapshotFirst(const Intent& intent, const Seen& seen) {
  if (seen.hasSnapshot) return std::nullopt;
  auto work = snapshot(intent, seen);
  if (work.empty()) return std::nullopt;
  return plan::Step{fmt::format("{}: a snapshot of etcd in {}", intent.setup.node.name, upgradeSnapshot.string()), std::move(work)};
}

plan::Step change(const Stage& stage, const Intent& intent, const Seen& seen) {
  const auto& present = of(seen, stage.component).podTemplate;
  const auto slot = manifests::otherColour(slotOf(present));
  const auto revision = numberOf(revisionOf(present)) + 1;
  plan::Step step{fmt::format("{}: revision {}, in slot {}", stage.what, revision, manifests::slotName(slot)), {}};
  if (!stage.reading) {
    // A cluster that was made before there was the policy has none, or an older one.
    step.work = objects(manifests::putBackPolicy(), asAdmin(intent.setup));
    for (auto& right : objects(manifests::putBackRights(), asAdmin(intent.setup))) step.work.push_back(std::move(right));
    step.notes = notes(stage.component, revision, revisionOf(present));
    // What API servers this roll has brought have been asked by now, and others are none of its business.
    const auto& servers = of(seen, "kube-apiserver");
    if (const auto known = revisionOf(servers.podTemplate); hasLeader(stage.component) && servers.proved != known)
      step.work.push_back(plan::Object{.document = marked("kube-apiserver", manifests::provedAnnotation, known), .mode = plan::ApplyMode::mark, .access = asAdmin(intent.setup)});
  }
  step.work.push_back(put(daemonSet(stage, of(seen, stage.component), slot, revision), intent));
  return step;
}

/// One node after the other. All members answer before the next one begins, so that there is always one to spare.
std::optional<Next> etcdOnItsWay(const Intent& intent, const Seen& seen) {
  const auto node = etcdsTurn(intent.setup, seen.etcd);
  if (node.empty()) return std::nullopt;
  if (!etcdIsUnderWay(seen.etcd))
    for (const auto& member : seen.etcd)
      if (!member.learner && member.version.empty())
        return Waiting{"every member of etcd answers", fmt::format("{} does not", member.name), intent.deadline, "look at: kubestrap etcd status"};
  // The template before knows one place of etcd only.
  if (node != intent.setup.node.name) return plan::Step{etcdStep(intent.setup, node), {plan::Task{rollEtcdOn(intent, node)}}, noNotes()};
  if (auto step = rollEtcd(intent.setup, seen.etcd)) {
    step->notes = noNotes();
    return *std::move(step);
  }
  return std::nullopt;
}

/// The command line of the API server that is in force.
std::vector<std::string> apiServersCommand(const Seen& seen) {
  const auto found = seen.components.find("kube-apiserver");
  const auto* container = found == seen.components.end() ? nullptr : manifests::containerOf(found->second.podTemplate, "kube-apiserver");
  return container ? container->at("command").get<std::vector<std::string>>() : std::vector<std::string>{};
}

/// The tag of the image in a component's template; empty: there is none.
std::string tagInForce(std::string_view component, const Seen& seen) {
  const auto found = seen.components.find(std::string(component));
  const auto* container = found == seen.components.end() ? nullptr : manifests::containerOf(found->second.podTemplate, component);
  return container ? manifests::tagOf(stringAt(*container, "image")) : "";
}

/// This machine's copy goes before the cluster's: whether that is written says whether there is anything left to do.
plan::Step last(const Intent& intent) {
  Resources work{keptCopy(intent.setup)};
  append(work, intent.afterwards);
  return {std::string(configured), std::move(work)};
}

Next forward(const Intent& intent, const Seen& seen) {
  if (auto stuck = cannotGoBack(intent, seen)) return *std::move(stuck);
  const auto left = remaining(intent, seen);
  if (auto step = rehearse(intent, seen)) return *std::move(step);
  const auto isToCome = [&](const Stage& stage) { return !isAt(stage, of(seen, stage.component)); };
  // Those of its leading components: between two templates of the API server all stands still.
  const bool othersCome = !left.empty() && left.back().component != "kube-apiserver" && isToCome(left.back()) &&
                          std::ranges::none_of(left, [&](const Stage& stage) { return stage.component == "kube-apiserver" && isToCome(stage); });
  for (const auto& stage : left) {
    if (isToCome(stage)) {
      if (auto wait = atRest(stage, intent, seen)) return *std::move(wait);
      if (auto step = snapshotFirst(intent, seen)) return *std::move(step);
      if (auto step = etcdMoves(intent, seen) ? etcdBeside(intent.setup, seen.etcd) : std::nullopt) return *std::move(step);
      return change(stage, intent, seen);
    }
    const bool drains = stage.component == "kube-apiserver" && othersCome && drainsHere(intent, seen);
    if (auto wait = drains ? std::nullopt : rolled(stage.component, intent, seen)) return *std::move(wait);
    if (auto wait = answered(stage.component, intent, seen)) return *std::move(wait);
    if (auto step = proved(stage.component, intent, seen)) return *std::move(step);
    if (auto step = etcdMoves(intent, seen) ? etcdOnItsWay(intent, seen) : std::nullopt) return *std::move(step);
    if (auto wait = stage.soaks ? soaked(stage, intent, seen) : std::nullopt) return *std::move(wait);
  }
  if (auto step = tidied(intent, seen)) return *std::move(step);
  if (!seen.stored && !intent.afterwards.empty()) return last(intent);
  return plan::Done{};
}

// ---- the way back

/// Static pods lead while the DaemonSet's do not do their work.
std::optional<Next> takenOver(const Failure& failure, const Intent& intent, const Seen& seen) {
  const auto& node = seen.controlPlane.nodes.front();
  auto held = pivot::heldOn(node);
  if (held.insert(failure.component).second)
    return pivot::hold(node, held, fmt::format("{}: a static pod of {} takes over", node.name, failure.component), intent.setup);
  if (!pivot::reportOf(node, failure.component).is(Slot::rescue, "ready"))
    return Waiting{fmt::format("{}: the static pod of {} is ready", node.name, failure.component), "it is not", forGuard, pivot::guardLog(node)};
  return std::nullopt;
}

/// The old template is in force again. Who holds the Lease and does nothing would hold it for ever: it is sent away by hand.
plan::Step backStep(const Failure& failure, const Intent& intent, const Seen& seen) {
  const auto& own = of(seen, failure.component);
  auto document = manifests::daemonSet(manifests::component(failure.component), intent.setup, slotOf(failure.back), 0);
  document["spec"]["template"] = failure.back;
  Resources work{put(std::move(document), intent)};
  if (failure.takeover)
    for (const auto& pod : own.pods) work.push_back(gone("v1", "Pod", pod.name, intent));
  return {fmt::format("{}: back to revision {}", failure.component, revisionOf(failure.back)), std::move(work)};
}

std::optional<Next> released(const Failure& failure, const Intent& intent, const Seen& seen) {
  const auto& node = seen.controlPlane.nodes.front();
  auto held = pivot::heldOn(node);
  if (held.erase(failure.component) == 0) return std::nullopt;
  return pivot::hold(node, held, fmt::format("{}: the static pod of {} is not needed any more", node.name, failure.component), intent.setup);
}

Next backward(const Failure& failure, const Intent& intent, const Seen& seen) {
  if (auto step = etcdBesideGone(intent.setup, seen.etcd)) return *std::move(step);
  if (etcdIsUnderWay(seen.etcd)) // the old template knows etcd's own place only
    if (auto step = etcdOnItsWay(intent, seen)) return *std::move(step);
  if (!failure.back.is_null()) {
    if (!covers(of(seen, failure.component).podTemplate, failure.back)) {
      if (failure.takeover)
        if (auto step = takenOver(failure, intent, seen)) return *std::move(step);
      return backStep(failure, intent, seen);
    }
    if (auto wait = rolled(failure.component, intent, seen)) return *std::move(wait);
    if (failure.takeover)
      if (auto step = released(failure, intent, seen)) return *std::move(step);
  }
  if (auto step = tidied(intent, seen)) return *std::move(step);
  const auto remedy = failure.back.is_null() ? "nothing was changed" : fmt::format("{} runs by its revision {} again", failure.component, revisionOf(failure.back));
  return plan::Stuck{failure.cause, fmt::format("{}; mend the cause, then run kubestrap {} again", remedy, intent.command)};
}

// ---- what went wrong

std::string verdict(const PodSeen& pod, const Intent& intent) {
  const auto why = pod.trouble.empty() ? "" : ": " + pod.trouble;
  if (pod.restarts >= ends) return fmt::format("it has ended {} times{}", pod.restarts, why);
  if (pod.ready || pod.ending) return {};
  if (pod.hopeless) return pod.trouble;
  return pod.age > intent.deadline ? fmt::format("it is not ready after {}{}", humanDuration(intent.deadline), why) : "";
}

std::optional<Failure> ofRehearsals(const Intent& intent, const Seen& seen) {
  for (const auto& each : rehearsals(intent, seen)) {
    const auto* pod = rehearsed(seen, each.pod);
    if (!pod || pod->phase == "Succeeded") continue;
    auto why = pod->phase == "Failed" ? pod->trouble : verdict(*pod, intent);
    if (!why.empty()) return Failure{each.component, fmt::format("{} does not begin on {}: {}", each.what, each.node, why), {}};
  }
  return std::nullopt;
}

/// Of a revision of ours that is on its way, or soaks. One that runs since before is not judged.
std::optional<Failure> ofPods(const Intent& intent, const Seen& seen) {
  for (const auto& stage : stages(intent)) {
    const auto& own = of(seen, stage.component);
    if (own.before.is_null() || !isAt(stage, own) || (!stage.soaks && !rolled(stage.component, intent, seen))) continue;
    const auto revision = revisionOf(own.podTemplate);
    for (const auto& pod : own.pods)
      if (auto why = pod.revision == revision ? verdict(pod, intent) : ""; !why.empty())
        return Failure{stage.component, fmt::format("{} on {}: {}", stage.what, pod.node, why), own.before};
  }
  return std::nullopt;
}

std::optional<Failure> ofAnswers(const Intent& intent, const Seen& seen) {
  for (const auto& each : toAsk(intent, seen)) {
    const auto answer = seen.answers.find(each.node);
    const auto& own = of(seen, "kube-apiserver");
    if (answer == seen.answers.end() || answer->second.trouble.empty() || answer->second.silent || own.before.is_null()) continue;
    if (answer->second.lasts >= (answer->second.refuses ? refusalLasts : intent.deadline))
      return Failure{"kube-apiserver", fmt::format("{} on {}: it is ready, and {}", apiServersStage(intent, seen)->what, each.node, answer->second.trouble), own.before};
  }
  return std::nullopt;
}

std::optional<Failure> ofOperator(const Intent& intent, const Seen& seen) {
  if (!intent.confirms || seen.said != Said::no) return std::nullopt;
  const auto stage = apiServersStage(intent, seen);
  if (!stage || !stage->soaks) return std::nullopt;
  return Failure{"kube-apiserver", fmt::format("it was answered that {} may not behave as its own version", stage->what), of(seen, "kube-apiserver").before};
}

std::optional<Failure> ofCanaries(const Seen& seen) {
  for (const auto& [component, canary] : seen.canaries)
    if (canary.exists && !canary.taken && canary.age > forCanary)
      return Failure{component, fmt::format("{} leads, and does not do its work", component), of(seen, component).before, true};
  return std::nullopt;
}

} // namespace

/// An API server of a newer minor version that behaves like one may have stored what an older one cannot read.
std::optional<plan::Stuck> cannotGoBack(const Intent& intent, const Seen& seen) {
  const auto version = readVersion(tagInForce("kube-apiserver", seen));
  if (!version || version->minor <= intent.setup.cluster.version.minor) return std::nullopt;
  if (!manifests::flagOf(apiServersCommand(seen), "emulated-version").empty()) return std::nullopt;
  return plan::Stuck{fmt::format("{} is past the point from which the API server can go back to {}", version->tag(), intent.setup.cluster.version.tag()),
                     fmt::format("it behaves as its own version already: kubestrap upgrade apply {} goes on to the end; only a snapshot of etcd leads back, which is {} on the machine where the upgrade began",
                                 version->tag(), upgradeSnapshot.string())};
}

bool hasTwoPlacesForEtcd(Intent intent, const Seen& seen) {
  const auto found = seen.components.find("kube-apiserver");
  intent.rollsEtcd = true;
  return found != seen.components.end() && isAt(onTheWay(intent), found->second);
}

bool hasBegun(const Intent& intent, const Seen& seen) {
  return !seen.stored && std::ranges::any_of(manifests::hostedComponents, [&](const auto component) { return tagInForce(component, seen) == imageTag(component, intent.setup); });
}

std::string toRollBack(const Intent& back, const Seen& seen) {
  for (const auto component : manifests::hostedComponents)
    if (const auto tag = tagInForce(component, seen); !tag.empty() && tag != imageTag(component, back.setup)) return tag;
  const auto command = apiServersCommand(seen);
  const bool onTheWay = !manifests::flagOf(command, "emulated-version").empty() ||
                        manifests::flagOf(command, "etcd-servers").find(manifests::secondEtcdForApiServers(back.setup.node)) != std::string::npos || etcdIsUnderWay(seen.etcd);
  const bool tried = seen.mayPutBack || !seen.rehearsals.empty() || std::ranges::any_of(seen.canaries, [](const auto& each) { return each.second.exists; });
  return onTheWay || tried ? back.setup.cluster.version.tag() : "";
}

void keepNewerEtcd(Intent& intent, const std::vector<std::string>& images) {
  const auto versionOf = [](const std::string& image) {
    auto version = readVersion(manifests::tagOf(image)); // with a build behind it
    if (version) version->preRelease.clear();
    return version;
  };
  auto& kept = intent.setup.cluster.images.etcd;
  for (const auto& image : images) {
    const auto version = versionOf(image), wanted = versionOf(kept);
    if (!version || !wanted || !(*wanted < *version)) continue;
    kept = image;
    intent.keepsNewerEtcd = true;
  }
}

bool etcdLags(const Intent& intent, const std::vector<EtcdMemberSeen>& members) {
  return intent.keepsNewerEtcd ? etcdIsUnderWay(members) : etcdIsOutdated(intent.setup, members);
}

Resources afterwards(const Setup& setup) {
  Resources all;
  for (const auto& part : {coreDns, kubeProxy, kubeadmConfig, kubeletConfig}) append(all, part(setup, {}));
  return all;
}

/// Which roll a snapshot is of is said by a file that is written before it: the versions, and the API server's DaemonSet as it is before its first new template. A driver that
/// was killed finds the same there, and takes none again. A roll that has been put back finds another DaemonSet, and takes a new one: writes have gone on since. From the first
/// new template on none is taken any more, whichever machine goes on, since the driver before has taken one.
Resources snapshot(const Intent& intent, const Seen& seen) {
  const auto& cluster = intent.setup.cluster;
  const auto own = seen.components.find("kube-apiserver");
  if (own == seen.components.end() || !cluster.etcd.isLocal() || (intent.emulates.empty() && !intent.rollsEtcd) || etcdIsUnderWay(seen.etcd)) return {};
  const auto all = stages(intent);
  if (remaining(intent, seen).size() < all.size() || isAt(all.front(), own->second)) return {};
  return {plan::File{.path = upgradeOfSnapshot,
                     .content = fmt::format("{} to {}, etcd {}, kube-apiserver {}\n", tagInForce("kube-apiserver", seen), imageTag("kube-apiserver", intent.setup), imageTag("etcd", intent.setup),
                                        own->second.spec),
                     .mode = 0600,
                     .folderMode = 0700},
          plan::Task{plan::SaveEtcdSnapshot{.access = etcdAccessOf(cluster, asAdmin(intent.setup)),
                                            .endpoint = manifests::etcdClientUrl(intent.setup.node),
                                            .file = upgradeSnapshot,
                                            .newerThan = upgradeOfSnapshot}}};
}

Resources changes(const Intent& intent, const Seen& seen) {
  const auto all = stages(intent);
  Resources made;
  if (etcdMoves(intent, seen)) made.push_back(etcdManifest(intent.setup));
  for (const auto component : manifests::hostedComponents) {
    const auto stage = std::ranges::find(all.rbegin(), all.rend(), component, &Stage::component);
    if (stage == all.rend() || !seen.components.contains(std::string(component))) continue;
    made.push_back(put(inPlace(*stage, of(seen, component)), intent));
  }
  append(made, intent.afterwards);
  return made;
}

std::vector<ToAsk> toAsk(const Intent& intent, const Seen& seen) {
  const auto found = seen.components.find("kube-apiserver");
  if (found == seen.components.end() || !seen.mayPutBack || !intent.readings.empty()) return {};
  const auto& own = found->second;
  const auto revision = revisionOf(own.podTemplate);
  if (own.proved == revision || !apiServersStage(intent, seen)) return {};
  const auto& setup = intent.setup;
  std::vector<ToAsk> all;
  for (const auto& node : seen.controlPlane.nodes) {
    const auto has = [&](const auto& which) { return std::ranges::any_of(own.pods, [&](const PodSeen& pod) { return pod.node == node.name && which(pod); }); };
    if (!node.selfHosted || !has([&](const PodSeen& pod) { return pod.revision == revision && pod.ready && !pod.ending; })) continue;
    if (node.name == setup.node.name)
      all.push_back({node.name, "https://" + joinHostPort(manifests::slotAddress(slotOf(own.podTemplate)), setup.node.bindPort), revision});
    else if (!node.address.empty() && !has([&](const PodSeen& pod) { return pod.revision != revision; }))
      all.push_back({node.name, "https://" + joinHostPort(node.address, manifests::ownApiServers(setup).port), revision});
  }
  return all;
}

std::optional<Failure> failureIn(const Intent& intent, const Seen& seen) {
  if (auto failure = ofRehearsals(intent, seen)) return failure;
  if (auto failure = ofPods(intent, seen)) return failure;
  if (auto failure = ofAnswers(intent, seen)) return failure;
  if (auto failure = ofOperator(intent, seen)) return failure;
  return ofCanaries(seen);
}

Next next(const Intent& intent, const std::optional<Failure>& failure, const Seen& seen) {
  if (auto trouble = pivot::notInOrder(seen.controlPlane)) return *std::move(trouble);
  for (const auto component : manifests::hostedComponents)
    if (!seen.controlPlane.daemonSets.contains(std::string(component)) || !seen.components.contains(std::string(component)))
      return plan::Stuck{fmt::format("{} has no DaemonSet", component), "kubestrap pivot makes it"};
  return failure ? backward(*failure, intent, seen) : forward(intent, seen);
}

bool isQuestion(const Next& next) {
  const auto* waiting = std::get_if<Waiting>(&next);
  return waiting && waiting->what.ends_with(question);
}

bool isLast(const plan::Step& step) { return step.name == configured; }

bool takesEffect(const plan::Step& step) {
  return isLast(step) || std::ranges::any_of(step.work, [](const plan::Resource& resource) {
           const auto* object = std::get_if<plan::Object>(&resource);
           return object && object->mode == plan::ApplyMode::apply && stringAt(object->document, "kind") == "DaemonSet";
         });
}

namespace {

PodSeen podOf(const std::string& component, const std::string& node, const std::string& revision) {
  return {.name = fmt::format("{}-{}", component, node), .node = node, .uid = {}, .revision = revision, .phase = "Running", .bound = true, .ready = true,
          .readyFor = std::chrono::hours(1)};
}

void assumeRolled(const std::string& component, const Value& podTemplate, Seen& seen) {
  auto& own = seen.components.at(component);
  auto& set = seen.controlPlane.daemonSets.at(component);
  own.before = std::exchange(own.podTemplate, podTemplate);
  own.pods.clear();
  if (hasLeader(component)) seen.controlPlane.leaders[component].leads = {};
  set.revision = revisionOf(podTemplate);
  for (auto& node : seen.controlPlane.nodes) {
    if (!node.selfHosted) continue;
    own.pods.push_back(podOf(component, node.name, set.revision));
    node.guard->components[component].slots[std::string(manifests::slotName(slotOf(podTemplate)))] = "ready";
    if (component == "kube-apiserver") seen.answers[node.name] = {};
  }
  own.updated = set.available = set.desired;
}

void assume(const plan::Object& object, Seen& seen) {
  const auto kind = stringAt(object.document, "kind"), name = stringAt(object.document, "metadata.name");
  const auto* labels = find(object.document, "metadata.labels");
  if (kind == "Lease") seen.controlPlane.leaders[name] = {.fresh = true};
  if (kind == "RoleBinding") seen.mayPutBack = object.mode != plan::ApplyMode::absent;
  if (kind == "Pod" && labels && labels->contains(manifests::rehearsalLabel)) {
    auto pod = podOf(name, stringAt(object.document, "spec.nodeName"), {});
    pod.name = name;
    pod.phase = "Succeeded";
    seen.rehearsals.push_back(std::move(pod));
  } else if (labels && labels->contains(manifests::canaryLabel)) {
    seen.canaries[labels->at(std::string(manifests::canaryLabel)).get<std::string>()] = {.exists = true, .taken = true};
  } else if (kind == "DaemonSet" && object.mode == plan::ApplyMode::apply) {
    assumeRolled(name, templateOf(object.document), seen);
  } else if (kind == "DaemonSet" && object.mode == plan::ApplyMode::mark) {
    seen.components.at(name).proved = revisionOf(seen.components.at(name).podTemplate);
  } else if (object.mode == plan::ApplyMode::absent) {
    std::erase_if(seen.rehearsals, [&](const PodSeen& each) { return each.name == name; });
    std::erase_if(seen.canaries, [&](const auto& each) { return name.ends_with(each.first); });
  }
}

} // namespace

namespace {

/// After a step at etcd: that node's member has its new version, or its second one has taken its place.
void assumeMoved(const Intent& intent, const plan::Resource& resource, Seen& seen) {
  const auto version = imageTag("etcd", intent.setup);
  if (const auto* task = std::get_if<plan::Task>(&resource); task && std::holds_alternative<plan::RunOnNode>(*task)) {
    const auto node = etcdsTurn(intent.setup, seen.etcd);
    for (auto& member : seen.etcd)
      if (member.name == node) member.version = version;
  } else if (const auto* member = std::get_if<plan::EtcdMember>(&resource)) {
    if (member->standing == plan::Standing::learner && std::ranges::find(seen.etcd, member->peerUrl, &EtcdMemberSeen::peerUrl) == seen.etcd.end()) seen.etcd.push_back({.name = member->name, .peerUrl = member->peerUrl, .version = version});
    if (member->standing == plan::Standing::absent) std::erase_if(seen.etcd, [&](const auto& each) { return each.peerUrl == member->peerUrl; });
  }
}

} // namespace

Seen seenOnce(Seen seen) {
  seen.said = Said::yes;
  for (auto& [name, component] : seen.components)
    for (auto& pod : component.pods)
      if (pod.ready) pod.readyFor = std::max(pod.readyFor, pod.made);
  return seen;
}

Seen assumed(const Intent& intent, Seen seen, const Next& done) {
  const auto* step = std::get_if<plan::Step>(&done);
  if (!step) return seen;
  if (step->name == configured) {
    seen.stored = true;
    return seen;
  }
  for (const auto& resource : step->work) {
    if (const auto* object = std::get_if<plan::Object>(&resource)) assume(*object, seen);
    if (const auto* task = std::get_if<plan::Task>(&resource); task && std::holds_alternative<plan::SaveEtcdSnapshot>(*task)) seen.hasSnapshot = true;
    assumeMoved(intent, resource, seen);
  }
  return seen;
}

} // namespace kubestrap::phases::roll
