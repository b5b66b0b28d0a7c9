// An add-on's objects in an order that needs no pod of its own: what the API server asks a webhook of an add-on is made before that webhook is
// known to it, so that a cluster without workers gets all of it at once.
#include "phases/addons.hpp"

#include "config/addons.hpp"
#include "kube/kinds.hpp"
#include "manifests/addon_objects.hpp"
#include "manifests/cluster_objects.hpp"
#include "phases/in_cluster.hpp"
#include "phases/node.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kubestrap::phases {

namespace {

using config::ObjectName;
using config::Setup;
using plan::Access;
using plan::Phase;
using plan::Resources;
using Digests = std::map<ObjectName, std::string>; ///< of Jobs

Access accessOf(const Setup& setup) { return setup.request.kubeconfig ? Access{*setup.request.kubeconfig, {}} : asAdmin(setup); }

const config::AddonSeen* seenOf(const Setup& setup, std::string_view name) {
  const auto found = setup.request.addons.find(std::string(name));
  return found == setup.request.addons.end() ? nullptr : &found->second;
}

/// How many pods there are is the operator's, or an autoscaler's, from the first day on.
std::vector<Pointer> initialOnly(const Value& document) {
  const auto kind = stringAt(document, "kind");
  return kind == "Deployment" || kind == "StatefulSet" ? std::vector{Pointer("/spec/replicas")} : std::vector<Pointer>{};
}

/// A Job that is done is left alone: it may have been taken away since.
void appendObjects(Resources& resources, const std::vector<Value>& documents, const Access& access, const Digests& done = {}) {
  for (const auto& each : documents) {
    if (done.contains(manifests::nameOf(each))) continue;
    const auto secrecy = stringAt(each, "kind") == "Secret" ? plan::Secrecy::secret : plan::Secrecy::open;
    resources.push_back(plan::Object{.document = each, .access = access, .fills = {}, .secrecy = secrecy, .initialOnly = initialOnly(each), .judge = plan::Judge::server});
  }
}

plan::Object absent(const ObjectName& name, const Access& access) {
  Value document{{"apiVersion", name.apiVersion}, {"kind", name.kind}, {"metadata", {{"name", name.name}}}};
  if (!name.nameSpace.empty()) document["metadata"]["namespace"] = name.nameSpace;
  return {.document = std::move(document), .mode = plan::ApplyMode::absent, .access = access, .fills = {}, .initialOnly = {}, .awaited = true};
}

plan::Object record(std::string_view name, const std::vector<ObjectName>& objects, const Digests& jobs, const Access& access) {
  return {.document = manifests::addonRecord(name, objects, jobs), .access = access, .fills = {}, .initialOnly = {}};
}

/// Another version of its API is no other object.
bool isAmong(const ObjectName& object, const std::vector<ObjectName>& objects) {
  return std::ranges::any_of(objects, [&](const ObjectName& other) {
    return kube::groupOf(other.apiVersion) == kube::groupOf(object.apiVersion) && other.kind == object.kind && other.nameSpace == object.nameSpace && other.name == object.name;
  });
}

/// Those of `all` that are not among `others`.
std::vector<ObjectName> without(const std::vector<ObjectName>& others, const std::vector<ObjectName>& all) {
  std::vector<ObjectName> rest;
  std::ranges::copy_if(all, std::back_inserter(rest), [&](const ObjectName& each) { return !isAmong(each, others); });
  return rest;
}

/// What the records of all add-ons have but for these.
std::vector<ObjectName> recordedBesides(const std::vector<std::string>& names, const Setup& setup) {
  std::vector<ObjectName> objects;
  for (const auto& [name, seen] : setup.request.addons)
    if (std::ranges::find(names, name) == names.end()) objects.insert(objects.end(), seen.installed.begin(), seen.installed.end());
  return objects;
}

/// What the record says: before anything is made, and when all is.
struct Records {
  std::vector<ObjectName> before, after, surplus;
};

Records recordsOf(const std::vector<ObjectName>& installed, const std::vector<ObjectName>& now) {
  Records records;
  // What holds data of others is taken away when the whole add-on is, and not since a newer manifest lacks it.
  for (const auto& each : without(now, installed)) (manifests::holdsData(each) ? records.after : records.surplus).push_back(each);
  records.after.insert(records.after.end(), now.begin(), now.end());
  records.before = records.after;
  records.before.insert(records.before.end(), records.surplus.begin(), records.surplus.end());
  // In another order it says the same.
  if (std::ranges::is_permutation(records.before, installed)) records.before = installed;
  return records;
}

std::vector<plan::RolledOut::Workload> workloads(const std::vector<Value>& objects) {
  std::vector<plan::RolledOut::Workload> found;
  for (const auto& each : objects)
    if (const auto kind = stringAt(each, "kind"); manifests::isWorkload(kind))
      found.push_back({kind, stringAt(each, "metadata.namespace"), stringAt(each, "metadata.name")});
  return found;
}

/// Compared with the record that was written first, and not with the one before that.
void appendLastRecord(Resources& resources, std::string_view name, plan::Object last, const Setup& setup) {
  const auto key = manifests::addonRecordName(name);
  resources.push_back(plan::Condition{.what = fmt::format("the cluster has a record of {}", name),
                                      .probe = plan::ObjectExists{last.access, key.apiVersion, key.kind, key.nameSpace, key.name},
                                      .patience = setup.request.timeouts.kubernetesAPICall,
                                      .hint = "run the command again",
                                      .fatal = {}});
  resources.push_back(std::move(last));
}

Resources addon(const Setup& setup, const Phase& phase) {
  const auto* asked = config::findAddon(setup.cluster.kubestrap.addons, phase.name);
  const auto* seen = seenOf(setup, phase.name);
  if (!asked || !seen || seen->manifest.empty()) return {};
  const auto access = accessOf(setup);
  const auto made = manifests::addonObjects(setup.cluster, *asked, *seen);
  const auto all = manifests::inOrder(made);
  // Recorded before it is made, and what goes is recorded until it is gone: a run that is stopped leaves nothing that nobody knows of.
  const auto records = recordsOf(seen->installed, without(made.ofOthers, manifests::namesOf(all)));
  Resources resources{record(phase.name, records.before, made.done, access)};
  appendObjects(resources, made.first, access);
  if (!made.definitions.empty())
    resources.push_back(plan::Condition{.what = fmt::format("the cluster serves the kinds of {}", phase.name),
                                        .probe = plan::KindsServed{access, made.definitions},
                                        .patience = setup.request.timeouts.kubernetesAPICall,
                                        .hint = "look at: kubectl get crds; another add-on may have taken their names",
                                        .fatal = {}});
  // From here on all kinds are known.
  appendObjects(resources, made.rest, access, made.done);
  appendObjects(resources, made.last, access);
  for (const auto& each : without(recordedBesides({std::string(phase.name)}, setup), records.surplus)) resources.push_back(absent(each, access));
  if (!records.surplus.empty() || made.done.size() < made.jobs.size()) appendLastRecord(resources, phase.name, record(phase.name, records.after, made.jobs, access), setup);
  if (auto of = workloads(all); setup.request.addonPatience && !of.empty())
    resources.push_back(plan::Condition{.what = fmt::format("the pods of {} are ready", phase.name),
                                        .probe = plan::RolledOut{access, std::move(of)},
                                        .patience = *setup.request.addonPatience,
                                        .hint = "look at: kubectl get pods -A; kubestrap addons status",
                                        .fatal = {}});
  return resources;
}

/// What an API server asks goes first, and what has a controller of the add-on before that one, which may have to tidy up behind it; what
/// holds the others goes last.
std::vector<ObjectName> inOrderOfRemoval(const std::vector<ObjectName>& installed) {
  const auto rank = [](const ObjectName& each) {
    if (manifests::isLate(each.kind)) return 0;
    if (!kube::findKind(each.apiVersion, each.kind)) return 1;
    return each.kind == "CustomResourceDefinition" ? 3 : each.kind == "Namespace" ? 4 : 2;
  };
  std::vector<ObjectName> objects(installed.rbegin(), installed.rend());
  std::ranges::stable_sort(objects, {}, rank);
  return objects;
}

Resources withoutAddon(const Setup& setup, const Phase& phase) {
  const auto* seen = seenOf(setup, phase.name);
  if (!seen) return {};
  const auto access = accessOf(setup);
  Resources resources;
  for (const auto& each : inOrderOfRemoval(seen->installed)) resources.push_back(absent(each, access));
  resources.push_back(absent(manifests::addonRecordName(phase.name), access));
  return resources;
}

std::vector<Phase> phasesOf(Resources (*desired)(const Setup&, const Phase&)) {
  std::vector<Phase> phases;
  for (const auto& row : config::addonRows()) phases.push_back({.name = row.name, .summary = row.summary, .desired = desired});
  return phases;
}

/// The cluster's own record of what it shall have.
Resources configuration(const Setup& setup, const Phase&) { return objects(manifests::uploadedKubestrapConfig(setup.cluster), accessOf(setup)); }

} // namespace

