// certs rotate-ca: another authority, or service account key, over all nodes; and what its pods do on the machine of their node.
#include "cmd/commands.hpp"
#include "cmd/node_look.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/reconfigure_look.hpp"
#include "cmd/renewal.hpp"
#include "cmd/roll_look.hpp"
#include "cmd/rotation_look.hpp"
#include "cmd/sealed_look.hpp"
#include "cmd/wishes.hpp"
#include "cmd/workflow.hpp"

#include "certs/x509.hpp"
#include "kube/reading.hpp"
#include "manifests/hosted.hpp"
#include "phases/certificates.hpp"
#include "phases/node.hpp"
#include "plan/on_node.hpp"
#include "plan/run.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace rotation = phases::rotation;
using rotation::Stage;

struct RotateOptions {
  std::optional<std::string> soak;
  bool plan = false, resume = false, abort = false, dropFormer = false;
};

std::string authorityOf(const std::vector<std::string>& arguments) {
  const auto names = rotation::rotatable();
  if (arguments.size() != 1 || std::ranges::find(names, arguments[0]) == names.end())
    throw Error(arguments.empty() ? "no authority was named" : fmt::format("there is no authority {} to rotate", join(arguments, " ")), "one of " + join(names, ", "),
                ExitCode::usage);
  return arguments[0];
}

/// Certificates keep what they say; those that fit are not made anew.
void keepWhatLeavesSay(config::Setup& setup, Machine& machine) {
  takeWishes(setup.cluster.pki, machine.host());
  setup.request.renewal = {.wanted = renewableHere(machine.host(), {setup.cluster, true}), .within = Duration::zero()};
}

/// Tokens of pods are valid for an hour, and are followed by others when four fifths of it are over.
constexpr auto tokensLast = std::chrono::minutes(70);

/// One rotation as the machine that drives sees it.
class Rotation {
public:
  Rotation(const std::string& authority, const RotateOptions& options, Machine& machine)
      : machine_(machine), cluster_(ownControlPlane(std::nullopt, machine)), watched_(machine.clock()) {
    refuse(authority);
    refuseWhileEncryptionMoves(cluster_.setup.cluster, machine.host(), "a rotation");
    machine.useRuntime(foundSocket({}));
    lookAtFront(cluster_.setup, machine.host());
    keepWhatLeavesSay(cluster_.setup, machine);
    intent_.authority = authority;
    intent_.direction = options.abort ? rotation::Direction::back : rotation::Direction::onward;
    intent_.former = options.dropFormer ? rotation::Former::goes : rotation::Former::stays;
    intent_.soak = options.soak ? parseDuration(*options.soak) : authority == "sa" ? Duration(tokensLast) : Duration::zero();
    intent_.nodes = {.access = cluster_.access, .image = cluster_.setup.request.ownImage};
    refresh();
  }

  const rotation::Intent& intent() const { return intent_; }
  kube::Client& client() { return *client_; }
  bool isUnderWay() { return isPrepared(machine_.host(), intent_.authority); }

  rotation::Seen look(plan::Reporter& asking) {
    refresh();
    rotation::Seen seen{.prepared = isUnderWay()};
    rotation::NodeSeen self{.name = intent_.setup.node.name, .controlPlane = true};
    asFarAsKnown(self, [&] {
      auto world = machine_.world();
      self = lookHere(intent_.setup, intent_.authority, intent_.material, world);
    });
    seen.nodes.push_back(std::move(self));
    for (const auto& node : client_->list("v1", "Node", "")) lookAt(node, asking, seen);
    std::ranges::stable_sort(seen.nodes.begin() + 1, seen.nodes.end(), [](const auto& a, const auto& b) { return a.controlPlane > b.controlPlane; });
    if (seen.prepared) intent_.beginning = rotation::Beginning::over;
    if (seen.prepared) lookAtTold(seen, intent_.authority, intent_.material, *client_);
    seen.issuedFor = Duration::max();
    for (const auto& node : seen.nodes)
      if (node.controlPlane) seen.issuedFor = std::min(seen.issuedFor, node.since);
    if (manifests::isHosted(intent_.setup.cluster)) lookAtComponents(seen);
    return seen;
  }

