// What has to hold before a cluster is upgraded: a table of gates, each a judgement of what was seen.
#include "phases/upgrade.hpp"

#include "config/versions.hpp"
#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "phases/corefile.hpp"
#include "phases/preflight_checks.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kubestrap::phases {

namespace {

using config::Upgrading;
using plan::Severity;

const Upgrading& seen(const Setup& setup) { return setup.request.upgrading; }
bool answered(const Setup& setup) { return seen(setup).unreachable.empty(); }

/// What --force admits.
Observation unlessForced(const Setup& setup, std::string evidence, std::string remedy) {
  return {seen(setup).force ? Severity::warning : Severity::error, std::move(evidence), remedy + "; or give --force"};
}

// ---- versions

Observations skew(const Setup& setup, const Facts&) {
  const auto& target = setup.cluster.version;
  const auto now = readVersion(seen(setup).server).value_or(seen(setup).from);
  if (manifests::isHosted(setup.cluster) && target == seen(setup).from) return {}; // back to what the cluster has not left yet
  const auto step = fmt::format("from {} to {}", now.tag(), target.tag());
  if (target.major != now.major || target.minor > now.minor + 1)
    return {error(step + " leaves out a minor version, and API servers may differ by one only",
                  fmt::format("upgrade to v{}.{} first", now.major, now.minor + 1))};
  if (target.minor < now.minor - 1)
    return {error(step + " goes back by more than one minor version", "restore a backup of that version instead")};
  Observations found;
  if (target < now) found.push_back(unlessForced(setup, step + " goes back; etcd keeps its version", "choose a newer version"));
  const bool candidate = target.preRelease.starts_with("rc");
  if (!target.preRelease.empty() && !seen(setup).experimental && !(candidate && seen(setup).releaseCandidates))
    found.push_back(unlessForced(setup, target.tag() + " is no release",
                                 candidate ? "give --allow-release-candidate-upgrades" : "give --allow-experimental-upgrades"));
  return found;
}

Observations kubelets(const Setup& setup, const Facts&) {
  const auto& target = setup.cluster.version;
  std::vector<std::string> old, fresh;
  for (const auto& node : seen(setup).nodes) {
    const auto kubelet = readVersion(node.kubelet);
    if (!kubelet) continue;
    if (kubelet->minor + 3 < target.minor) old.push_back(fmt::format("{} ({})", node.name, node.kubelet));
    if (kubelet->minor > target.minor) fresh.push_back(fmt::format("{} ({})", node.name, node.kubelet));
  }
  Observations found;
  if (!old.empty())
    found.push_back(unlessForced(setup, fmt::format("kubelets may be three minor versions older than the API server, and these are older: {}", join(old, ", ")),
                                 "upgrade them first"));
  if (!fresh.empty())
    found.push_back(unlessForced(setup, fmt::format("kubelets must not be newer than the API server, and these would be: {}", join(fresh, ", ")),
                                 "install an older kubelet on them first"));
  return found;
}

// ---- the cluster

Observations clusterAnswers(const Setup& setup, const Facts&) {
  if (answered(setup)) return {};
  const auto evidence = "the cluster cannot be asked: " + seen(setup).unreachable;
  // An upgrade that was stopped may have left it so, and is to go on.
  return {seen(setup).goesOn ? warning(evidence) : error(evidence)};
}

Observations ownNode(const Setup& setup, const Facts&) {
  for (const auto& node : seen(setup).nodes)
    if (node.name == setup.node.name && !node.ready) return {error(fmt::format("this node ({}) is not Ready", node.name))};
  return {};
}

/// A roll goes to every control plane, and stands still at one that is away.
Observations otherNodes(const Setup& setup, const Facts&) {
  std::vector<std::string> rolled, others;
  for (const auto& node : seen(setup).nodes) {
    if (node.name == setup.node.name || node.ready) continue;
    if (node.controlPlane && manifests::isHosted(setup.cluster) && !node.lacksPodNetwork) rolled.push_back(node.name);
    else others.push_back(node.name + (node.controlPlane ? " (a control plane)" : ""));
  }
  Observations found;
  if (!rolled.empty())
    found.push_back(error(fmt::format("control planes that are not Ready, and to which the roll goes: {}", join(rolled, ", ")),
                          "bring them back (journalctl -u kubelet, there), or take them out of the cluster: kubestrap node remove NAME"));
  if (!others.empty()) found.push_back(warning(fmt::format("not Ready: {}", join(others, ", "))));
  return found;
}

/// A roll goes to every control plane from here; a plain one is upgraded by itself, and looks at its own disks then.
Observations pressed(const Setup& setup, const Facts&) {
  std::vector<std::string> rolled, others;
  for (const auto& node : seen(setup).nodes)
    if (node.diskPressure && node.name != setup.node.name) (node.controlPlane && manifests::isHosted(setup.cluster) ? rolled : others).push_back(node.name);
  Observations found;
  if (!rolled.empty()) found.push_back(error(fmt::format("the kubelets of these control planes say that their disks have too little room: {}", join(rolled, ", "))));
  if (!others.empty()) found.push_back(warning(fmt::format("the kubelets of these nodes say that their disks have too little room: {}", join(others, ", "))));
  return found;
}

Observations etcdHealth(const Setup& setup, const Facts&) {
  const auto& etcd = seen(setup).etcd;
  Observations found;
  if (!etcd.trouble.empty()) found.push_back(error("etcd is not healthy: " + etcd.trouble));
  for (const auto& alarm : etcd.alarms)
    found.push_back(error(fmt::format("etcd has raised the alarm {}", alarm),
                          alarm == "NOSPACE" ? "compact and defragment it, then disarm the alarm" : "replace the member that is corrupt"));
  if (!etcd.trouble.empty() || etcd.silent.empty()) return found;
  // This node's member is away for some seconds, unless etcd is left alone: what is left has to be more than half.
  const auto own = fmt::format("https://{}", joinHostPort(setup.node.advertiseAddress.string(), 2379));
  const bool ownIsSilent = std::ranges::find(etcd.silent, own) != etcd.silent.end();
  const auto left = etcd.members.size() - etcd.silent.size() - (ownIsSilent || !seen(setup).upgradesEtcd ? 0 : 1);
  const auto evidence = fmt::format("{} of {} members of etcd do not answer: {}", etcd.silent.size(), etcd.members.size(), join(etcd.silent, ", "));
  if (left * 2 > etcd.members.size()) found.push_back(warning(evidence));
  else if (const auto& other = seen(setup).othersTurn; !other.empty()) found.push_back(warning(fmt::format("{}; {} is being upgraded, and is waited for before this node's restarts", evidence, other)));
  else found.push_back(error(evidence + "; while this node's restarts, etcd would stand still"));
  return found;
}

Observations etcdVersion(const Setup& setup, const Facts&) {
  const auto now = readVersion(seen(setup).etcd.version);
  const auto target = readVersion(manifests::tagOf(setup.cluster.images.etcd));
  if (!seen(setup).etcd.version.empty() && now && target && seen(setup).etcd.members.size() > 0 && (target->major != now->major || target->minor > now->minor + 1))
    return {error(fmt::format("etcd would go from {} to {}, and takes one minor version at a time", now->tag(), target->tag()),
                  "set etcd.local.imageTag in ClusterConfiguration to a version between")};
  return {};
}

Observations webhooks(const Setup& setup, const Facts&) {
  Observations found;
  for (const auto& hook : seen(setup).webhooks) {
    if (hook.unready)
      found.push_back(error(fmt::format("{} refuses everything: nobody is behind its service {}, and its failurePolicy is Fail", hook.name, hook.service)));
    else
      found.push_back(warning(fmt::format("{} is asked about objects of kube-system, and its failurePolicy is Fail: if it does not answer, "
                                          "nothing can be written there", hook.name)));
  }
  return found;
}

Observations deprecated(const Setup& setup, const Facts&) {
  std::vector<std::string> gone, later;
  for (const auto& api : seen(setup).deprecated) {
    const auto removed = readVersion(api.removedIn);
    const bool going = !api.removedIn.empty() && removed && !(setup.cluster.version.minor < removed->minor && setup.cluster.version.major == removed->major);
    (going ? gone : later).push_back(api.removedIn.empty() ? api.name : fmt::format("{} (until {})", api.name, api.removedIn));
  }
  Observations found;
  if (!gone.empty()) found.push_back(error("somebody asks for APIs that the new version does not have: " + join(gone, ", ")));
  if (!later.empty()) found.push_back(warning("somebody asks for outdated APIs: " + join(later, ", ")));
  std::vector<std::string> silent;
  for (const auto& [node, why] : seen(setup).unasked) silent.push_back(fmt::format("{} ({})", node, why));
  if (!silent.empty())
    found.push_back(warning("the API servers of these nodes could not be asked which outdated APIs are in use, and others do not know: " + join(silent, ", "),
                            "make them answer, and look again: kubestrap upgrade plan"));
  return found;
}

Observations corefile(const Setup& setup, const Facts&) {
  const auto tag = manifests::tagOf(setup.cluster.images.coreDns);
  if (setup.cluster.dnsDisabled) return {};
  const auto unknown = unknownIn(seen(setup).corefile, tag);
  if (unknown.empty()) return {};
  return {warning(fmt::format("the Corefile stays yours, and CoreDNS {} does not start with what it does not know in it: {}", tag, join(unknown, ", ")))};
}

Observations certificatesEnd(const Setup& setup, const Facts&) {
  constexpr auto soon = std::chrono::hours(24 * 30);
  const auto endsSoon = [&](TimePoint end) { return end - seen(setup).now < soon; };
  Observations found;
  std::vector<std::string> ending;
  for (const auto& [file, end] : seen(setup).certificateEnds)
    if (endsSoon(end)) ending.push_back(fmt::format("{} ({})", file, formatRfc3339(end)));
  if (!ending.empty())
    found.push_back(warning(fmt::format("certificates on {} end within 30 days: {}", setup.node.name, join(ending, ", ")),
                            seen(setup).renewsCertificates ? "this upgrade renews those of components; an authority's has to be changed by itself" : "kubestrap certs renew all"));
  for (const auto& [node, shown] : seen(setup).shownCertificates)
    if (endsSoon(shown.end))
      found.push_back(warning(fmt::format("the certificate that the API server of {} shows at {} ends within 30 days ({}); its other files are not seen from here", node, shown.endpoint, formatRfc3339(shown.end)),
                              fmt::format("on {}: kubestrap certs renew all", node)));
  return found;
}

Observations budgets(const Setup& setup, const Facts&) {
  if (seen(setup).disruptionBudgets.empty()) return {};
  return {warning("disruption budgets that allow no pod to go would block the drain of nodes: " + join(seen(setup).disruptionBudgets, ", "))};
}

Observations alone(const Setup& setup, const Facts&) {
  if (seen(setup).alone.empty()) return {};
  const auto names = join(seen(setup).alone, ", ");
  if (seen(setup).force) return {warning("pods that nobody makes anew elsewhere end with the drain of this node: " + names, "make them anew afterwards")};
  return {error("this node is drained for its kubelet, and nobody makes these pods anew elsewhere: " + names, "delete them, or give --force, which ends them")};
}

// ---- this machine

Observations manifestsAreThere(const Setup& setup, const Facts&) {
  std::vector<std::string> missing;
  for (const auto* name : {"kube-apiserver", "kube-controller-manager", "kube-scheduler"})
    if (!seen(setup).manifests.contains(name)) missing.push_back(name);
  if (missing.empty()) return {};
  return {error(fmt::format("the manifests of {} are not in {}", join(missing, ", "), config::paths::manifests.string()))};
}

Observations images(const Setup& setup, const Facts& facts) {
  return pullsNever(setup, Purpose::joinControlPlane) ? imagesPresent(setup, facts) : registryAnswers(setup, facts);
}

/// A roll does so only where nothing else would lead back.
bool takesSnapshot(const Setup& setup) {
  if (!manifests::isHosted(setup.cluster)) return true;
  const auto now = readVersion(seen(setup).etcd.version), wanted = readVersion(manifests::tagOf(setup.cluster.images.etcd));
  return setup.cluster.version.minor > seen(setup).from.minor || (seen(setup).upgradesEtcd && now && wanted && *now < *wanted);
}

Observations snapshotFits(const Setup& setup, const Facts& facts) {
  if (!takesSnapshot(setup)) return {};
  const auto disk = facts.disks.find(config::paths::kubelet.string());
  const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(0, seen(setup).etcd.size));
  if (disk == facts.disks.end() || disk->second.freeBytes >= 2 * size) return {};
  return {error(fmt::format("{} has {} MiB free, and a snapshot of etcd takes {} MiB", disk->second.mountPoint, disk->second.freeBytes >> 20, size >> 20))};
}

