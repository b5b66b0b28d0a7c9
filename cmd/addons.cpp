// addons: the add-ons of a cluster that stands, by the engine and the phases that init has.
#include "cmd/addons_look.hpp"
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/rotation_look.hpp"
#include "cmd/workflow.hpp"

#include "config/addons.hpp"
#include "config/assemble.hpp"
#include "config/load.hpp"
#include "config/v1alpha1.hpp"
#include "manifests/addon_objects.hpp"
#include "phases/addons.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

namespace kubestrap::cmd {

namespace {

struct AddonsOptions {
  std::optional<std::string> kubeconfig, configFile, wait;
  bool dryRun = false, exitCode = false, yes = false, offline = false;
};

using Names = std::vector<std::string>;

/// What the add-ons of a file say, checked beside the cluster that is there.
void takeConfiguration(const std::string& file, config::Cluster& cluster, Machine& machine) {
  const auto documents = machine.readDocuments(file);
  const auto found = std::ranges::find_if(documents, [](const Document& each) { return stringAt(each.value, "kind") == config::v1alpha1::kind; });
  if (found == documents.end()) throw Error(fmt::format("{} has no {}", file, config::v1alpha1::kind), "its field addons says which add-ons there shall be", ExitCode::usage);
  std::vector<std::string> warnings;
  auto problems = config::validateDocuments({*found}, warnings);
  if (problems.empty()) {
    cluster.kubestrap.addons = config::v1alpha1::decode(found->value).addons;
    config::validateAddons(cluster.kubestrap.addons, config::clusterConfiguration(cluster),
                           {.where = [&](const std::string& pointer) { return found->where(pointer); }, .problems = problems});
  }
  if (!problems.empty()) throw Problems(std::move(problems));
}

/// The cluster that a kubeconfig leads to, with its configuration.
struct Standing {
  config::Setup setup;
  kube::Client client;
};

Standing standing(const AddonsOptions& options, Machine& machine) {
  const auto path = options.kubeconfig ? std::filesystem::absolute(*options.kubeconfig) : config::paths::adminConf;
  const auto kubeconfig = readKubeconfig(machine.host(), path);
  if (!kubeconfig) throw Error(fmt::format("{} is absent", path.string()), "run it on a control plane node, or name a kubeconfig with --kubeconfig");
  kube::Client client(machine.http(), *kubeconfig);
  auto cluster = storedCluster(client);
  if (!cluster) throw Error("the cluster does not keep its configuration: ConfigMap kube-system/kubeadm-config is absent", "only clusters of kubestrap's or kubeadm's get add-ons");
  if (options.configFile) takeConfiguration(*options.configFile, *cluster, machine);
  config::Setup setup{.cluster = *std::move(cluster), .node = {}, .request = {}};
  setup.request.kubeconfig = path;
  if (options.wait) setup.request.addonPatience = parseDuration(*options.wait);
  setup.node.criSocket = recordedSocket(machine.host()).value_or(foundSocket({}));
  machine.useRuntime(setup.node.criSocket); // which is asked for images only
  return {std::move(setup), std::move(client)};
}

bool isAmong(const std::string& name, const Names& names) { return names.empty() || std::ranges::find(names, name) != names.end(); }

void checkNames(const Names& names) {
  for (const auto& name : names)
    if (std::ranges::find(config::addonRows(), name, &config::AddonRow::name) == config::addonRows().end()) {
      Names known;
      for (const auto& row : config::addonRows()) known.emplace_back(row.name);
      throw Error(fmt::format("there is no add-on {}", name), "one of " + join(known, ", "), ExitCode::usage);
    }
}

/// All but these are left out.
plan::Selection selecting(const Names& names) {
  plan::Selection selection;
  for (const auto& row : config::addonRows())
    if (!isAmong(std::string(row.name), names)) selection.skip.push_back(fmt::format("addon/{}", row.name));
  return selection;
}

Value asValue(const Names& names) {
  Value list = Value::array();
  for (const auto& each : names) list.push_back(each);
  return list;
}

/// Those that the cluster has and that nobody asks for any more.
Names unasked(const config::Setup& setup) {
  Names names;
  for (const auto& [name, seen] : setup.request.addons)
    if (!seen.installed.empty() && !config::findAddon(setup.cluster.kubestrap.addons, name)) names.push_back(name);
  return names;
}

/// Runs a workflow and tells what it has, or would have, done.
ExitCode perform(const plan::Workflow& workflow, const plan::Selection& selection, const config::Setup& setup, const AddonsOptions& options, std::string_view kind, Machine& machine,
                 const Names& leftOver) {
  const auto mode = options.dryRun ? plan::Mode::plan : plan::Mode::apply;
  const auto reporter = reporterFor(mode);
  auto world = machine.world();
  auto lock = options.dryRun ? nullptr : machine.host().lock(std::string(workflow.command));
  const auto outcome = plan::run(workflow, selection, setup, {}, world, mode, *reporter, std::string(workflow.command));
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(fmt::format("{}{}", kind, options.dryRun ? "Plan" : "Result"));
    document["changed"] = outcome.changed();
    document["changes"] = changesAsValue(outcome);
    document["notInConfiguration"] = asValue(leftOver);
    printResult(document, as);
  } else if (!outcome.changed()) {
    fmt::print("all is as it shall be\n");
  }
  return options.exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

ExitCode install(const AddonsOptions& options, const Names& names) {
  checkNames(names);
  Machine machine(globals().rootfs);
  refuseWhileRotating(machine.host(), "a change of add-ons");
  auto [setup, client] = standing(options, machine);
  for (const auto& name : names)
    if (!config::findAddon(setup.cluster.kubestrap.addons, name))
      throw Error(fmt::format("{} is not among the add-ons of the configuration", name), "name a file with --config whose addons have it", ExitCode::usage);
  takeAddons(setup, machine.host(), [&](const std::string& name) { return isAmong(name, names); });
  takeAddonRecords(setup, client);
  if (options.offline) refusePulls(setup, machine.world().cri);
  const auto leftOver = unasked(setup);
  for (const auto& name : leftOver) log::warn(fmt::format("{} is installed, and the configuration does not have it: kubestrap addons remove {}", name, name));
  return perform(phases::addonsWorkflow(), selecting(names), setup, options, "Addons", machine, leftOver);
}

/// ", with all in or of: Namespace metallb-system, CustomResourceDefinition ipaddresspools.metallb.io"
std::string withAllIn(const std::vector<config::ObjectName>& objects) {
  Names names;
  for (const auto& each : objects)
    if (manifests::holdsData(each)) names.push_back(fmt::format("{} {}", each.kind, each.name));
  return names.empty() ? "" : ", with all in or of: " + join(names, ", ");
}

ExitCode remove(const AddonsOptions& options, const Names& names) {
  checkNames(names);
  if (names.empty()) throw Error("no add-on was named", "kubestrap addons status shows which there are", ExitCode::usage);
  Machine machine(globals().rootfs);
  refuseWhileRotating(machine.host(), "a change of add-ons");
  auto [setup, client] = standing(options, machine);
  takeAddonRecords(setup, client);
  phases::leaveShared(setup, names);
  std::erase_if(setup.request.addons, [&](const auto& each) { return !isAmong(each.first, names); });
  for (const auto& name : names)
    if (!setup.request.addons.contains(name)) log::warn(fmt::format("the cluster has no record of {}: nothing of it is removed but its name in the configuration", name));
  if (!options.dryRun && !options.yes) {
    for (const auto& [name, seen] : setup.request.addons)
      fmt::print(stderr, "{}: {} objects go{}\n", name, seen.installed.size(), withAllIn(seen.installed));
    confirmOrEnd();
    if (auto now = storedCluster(client)) setup.cluster = *std::move(now); // others may have changed it before the answer
  }
  std::erase_if(setup.cluster.kubestrap.addons, [&](const auto& each) { return isAmong(each.name, names); });
  return perform(phases::addonsRemoval(), selecting(names), setup, options, "AddonsRemoval", machine, {});
}

// ---- status

struct Status {
  std::string name;
  bool asked = false, installed = false;
  std::size_t objects = 0;
  Names missing;       ///< objects that are recorded and not there
  std::string pods;    ///< "ready", or what is lacking; empty: it has none
  Names images;
  bool isWell() const { return asked == installed && missing.empty() && (pods.empty() || pods == "ready"); }
};

Status statusOf(const std::string& name, const config::Setup& setup, kube::Client& client, plan::World& world) {
  Status status{.name = name, .asked = config::findAddon(setup.cluster.kubestrap.addons, name) != nullptr, .missing = {}, .pods = {}, .images = {}};
  const auto seen = setup.request.addons.find(name);
  if (seen == setup.request.addons.end()) return status;
  status.installed = true;
  status.objects = seen->second.installed.size();
  std::vector<plan::RolledOut::Workload> workloads;
  std::vector<Value> found;
  for (const auto& each : seen->second.installed) {
    const kube::ObjectKey key{each.apiVersion, each.kind, each.nameSpace, each.name};
    auto live = client.get(key);
    if (!live && each.kind != "Job") status.missing.push_back(key.string()); // which may be gone when it is done
    else if (live && manifests::isWorkload(each.kind)) workloads.push_back({each.kind, each.nameSpace, each.name}), found.push_back(*std::move(live));
  }
  status.images = manifests::imagesIn(found);
  if (workloads.empty()) return status;
  const auto change = plan::verdict(
      plan::Condition{.what = "its pods are ready", .probe = plan::RolledOut{{*setup.request.kubeconfig, {}}, workloads}, .patience = {}, .hint = {}, .fatal = {}}, world);
  status.pods = change.verb == plan::Verb::keep ? "ready" : change.reason;
  return status;
}

Value asValue(const Status& status) {
  return {{"name", status.name},       {"inConfiguration", status.asked}, {"installed", status.installed}, {"objects", status.objects},
          {"missing", asValue(status.missing)}, {"pods", status.pods},       {"images", asValue(status.images)}, {"well", status.isWell()}};
}

ExitCode show(const AddonsOptions& options) {
  Machine machine(globals().rootfs);
  auto [setup, client] = standing(options, machine);
  takeAddonRecords(setup, client);
  auto world = machine.world();
  std::vector<Status> all;
  for (const auto& row : config::addonRows()) {
    const std::string name(row.name);
    if (config::findAddon(setup.cluster.kubestrap.addons, name) || setup.request.addons.contains(name)) all.push_back(statusOf(name, setup, client, world));
  }
  const bool well = std::ranges::all_of(all, &Status::isWell);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("AddonsStatus");
    document["addons"] = Value::array();
    for (const auto& each : all) document["addons"].push_back(asValue(each));
    printResult(document, as);
  } else if (all.empty()) {
    fmt::print("no add-ons: the configuration asks for none, and none was installed by kubestrap\n");
  } else {
    std::vector<Names> rows{{"NAME", "CONFIGURED", "INSTALLED", "OBJECTS", "PODS", "IMAGES"}};
    for (const auto& each : all)
      rows.push_back({each.name, each.asked ? "yes" : "no", each.installed ? "yes" : "no",
                      each.missing.empty() ? std::to_string(each.objects) : fmt::format("{} of {}, without {}", each.objects - each.missing.size(), each.objects, join(each.missing, ", ")),
                      orDash(each.pods), orDash(join(each.images, ", "))});
    fmt::print("{}", table(rows));
  }
  return options.exitCode && !well ? ExitCode::differs : ExitCode::done;
}

// ---- the commands

std::vector<std::string> allNames() {
  std::vector<std::string> names;
  for (const auto& row : config::addonRows()) names.emplace_back(row.name);
  return names;
}

Flag configFlag(AddonsOptions& options) {
  return {.name = "config", .into = &options.configFile, .doc = "A file whose KubestrapConfiguration says which add-ons there shall be; by itself the cluster's own does", .value = "FILE"};
}
Flag exitCodeFlag(AddonsOptions& options, std::string doc) { return {.name = "exit-code", .into = &options.exitCode, .doc = std::move(doc)}; }

} // namespace

