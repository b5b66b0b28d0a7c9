// What an upgrade goes by: the operator's wishes, the cluster's own configuration, this node, and what is seen of the cluster.
#include "cmd/configuration_file.hpp"
#include "cmd/look.hpp"
#include "cmd/renewal.hpp"
#include "cmd/upgrade.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"

#include "config/assemble.hpp"
#include "config/load.hpp"
#include "config/machine_defaults.hpp"
#include "config/patches.hpp"
#include "config/store.hpp"
#include "config/versions.hpp"
#include "kube/client.hpp"
#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "phases/node.hpp"
#include "phases/upgrade.hpp"
#include "plan/upgrading.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using config::v1beta4::UpgradeConfiguration;
namespace paths = config::paths;
using Warnings = std::vector<std::string>;

constexpr ConfigurationKind kind{"UpgradeConfiguration", "upgrade, which goes by the cluster's own configuration", "upgrade-defaults"};

/// What the file's part for this command says; a flag that was given counts before it.
struct Wish {
  std::string version;
  bool asksForRenewal = false; ///< by name, and not by default
  bool renewsCertificates = true, upgradesEtcd = true, force = false, experimental = false, releaseCandidates = false, dryRun = false;
  std::string patches, pullPolicy = "IfNotPresent";
  std::vector<std::string> ignored, skipped;
};

template <class Part> std::string patchesOf(const Part& part) { return part.patches ? part.patches->directory : ""; }

template <class Part> void takeNodesPart(Wish& wish, const Part& part) {
  wish.renewsCertificates = part.certificateRenewal.value_or(true);
  wish.asksForRenewal = part.certificateRenewal.value_or(false);
  wish.upgradesEtcd = part.etcdUpgrade.value_or(true);
  wish.dryRun = part.dryRun.value_or(false);
  wish.patches = patchesOf(part);
  wish.ignored = part.ignorePreflightErrors;
  wish.skipped = part.skipPhases;
  if (!part.imagePullPolicy.empty()) wish.pullPolicy = part.imagePullPolicy;
}

Wish wishOf(Upgrade what, const UpgradeConfiguration& file, const UpgradeOptions& options) {
  Wish wish;
  switch (what) {
  case Upgrade::apply:
    takeNodesPart(wish, file.apply);
    wish.version = file.apply.kubernetesVersion;
    wish.force = file.apply.forceUpgrade.value_or(false);
    wish.experimental = file.apply.allowExperimentalUpgrades.value_or(false);
    wish.releaseCandidates = file.apply.allowRCUpgrades.value_or(false);
    break;
  case Upgrade::node: takeNodesPart(wish, file.node); break;
  case Upgrade::plan:
    wish.version = file.plan.kubernetesVersion;
    wish.upgradesEtcd = file.plan.etcdUpgrade.value_or(true);
    wish.experimental = file.plan.allowExperimentalUpgrades.value_or(false);
    wish.releaseCandidates = file.plan.allowRCUpgrades.value_or(false);
    wish.ignored = file.plan.ignorePreflightErrors;
    wish.patches = patchesOf(file.apply); // it says what apply would do
    break;
  case Upgrade::diff:
    wish.version = file.diff.kubernetesVersion;
    wish.patches = patchesOf(file.apply);
    break;
  case Upgrade::rollback: wish.patches = patchesOf(file.apply); break;
  }
  if (options.kubernetesVersion) wish.version = *options.kubernetesVersion;
  if (options.certificateRenewal) wish.renewsCertificates = wish.asksForRenewal = *options.certificateRenewal;
  if (options.etcdUpgrade) wish.upgradesEtcd = *options.etcdUpgrade;
  if (options.experimental) wish.experimental = *options.experimental;
  if (options.releaseCandidates) wish.releaseCandidates = *options.releaseCandidates;
  if (options.patches) wish.patches = *options.patches;
  if (options.skipPhases) wish.skipped = *options.skipPhases;
  wish.force = wish.force || options.force;
  wish.dryRun = wish.dryRun || options.dryRun;
  for (const auto& name : options.ignorePreflightErrors.value_or(std::vector<std::string>{})) wish.ignored.push_back(name);
  return wish;
}