  plan::Next next(plan::Reporter& asking) {
    auto coming = rotation::next(intent_, look(asking));
    if (const auto* step = std::get_if<plan::Step>(&coming)) known_.erase(step->name.substr(0, step->name.find(':')));
    return coming;
  }

private:
  void refuse(const std::string& authority) const {
    const auto& known = cluster_.setup.cluster;
    if (manifests::isHosted(known) && known.kubestrap.hosting != config::Hosting::self)
      throw Error("this control plane of layout hosted is not in its own cluster yet, and only there can its authorities be rotated", "run kubestrap pivot first", ExitCode::refused);
    if (authority == "etcd-ca" && !known.etcd.isLocal()) throw Error("etcd is elsewhere: its authority is not of this cluster", {}, ExitCode::refused);
    const auto key = rotation::keyFileOf(known, authority);
    if (!machine_.host().status(key))
      throw Error(fmt::format("{} is absent: the authority's key is kept elsewhere", key.string()), "have the next authority signed where the present one's key is",
                  ExitCode::refused);
    const auto trust = rotation::trustFile(known, authority);
    if (authority == "sa" || isPrepared(machine_.host(), authority)) return;
    const auto present = certs::X509Certificate::parseAll(machine_.host().read(trust).value_or(""), trust.string());
    if (present.size() != 1) throw Error(fmt::format("{} has more than one certificate", trust.string()), "leave the present authority alone in it", ExitCode::refused);
    if (!present.front().signedBy(present.front()))
      throw Error(fmt::format("{} is signed by another authority, and the next one would not be", trust.string()), "rotation is for authorities that are roots themselves", ExitCode::refused);
  }

  /// The files of this machine as they are now.
  void refresh() {
    auto& host = machine_.host();
    lookAtFront(cluster_.setup, host);
    intent_.setup = cluster_.setup;
    // A rotation of "ca" gives the administrator another certificate.
    const auto& access = cluster_.access;
    client_ = std::make_unique<kube::Client>(machine_.http(), kube::parseKubeconfig(host.read(access.kubeconfig).value_or(""), access.kubeconfig.string()), access.server);
    intent_.material = materialHere(host, cluster_.setup.cluster, intent_.authority);
    for (const auto stage : {Stage::former, Stage::trusted, Stage::issuing, Stage::dropped}) {
      auto wish = wishHere(host, intent_.authority, intent_.material, stage);
      intent_.kubeletConfs[stage] = std::move(wish.kubeletConf);
      intent_.manifests = std::move(wish.manifests);
    }
  }

  /// Of a control plane that runs in its own cluster. What went wrong once is remembered: from there on the component goes back.
  void lookAtComponents(rotation::Seen& seen) {
    seen.hosted = lookAtRoll(*client_, intent_.setup.cluster, machine_.clock().now(), watched_);
    for (const auto& [name, component] : seen.hosted->components)
      for (const auto& pod : component.pods) seen.issuedFor = std::min(seen.issuedFor, pod.made); // these have read the key when they began
    if (const auto roll = rotation::rollNow(intent_, seen); roll && !failure_) failure_ = phases::roll::failureIn(*roll, *seen.hosted);
    seen.failure = failure_;
  }

  void lookAt(const Value& node, plan::Reporter& asking, rotation::Seen& seen) {
    rotation::NodeSeen other{.name = stringAt(node, "metadata.name"), .controlPlane = kube::isControlPlane(node),
                             .ready = kube::isReady(node)};
    if (other.name == intent_.setup.node.name || (!other.controlPlane && !rotation::isKnownToWorkers(intent_.authority))) return;
    // Until something is prepared there is nothing that they could be asked.
    if (seen.prepared && other.ready) asFarAsKnown(other, [&] { ask(other, asking); });
    seen.nodes.push_back(std::move(other));
  }

