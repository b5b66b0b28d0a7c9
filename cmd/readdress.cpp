// node readdress: this machine has another address, or a control plane that it knows by its address has.
#include "cmd/bundle_use.hpp"
#include "cmd/commands.hpp"
#include "cmd/etcd_access.hpp"
#include "cmd/globals.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"
#include "certs/catalogue.hpp"
#include "certs/x509.hpp"
#include "config/assemble.hpp"
#include "kube/client.hpp"
#include "kube/discovery.hpp"
#include "kube/reading.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/static_pods.hpp"
#include "phases/readdress.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace paths = config::paths;
using config::Setup;

struct ReaddressOptions {
  std::optional<std::string> from, to, kubeconfig;
  bool dryRun = false, exitCode = false;
};

/// What is asked for, and what a run before has begun.
struct Move {
  std::string from, to;
  bool own = false; ///< it is this machine's own address
};

std::string address(const std::string& text, std::string_view flag) {
  const auto parsed = IpAddress::parse(text);
  if (!parsed) throw Error(fmt::format("--{} {}: this is no IP address", flag, text), {}, ExitCode::usage);
  return parsed->string();
}

std::optional<Move> begun(host::Host& host) {
  const auto text = host.read(phases::readdressing);
  if (!text) return std::nullopt;
  const auto record = parseJson(*text, phases::readdressing.string());
  return Move{stringAt(record, "from"), stringAt(record, "to"), record.value("own", false)};
}

/// As the cluster has it, by the kubelet's own credentials.
std::string addressInCluster(const std::string& node, Machine& machine) {
  const auto kubeconfig = readKubeconfig(machine.host(), paths::kubeletConf);
  if (!kubeconfig) throw Error("this machine is no node of a cluster", "run it on the node whose address has changed");
  try {
    kube::Client client(machine.http(), *kubeconfig);
    if (const auto found = client.get({"v1", "Node", "", node}))
      if (const auto known = kube::internalAddresses(*found); !known.empty()) return known.front();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    throw Error(fmt::format("which address the cluster knows {} by cannot be asked: {}", node, error.message()), "give it with --from");
  }
  throw Error(fmt::format("the cluster knows no address of {}", node), "give it with --from");
}

std::string addressHere(const config::Facts& facts) {
  if (!facts.defaultAddress) throw Error("this machine has no default route that tells its address", "give it with --to", ExitCode::usage);
  return facts.defaultAddress->string();
}

Move moveOf(const ReaddressOptions& options, const std::string& known, const config::Facts& facts, host::Host& host) {
  const auto before = begun(host);
  Move move;
  move.from = options.from ? address(*options.from, "from") : before ? before->from : known;
  move.to = options.to ? address(*options.to, "to") : before ? before->to : addressHere(facts);
  move.own = before && before->from == move.from ? before->own : move.from == known;
  return move;
}

bool isHere(const std::string& address, const config::Facts& facts) {
  return std::ranges::any_of(facts.addresses, [&](const auto& each) { return each.string() == address; });
}

// ---- what names the old address

void takeFile(std::map<config::Path, config::Readdressing::Text>& files, const Move& move, const config::Path& path, host::Host& host) {
  const auto status = host.status(path);
  if (!status || status->type != host::FileStatus::Type::file) return;
  auto text = host.read(path);
  if (text && phases::readdressed(*text, move.from, move.to) != *text) files[path] = {std::move(*text), status->mode};
}

std::map<config::Path, config::Readdressing::Text> filesThatName(const Move& move, host::Host& host) {
  std::map<config::Path, config::Readdressing::Text> files;
  for (const auto& folder : {paths::kubernetes, paths::manifests}) {
    if (!host.status(folder)) continue;
    for (const auto& name : host.list(folder)) {
      const auto path = folder / name;
      const auto wanted = folder == paths::manifests ? ".yaml" : ".conf";
      if (path.extension() == wanted) takeFile(files, move, path, host);
    }
  }
  takeFile(files, move, paths::kubeletFlags, host);
  takeFile(files, move, manifests::frontServersFile(), host);
  return files;
}

/// What is there keeps its subject and its names, but for the one.
void takeCertificates(Setup& setup, const Move& move, host::Host& host) {
  auto& renewal = setup.request.renewal;
  renewal.within = Duration::zero();
  for (const auto* name : {"etcd-server", "etcd-peer", "apiserver"}) {
    const auto path = setup.cluster.pki.folder / fmt::format("{}.crt", certs::findRow(name)->file);
    const auto pem = host.read(path);
    if (!pem) continue;
    const auto certificate = certs::X509Certificate::parse(*pem, path.string());
    auto names = certificate.names();
    for (auto& each : names.ips)
      if (each.string() == move.from) each = IpAddress::parse(move.to).value();
    renewal.wanted[name] = {.subject = certificate.subject(), .names = certs::normalized(std::move(names))};
  }
}

