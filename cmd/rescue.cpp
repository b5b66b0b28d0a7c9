// rescue: keeps components as static pods on this node, and hands them back. Needs nothing but this machine.
#include "cmd/commands.hpp"
#include "cmd/control_plane.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/workflow.hpp"

#include "guard/disk.hpp"
#include "kube/reading.hpp"
#include "manifests/guard.hpp"
#include "phases/node.hpp"
#include "phases/rescue.hpp"
#include "plan/leaving.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace rescue = phases::rescue;
namespace paths = config::paths;
using manifests::Slot;
using rescue::Components;

constexpr std::string_view controllerManager = "kube-controller-manager";

struct RescueOptions {
  config::InitFlags flags; ///< --config
  std::optional<std::string> kubeconfig, patches;
  bool fromConfig = false, release = false, takeover = false;
};

/// This node with all that the command needs to know of it.
class Rescue {
public:
  Rescue(Machine& machine, const RescueOptions& options) : machine_(machine), options_(options), disk_(machine.host()) {
    if (!machine.host().status(paths::nodeState))
      throw Error(fmt::format("{} is absent: this is no control plane node of layout hosted", paths::nodeState.string()),
                  "a plain control plane's static pods need no rescue: kubestrap status says what they lack", ExitCode::refused);
    const auto own = ownCluster(options.flags, options.kubeconfig, machine);
    if (options.fromConfig && !own.known)
      throw Error("the cluster's configuration is known neither from the cluster nor from this machine", "name a file with it: --config FILE", ExitCode::refused);
    if (options.fromConfig) refuseWhileEncryptionMoves(own.cluster, machine.host(), "a rescue from the configuration");
    setup_.cluster = own.cluster;
    setup_.cluster.kubestrap.layout = config::Layout::hosted;
    setup_.node = ownNode(machine, setup_.cluster);
    std::vector<std::string> warnings;
    if (options.patches) setup_.request.patches = readPatches(machine.host(), std::filesystem::absolute(*options.patches), warnings);
    for (const auto& warning : warnings) log::warn(warning);
    if (options.kubeconfig) setup_.request.kubeconfig = std::filesystem::absolute(*options.kubeconfig);
    const auto facts = machine.host().facts({.depth = host::Host::Questions::Depth::defaults});
    cri_ = &machine.useRuntime(foundSocket(facts));
  }

  const std::string& node() const { return setup_.node.name; }

  void writeStandbys(const Components& components) {
    enact(rescue::standbysOf(setup_, components), "what stands by is made from the configuration");
    // What was promoted of the old one is taken away by hand: a kubelet that has not seen the API would let it run on.
    std::vector<std::string> promoted;
    for (const auto& name : components)
      if (machine_.host().status(manifests::rescueManifest(manifests::component(name), Slot::rescue))) promoted.push_back(name);
    if (!promoted.empty()) takeAway(promoted);
  }

  void hold(const Components& components) { enact(rescue::hold(setup_, components, look(components)), "held"); }
  void release(const Components& components) { enact(rescue::release(setup_, components, look({})), "handed back"); }

  /// A controller-manager that leads and does nothing: its pods go, nobody makes them anew, and the one that is held here leads.
  void takeOver() {
    auto client = connect();
    if (!client) throw Error("no API server answers", "kubestrap rescue kube-apiserver");
    const kube::ObjectKey key{"coordination.k8s.io/v1", "Lease", "kube-system", std::string(controllerManager)};
    const auto holder = [&] { return stringAt(client->get(key).value_or(Value::object()), "spec.holderIdentity"); };
    const auto before = holder();
    plan::Resources gone;
    for (const auto& pod : client->list("v1", "Pod", "kube-system", fmt::format("{}={},{}=self", manifests::componentLabel, controllerManager, manifests::hostingLabel)))
      gone.push_back(plan::Object{.document = Value::object({{"apiVersion", "v1"}, {"kind", "Pod"},
                                                             {"metadata", Value::object({{"name", stringAt(pod, "metadata.name")}, {"namespace", "kube-system"}})}}),
                                  .mode = plan::ApplyMode::absent,
                                  .access = phases::asAdmin(setup_)});
    enact(gone, "the DaemonSet's controller-managers are taken away");
    constexpr auto patience = std::chrono::seconds(90);
    const auto began = machine_.clock().now();
    while (holder() == before || !holder().starts_with(node() + "_")) {
      if (machine_.clock().now() - began > patience)
        throw Error(fmt::format("{} does not lead after {}: the Lease is held by {}", node(), humanDuration(patience), holder()),
                    "kubectl -n kube-system get lease kube-controller-manager -o yaml");
      machine_.clock().sleep(std::chrono::seconds(1));
    }
  }

private:
  void enact(const plan::Resources& resources, const std::string& step) {
    if (!reporter_) reporter_ = reporterFor(plan::Mode::apply);
    auto world = machine_.world();
    plan::enactAll(resources, step, "rescue", world, *reporter_);
  }

  std::optional<kube::Client> connect() {
    const auto access = phases::asAdmin(setup_);
    try {
      const auto text = machine_.host().read(access.kubeconfig);
      if (!text) return {};
      const auto kubeconfig = kube::parseKubeconfig(*text, access.kubeconfig.string());
      kube::Client client(machine_.http(), kubeconfig, access.server);
      if (client.raw("GET", "/readyz").status == 200) return client;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log::info(1, "no API server answers: {}", error.message());
    }
    return {};
  }

