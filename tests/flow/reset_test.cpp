// The promise of reset: the machine is what it was before it became a node, whatever has happened in between, and nothing of others is
// touched.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "plan/journal.hpp"
#include "plan/recorded.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

using Force = Machine::Force;

/// What is not as it was, each as "files /etc/x".
Lines left(const Value& before, Machine& machine) {
  Lines lines;
  for (const auto& each : plan::deviations(before, machine.host.inventory())) lines.push_back(each.part + " " + each.name + ": " + each.before + " -> " + each.now);
  return lines;
}

/// What a kubelet and its pods leave behind them, mounts too.
void work(Machine& machine) {
  machine.settle();
  auto& host = machine.host;
  if (host.services["kubelet"].active != "active") return;
  host.put("/var/lib/etcd/member/snap/db", "data", 0600);
  host.put("/var/lib/kubelet/pods/1/volumes/token", "secret", 0600);
  host.put("/var/log/pods/kube-system_etcd-n1_1/etcd/0.log", "log");
  host.put("/var/lib/cni/networks/pods/10.244.0.2", "etcd");
  host.put("/proc/self/mounts", "/dev/vda1 / ext4 rw 0 0\ntmpfs /var/lib/kubelet/pods/1/volumes tmpfs rw 0 0\n");
  machine.cri.pods = {{.id = "p1", .uid = "1", .name = "etcd-n1", .podNamespace = "kube-system", .ready = true}};
}

Value aBareMachine(Machine& machine) {
  machine.host.put("/proc/self/mounts", "/dev/vda1 / ext4 rw 0 0\n");
  machine.host.files["/var/log"] = {.content = "", .mode = 0755, .type = host::FileStatus::Type::folder};
  return machine.host.inventory();
}

bool told(const Machine& machine, std::string_view text) {
  return std::ranges::any_of(machine.listener.lines, [&](const auto& line) { return line.find(text) != std::string::npos; });
}

} // namespace

TEST_CASE("after init and reset the machine is what it was") {
  Machine machine;
  const auto before = aBareMachine(machine);
  machine.init();
  work(machine);
  CHECK(left(before, machine).size() > 20);
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
  CHECK(machine.cri.pods.empty());
  CHECK(machine.host.services["kubelet"].active == "inactive");
}

TEST_CASE("a second reset has nothing to do") {
  Machine machine;
  aBareMachine(machine);
  machine.init();
  work(machine);
  machine.reset();
  const auto effects = machine.effects().size();
  CHECK_FALSE(machine.reset().changed());
  CHECK(machine.effects().size() == effects);
}

TEST_CASE("a dry run touches nothing and says what the real one does") {
  Machine machine;
  aBareMachine(machine);
  machine.init();
  work(machine);
  const auto before = machine.host.inventory();
  const auto effects = machine.effects().size();
  const auto planned = changesOf(machine.reset(Force::yes, plan::Mode::plan));
  CHECK(machine.effects().size() == effects);
  CHECK(left(before, machine) == Lines{});
  CHECK(planned == changesOf(machine.reset()));
}

TEST_CASE("a machine can be a node again after a reset, and be reset again") {
  Machine machine;
  const auto before = aBareMachine(machine);
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    CHECK(machine.initFails() == "");
    work(machine);
    CHECK(machine.resetFails() == "");
    CHECK(left(before, machine) == Lines{});
    for (const auto& path : machine.api.paths()) machine.api.remove(path); // its etcd has begun anew
  }
}

// ---- whatever has happened in between

namespace {
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t stride = 9;
#else
constexpr std::size_t stride = 1;
#endif
} // namespace

TEST_CASE("wherever init was killed, reset leaves the machine as it was") {
  std::size_t n = 1;
  for (;; n += stride) {
    Machine machine;
    const auto before = aBareMachine(machine);
    if (!machine.initStoppedAt(n)) break;
    work(machine);
    CAPTURE(n);
    CHECK(machine.resetFails() == "");
    CHECK(left(before, machine) == Lines{});
  }
  CHECK(n > 100);
}

