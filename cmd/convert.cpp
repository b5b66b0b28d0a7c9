// convert: a control plane goes from one layout to the other over all of its nodes; and what its pods do on the machine of their node.
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/control_plane.hpp"
#include "cmd/convert_look.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/workflow.hpp"

#include "config/assemble.hpp"
#include "config/store.hpp"
#include "kube/reading.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "plan/gap.hpp"
#include "plan/on_node.hpp"
#include "plan/run.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace conversion = phases::conversion;
namespace paths = config::paths;

struct ConvertOptions {
  std::optional<std::string> to, endpointMode, endpoint, patches;
  bool dryRun = false, force = false, yes = false;
};

config::EndpointMode modeOf(const std::string& name) {
  if (name == "single") return config::EndpointMode::single;
  if (name == "external") return config::EndpointMode::external;
  if (name == "local") return config::EndpointMode::local;
  throw Error(fmt::format("there is no endpoint mode {} to convert to", name), "local, single or external", ExitCode::usage);
}

conversion::Goal goalOf(const ConvertOptions& options) {
  conversion::Goal goal{.layout = conversion::layoutOf(options.to.value_or(""))};
  if (options.endpointMode) goal.endpointMode = modeOf(*options.endpointMode);
  if (options.endpointMode && goal.layout == config::Layout::hosted)
    throw Error("--endpoint-mode goes with --to plain: layout hosted has a balancer on every node", {}, ExitCode::usage);
  if (!options.endpoint) return goal;
  goal.endpoint = config::endpoint(*options.endpoint, 6443);
  if (!goal.endpoint) throw Error(fmt::format("\"{}\" is no endpoint", *options.endpoint), "like api.example.org:6443", ExitCode::usage);
  return goal;
}

/// As it is given again to go on.
std::string commandOf(const ConvertOptions& options) {
  auto text = fmt::format("convert --to {}", *options.to);
  for (const auto& [flag, value] : {std::pair{"--endpoint-mode", options.endpointMode}, {"--control-plane-endpoint", options.endpoint}, {"--patches", options.patches}})
    if (value) text += fmt::format(" {} {}", flag, *value);
  return text;
}

/// Of how many requests, and for how long, an API server's address did not answer.
Value asValue(const std::string& node, const plan::GapMeter::Gap& gap) {
  const auto seconds = [](Duration duration) { return static_cast<double>(duration / std::chrono::milliseconds(1)) / 1000; };
  return {{"node", node}, {"requests", gap.asked}, {"failed", gap.failed}, {"longestSeconds", seconds(gap.longest)}, {"totalSeconds", seconds(gap.total)}};
}

/// A conversion as the machine that drives sees it.
class Conversion {
public:
  Conversion(const ConvertOptions& options, Machine& machine)
      : machine_(machine), force_(options.force ? Force::yes : Force::no), goal_(goalOf(options)) {
    auto own = ownCluster({}, std::nullopt, machine);
    if (!own.known || !isControlPlane(machine.host()))
      throw Error("the cluster's configuration cannot be read", "run this on a control plane node whose API server answers", ExitCode::refused);
    present_ = std::move(own.cluster);
    intent_.setup.node = ownNode(machine, present_);
    wanted_.cluster = conversion::converted(present_, goal_, intent_.setup.node.bindPort);
    wanted_.patches = options.patches ? std::optional(std::filesystem::absolute(*options.patches).string()) : std::nullopt;
    // By its own address, where an API server is in both layouts, or leads to one.
    intent_.nodes.access = {paths::adminConf, intent_.setup.node.localEndpoint().url()};
    intent_.force = options.force;
    intent_.patches = wanted_.patches.value_or("");
    intent_.command = commandOf(options);
    refresh();
    machine.useRuntime(intent_.setup.node.criSocket); // once: whoever works with it holds on to it
  }

  const conversion::Intent& intent() const { return intent_; }

  /// Throws Error (refused) for a cluster that cannot be so.
  void refuse() {
    const auto seen = client_->list("v1", "Node", "", std::string(kube::controlPlaneLabel));
    if (const auto stuck = conversion::refusal(present_, goal_, seen.size())) throw Error(stuck->cause, stuck->remedy, ExitCode::refused);
  }