/// The parts of ConfigMaps of the cluster that name it.
std::vector<Value> objectsThatName(const Move& move, kube::Client& client) {
  constexpr std::pair<const char*, const char*> places[] = {{"kube-public", "cluster-info"}, {"kube-system", "kube-proxy"}, {"kube-system", "kubeadm-config"}};
  std::vector<Value> documents;
  for (const auto& [nameSpace, name] : places) {
    const auto found = client.get({"v1", "ConfigMap", nameSpace, name});
    const auto* data = found ? find(*found, "data") : nullptr;
    auto changed = Value::object();
    if (data)
      for (const auto& [key, text] : data->items())
        if (auto made = phases::readdressed(text.get<std::string>(), move.from, move.to); made != text && !key.starts_with("jws-")) changed[key] = std::move(made);
    if (!changed.empty())
      documents.push_back(Value::object({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}, {"namespace", nameSpace}}}, {"data", std::move(changed)}}));
  }
  return documents;
}

// ---- what speaks against it

void refuseUnless(bool fine, std::string why, std::string remedy) {
  if (!fine) throw Error(std::move(why), std::move(remedy), ExitCode::refused);
}

void judgeCluster(const Setup& setup, const Move& move, kube::Client& client) {
  for (const auto& node : client.list("v1", "Node", "")) {
    const auto name = stringAt(node, "metadata.name");
    const auto taken = kube::internalAddresses(node);
    refuseUnless(!move.own || name == setup.node.name || std::ranges::find(taken, move.to) == taken.end(), fmt::format("the node {} of this cluster has the address {}", name, move.to),
                 "give this machine one that only it has");
  }
}

/// Nodes that know the cluster by the old address only: of the one control plane, or as its endpoint.
std::vector<std::string> nodesToTell(const Setup& setup, const Move& move, kube::Client& client) {
  std::vector<std::string> others;
  bool otherControlPlanes = false;
  for (const auto& node : client.list("v1", "Node", "")) {
    if (stringAt(node, "metadata.name") == setup.node.name) continue;
    others.push_back(stringAt(node, "metadata.name"));
    otherControlPlanes = otherControlPlanes || kube::isControlPlane(node);
  }
  const auto& endpoint = setup.cluster.controlPlaneEndpoint;
  const bool byAddress = !endpoint || endpoint->host == move.from, byBalancers = manifests::hasFront(setup.cluster) && !otherControlPlanes;
  if (!byAddress && !byBalancers) others.clear();
  return others;
}

bool othersVote(const Setup& setup, kube::Client& client, Machine& machine) {
  if (!setup.cluster.etcd.isLocal()) return false;
  auto etcd = connectEtcd(machine, setup.cluster, &client);
  const auto members = etcd.members(etcd::Client::Reading::local);
  return std::ranges::any_of(members, [&](const auto& each) { return each.name != setup.node.name && !each.learner; });
}

/// Nothing where the cluster does not answer: alone it cannot, before its address is right.
void askCluster(Setup& setup, const Move& move, const ReaddressOptions& options, Machine& machine) {
  const auto kubeconfig = readKubeconfig(machine.host(), options.kubeconfig ? std::filesystem::absolute(*options.kubeconfig) : paths::adminConf);
  if (!kubeconfig) return;
  try {
    kube::Client client(machine.http(), *kubeconfig);
    judgeCluster(setup, move, client);
    setup.request.readdressing.othersVote = othersVote(setup, client, machine);
    const auto info = kube::readClusterInfo(machine.http(), kubeconfig->server, kubeconfig->authorities);
    setup.request.apiServers = config::apiServersIn(info.others);
  } catch (const Interrupted&) {
    throw;
  } catch (const net::TransportError& error) {
    log::info(1, "the cluster does not answer: {}", error.message());
  } catch (const kube::ApiError& error) {
    log::info(1, "the cluster does not answer: {}", error.message());
  } catch (const net::GrpcError& error) {
    log::info(1, "etcd does not answer: {}", error.message());
  }
}

// ---- the run

Setup controlPlane(const ReaddressOptions& options, const config::Facts& facts, Machine& machine, Move& move) {
  Setup setup{.cluster = ownCluster({}, options.kubeconfig, machine).cluster, .node = {}, .request = {}};
  setup.node = ownNode(machine, setup.cluster);
  if (options.kubeconfig) setup.request.kubeconfig = std::filesystem::absolute(*options.kubeconfig);
  takeWishes(setup.cluster.pki, machine.host());
  move = moveOf(options, setup.node.advertiseAddress.string(), facts, machine.host());
  if (move.own) setup.node.advertiseAddress = IpAddress::parse(move.to).value();
  return setup;
}

Setup worker(const ReaddressOptions& options, const config::Facts& facts, Machine& machine, Move& move) {
  Setup setup;
  setup.node = workerNode(machine, setup.cluster);
  const bool asked = options.from || begun(machine.host());
  move = moveOf(options, asked ? std::string() : addressInCluster(setup.node.name, machine), facts, machine.host());
  move.own = isHere(move.to, facts);
  return setup;
}