// ---- the cluster's configuration

Document* clusterConfiguration(std::vector<Document>& documents) {
  const auto found = std::ranges::find_if(documents, [](const auto& each) { return stringAt(each.value, "kind") == "ClusterConfiguration"; });
  if (found == documents.end()) throw Error("the cluster keeps no ClusterConfiguration", "run: kubestrap init phase upload-config all, on a control plane");
  return &*found;
}

/// The newest that can be reached in one step.
Version newestFrom(const Version& now) {
  for (const auto& row : config::supportedMinors())
    if (row.minor == now.minor + 1) return parseVersion(row.defaultPatch);
  const auto* minor = config::findMinor(now);
  if (!minor) throw Error(fmt::format("no version can be reached from {}", now.tag()), "this kubestrap knows " + config::supportedVersions(), ExitCode::usage);
  const auto newest = parseVersion(minor->defaultPatch);
  return newest < now ? now : newest;
}

Version targetOf(Upgrade what, const Wish& wish, const UpgradeOptions& options, const Version& now, Warnings& warnings) {
  if (what == Upgrade::node || what == Upgrade::rollback) return now;
  if (!wish.version.empty()) return config::resolveVersion(wish.version, warnings);
  if (what == Upgrade::apply && options.onlyPhase) return now;
  if (what == Upgrade::apply)
    throw Error("the version to upgrade to was not given", fmt::format("kubestrap upgrade apply {}; what can be reached: kubestrap upgrade plan", newestFrom(now).tag()),
                ExitCode::usage);
  return newestFrom(now);
}

// ---- this node

/// What was renewed within the last day is left: a run that goes on does not begin again.
Duration renewalMargin(const config::Cluster& cluster) {
  const auto life = cluster.pki.certificateLife;
  return life > std::chrono::hours(48) ? life - std::chrono::hours(24) : life / 2;
}

/// Where an administrator's file is not: a worker has its kubelet's only.
config::Path kubeconfigOf(const UpgradeOptions& options, bool controlPlane) {
  if (options.kubeconfig) return std::filesystem::absolute(*options.kubeconfig);
  return controlPlane ? paths::adminConf : paths::kubeletConf;
}

} // namespace