  /// All nodes. Without anybody to tell of it, as in a dry run, others are not asked, and believed to be as the cluster is.
  conversion::Seen look(plan::Reporter* asking) {
    refresh();
    const auto controlPlane = lookAtControlPlane(*client_, machine_.clock().now());
    conversion::Seen seen;
    seen.selfHosted = controlPlane.stored || !controlPlane.daemonSets.empty() || std::ranges::any_of(controlPlane.nodes, &phases::pivot::NodeSeen::selfHosted);
    if (seen.selfHosted) return seen;
    seen.nodes.push_back(lookHere(intent_.setup, force_, machine_));
    for (const auto& node : nodes_) {
      conversion::NodeSeen each{.name = stringAt(node, "metadata.name"), .controlPlane = kube::isControlPlane(node),
                                .ready = kube::runsHostPods(node)};
      if (each.name == seen.nodes.front().name) {
        seen.nodes.front().ready = each.ready;
        continue;
      }
      if (!asking) each.converted = isStored();
      else if (each.ready) ask(each, *asking);
      seen.nodes.push_back(std::move(each));
    }
    for (auto& node : seen.nodes)
      for (const auto& guarded : controlPlane.nodes)
        if (guarded.name == node.name) node.guarded = guarded.guard && guarded.guard->fresh;
    auto world = machine_.world();
    seen.rights = isAsWanted(conversion::rights(intent_, seen.nodes), world);
    seen.told = isAsWanted(conversion::told(intent_), world);
    seen.stored = isAsWanted(conversion::stored(intent_), world);
    return seen;
  }

  plan::Next next(plan::Reporter& asking) {
    auto coming = conversion::next(intent_, look(&asking));
    if (const auto* step = std::get_if<plan::Step>(&coming)) known_.erase(step->name.substr(0, step->name.find(':')));
    return coming;
  }

  /// Asks every control plane's own address for as long as it lives.
  std::map<std::string, std::unique_ptr<plan::GapMeter>> meters() {
    std::map<std::string, std::unique_ptr<plan::GapMeter>> all;
    const auto kubeconfig = readKubeconfig(machine_.host(), intent_.nodes.access.kubeconfig);
    for (const auto& [node, endpoint] : apiServersOf(*client_, nodes_, intent_.setup.node.bindPort))
      all[node] = std::make_unique<plan::GapMeter>(machine_.http(), *kubeconfig, config::Endpoint{endpoint.host, intent_.setup.node.bindPort}.url());
    return all;
  }

private:
  bool isStored() const {
    const auto& now = present_.kubestrap;
    const auto& then = wanted_.cluster.kubestrap;
    return now.layout == then.layout && now.endpointMode == then.endpointMode;
  }

  void refresh() {
    auto& host = machine_.host();
    const auto& access = intent_.nodes.access;
    client_ = std::make_unique<kube::Client>(machine_.http(), kube::parseKubeconfig(host.read(access.kubeconfig).value_or(""), access.kubeconfig.string()), access.server);
    nodes_ = client_->list("v1", "Node", "");
    wanted_.apiServers = apiServersOf(*client_, nodes_, intent_.setup.node.bindPort);
    const auto& endpoint = wanted_.cluster.controlPlaneEndpoint;
    intent_.endpoint = endpoint ? endpoint->url() : intent_.setup.node.localEndpoint().url();
    wanted_.endpoint = intent_.endpoint;
    intent_.setup = setupHere(wanted_, machine_);
    intent_.here = here(intent_.setup, host);
    intent_.nodes.image = intent_.setup.request.ownImage;
    intent_.kubeProxy = client_->get({"apps/v1", "DaemonSet", "kube-system", "kube-proxy"}).has_value();
  }

  /// Looked at anew only after something has been done there.
  void ask(conversion::NodeSeen& node, plan::Reporter& asking) {
    if (const auto found = known_.find(node.name); found != known_.end()) {
      const auto ready = node.ready;
      node = found->second;
      node.ready = ready;
      return;
    }
    auto world = machine_.world();
    try {
      takeReport(node, plan::runOnNode(conversion::runOn(intent_, node.name, conversion::OnNode::look), world, asking));
    } catch (const Interrupted&) {
      throw;
    } catch (const net::TransportError&) {
      throw;
    } catch (const kube::ApiError&) {
      throw;
    } catch (const Error& error) {
      throw Error(error.message(), fmt::format("kubestrap and its image have to be on {} (docs/convert.md); {}", node.name, error.hint()));
    }
    known_[node.name] = node;
  }