plan::Outcome perform(Setup& setup, const Move& move, const ReaddressOptions& options, const config::Facts& facts, Machine& machine, std::vector<std::string>& toTell) {
  const auto mode = options.dryRun ? plan::Mode::plan : plan::Mode::apply;
  const auto reporter = reporterFor(mode);
  auto world = machine.world();
  auto outcome = plan::run(phases::readdressWorkflow(), {}, setup, facts, world, mode, *reporter, "node readdress");
  if (setup.node.controlPlane && move.own) {
    try {
      // By now it can say what could not be known before: its own configuration, and who else there is.
      auto own = ownControlPlane(options.kubeconfig, machine);
      own.setup.node.advertiseAddress = setup.node.advertiseAddress;
      lookAtFront(own.setup, machine.host());
      own.setup.node.criSocket = setup.node.criSocket;
      own.setup.request.readdressing = setup.request.readdressing;
      own.setup.request.apiServers = setup.request.apiServers;
      own.setup.request.readdressing.objects = objectsThatName(move, own.client);
      toTell = nodesToTell(own.setup, move, own.client);
      setup = std::move(own.setup);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (mode == plan::Mode::apply) throw;
      log::info(1, "what would change in the cluster is not known: {}", error.message());
    }
  }
  return after(std::move(outcome), plan::run(phases::readdressClusterWorkflow(), {}, setup, facts, world, mode, *reporter, "node readdress"));
}

ExitCode tell(const plan::Outcome& outcome, const Setup& setup, const Move& move, const ReaddressOptions& options, const std::vector<std::string>& toTell) {
  const auto there = fmt::format("kubestrap node readdress --from {} --to {}", move.from, move.to);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(options.dryRun ? "ReaddressPlan" : "ReaddressResult");
    document["changed"] = outcome.changed();
    document["node"] = setup.node.name;
    document["from"] = move.from;
    document["to"] = move.to;
    document["nodesToTell"] = toTell;
    document["changes"] = changesAsValue(outcome);
    printResult(document, as);
  } else {
    if (!options.dryRun) fmt::print(stderr, "{} goes on: {} is {} now\n", setup.node.name, move.from, move.to);
    if (!toTell.empty()) fmt::print(stderr, "{} know{} the cluster by the old address only. There, as root:\n\n  {}\n\n", join(toTell, ", "), toTell.size() == 1 ? "s" : "", there);
  }
  return options.exitCode && outcome.changed() ? ExitCode::differs : ExitCode::done;
}

ExitCode readdress(const ReaddressOptions& options, const std::vector<std::string>& arguments) {
  if (!arguments.empty()) throw Error("node readdress is run on the node itself, and takes no name", "kubestrap node readdress [--to ADDRESS]", ExitCode::usage);
  Machine machine(globals().rootfs);
  auto& host = machine.host();
  const auto facts = host.facts({.depth = host::Host::Questions::Depth::defaults});
  const auto socket = recordedSocket(host).value_or(foundSocket(facts));
  machine.useRuntime(socket);
  Move move;
  auto setup = isControlPlane(host) ? controlPlane(options, facts, machine, move) : worker(options, facts, machine, move);
  setup.node.criSocket = socket;
  if (move.from == move.to) {
    if (format(globals()) != Format::text) return tell({}, setup, move, options, {});
    fmt::print(stderr, "nothing to do: {} is the address of this node already\n", move.to);
    return ExitCode::done;
  }
  refuseUnless(!move.own || isHere(move.to, facts), fmt::format("{} is not an address of this machine", move.to), "give the machine its new address first, or name the right one with --to");
  lookAtFront(setup, host);
  setup.request.readdressing = {.from = move.from, .to = move.to, .files = filesThatName(move, host), .own = move.own, .othersVote = false, .objects = {}};
  if (setup.node.controlPlane) askCluster(setup, move, options, machine);
  if (setup.node.controlPlane && move.own) takeCertificates(setup, move, host);
  const auto lock = options.dryRun ? nullptr : host.lock("node readdress");
  std::vector<std::string> toTell;
  const auto outcome = perform(setup, move, options, facts, machine, toTell);
  return tell(outcome, setup, move, options, toTell);
}

} // namespace

Command readdressCommand() {
  const auto options = std::make_shared<ReaddressOptions>();
  const auto flags = [options]() -> std::vector<Flag> {
    return {{.name = "dry-run", .into = &options->dryRun, .doc = "Only say what would be done"},
            {.name = "exit-code", .into = &options->exitCode, .doc = "End with 4 when something was, or would be, changed"},
            {.name = "from", .into = &options->from, .doc = "The old address (default the one that this node is known by)", .value = "ADDRESS"},
            kubeconfigFlag(options->kubeconfig),
            {.name = "to", .into = &options->to, .doc = "The new one (default that of the interface with the default route)", .value = "ADDRESS"}};
  };
  return {.name = "readdress",
          .summary = "Let this node go on after its machine got another address",
          .description = "Run on the machine itself, once it has its new address. On a control plane the certificates of its API server and of etcd are signed for it, what "
                         "names the old address in manifests and kubeconfigs names the new one, and etcd's other members, all balancers and the cluster's own objects are told. "
                         "A node that knows its cluster by the address of a control plane that has moved is told with --from and --to. A run that was stopped is gone on "
                         "with by running it again.",
          .flags = flags,
          .run = [options](const auto& given) { return readdress(*options, given); }};
}

} // namespace kubestrap::cmd