/// plain: a control plane whose own static pods are replaced.
enum class On { everyNode, controlPlane, plain, first };

enum class Weight {
  usual,
  firm,   ///< --ignore-preflight-errors does not move it
  ofRolls ///< where one node is upgraded by itself an error is a warning
};

struct Row {
  Gate gate;
  std::string_view remedy;
  On on;
  Observations (*judge)(const Setup&, const Facts&);
  Weight weight = Weight::usual;
};

constexpr Row rows[] = {
    {{"IsPrivilegedUser", "it is not root who asks"}, "run it as root", On::everyNode, isRoot},
    {{"ClusterAnswers", "no API server can be asked"}, "look at: kubectl get --raw /readyz", On::everyNode, clusterAnswers},
    {{"VersionSkew", "a minor version is left out; the version is older, or no release"}, "", On::first, skew, Weight::firm},
    {{"KubeletSkew", "kubelets are too old, or newer"}, "", On::first, kubelets},
    {{"StaticPodManifest", "a manifest of the control plane is missing"}, "run it on a control plane node", On::plain, manifestsAreThere},
    {{"ControlPlaneNodesReady", "this node is not Ready"}, "look at: journalctl -u kubelet", On::controlPlane, ownNode},
    {{"NodesReady", "other nodes are not Ready; an error where the roll goes there, too"}, "they are upgraded when they are back", On::everyNode, otherNodes, Weight::ofRolls},
    {{"DiskPressure", "kubelets of other nodes say that their disks have too little room; an error where the roll goes there, too"},
     "free some there: their kubelets remove images, the new version's too", On::everyNode, pressed, Weight::ofRolls},
    {{"EtcdHealthy", "most members of etcd are not healthy, or would not be while this node's restarts; an alarm is raised"},
     "look at etcd's pods: kubectl -n kube-system get pods -l component=etcd", On::controlPlane, etcdHealth},
    {{"EtcdVersion", "etcd would leave out a minor version"}, "", On::controlPlane, etcdVersion},
    {{"FailClosedWebhooks", "a webhook that refuses when it does not answer is asked about kube-system; an error if nobody is behind it"},
     "let it leave kube-system out (namespaceSelector), or set its failurePolicy to Ignore for the upgrade", On::controlPlane, webhooks},
    {{"DeprecatedAPIs", "APIs are in use that the new version does not have (error), or a later one, or an API server could not be asked for them (warning)"},
     "who asks for them: the API server's audit log, annotation k8s.io/deprecated", On::first, deprecated},
    {{"Corefile", "the Corefile has directives that the new CoreDNS does not know"},
     "replace them: kubectl -n kube-system edit configmap coredns; an image of your own that knows them is no matter", On::first, corefile},
    {{"CertificatesEnd", "certificates of this node end within 30 days, or one does that another API server shows to which the roll goes"}, "", On::controlPlane, certificatesEnd},
    {{"DisruptionBudgets", "budgets allow no pod to go"}, "give these workloads a further replica before their nodes are drained", On::everyNode, budgets},
    {{"PodsAlone", "with `--kubelet`: nobody makes pods of this node anew elsewhere; a warning with `--force`"}, "", On::everyNode, alone, Weight::firm},
    {{"CRI", "the container runtime does not answer"}, "look at: systemctl status containerd", On::everyNode, runtimeAnswers},
    {{"ImagePull", "images are missing, and may not be pulled or their registry does not answer"}, "import them: ctr -n k8s.io images import FILE",
     On::controlPlane, images},
    {{"DiskSpace", "there is too little room for images, etcd, or its snapshot"}, "free some", On::controlPlane, diskSpace},
    {{"SnapshotSpace", "a snapshot of etcd does not fit"}, "free some", On::controlPlane, snapshotFits},
};