  Machine& machine_;
  Force force_;
  conversion::Goal goal_;
  config::Cluster present_;
  ConvertedHere wanted_;
  conversion::Intent intent_;
  std::unique_ptr<kube::Client> client_;
  std::vector<Value> nodes_;
  std::map<std::string, conversion::NodeSeen> known_;
};

/// A conversion that was stopped on this machine may have left it without an API server: its files say where it was going.
void goOnHere(const ConvertOptions& options, Machine& machine) {
  auto cluster = stoppedHere(machine.host());
  if (!cluster) return;
  log::warn(fmt::format("a conversion was stopped on this machine ({}): it goes on here first", conversion::underWay.string()));
  const auto port = ownNode(machine, *cluster).bindPort;
  const auto setup = setupHere({.cluster = conversion::converted(*std::move(cluster), goalOf(options), port), .apiServers = {}, .endpoint = {}, .patches = options.patches}, machine);
  machine.useRuntime(setup.node.criSocket);
  auto world = machine.world();
  const auto lock = machine.host().lock("convert");
  plan::enactAll(conversion::onNode(setup, here(setup, machine.host())), setup.node.name, "convert", world, *reporterFor(plan::Mode::apply));
}

void tell(const std::map<std::string, plan::GapMeter::Gap>& gaps, const std::vector<std::string>& steps, const conversion::Intent& intent) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("ConversionResult");
    document["changed"] = !steps.empty();
    document["steps"] = stepsAsValue(steps);
    document["apiGaps"] = Value::array();
    for (const auto& [node, gap] : gaps) document["apiGaps"].push_back(asValue(node, gap));
    return printResult(document, as);
  }
  for (const auto& [node, gap] : gaps)
    if (gap.failed > 0)
      fmt::print(stderr, "{}: its API server did not answer for {:.1f} s in all, {:.1f} s at the longest ({} of {} requests failed)\n", node,
                 static_cast<double>(gap.total / std::chrono::milliseconds(1)) / 1000, static_cast<double>(gap.longest / std::chrono::milliseconds(1)) / 1000, gap.failed, gap.asked);
  const auto layout = conversion::name(intent.setup.cluster.kubestrap.layout);
  if (steps.empty()) fmt::print(stderr, "the control plane is of layout {} already\n", layout);
  else if (layout == "hosted") fmt::print(stderr, "the control plane is of layout hosted; into its own cluster: kubestrap pivot\n");
  else fmt::print(stderr, "the control plane is of layout plain, as kubeadm's are\n");
}

void confirm(const conversion::Intent& intent) {
  fmt::print(stderr, "This gives every control plane node the layout {}, one after the other. The API server of each is away for some seconds.\n",
             conversion::name(intent.setup.cluster.kubestrap.layout));
  confirmOrEnd();
}

ExitCode convert(const ConvertOptions& options) {
  (void)goalOf(options);
  Machine machine(globals().rootfs);
  if (!options.dryRun) goOnHere(options, machine);
  Conversion job(options, machine);
  job.refuse();
  if (options.dryRun) {
    auto seen = job.look(nullptr);
    return planOperation([&] { return conversion::next(job.intent(), seen); },
                         [&](const plan::Next& done) { seen = conversion::assumed(job.intent(), std::move(seen), done); });
  }
  if (!options.yes) confirm(job.intent());
  auto meters = job.meters();
  const auto steps = stepsPerformed({.name = job.intent().command, .access = job.intent().nodes.access, .holder = job.intent().setup.node.name, .next = {},
                                     .nextByAsking = [&](plan::Reporter& asking) { return job.next(asking); }},
                                    machine);
  std::map<std::string, plan::GapMeter::Gap> gaps;
  for (auto& [node, meter] : meters) gaps[node] = meter->end();
  tell(gaps, steps, job.intent());
  return ExitCode::done;
}

