#include "tests/flow/machine.hpp"

#include "host/facts.hpp"
#include "manifests/cluster_objects.hpp"
#include "phases/preflight.hpp"
#include "plan/journal.hpp"
#include "plan/leaving.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::flow {

namespace {

constexpr const char* kConfiguration = R"(
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
  ttl: 24h0m0s
localAPIEndpoint: {advertiseAddress: 10.0.0.11, bindPort: 6443}
nodeRegistration:
  name: n1
  criSocket: unix:///var/run/containerd/containerd.sock
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
networking: {podSubnet: 10.244.0.0/16}
encryptionAlgorithm: ECDSA-P256
)";

const std::string kKubeletPem = "/var/lib/kubelet/pki/kubelet-client-current.pem";
const std::string kManifests = "/etc/kubernetes/manifests/";
const std::string kNodeState = "/etc/kubernetes/kubestrap/node.json";

} // namespace

void JumpingClock::sleep(Duration duration) {
  if (interruptAtSleep && (*interruptAtSleep)-- == 0) {
    interruptAtSleep.reset();
    throw Interrupted();
  }
  host_.now += duration;
  if (onSleep) onSleep();
}

std::string SteadyEntropy::bytes(std::size_t count) {
  std::string bytes;
  while (bytes.size() < count) bytes += sha256("flow " + std::to_string(block_++));
  return bytes.substr(0, count);
}

// ---- what was told

namespace {
std::string line(std::string_view phase, std::string_view verb, const plan::Change& change) {
  return fmt::format("[{}] {} {}{}", phase, verb, change.subject,
                     change.reason.empty() ? "" : " (" + change.reason + ")");
}
} // namespace

void Listener::phaseSkipped(std::string_view phase) { lines.push_back(fmt::format("[{}] skipped", phase)); }
void Listener::planned(std::string_view phase, const plan::Change& change) {
  lines.push_back(line(phase, plan::futureTense(change.verb), change));
  previews += change.preview;
}
void Listener::done(std::string_view phase, const plan::Change& change, Duration) {
  lines.push_back(line(phase, plan::pastTense(change.verb), change));
  previews += change.preview;
}
void Listener::waiting(std::string_view, const plan::Change& change, Duration, Duration, std::string_view seen) {
  auto text = fmt::format("{}: {}", change.subject, seen);
  if (waits.empty() || waits.back() != text) waits.push_back(std::move(text));
}
void Listener::warning(std::string_view phase, std::string_view text) {
  lines.push_back(fmt::format("[{}] warning: {}", phase, text));
}

// ---- the world

Machine::Machine() {
  for (const auto* folder : {"/etc", "/var", "/var/lib"})
    host.files[folder] = {.content = "", .mode = 0755, .modified = host.now, .type = host::FileStatus::Type::folder};
  for (const auto* option : {"NAMESPACES",
                             "NET_NS",
                             "PID_NS",
                             "IPC_NS",
                             "UTS_NS",
                             "CPUSETS",
                             "MEMCG",
                             "INET",
                             "PROC_FS",
                             "FAIR_GROUP_SCHED",
                             "CGROUPS",
                             "CGROUP_BPF",
                             "CGROUP_PIDS",
                             "CGROUP_SCHED",
                             "CGROUP_CPUACCT",
                             "CGROUP_DEVICE",
                             "CGROUP_FREEZER",
                             "SECCOMP",
                             "EXT4_FS",
                             "NETFILTER_XT_TARGET_REDIRECT",
                             "NETFILTER_XT_MATCH_COMMENT",
                             "OVERLAY_FS"})
    host.machine.kernelConfig[std::string("CONFIG_") + option] = "y";
  api.servers = {"https://10.0.0.11:6443"};
  api.now = [this] { return host.now; };
  api.reachable = [this](const net::Request&) {
    const auto& kubelet = host.services["kubelet"];
    return kubelet.active == "active" && kubelet.startedAt && host.now - *kubelet.startedAt >= timetable.apiServer &&
           host.files.contains(kManifests + "etcd.yaml") && runs("kube-apiserver");
  };
  // A write to the cluster is an effect like one on the machine, so that a run can be stopped before any of them.
  api.intercept = [this](const net::Request& request) -> std::optional<net::Response> {
    if (request.method != "GET") host.effect(request.method + " " + request.url.substr(request.url.find("/api")));
    return std::nullopt;
  };
  clock.onSleep = [this] { settle(); };
}

bool Machine::isRescued(const std::string& component) const { return host.files.contains(kManifests + "rescue-" + component + ".yaml"); }

/// By a static pod of either layout. Once a guard governs, the pods of DaemonSets do, which are not shown here.
bool Machine::runs(const std::string& component) const {
  return isRescued(component) || host.files.contains(kManifests + component + ".yaml") || (host.files.contains(kNodeState) && host.text(kNodeState).find("\"held\":[]") != std::string::npos);
}