TEST_CASE("wherever reset was killed, the next one comes to the same end") {
  std::size_t n = 1;
  for (;; n += stride) {
    Machine machine;
    const auto before = aBareMachine(machine);
    machine.init();
    work(machine);
    if (!machine.resetStoppedAt(n)) break;
    const auto next = "what follows \"" + machine.effects().back() + "\"";
    CAPTURE(n);
    CAPTURE(next);
    CHECK(machine.resetFails() == "");
    CHECK(left(before, machine) == Lines{});
    CHECK(plan::Journal::read(machine.host).empty());
  }
  CHECK(n > 30);
}

TEST_CASE("what a killed run has left beside a file goes too") {
  Machine machine;
  const auto before = aBareMachine(machine);
  REQUIRE(machine.initStoppedAt(50));
  std::string last;
  for (const auto& record : plan::Journal::read(machine.host))
    if (stringAt(record, "kind") == "Key") last = stringAt(record, "target.path");
  REQUIRE(last.find('/') != std::string::npos);
  const auto name = last.rfind('/') + 1;
  machine.host.put(last.substr(0, name) + "." + last.substr(name) + ".kubestrap-0123abcd", "half a key", 0600);
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("where no kubelet was begun there are no pods: the runtime need not answer") {
  Machine machine;
  machine.host.services.erase("kubelet");
  const auto before = aBareMachine(machine);
  machine.selection.only = "certs";
  machine.init();
  machine.cri.runtime.reachable = false;
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("a kubelet that was started again and again before is so again, wherever init was killed") {
  for (std::size_t n = 1; n < 120; n += n < 10 ? 1 : 9) {
    Machine machine;
    machine.host.services["kubelet"].active = "activating";
    const auto before = aBareMachine(machine);
    REQUIRE(machine.initStoppedAt(n));
    CAPTURE(n);
    CHECK(machine.resetFails() == "");
    CHECK(left(before, machine) == Lines{});
  }
}

TEST_CASE("reset that the operator interrupts says so, and the next one comes to the same end") {
  unsigned interrupted = 0;
  for (unsigned n = 0;; n += 7) {
    Machine machine;
    const auto before = aBareMachine(machine);
    machine.init();
    work(machine);
    machine.clock.interruptAtSleep = n;
    try {
      machine.reset();
      break;
    } catch (const Interrupted&) {
      ++interrupted;
    }
    CAPTURE(n);
    CHECK(machine.resetFails() == "");
    CHECK(left(before, machine) == Lines{});
  }
  CHECK(interrupted > 5);
}

TEST_CASE("an init that failed is undone as one that did not") {
  Machine machine;
  const auto before = aBareMachine(machine);
  machine.timetable.apiServer = kNever;
  CHECK(machine.initFails() != "");
  work(machine);
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("what cannot be removed is told, all else goes, and the next run ends the work") {
  Machine machine;
  const auto before = aBareMachine(machine);
  machine.init();
  work(machine);
  machine.host.onEffect = [](const std::string& effect) {
    if (effect == "remove /etc/kubernetes/admin.conf") throw Error("cannot remove /etc/kubernetes/admin.conf: Read-only file system");
  };
  const auto failure = machine.resetFails();
  CHECK(failure.find("cleanup-node failed") != std::string::npos);
  CHECK(failure.find("Read-only file system") != std::string::npos);
  CHECK_FALSE(machine.host.files.contains("/etc/kubernetes/pki/ca.key"));
  CHECK_FALSE(plan::Journal::read(machine.host).empty());
  machine.host.onEffect = nullptr;
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("a file that somebody changes while reset is at work is told, and left until the next one") {
  Machine machine;
  const auto before = aBareMachine(machine);
  machine.init();
  work(machine);
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect == "remove /etc/kubernetes/scheduler.conf") machine.host.put("/etc/kubernetes/admin.conf", "theirs", 0600);
  };
  CHECK(machine.resetFails().find("/etc/kubernetes/admin.conf was changed by somebody else just now") != std::string::npos);
  CHECK(machine.host.text("/etc/kubernetes/admin.conf") == "theirs");
  CHECK_FALSE(machine.host.files.contains("/etc/kubernetes/pki/ca.key"));
  machine.host.onEffect = nullptr;
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("a pod that the runtime cannot stop at once is stopped the next time; one that it never can is told") {
  for (const int failures : {2, 1000}) {
    CAPTURE(failures);
    Machine machine;
    aBareMachine(machine);
    machine.init();
    work(machine);
    machine.host.onEffect = [left = failures](const std::string& effect) mutable {
      if (effect.starts_with("remove pod ") && left-- > 0) throw Error("failed to kill container: ttrpc: closed");
    };
    const auto failure = machine.resetFails();
    CHECK((failure.find("ttrpc: closed") != std::string::npos) == (failures == 1000));
    CHECK(machine.cri.pods.empty() == (failures == 2));
  }
}

TEST_CASE("a pod that the kubelet had asked for when it was stopped, and that is there a moment later, goes too") {
  Machine machine;
  aBareMachine(machine);
  machine.init();
  work(machine);
  machine.cri.pods.clear();
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect.starts_with("unmount ")) machine.cri.pods = {{.id = "p2", .uid = "2", .name = "etcd-n1", .podNamespace = "kube-system"}};
  };
  CHECK(machine.resetFails() == "");
  CHECK(machine.cri.pods.empty());
}

TEST_CASE("a pod that is in the making for long when the kubelet is stopped goes too") {
  Machine machine;
  aBareMachine(machine);
  machine.init();
  work(machine);
  machine.cri.pods.clear();
  machine.cri.inTheMaking = {{20, {.id = "p2", .uid = "2", .name = "etcd-n1", .podNamespace = "kube-system"}}};
  CHECK(machine.resetFails() == "");
  CHECK(machine.cri.pods.empty());
  CHECK(machine.cri.inTheMaking.empty());
}

TEST_CASE("a shim that outlives its pod is ended with what it has begun, and nobody else's") {
  Machine machine;
  aBareMachine(machine);
  machine.init();
  work(machine);
  machine.cri.pods.push_back({.id = "p4", .uid = "4", .name = "etcd-n1", .podNamespace = "kube-system"});
  auto& host = machine.host;
  const auto shim = [&](const std::string& pid, const std::string& pod) {
    host.put("/proc/" + pid + "/comm", "containerd-shim\n");
    host.put("/proc/" + pid + "/cmdline", std::string("shim\0-namespace\0k8s.io\0-id\0", 28) + pod + '\0');
    host.put("/proc/" + pid + "/status", "Name:\tcontainerd-shim\nPPid:\t1\n");
  };
  shim("500", "p4");
  shim("600", "somebody-elses");
  host.put("/proc/501/comm", "runc:[2:INIT]\n");
  host.put("/proc/501/status", "Name:\trunc:[2:INIT]\nPPid:\t500\n");
  CHECK(machine.resetFails() == "");
  Lines ended;
  for (const auto& effect : host.effects)
    if (effect.starts_with("end process")) ended.push_back(effect);
  CHECK(ended == Lines{"end process 501", "end process 500"});
}

TEST_CASE("keepalived is asked to end, since it leaves its address when it is killed") {
  Machine machine;
  aBareMachine(machine);
  machine.init();
  work(machine);
  machine.cri.pods.push_back({.id = "p3", .uid = "3", .name = "kubestrap-vip-n1", .podNamespace = "kube-system"});
  machine.cri.found.push_back({.id = "c3", .podUid = "3", .podName = "kubestrap-vip-n1", .podNamespace = "kube-system", .name = "vip", .state = host::Container::State::running});
  CHECK(machine.resetFails() == "");
  const auto& effects = machine.cri.effects;
  const auto asked = std::ranges::find(effects, "stop container c3"), removed = std::ranges::find(effects, "remove pod p3");
  CHECK(removed != effects.end());
  CHECK(asked < removed);
}

// ---- what was replaced comes back, what belongs to others stays

TEST_CASE("a file that was replaced comes back with its mode") {
  Machine machine;
  machine.host.put("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n# by hand\n", 0640);
  const auto before = aBareMachine(machine);
  machine.init();
  work(machine);
  CHECK(machine.resetFails() == "");
  CHECK(machine.host.text("/var/lib/kubelet/config.yaml") == "kind: KubeletConfiguration\n# by hand\n");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("a file that a component wrote, and that was replaced later, goes: it was not there before") {
  Machine machine;
  const auto before = aBareMachine(machine);
  REQUIRE(machine.initStoppedAt(20));
  machine.host.put("/var/lib/kubelet/instance-config.yaml", "kind: KubeletConfiguration\n# by the kubelet\n");
  CHECK(machine.initFails() == "");
  work(machine);
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("what others have written into /etc/hosts since stays, and the line of ours goes") {
  Machine machine;
  machine.host.put("/etc/hosts", "127.0.0.1 localhost\n");
  aBareMachine(machine);
  machine.adjust = [&](config::Setup& setup) {
    setup.request.ownImage = "kubestrap.io/kubestrap:v1";
    setup.cluster.kubestrap.endpointMode = config::EndpointMode::local;
    setup.cluster.controlPlaneEndpoint = config::Endpoint{"api.kubernetes.internal", 6443};
    setup.node.hostsFile = machine.host.text("/etc/hosts");
  };
  machine.cri.images = {"kubestrap.io/kubestrap:v1"};
  machine.initFails(); // as far as it gets
  REQUIRE(machine.host.text("/etc/hosts").find("# kubestrap: ") != std::string::npos);
  machine.host.put("/etc/hosts", machine.host.text("/etc/hosts") + "10.0.0.9 theirs\n");
  machine.reset();
  CHECK(machine.host.text("/etc/hosts") == "127.0.0.1 localhost\n10.0.0.9 theirs\n");
}

TEST_CASE("authorities that the operator brought stay") {
  Machine other;
  other.init();
  Machine machine;
  for (const auto* name : {"ca.crt", "ca.key"})
    machine.host.put(std::string("/etc/kubernetes/pki/") + name, other.host.text(std::string("/etc/kubernetes/pki/") + name), 0600);
  const auto before = aBareMachine(machine);
  machine.init();
  work(machine);
  CHECK(machine.resetFails() == "");
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("what others have put beside ours stays, and the folders it lies in") {
  Machine machine;
  aBareMachine(machine);
  machine.init();
  work(machine);
  machine.host.put("/etc/kubernetes/pki/oidc.crt", "theirs");
  machine.host.put("/etc/kubernetes/audit-policy.yaml", "theirs");
  machine.cri.pods.push_back({.id = "x", .uid = "x", .name = "foreign", .podNamespace = "theirs", .ready = true, .ofKubelet = false});
  machine.host.put("/proc/self/mounts", machine.host.text("/proc/self/mounts") + "data /srv/data ext4 rw 0 0\n");
  machine.reset();
  CHECK(machine.host.text("/etc/kubernetes/pki/oidc.crt") == "theirs");
  CHECK(machine.host.text("/etc/kubernetes/audit-policy.yaml") == "theirs");
  REQUIRE(machine.cri.pods.size() == 1);
  CHECK(machine.cri.pods.front().id == "x");
  CHECK(machine.host.text("/proc/self/mounts").find("/srv/data") != std::string::npos);
}

TEST_CASE("what was mounted before is not entered, and stays mounted") {
  Machine machine;
  machine.host.put("/proc/self/mounts", "/dev/vda1 / ext4 rw 0 0\n");
  machine.init();
  work(machine);
  machine.host.put("/var/lib/kubelet/pods/1/volumes/held/precious", "theirs");
  machine.host.put("/proc/self/mounts", "/dev/vdb1 /var/lib/kubelet/pods/1/volumes/held ext4 rw 0 0\n");
  // Whoever holds it: it cannot be unmounted.
  machine.host.onEffect = [](const std::string& effect) {
    if (effect.starts_with("unmount ")) throw Error("cannot unmount it: Device or resource busy");
  };
  CHECK(machine.resetFails().find("busy") != std::string::npos);
  CHECK(machine.host.text("/var/lib/kubelet/pods/1/volumes/held/precious") == "theirs");
}

TEST_CASE("the units are as they were: one that was not enabled is not enabled again") {
  Machine machine;
  machine.host.services["kubelet"].enabled = false;
  const auto before = aBareMachine(machine);
  machine.init();
  CHECK(machine.host.services["kubelet"].enabled);
  machine.reset();
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("no secret stays beside the journal after a reset") {
  Machine machine;
  machine.host.put("/etc/kubernetes/admin.conf", "old secret");
  aBareMachine(machine);
  machine.adjust = [](config::Setup& setup) { setup.request.ignorePreflightErrors = {"all"}; };
  machine.initFails();
  machine.reset();
  CHECK(machine.host.list("/var/lib/kubestrap/before").empty());
  for (const auto& [path, file] : machine.host.files)
    if (path.starts_with("/var/lib/kubestrap")) CHECK(file.content.find("PRIVATE KEY") == std::string::npos);
}

// ---- a machine that kubeadm made a node

namespace {
void makeNodeOfKubeadm(Machine& machine) {
  machine.init();
  work(machine);
  for (const auto* name : {"journal", "inventory"}) machine.host.files.erase(std::string("/var/lib/kubestrap/") + name);
}
} // namespace

TEST_CASE("a node of kubeadm's goes by the well-known paths") {
  Machine machine;
  makeNodeOfKubeadm(machine);
  machine.host.put("/etc/cni/net.d/10-bridge.conflist", "{}");
  CHECK(machine.resetFails() == "");
  for (const auto* path : {"/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/etcd/ca.key", "/etc/kubernetes/manifests/etcd.yaml",
                           "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/pki/kubelet-client-current.pem", "/var/lib/etcd/member/snap/db"}) {
    CAPTURE(path);
    CHECK_FALSE(machine.host.files.contains(path));
  }
  CHECK(machine.host.files.contains("/etc/cni/net.d/10-bridge.conflist"));
  CHECK(machine.cri.pods.empty());
  CHECK_FALSE(machine.reset().changed());
}

TEST_CASE("a node of kubeadm's whose certificates were renewed by kubestrap gets no old ones back") {
  Machine machine;
  makeNodeOfKubeadm(machine);
  machine.adjust = [](config::Setup& setup) {
    setup.cluster.apiServerCertSANs.push_back("another.name");
    setup.request.ignorePreflightErrors = {"all"};
  };
  machine.initFails();
  REQUIRE_FALSE(plan::Journal::read(machine.host).empty());
  REQUIRE_FALSE(machine.host.list("/var/lib/kubestrap/before").empty());
  machine.host.put("/etc/cni/net.d/10-bridge.conflist", "{}");
  CHECK(machine.resetFails() == "");
  for (const auto* path : {"/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/ca.key", "/var/lib/kubelet/config.yaml",
                           "/var/lib/etcd/member/snap/db"}) {
    CAPTURE(path);
    CHECK_FALSE(machine.host.files.contains(path));
  }
  CHECK(machine.host.files.contains("/etc/cni/net.d/10-bridge.conflist"));
  CHECK(machine.host.services["kubelet"].active == "inactive");
  CHECK(machine.host.list("/var/lib/kubestrap/before").empty());
  CHECK_FALSE(machine.reset().changed());
}

TEST_CASE("the folder /var/lib/etcd of somebody else's etcd is left alone") {
  Machine machine;
  makeNodeOfKubeadm(machine);
  machine.host.files.erase("/etc/kubernetes/manifests/etcd.yaml");
  machine.reset();
  CHECK(machine.host.files.contains("/var/lib/etcd/member/snap/db"));
}

TEST_CASE("a bare machine has nothing to reset") {
  Machine machine;
  const auto before = aBareMachine(machine);
  CHECK_FALSE(machine.reset().changed());
  CHECK(machine.effects().empty());
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("a bare machine has nothing to reset with an administrator's file either: its kubelet is not stopped") {
  Machine machine;
  machine.host.services["kubelet"].active = "activating";
  const auto before = aBareMachine(machine);
  machine.adjustReset = [](config::Setup& setup) { setup.request.resetting.kubeconfig = "/root/admin.conf"; };
  CHECK_FALSE(machine.reset().changed());
  CHECK(machine.effects().empty());
  CHECK(left(before, machine) == Lines{});
}

// ---- the cluster

TEST_CASE("the last control plane of a cluster that answers is kept, unless it is forced") {
  Machine machine;
  machine.init();
  const auto effects = machine.effects().size();
  try {
    machine.reset(Force::no);
    FAIL("it was reset");
  } catch (const Problems& problems) {
    CHECK(problems.exitCode() == ExitCode::refused);
    REQUIRE(problems.list().size() == 1);
    CHECK(problems.list().front().field == "LastControlPlane");
    CHECK(problems.list().front().remedy.find("--force") != std::string::npos);
  }
  CHECK(machine.effects().size() == effects);
  machine.adjustReset = [](config::Setup& setup) { setup.request.ignorePreflightErrors = {"lastcontrolplane"}; };
  CHECK(machine.resetFails(Force::no) == "");
}

TEST_CASE("a cluster that does not answer is no reason to stay a node") {
  Machine machine;
  const auto before = aBareMachine(machine);
  machine.init();
  work(machine);
  machine.api.reachable = [](const net::Request&) { return false; };
  CHECK(machine.resetFails(Force::no) == "");
  CHECK(told(machine, "ClusterAnswers: the cluster cannot be told"));
  CHECK(left(before, machine) == Lines{});
}

TEST_CASE("a further control plane's Node and Lease go while the cluster can still be told") {
  Machine machine;
  machine.init();
  work(machine);
  machine.api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n2"}, {"labels", {{"node-role.kubernetes.io/control-plane", ""}}}}}});
  machine.api.put({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", {{"name", "n1"}, {"namespace", "kube-node-lease"}}}});
  machine.api.reachable = [](const net::Request&) { return true; }; // its pods run on without the kubelet
  CHECK(machine.resetFails(Force::no) == "");
  CHECK_FALSE(machine.api.object("/api/v1/nodes/n1"));
  CHECK(machine.api.object("/api/v1/nodes/n2"));
  CHECK_FALSE(machine.api.object("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1"));
}

namespace {
Value podOn(const char* node, const char* name, const char* owner) {
  return {{"apiVersion", "v1"}, {"kind", "Pod"},
          {"metadata", {{"name", name}, {"namespace", "default"}, {"ownerReferences", Value::array({{{"kind", owner}, {"name", "web"}}})}}},
          {"spec", {{"nodeName", node}}}, {"status", {{"phase", "Running"}}}};
}
} // namespace

TEST_CASE("pods move before the kubelet stops, if asked to; where a budget never lets them the node is kept, unless it is forced") {
  for (const bool allowed : {true, false}) {
    CAPTURE(allowed);
    Machine machine;
    const auto before = aBareMachine(machine);
    machine.init();
    work(machine);
    machine.api.put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n2"}, {"labels", {{"node-role.kubernetes.io/control-plane", ""}}}}}});
    machine.api.put(podOn("n1", "web-1", "ReplicaSet"));
    machine.api.put(podOn("n1", "agent-1", "DaemonSet"));
    machine.api.put(podOn("n2", "web-2", "ReplicaSet"));
    machine.api.reachable = [](const net::Request&) { return true; };
    std::vector<std::string> evicted;
    machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
      if (!request.url.ends_with("/eviction")) return std::nullopt;
      CHECK(machine.host.services["kubelet"].active == "active");
      if (!allowed) return net::Response{.status = 429, .headers = {}, .body = R"({"kind":"Status","details":{"causes":[{"message":"The disruption budget web needs 1"}]}})"};
      evicted.push_back(request.url.substr(request.url.find("/pods/")));
      machine.api.remove("/api/v1/namespaces/default/pods/web-1");
      return net::Response{.status = 201, .headers = {}, .body = "{}"};
    };
    machine.adjustReset = [](config::Setup& setup) { setup.request.resetting.drain = std::chrono::seconds(30); };
    const auto failure = machine.resetFails(Force::no);
    if (allowed) {
      CHECK(failure == "");
      CHECK(evicted == std::vector<std::string>{"/pods/web-1/eviction"});
    } else {
      CHECK(failure.find("The disruption budget web needs 1") != std::string::npos);
      CHECK(machine.host.services["kubelet"].active == "active");
      CHECK(machine.api.object("/api/v1/nodes/n1"));
      CHECK(machine.resetFails(Force::yes) == "");
    }
    CHECK(left(before, machine) == Lines{});
  }
}