  /// Looked at anew only after something has been done there.
  void asFarAsKnown(rotation::NodeSeen& node, const std::function<void()>& lookAnew) {
    const auto now = machine_.clock().now();
    const auto found = known_.find(node.name);
    if (found == known_.end()) {
      lookAnew();
      known_[node.name] = {node, now};
      return;
    }
    const auto ready = node.ready;
    node = found->second.seen;
    node.ready = ready;
    node.since += now - found->second.at;
  }

  void ask(rotation::NodeSeen& other, plan::Reporter& asking) {
    auto world = machine_.world();
    takeReport(other, plan::runOnNode(rotation::runOn(intent_, other.name, "how far it is", rotation::commandOnNode(intent_, std::nullopt, rotation::Kubelet::follows)), world,
                                      asking));
    if (other.controlPlane) other.receiver = receiverOf(other.name, other.receiver, intent_.setup.cluster, machine_.host());
  }

  Machine& machine_;
  ControlPlane cluster_;
  std::unique_ptr<kube::Client> client_;
  rotation::Intent intent_;
  Watched watched_;
  std::optional<phases::roll::Failure> failure_;
  struct Known {
    rotation::NodeSeen seen;
    TimePoint at;
  };
  std::map<std::string, Known> known_; ///< how far nodes are, until something is done there
};

std::string again(const std::string& authority, const std::string& flags) { return fmt::format("kubestrap certs rotate-ca {} {}", authority, flags); }

void checkFlags(const RotateOptions& options) {
  if (options.abort && (options.resume || options.dropFormer)) throw Error("--abort goes back, and takes neither --resume nor --drop-former", {}, ExitCode::usage);
}

/// A rotation that is under way is gone on with on purpose, since it may have been begun for another reason.
void checkState(Rotation& rotation, const RotateOptions& options, const std::string& authority) {
  const bool underWay = rotation.isUnderWay();
  if (underWay && !options.resume && !options.abort && !options.plan)
    throw Error(fmt::format("a rotation of {} is under way already", authority), fmt::format("{}, or --abort", again(authority, "--resume")), ExitCode::refused);
}

std::string outcomeOf(const rotation::Intent& intent) {
  const auto& what = intent.authority;
  if (intent.direction == rotation::Direction::back) return fmt::format("the former {} alone is in use again", what);
  if (intent.former == rotation::Former::goes) return fmt::format("the next {} has taken the former one's place", what);
  return fmt::format("the next {} signs, and the former is still trusted; when everybody knows the next: {}\nback: {}", what, again(what, "--resume --drop-former"),
                     again(what, "--abort"));
}

void warnOfHolders(Rotation& rotation) {
  const auto& intent = rotation.intent();
  if (intent.direction == rotation::Direction::back) return;
  for (const auto& each : holdersOfFormer(intent.authority, intent.material, rotation.client())) log::warn(each);
  if (intent.authority == "ca" && intent.former == rotation::Former::stays)
    log::warn("kubeconfigs that users have are to be made anew (kubestrap kubeconfig user), and pods that have read kube-root-ca.crt only once are to be started anew, "
              "before the former authority is dropped");
}

/// Tokens in Secrets do not end: whoever uses them would be locked out.
void refuseLastingTokens(Rotation& rotation) {
  const auto& intent = rotation.intent();
  if (intent.authority != "sa" || intent.former != rotation::Former::goes) return;
  const auto found = holdersOfFormer("sa", intent.material, rotation.client());
  if (found.empty() || !rotation.isUnderWay()) return;
  throw Error(fmt::format("tokens that do not end are signed by the former key: {}", join(found, "; ")),
              "take the member token out of each Secret, the controller-manager makes another one with the next key; and give it to who uses it", ExitCode::refused);
}