std::span<const Phase> addonPhases() {
  static const auto phases = phasesOf(addon);
  return phases;
}

const plan::Workflow& addonsWorkflow() {
  // Before what may take long: it is the whole configuration, as it was read.
  static const Phase phases[] = {{.name = "upload-config", .summary = "Keep in the cluster which add-ons it has", .desired = configuration},
                                 {.name = "addon", .summary = "Install the add-ons of the configuration", .children = addonPhases()}};
  static const plan::Workflow workflow{"addons", "Install the add-ons of the configuration", phases};
  return workflow;
}

const plan::Workflow& addonsRemoval() {
  static const auto removals = phasesOf(withoutAddon);
  static const Phase phases[] = {{.name = "upload-config", .summary = "Keep in the cluster which add-ons it has", .desired = configuration},
                                 {.name = "addon", .summary = "Remove add-ons", .children = removals}};
  static const plan::Workflow workflow{"addons remove", "Remove add-ons", phases};
  return workflow;
}

void leaveShared(Setup& setup, const std::vector<std::string>& going) {
  const auto others = recordedBesides(going, setup);
  for (auto& [name, seen] : setup.request.addons)
    if (std::ranges::find(going, name) != going.end()) seen.installed = without(others, seen.installed);
}

std::map<std::string, std::vector<std::string>> addonImages(const Setup& setup) {
  std::map<std::string, std::vector<std::string>> images;
  for (const auto& addon : setup.cluster.kubestrap.addons)
    if (const auto* seen = seenOf(setup, addon.name); seen && !seen->manifest.empty())
      for (const auto& image : manifests::imagesIn(manifests::inOrder(manifests::addonObjects(setup.cluster, addon, *seen)))) images[image].push_back(addon.name);
  return images;
}

std::string forbiddenPulls(const std::vector<std::string>& images, const Setup& setup) {
  const auto wanted = addonImages(setup);
  std::vector<std::string> named;
  for (const auto& image : images) {
    const auto by = wanted.find(image);
    named.push_back(by == wanted.end() ? image : fmt::format("{} (of {})", image, join(by->second, ", ")));
  }
  return fmt::format("the runtime has to pull {}, and --offline forbids it", join(named, ", "));
}

std::vector<Problem> addonProblems(const Setup& setup) {
  std::vector<Problem> problems;
  for (const auto& [name, seen] : setup.request.addons) {
    const auto* asked = config::findAddon(setup.cluster.kubestrap.addons, name);
    if (!asked) continue;
    try {
      manifests::addonObjects(setup.cluster, *asked, seen);
    } catch (const Error& error) {
      problems.push_back({.field = "addons." + name, .message = error.message(), .remedy = error.hint()});
    }
  }
  return problems;
}

} // namespace kubestrap::phases