OwnDocuments ownDocuments(const config::Path& kubeconfig, Machine& machine) {
  auto& host = machine.host();
  std::string trouble = kubeconfig.string() + " is absent";
  try {
    if (const auto found = readKubeconfig(host, kubeconfig)) {
      kube::Client client(machine.http(), *found);
      if (auto documents = storedDocuments(client); !documents.empty()) return {std::move(documents), {}};
      trouble = "ConfigMap kube-system/kubeadm-config is absent";
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const net::TransportError& error) {
    trouble = error.message();
  } catch (const kube::ApiError& error) {
    trouble = error.message();
  }
  const auto kept = host.read(phases::upgradeConfiguration);
  if (!kept)
    throw Error(fmt::format("the cluster's configuration cannot be read: {}", trouble), "the cluster has to be in order before it is changed: look at kubectl get --raw /readyz");
  return {parseYaml(*kept, phases::upgradeConfiguration.string()), std::move(trouble)};
}

std::map<std::string, std::string> formerManifests(host::Host& host) {
  std::map<std::string, std::string> found;
  for (const auto& component : manifests::components()) {
    auto text = host.read(phases::formerManifest(component.name));
    if (!text) text = host.read(manifests::manifestPath(component));
    if (text) found[std::string(component.name)] = std::move(*text);
  }
  return found;
}

config::Setup prepareUpgrade(Upgrade what, const UpgradeOptions& options, Machine& machine, config::Facts& facts) {
  Warnings warnings;
  auto& host = machine.host();
  const auto file = configurationIn<UpgradeConfiguration>(options.configFile, kind, machine, warnings);
  const auto wish = wishOf(what, file, options);
  const bool controlPlane = isControlPlane(host);
  if (!controlPlane && what != Upgrade::node)
    throw Error("this machine is no control plane of a cluster", "run it on the first control plane node; on a worker: kubestrap upgrade node");
  if (options.drained && controlPlane) throw Error("this machine is a control plane", "kubestrap upgrade node", ExitCode::usage);
  if (options.kubelet && !controlPlane && !options.kubeconfig && !options.drained)
    throw Error("a worker's own credentials may not drain it", "give --kubeconfig with an administrator's file", ExitCode::usage);

  auto own = ownDocuments(kubeconfigOf(options, controlPlane), machine);
  auto& kept = *clusterConfiguration(own.documents);
  const auto now = parseVersion(stringAt(kept.value, "kubernetesVersion"));
  const auto target = targetOf(what, wish, options, now, warnings);
  kept.value["kubernetesVersion"] = target.tag();

  config::Setup setup{.cluster = config::clusterFromDocuments(own.documents, warnings)};
  setup.node = controlPlane ? ownNode(machine, setup.cluster) : workerNode(machine, setup.cluster);
  setup.node.controlPlane = controlPlane;
  completeNode(setup.node, facts, host, setup.cluster);
  setup.node.pullPolicy = config::pullPolicy(wish.pullPolicy);
  goOffline(options.bundle, setup);
  auto& request = setup.request;
  request.dryRun = wish.dryRun;
  if (options.kubeconfig) request.kubeconfig = kubeconfigOf(options, controlPlane);
  request.timeouts = config::timeouts(*file.timeouts);
  request.ignorePreflightErrors = wish.ignored;
  request.skipPhases = wish.skipped;
  request.patchesDirectory = wish.patches;
  if (!wish.patches.empty()) request.patches = readPatches(host, wish.patches, warnings);
  auto& upgrading = request.upgrading;
  const bool rolls = controlPlane && manifests::isHosted(setup.cluster);
  upgrading.renewsCertificates = wish.renewsCertificates && controlPlane && !rolls;
  if (rolls && wish.asksForRenewal) upgrading.unheeded.push_back("a roll of control planes of layout hosted leaves certificates as they are; on each of them: kubestrap certs renew all");
  upgrading.upgradesEtcd = wish.upgradesEtcd;
  upgrading.force = wish.force;
  upgrading.experimental = wish.experimental;
  upgrading.releaseCandidates = wish.releaseCandidates;
  if (options.kubelet && !options.drained) upgrading.kubeletProgram = std::filesystem::absolute(*options.kubelet).string();
  if (options.drainTimeout) upgrading.drainPatience = parseDuration(*options.drainTimeout);
  upgrading.from = now;
  upgrading.goesOn = host.status(phases::upgradeConfiguration).has_value();
  upgrading.manifests = formerManifests(host);
  std::vector<Value> documents;
  for (auto& document : own.documents) documents.push_back(document.value);
  upgrading.configuration = emitYamlStream(documents);
  if (upgrading.renewsCertificates) takeWishes(setup.cluster.pki, host);
  if (upgrading.renewsCertificates) request.renewal = {.wanted = renewableHere(host, {setup.cluster, true}), .within = renewalMargin(setup.cluster)};
  for (const auto* told : {&warnings, &upgrading.unheeded})
    for (const auto& warning : *told) log::warn(warning);

  auto& runtime = machine.useRuntime(setup.node.criSocket);
  lookFurther(facts, controlPlane ? phases::Purpose::joinControlPlane : phases::Purpose::joinWorker, setup, machine, runtime);
  if (!controlPlane && !options.kubeconfig) return setup; // a worker's own credentials show it nothing but itself
  auto world = machine.world();
  plan::lookAtUpgrade(setup, phases::etcdAccessOf(setup.cluster, phases::asAdmin(setup)), world);
  if (auto& members = upgrading.etcd.members; members.empty()) members = phases::etcdMembersIn(host.read(phases::upgradeEtcdMembers).value_or(""));
  return setup;
}

} // namespace kubestrap::cmd