ExitCode rotate(const RotateOptions& options, const std::vector<std::string>& arguments) {
  const auto authority = authorityOf(arguments);
  checkFlags(options);
  Machine machine(globals().rootfs);
  Rotation rotation(authority, options, machine);
  checkState(rotation, options, authority);
  if (options.plan) {
    auto seen = rotation.look(*reporterFor(plan::Mode::apply));
    return planOperation([&] { return rotation::next(rotation.intent(), seen); },
                         [&](const plan::Next& done) { seen = rotation::assumed(rotation.intent(), std::move(seen), done); });
  }
  if ((options.resume || options.abort) && !rotation.isUnderWay())
    throw Error(fmt::format("no rotation of {} is under way on this machine", authority), "it is gone on with where it was begun", ExitCode::refused);
  refuseLastingTokens(rotation);
  const auto code = performOperation({.name = "certs rotate-ca " + authority, .access = rotation.intent().nodes.access, .holder = rotation.intent().setup.node.name,
                                      .next = {}, .nextByAsking = [&](plan::Reporter& asking) { return rotation.next(asking); }},
                                     machine, outcomeOf(rotation.intent()));
  warnOfHolders(rotation);
  return code;
}

std::vector<Flag> rotateFlags(RotateOptions& options) {
  return {{.name = "plan", .into = &options.plan, .doc = "Only say which steps there would be"},
          {.name = "resume", .into = &options.resume, .doc = "Go on with a rotation that is under way"},
          {.name = "abort", .into = &options.abort, .doc = "Go back to the former authority, which is possible until it is dropped"},
          {.name = "drop-former", .into = &options.dropFormer, .doc = "In the end trust the next one alone; there is no way back from there"},
          {.name = "soak", .into = &options.soak, .doc = "How long the next one signs before the former is dropped", .value = "DURATION", .standard = "of sa 70m, else 0s"}};
}

// ---- on the machine of another node

struct NodeRotateOptions {
  std::string pki = config::paths::pki.string(), former, next, bridge, stage;
  bool leaveKubelet = false, forget = false;
};

config::Setup setupHere(const NodeRotateOptions& options, Machine& machine) {
  config::Setup setup;
  if (isControlPlane(machine.host())) {
    setup = ownControlPlane(std::nullopt, machine).setup;
    keepWhatLeavesSay(setup, machine);
  } else {
    setup.node.controlPlane = false;
    setup.node.name = setup.node.hostname = nameOfNode(machine.host()).value_or("");
    setup.cluster.pki.folder = options.pki;
  }
  lookAtFront(setup, machine.host());
  return setup;
}

/// The next authority's key, as it was sealed for this node (decision D24).
Secret unsealedKey(const config::Setup& setup, Machine& machine) {
  auto cluster = ownControlPlane(std::nullopt, machine);
  const auto name = rotation::secretOf(setup.node.name);
  auto key = opened(cluster.client, name, rotation::keyMember, setup.cluster, machine.host());
  if (!key) throw Error(fmt::format("the key of the next authority has not come (Secret kube-system/{})", name), "kubestrap certs rotate-ca, where it is driven from, sends it");
  return *std::move(key);
}

void checkKey(const std::string& authority, const rotation::Generation& generation, const std::string& which) {
  const auto key = certs::PrivateKey::parse(generation.key, which);
  const bool belongs = authority == "sa" ? trim(key.publicPem()) == trim(generation.certificate) : certs::X509Certificate::parse(generation.certificate, which).belongsTo(key);
  if (!belongs) throw Error(fmt::format("the key of the {} {} is not its own on this machine", which, authority), "look at /var/lib/kubestrap/rotation");
}