Command addonsCommand() {
  const auto options = std::make_shared<AddonsOptions>();
  const auto dryRun = [options] { return Flag{.name = "dry-run", .into = &options->dryRun, .doc = "Only say what would be done"}; };
  return {.name = "addons",
          .summary = "Pod network, load balancer, ingress, metrics, storage of a cluster",
          .description = "Installs what the field addons of the configuration asks for, from manifests on this machine, as init does it; tells how it is, and removes it again.",
          .children = {
              {.name = "plan",
               .summary = "Say what apply would do",
               .flags = [options] { return std::vector<Flag>{configFlag(*options), exitCodeFlag(*options, "End with 4 where apply would change something"), kubeconfigFlag(options->kubeconfig)}; },
               .arguments = "[NAME...]",
               .run =
                   [options](const auto& given) {
                     options->dryRun = true;
                     return install(*options, given);
                   },
               .choices = allNames()},
              {.name = "apply",
               .summary = "Install what the configuration asks for; what is as it should be is kept",
               .flags =
                   [options, dryRun] {
                     return std::vector<Flag>{configFlag(*options), dryRun(), exitCodeFlag(*options, "End with 4 where something was, or would be, changed"), kubeconfigFlag(options->kubeconfig),
                                              {.name = "offline", .into = &options->offline, .doc = "Apply nothing whose images are not in the runtime of this machine"},
                                              {.name = "wait", .into = &options->wait, .doc = "Wait until the pods are ready, for so long at most", .value = "DURATION"}};
                   },
               .arguments = "[NAME...]",
               .run = [options](const auto& given) { return install(*options, given); },
               .choices = allNames()},
              {.name = "status",
               .summary = "Show which add-ons there are, and whether their pods are ready",
               .flags = [options] { return std::vector<Flag>{exitCodeFlag(*options, "End with 4 where one is not as it should be"), kubeconfigFlag(options->kubeconfig)}; },
               .run = [options](const auto&) { return show(*options); }},
              {.name = "remove",
               .summary = "Remove what was installed of add-ons, namespaces and definitions with it",
               .flags =
                   [options, dryRun] {
                     return std::vector<Flag>{dryRun(), exitCodeFlag(*options, "End with 4 where something was, or would be, changed"), kubeconfigFlag(options->kubeconfig),
                                              {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
                   },
               .arguments = "NAME...",
               .run = [options](const auto& given) { return remove(*options, given); },
               .choices = allNames()},
          }};
}

} // namespace kubestrap::cmd