  rescue::Seen look(const Components& components) {
    rescue::Seen seen;
    const auto state = disk_.nodeState();
    seen.mode = state.mode;
    for (const auto component : state.held) seen.held.emplace(phases::guard::nameOf(component));
    if (auto client = connect()) {
      seen.apiAnswers = true;
      const auto node = client->get({"v1", "Node", "", setup_.node.name});
      const auto names = node ? kube::annotationOf(*node, manifests::heldAnnotation) : std::nullopt;
      if (names) seen.held.clear();
      for (const auto component : guard::componentsIn(names.value_or(""))) seen.held.emplace(phases::guard::nameOf(component));
    }
    for (const auto& container : cri_->containers("kube-system"))
      if (container.podName.starts_with("kubestrap-guard") && container.state == host::Container::State::running) seen.guardRuns = true;
    const auto count = machine_.host().read(paths::nodeState.parent_path() / "activation").value_or("0");
    seen.activation = std::max(0, std::atoi(count.c_str()));
    for (const auto& name : components) seen.standbys[name] = standbyOf(name);
    return seen;
  }

  rescue::Standby standbyOf(const std::string& name) {
    const auto component = *guard::componentsIn(name).begin();
    const auto isPromoted = [&](Slot slot) { return machine_.host().status(manifests::rescueManifest(manifests::component(name), slot)).has_value(); };
    for (const auto slot : {Slot::rescue, Slot::previous})
      if (auto pod = disk_.standby(component, slot))
        return {.slot = slot, .pod = *std::move(pod), .promoted = isPromoted(slot), .besides = slot == Slot::rescue && isPromoted(Slot::previous)};
    throw Error(fmt::format("nothing that could be promoted stands by for {} on this node", name), fmt::format("kubestrap rescue {} --from-config", name));
  }

  void takeAway(const Components& components) {
    plan::Resources gone{plan::Service{.name = "kubelet", .wanted = plan::Wanted::stopped, .restartWhenChanged = {}, .restartWhenIdle = {}}};
    for (const auto& name : components)
      gone.push_back(plan::Absent{.path = manifests::rescueManifest(manifests::component(name), Slot::rescue), .reason = "made of what stood by before"});
    enact(gone, "the static pods of before are taken away");
    for (const auto& sandbox : cri_->podSandboxes("kube-system"))
      for (const auto& name : components)
        if (sandbox.name.starts_with(name + "-rescue-") && !sandbox.name.starts_with(name + "-rescue-prev")) cri_->stopAndRemovePod(sandbox.id);
    enact({plan::Service{.name = "kubelet", .restartWhenChanged = {}, .restartWhenIdle = {}}}, "the kubelet goes on");
  }

  Machine& machine_;
  const RescueOptions& options_;
  guard::Disk disk_;
  config::Setup setup_;
  host::Cri* cri_ = nullptr;
  std::unique_ptr<plan::Reporter> reporter_;
};

void check(const RescueOptions& options, const Components& components) {
  if (options.release && (options.fromConfig || options.takeover)) throw Error("--release hands back; it goes with no other flag", {}, ExitCode::usage);
  if (options.takeover && components != Components{std::string(controllerManager)})
    throw Error("--takeover is for kube-controller-manager alone", "kubestrap rescue kube-controller-manager --takeover", ExitCode::usage);
}

void tell(const Components& components, const std::string& node, const RescueOptions& options) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("RescueResult");
    document["node"] = node;
    document["components"] = components;
    document["held"] = !options.release;
    return printResult(document, as);
  }
  const auto names = join(components, ", ");
  if (options.release) return fmt::print(stderr, "{}: {} handed back to the guard, which takes the static pods away when the DaemonSets' pods serve\n", node, names);
  fmt::print(stderr, "{}: {} kept as static pods; when the cause is gone: kubestrap rescue {} --release\n", node, names, join(components, " "));
}

ExitCode runRescue(const RescueOptions& options, const std::vector<std::string>& arguments) {
  const auto components = hostedComponentsNamed(arguments, "can be rescued");
  check(options, components);
  Machine machine(globals().rootfs);
  const auto lock = machine.host().lock("rescue");
  Rescue node(machine, options);
  if (options.release) {
    node.release(components);
  } else {
    if (options.fromConfig) node.writeStandbys(components);
    node.hold(components);
    if (options.takeover) node.takeOver();
  }
  tell(components, node.node(), options);
  return ExitCode::done;
}

} // namespace

Command rescueCommand() {
  const auto options = std::make_shared<RescueOptions>();
  return {.name = "rescue",
          .summary = "Keep components of the control plane as static pods on this node",
          .description = "Promotes what stands by on this node for API server, controller-manager and scheduler, or for those that are named, and keeps it there "
                         "whatever the DaemonSets do, until --release. It needs neither an API server that answers nor a guard that runs. With --from-config what "
                         "stands by is made anew from the cluster's configuration first: that of --config, of the cluster, or the copy on this machine.",
          .flags = [options] {
            return std::vector<Flag>{
                {.name = "config", .into = &options->flags.configFile, .doc = "With --from-config: the cluster's configuration, in place of what is known", .value = "FILE"},
                {.name = "from-config", .into = &options->fromConfig, .doc = "Make what stands by anew, from the configuration"},
                kubeconfigFlag(options->kubeconfig),
                {.name = "patches", .into = &options->patches, .doc = "With --from-config: a folder with patches, as for init", .value = "DIR"},
                {.name = "release", .into = &options->release, .doc = "Hand them back: the guard takes the static pods away when the DaemonSets' pods serve"},
                {.name = "takeover", .into = &options->takeover,
                 .doc = "Of a controller-manager that leads and does nothing: take the DaemonSet's pods away, so that the one that is held here leads"}};
          },
          .arguments = "[COMPONENT...]",
          .run = [options](const auto& given) { return runRescue(*options, given); },
          .choices = {manifests::hostedComponents.begin(), manifests::hostedComponents.end()}};
}

} // namespace kubestrap::cmd