rotation::Material materialOf(const NodeRotateOptions& options, const std::string& authority, const config::Setup& setup, Machine& machine) {
  const auto given = [](const std::string& text) { return fromBase64(text).value_or(""); };
  rotation::Material material{.former = {given(options.former), {}}, .next = {given(options.next), {}}, .bridge = given(options.bridge)};
  if (!setup.node.controlPlane) return material;
  auto here = materialHere(machine.host(), setup.cluster, authority);
  material.former.key = std::move(here.former.key);
  material.next.key = std::move(here.next.key);
  if (options.stage.empty()) return material;
  if (material.next.key.empty() || here.next.certificate != material.next.certificate) material.next.key = unsealedKey(setup, machine);
  checkKey(authority, material.former, "former");
  checkKey(authority, material.next, "next");
  return material;
}

ExitCode rotateHere(const NodeRotateOptions& options, const std::vector<std::string>& arguments) {
  const auto authority = authorityOf(arguments);
  Machine machine(globals().rootfs);
  machine.useRuntime(foundSocket({}));
  auto world = machine.world();
  const auto reporter = reporterFor(plan::Mode::apply);
  const auto lock = machine.host().lock("certs rotate-ca");
  if (options.forget) {
    plan::enactAll(rotation::forgotten(authority), "forget", "certs rotate-ca", world, *reporter);
    return ExitCode::done;
  }
  const auto setup = setupHere(options, machine);
  const auto material = materialOf(options, authority, setup, machine);
  if (const auto stage = rotation::parseStage(options.stage)) {
    auto wish = wishHere(machine.host(), authority, material, *stage);
    wish.kubelet = options.leaveKubelet ? rotation::Kubelet::asItIs : rotation::Kubelet::follows;
    plan::enactAll(rotation::onNode(setup, wish), options.stage, "certs rotate-ca", world, *reporter);
    return ExitCode::done;
  }
  fmt::print("{}\n", reportOf(lookHere(setup, authority, material, world), machine.host(), setup.cluster));
  return ExitCode::done;
}

std::vector<Flag> nodeRotateFlags(NodeRotateOptions& options) {
  return {{.name = "pki", .into = &options.pki, .doc = "The folder of the certificates", .value = "DIR"},
          {.name = "former", .into = &options.former, .doc = "The former authority, in base64", .value = "TEXT"},
          {.name = "next", .into = &options.next, .doc = "The next authority, in base64", .value = "TEXT"},
          {.name = "bridge", .into = &options.bridge, .doc = "The next authority, certified by the former, in base64", .value = "TEXT"},
          {.name = "stage", .into = &options.stage, .doc = "What to bring this machine to; without it, tell how far it is", .value = "STAGE"},
          {.name = "leave-kubelet", .into = &options.leaveKubelet, .doc = "Leave the kubelet's certificate as it is"},
          {.name = "forget", .into = &options.forget, .doc = "Remove what only the rotation needs"}};
}

} // namespace

Command rotateCommand() {
  const auto options = std::make_shared<RotateOptions>();
  return {.name = "rotate-ca",
          .summary = "Replace an authority, or the service account key, while the cluster works",
          .description = "Makes another authority (ca, front-proxy-ca, etcd-ca) or service account key (sa), lets every node trust both, then lets the next one sign "
                         "everything. There it stops, so that people can bring up to date what only they know; with --drop-former it goes on and trusts the next one alone. "
                         "What it has done is seen on the nodes: --resume goes on after whatever has stopped it, and --abort goes back, until the former is dropped.",
          .flags = [options] { return rotateFlags(*options); },
          .arguments = join(rotation::rotatable(), "|"),
          .run = [options](const auto& given) { return rotate(*options, given); },
          .choices = rotation::rotatable()};
}

Command rotateOnNodeCommand() {
  const auto options = std::make_shared<NodeRotateOptions>();
  return {.name = "rotate",
          .summary = "What certs rotate-ca does on another node",
          .flags = [options] { return nodeRotateFlags(*options); },
          .arguments = "AUTHORITY",
          .run = [options](const auto& given) { return rotateHere(*options, given); },
          .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