void Machine::settle() {
  const auto& kubelet = host.services["kubelet"];
  if (kubelet.active != "active" || !kubelet.startedAt || !host.files.contains("/var/lib/kubelet/config.yaml")) return;
  const auto age = host.now - *kubelet.startedAt;
  const auto address = [&](const std::string& component) { return isRescued(component) ? "127.64.43.3" : "127.0.0.1"; };
  if (age >= timetable.kubeletHealthy) api.page("http://127.0.0.1:10248/healthz", 200);
  if (age >= timetable.clientCertificate && !host.files.contains(kKubeletPem))
    host.put(kKubeletPem, "made by the kubelet\n", 0600);
  if (age >= timetable.others) {
    if (runs("kube-controller-manager")) api.page(fmt::format("https://{}:10257/healthz", address("kube-controller-manager")), 200);
    if (runs("kube-scheduler")) api.page(fmt::format("https://{}:10259/livez", address("kube-scheduler")), 200);
  }
  if (age >= timetable.node && runs("kube-apiserver")) registerNode();
}

void Machine::registerNode() {
  if (!api.object("/api/v1/nodes/n1"))
    api.put(
        {{"apiVersion", "v1"},
         {"kind", "Node"},
         {"metadata", {{"name", "n1"}, {"labels", {{"kubernetes.io/hostname", "n1"}}}}},
         {"spec", {{"taints", Value::array({{{"key", "node.kubernetes.io/not-ready"}, {"effect", "NoSchedule"}}})}}}},
        "kubelet");
}

config::Setup Machine::setup() {
  std::vector<std::string> warnings;
  auto facts = host.machine;
  facts.kubeletUnit = host::lookAtKubeletUnit(host);
  auto loaded = config::loadInit(
      parseYaml(replaceAll(kConfiguration, "v1.37.2", version), "setup.yaml"), {.configFile = "setup.yaml"}, facts,
      [this](std::size_t count) { return entropy.bytes(count); }, warnings);
  loaded.request.certificateKey = Secret(kCertificateKey);
  if (adjust) adjust(loaded);
  for (auto& token : loaded.request.tokens)
    if (!token.expires && token.ttl) token.expires = host.now + *token.ttl;
  loaded.request.certsExpire = host.now + manifests::certsLifetime;
  const auto& pki = loaded.cluster.pki.folder;
  loaded.node.externalAuthority = host.status(pki / "ca.crt") && !host.status(pki / "ca.key");
  return loaded;
}

plan::Outcome Machine::run(plan::Mode mode) {
  settle();
  const auto wanted = setup();
  const auto asked = phases::questionsForInit(wanted);
  auto facts = host.facts({.files = asked.files,
                           .folders = asked.folders,
                           .programs = asked.programs,
                           .sysctls = asked.sysctls,
                           .ports = asked.ports});
  facts.runtime = cri.facts();
  for (const auto& record : plan::Journal::read(host))
    if (const auto path = stringAt(record, "target.path"); !path.empty()) facts.recorded.push_back(path);
  plan::World world{host, cri, *http, clock, entropy};
  return plan::run(phases::initWorkflow(), selection, wanted, facts, world, mode, listener, "init");
}

plan::Outcome Machine::plan() { return run(plan::Mode::plan); }
plan::Outcome Machine::init() { return run(plan::Mode::apply); }

std::string Machine::initFails() {
  try {
    init();
    return {};
  } catch (const Error& error) {
    return error.message() + (error.hint().empty() ? "" : "; " + error.hint());
  }
}

bool Machine::initStoppedAt(std::size_t n) {
  host.stopAtEffect = host.effects.size() + n;
  try {
    init();
    host.stopAtEffect.reset();
    return false;
  } catch (const fakes::Killed&) {
    return true;
  }
}

plan::Outcome Machine::reset(Force force, plan::Mode mode) {
  settle();
  config::Setup setup;
  setup.node.name = "n1";
  setup.request.timeouts.kubernetesAPICall = std::chrono::seconds(10);
  setup.request.resetting.force = force == Force::yes;
  if (adjustReset) adjustReset(setup);
  plan::World world{host, cri, *http, clock, entropy};
  plan::lookAtLeavingNode(setup, world);
  if (setup.request.resetting.isNode) plan::lookAtClusterLeft(setup, world);
  return plan::run(phases::resetWorkflow(), resetSelection, setup, host.machine, world, mode, listener, "reset");
}

std::string Machine::resetFails(Force force) {
  try {
    reset(force);
    return {};
  } catch (const Error& error) {
    return error.message() + (error.hint().empty() ? "" : "; " + error.hint());
  }
}

bool Machine::resetStoppedAt(std::size_t n) {
  host.stopAtEffect = host.effects.size() + n;
  try {
    reset();
    host.stopAtEffect.reset();
    return false;
  } catch (const fakes::Killed&) {
    return true;
  }
}

std::size_t Machine::effectsOf(const std::function<void()>& body) {
  const auto before = host.effects.size();
  body();
  return host.effects.size() - before;
}

std::vector<std::string> changesOf(const plan::Outcome& outcome) {
  std::vector<std::string> changes;
  for (const auto& [phase, change] : outcome.changes)
    if (change.changes())
      changes.push_back(
          fmt::format("{}: {} {} ({})", phase, plan::futureTense(change.verb), change.subject, change.reason));
  return changes;
}

} // namespace kubestrap::flow