// ---- on the machine of another node

struct NodeConvertOptions {
  std::string cluster, endpoint;
  std::vector<std::string> apiServers;
  std::optional<std::string> patches;
  bool look = false, force = false;
};

ConvertedHere wantedBy(const NodeConvertOptions& options) {
  ConvertedHere wanted{.cluster = {}, .apiServers = {}, .endpoint = options.endpoint, .patches = options.patches};
  wanted.cluster = config::clusterFromText(fromBase64(options.cluster).value_or(""), "--cluster");
  for (const auto& each : options.apiServers) {
    const auto at = each.find('=');
    const auto endpoint = at == each.npos ? std::nullopt : config::endpoint(each.substr(at + 1), 6443);
    if (!endpoint) throw Error(fmt::format("\"{}\" is no API server", each), "like n1=10.0.0.11:6443", ExitCode::usage);
    wanted.apiServers[each.substr(0, at)] = *endpoint;
  }
  return wanted;
}

ExitCode convertHere(const NodeConvertOptions& options) {
  Machine machine(globals().rootfs);
  const auto lock = machine.host().lock("convert");
  const auto setup = setupHere(wantedBy(options), machine);
  machine.useRuntime(setup.node.criSocket);
  if (options.look) {
    fmt::print("{}\n", reportOf(lookHere(setup, options.force ? Force::yes : Force::no, machine)));
    return ExitCode::done;
  }
  auto world = machine.world();
  plan::enactAll(conversion::onNode(setup, here(setup, machine.host())), setup.node.name, "convert", world, *reporterFor(plan::Mode::apply));
  return ExitCode::done;
}

} // namespace

Command convertCommand() {
  const auto options = std::make_shared<ConvertOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "to", .into = &options->to, .doc = "The layout: hosted, or kubeadm's own, plain", .value = "LAYOUT", .choices = {"hosted", "plain"}},
            {.name = "control-plane-endpoint", .into = &options->endpoint, .doc = "Another name for the control plane; the former one stays in its certificates", .value = "HOST[:PORT]"},
            {.name = "endpoint-mode", .into = &options->endpointMode, .doc = "Of layout plain: with single or external nodes lose their balancers; by itself it stays as it is",
             .value = "MODE", .choices = {"local", "single", "external"}},
            {.name = "patches", .into = &options->patches, .doc = "The folder of the patches that the control plane was made with, on every control plane node", .value = "DIR"},
            {.name = "force", .into = &options->force, .doc = "Also where static pods were changed by hand, which is lost", .letter = 'f'},
            {.name = "dry-run", .into = &options->dryRun, .doc = "Only say which steps there would be"},
            {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
  };
  return {.name = "convert",
          .summary = "Give a control plane of kubeadm's the layout hosted, or hand it back",
          .description = "Takes a control plane, of kubestrap's or of kubeadm's making, from layout plain to layout hosted, after which kubestrap pivot works, or back, after which it is "
                         "kubeadm's again. One node after the other; the API server of each is away for some seconds, which are told. etcd goes on. Interrupted anywhere, it goes "
                         "on when it is run again, and the other direction goes back.",
          .flags = flags,
          .run = [options](const auto&) { return convert(*options); }};
}

Command convertOnNodeCommand() {
  const auto options = std::make_shared<NodeConvertOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "cluster", .into = &options->cluster, .doc = "The cluster's configuration as it shall be, in base64", .value = "TEXT"},
            {.name = "endpoint", .into = &options->endpoint, .doc = "Where a kubelet without a balancer finds the API", .value = "URL"},
            {.name = "api-server", .into = &options->apiServers, .doc = "An API server", .value = "NODE=ADDRESS"},
            {.name = "patches", .into = &options->patches, .doc = "The folder of the patches", .value = "DIR"},
            {.name = "look", .into = &options->look, .doc = "Only tell how far this machine is"},
            {.name = "force", .into = &options->force, .doc = "What was changed by hand may be lost"}};
  };
  return {.name = "convert",
          .summary = "What convert does on another node",
          .flags = flags,
          .run = [options](const auto&) { return convertHere(*options); },
          .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