bool concerns(On on, const Setup& setup, bool first) {
  switch (on) {
  case On::everyNode: return true;
  case On::first: return first;
  case On::controlPlane: return setup.node.controlPlane;
  case On::plain: return setup.node.controlPlane && !manifests::isHosted(setup.cluster);
  }
  return true;
}

template <class Concerns> plan::Findings judge(const Setup& setup, const Facts& facts, bool first, const Concerns& concerning) {
  plan::Findings findings;
  for (const auto& row : rows) {
    if (!concerning(row)) continue;
    const bool admitted = (row.weight != Weight::firm && isIgnored(setup, row.gate.name)) || (row.weight == Weight::ofRolls && !first);
    for (auto& one : row.judge(setup, facts))
      findings.push_back({.check = std::string(row.gate.name),
                          .severity = admitted ? Severity::warning : one.severity,
                          .evidence = std::move(one.evidence),
                          .remedy = one.remedy.empty() ? std::string(row.remedy) : std::move(one.remedy)});
  }
  return findings;
}

plan::Findings judge(const Setup& setup, const Facts& facts, bool first) {
  return judge(setup, facts, first, [&](const Row& row) { return concerns(row.on, setup, first); });
}

/// Of other settings: what they need, and no question of versions.
constexpr std::string_view ofSettings[] = {"IsPrivilegedUser", "ClusterAnswers", "StaticPodManifest", "EtcdHealthy", "CRI", "ImagePull"};

} // namespace

plan::Findings judgeUpgrade(const Setup& setup, const Facts& facts) { return judge(setup, facts, true); }
plan::Findings judgeUpgradeOfNode(const Setup& setup, const Facts& facts) { return judge(setup, facts, false); }

plan::Findings judgeReconfiguration(const Setup& setup, const Facts& facts) {
  return judge(setup, facts, false, [](const Row& row) { return std::ranges::find(ofSettings, row.gate.name) != std::end(ofSettings); });
}

std::span<const Gate> upgradeGates() {
  static const auto gates = [] {
    std::array<Gate, std::size(rows)> all;
    std::ranges::transform(rows, all.begin(), &Row::gate);
    return all;
  }();
  return gates;
}

} // namespace kubestrap::phases
