// The story of `reset`: a node becomes a bare machine again. The table at the end is read from top to bottom.
#include "phases/workflows.hpp"

#include "certs/catalogue.hpp"
#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "phases/certificates.hpp"
#include "phases/node.hpp"
#include "phases/preflight.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases {

namespace {

using config::Path;
using config::Recorded;
using config::Resetting;
using config::Setup;
using plan::Absent;
using plan::Findings;
using plan::Phase;
using plan::Resources;
using plan::Severity;
namespace paths = config::paths;

const Resetting& resetting(const Setup& setup) { return setup.request.resetting; }

bool tellsCluster(const Setup& setup) {
  const auto& known = resetting(setup);
  return known.isNode && known.kubeconfig && known.unreachable.empty();
}
/// With the last control plane the cluster goes: there is nobody left to be told.
bool isLast(const Setup& setup) { return setup.node.controlPlane && resetting(setup).otherControlPlanes == 0; }

plan::Access access(const Setup& setup) { return {*resetting(setup).kubeconfig, resetting(setup).server}; }

// ---- preflight

Findings judge(const Setup& setup, const config::Facts& facts) {
  const auto& known = resetting(setup);
  Findings findings;
  const auto add = [&](const char* check, Severity severity, std::string evidence, std::string remedy) {
    const bool yields = severity == Severity::error && isIgnored(setup, check);
    findings.push_back({.check = check, .severity = yields ? Severity::warning : severity, .evidence = std::move(evidence), .remedy = std::move(remedy)});
  };
  const auto unlessForced = known.force ? Severity::warning : Severity::error;
  if (facts.uid != 0) add("IsPrivilegedUser", Severity::error, fmt::format("user {} may not do this", facts.uid), "run it as root");
  if (!known.isNode) return findings;
  if (!known.unreachable.empty())
    add("ClusterAnswers", Severity::warning, "the cluster cannot be told: " + known.unreachable,
        fmt::format("if it goes on without this machine, take it out there: kubectl delete node {}{}", setup.node.name,
                    known.etcdData ? ", and its member out of etcd: etcdctl member remove" : ""));
  if (tellsCluster(setup) && isLast(setup))
    add("LastControlPlane", unlessForced, fmt::format("{} is the last control plane: the cluster and all that is in its etcd go with it", setup.node.name),
        "kubestrap reset --cluster resets the other nodes first, since none of them can be told afterwards; or --force");
  if (!known.quorumLoss.empty())
    add("EtcdQuorum", unlessForced, known.quorumLoss, "bring the other members back first, or take out those that are gone; --force goes on all the same");
  if (tellsCluster(setup) && !isLast(setup) && !known.mayDeleteNode)
    add("NodeObject", Severity::warning, fmt::format("a worker's own credentials may not delete its Node {}", setup.node.name),
        fmt::format("on a control plane: kubectl delete node {}; or give --kubeconfig with an administrator's file", setup.node.name));
  return findings;
}

// ---- leave-cluster

plan::Object absentObject(const Setup& setup, const char* apiVersion, const char* kind, const char* nameSpace) {
  Value document{{"apiVersion", apiVersion}, {"kind", kind}, {"metadata", {{"name", setup.node.name}}}};
  if (*nameSpace) document["metadata"]["namespace"] = nameSpace;
  return {.document = std::move(document), .mode = plan::ApplyMode::absent, .access = access(setup)};
}

plan::Service kubeletStopped() { return {.name = "kubelet", .wanted = plan::Wanted::stopped, .restartWhenChanged = {}, .restartWhenIdle = {}}; }

/// Balancers of other nodes learn from it that there is one API server less.
bool isTold(const Setup& setup) {
  return setup.node.controlPlane &&
         std::ranges::any_of(resetting(setup).recorded, [](const Recorded& each) { return each.name == paths::frontState.string(); });
}

Resources drain(const Setup& setup, const Phase&) {
  const auto patience = resetting(setup).drain;
  if (!patience || !tellsCluster(setup) || isLast(setup)) return {};
  return {plan::Task{plan::Drain{.access = access(setup), .node = setup.node.name, .patience = *patience}}};
}

Resources leaveCluster(const Setup& setup, const Phase&) {
  if (!tellsCluster(setup) || isLast(setup)) return {};
  Resources resources;
  // A kubelet that runs renews its Lease, and one that starts registers its Node again.
  resources.push_back(kubeletStopped());
  if (!resetting(setup).mayDeleteNode) return resources;
  if (isTold(setup))
    resources.push_back(plan::Object{.document = manifests::apiServerWithdrawal(setup.node), .mode = plan::ApplyMode::mark, .access = access(setup)});
  resources.push_back(absentObject(setup, "v1", "Node", ""));
  resources.push_back(absentObject(setup, "coordination.k8s.io/v1", "Lease", "kube-node-lease"));
  return resources;
}

// ---- remove-etcd-member

Resources removeEtcdMember(const Setup& setup, const Phase&) {
  const auto& peerUrl = resetting(setup).etcdPeerUrl;
  if (!tellsCluster(setup) || isLast(setup) || peerUrl.empty()) return {};
  return {etcdMemberOf(setup, access(setup), peerUrl, plan::Standing::absent)};
}

// ---- cleanup-node

Absent gone(Path path, Absent::Depth depth = Absent::Depth::entry, std::string reason = "made by kubestrap") {
  return {.path = std::move(path), .depth = depth, .keep = {}, .reason = std::move(reason)};
}

/// What a component has filled; what lay there before stays.
Absent emptied(const Setup& setup, const Path& folder, std::string reason) {
  return {.path = folder, .depth = Absent::Depth::content, .keep = resetting(setup).before, .reason = std::move(reason)};
}

Resources undone(const Setup& setup, const Recorded& one) {
  switch (one.kind) {
  case Recorded::Kind::file:
    if (!one.existed) return {gone(one.name)};
    if (!one.content) return {};
    return {plan::File{.path = one.name, .content = one.content->reveal(), .mode = one.mode, .secrecy = plan::Secrecy::secret}};
  case Recorded::Kind::folder: return one.existed ? Resources{} : Resources{gone(one.name, Absent::Depth::whenEmpty)};
  case Recorded::Kind::data: {
    Resources resources{emptied(setup, one.name, "the cluster's data")};
    if (!one.existed) resources.push_back(gone(one.name, Absent::Depth::whenEmpty));
    else if (one.mode) resources.push_back(plan::Folder{one.name, one.mode});
    return resources;
  }
  case Recorded::Kind::unit: return {}; // at the end: what it reads goes first
  case Recorded::Kind::sysctl: return one.existed ? Resources{plan::Task{plan::SetSysctl{one.name, one.value}}} : Resources{};
  case Recorded::Kind::program: return {plan::Task{plan::InstallProgram{one.value, one.name}}};
  case Recorded::Kind::package: return {plan::Task{plan::RemovePackages{{one.name}}}};
  case Recorded::Kind::swap: return {plan::Task{plan::TurnSwapOn{one.name}}};
  }
  return {};
}

/// The files of a node by their names: what kubeadm or the kubelet has made, and no journal has.
Resources wellKnown(const Setup& setup) {
  const auto& known = resetting(setup);
  std::vector<Path> files{paths::adminConf, paths::superAdminConf, paths::kubeletConf, paths::bootstrapKubeletConf, paths::controllerManagerConf,
                          paths::schedulerConf};
  for (const auto& component : manifests::components()) {
    files.push_back(manifests::manifestPath(component));
    // What the guard promotes is not in the journal.
    for (const auto slot : {manifests::Slot::rescue, manifests::Slot::previous}) files.push_back(manifests::rescueManifest(component, slot));
  }
  for (const auto& row : certs::catalogue())
    for (const auto* ending : {".crt", ".key"}) files.push_back(known.certificatesDir / (std::string(row.file) + ending));
  for (const auto* name : {"sa.key", "sa.pub", "encryption.yaml"}) files.push_back(known.certificatesDir / name);
  const auto isRecorded = [&](const Path& path) {
    return std::ranges::any_of(known.recorded, [&](const Recorded& each) { return each.name == path.string(); });
  };
  Resources resources;
  for (auto& file : files)
    if (!known.before.contains(file) && !isRecorded(file)) resources.push_back(gone(std::move(file), Absent::Depth::entry, "of this node"));
  resources.push_back({Absent{.path = paths::kubernetes / "kubestrap", .depth = Absent::Depth::tree, .keep = known.before, .reason = "of this node"}});
  for (const auto& folder : {known.certificatesDir / "etcd", known.certificatesDir, paths::manifests})
    if (!known.before.contains(folder) && !known.journal) resources.push_back(gone(folder, Absent::Depth::whenEmpty, "of this node"));
  return resources;
}

Resources filledByComponents(const Setup& setup) {
  Resources resources{emptied(setup, paths::kubelet, "the kubelet's data")};
  for (const auto* logs : {"/var/log/containers", "/var/log/pods"}) resources.push_back(emptied(setup, logs, "logs of pods"));
  // Without an inventory nobody knows who else has put something there.
  if (resetting(setup).journal) {
    resources.push_back(emptied(setup, "/var/lib/cni", "the pod network's state"));
    resources.push_back(emptied(setup, "/etc/cni/net.d", "the pod network's configuration"));
  }
  if (resetting(setup).cleanupTmpDir) resources.push_back(emptied(setup, paths::kubernetes / "tmp", "asked for"));
  return resources;
}

/// Folders that components have made themselves.
Resources madeByComponents(const Setup& setup) {
  Resources resources;
  if (!resetting(setup).journal) return resources;
  for (const auto* folder : {"/var/log/containers", "/var/log/pods", "/var/lib/cni/networks", "/var/lib/cni", "/etc/cni/net.d", "/etc/cni",
                             "/var/lib/kubelet", "/etc/kubernetes/manifests", "/etc/kubernetes"})
    if (!resetting(setup).before.contains(folder)) resources.push_back(gone(folder, Absent::Depth::whenEmpty, "made by a component"));
  return resources;
}

Resources network(const Setup& setup) {
  Resources resources;
  for (const auto& link : resetting(setup).links) resources.push_back(plan::Task{plan::RemoveLink{link}});
  resources.push_back(plan::Task{plan::RemoveClusterRules{.keep = resetting(setup).chainsBefore, .ofPodNetwork = resetting(setup).journal}});
  return resources;
}

/// Units that were in use begin anew with their former files; others end while systemd can still disable them: it knows no links of a file that is gone.
Resources units(const Resetting& known, bool inUse) {
  Resources resources;
  for (const auto& one : known.recorded)
    if (one.kind == Recorded::Kind::unit && (one.enabled || one.active) == inUse) resources.push_back(plan::Task{plan::RestoreUnit{one.name, one.enabled, one.active}});
  return resources;
}

/// Without a kubelet that was begun there are none, and perhaps no runtime that could be asked: it may have been brought for this node.
bool mayHavePods(const Resetting& known) {
  return !known.journal || std::ranges::any_of(known.recorded, [](const Recorded& each) { return each.kind == Recorded::Kind::unit && each.name == "kubelet"; });
}

Resources cleanUp(const Setup& setup, const Phase&) {
  const auto& known = resetting(setup);
  if (!known.isNode) return {};
  Resources resources{kubeletStopped()};
  if (mayHavePods(known)) resources.push_back(plan::Task{plan::RemovePods{.gently = {"kubestrap-vip"}}}); // keepalived that is killed leaves its address
  resources.push_back(plan::Task{plan::Unmount{.below = paths::kubelet, .flags = known.unmountFlags, .keep = known.before}});
  append(resources, network(setup));
  // One that the kubelet had asked for at the last moment, when there was none yet, is there by now.
  if (mayHavePods(known)) resources.push_back(plan::Task{plan::RemovePods{plan::RemovePods::When::late}});
  // The data goes before the manifest by which it is known to be ours.
  if (known.etcdData) resources.push_back(emptied(setup, *known.etcdData, "etcd's data"));
  append(resources, filledByComponents(setup));
  append(resources, wellKnown(setup));
  append(resources, units(known, false));
  for (const auto& one : known.recorded) append(resources, undone(setup, one));
  append(resources, madeByComponents(setup));
  for (const auto& [name, value] : known.sysctlsBefore) resources.push_back(plan::Task{plan::SetSysctl{name, value}});
  append(resources, units(known, true));
  return resources;
}

} // namespace

const plan::Workflow& resetWorkflow() {
  static const Phase phases[] = {
      {.name = "preflight", .summary = "See whether the cluster can do without this node", .judge = judge},
      // Who asks for it wants to know that it cannot be, before pods end.
      {.name = "drain", .summary = "Move pods to other nodes, if asked to", .desired = drain, .onFailure = plan::OnFailure::unlessForced},
      // What fails here is told, and no reason to keep the node: the cluster may be gone.
      {.name = "leave-cluster", .summary = "Stop the kubelet, delete the Node", .desired = leaveCluster,
       .onFailure = plan::OnFailure::warn},
      // A member that votes and is gone may cost the others their quorum: of two members it does.
      {.name = "remove-etcd-member", .summary = "Take this node's member out of etcd", .desired = removeEtcdMember,
       .onFailure = plan::OnFailure::unlessForced},
      // From here on the cluster does not count on this node any more.
      {.name = "cleanup-node", .summary = "Stop what runs, remove what was made, put back what was replaced", .desired = cleanUp,
       .onFailure = plan::OnFailure::goOn},
  };
  static const plan::Workflow workflow{"reset", "Make this machine what it was before it became a node", phases, "cleanup-node"};
  return workflow;
}

} // namespace kubestrap::phases
