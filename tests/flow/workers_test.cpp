// Workers get another kubelet, from a control plane: cordons, evictions and pods on their machines, as the API is asked for them.
#include "tests/flow/machine.hpp"

#include "cmd/kubelet_install.hpp"
#include "cmd/workers_look.hpp"
#include "config/paths.hpp"
#include "phases/workers.hpp"
#include "plan/operation.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::flow {

namespace {

namespace workers = kubestrap::phases::workers;
using Lines = std::vector<std::string>;

/// A control plane of v1.37.2, workers with older kubelets, and two pods of a Deployment on each but the last, which go where there is room.
class Cluster : public Machine {
public:
  explicit Cluster(int count = 3) {
    init();
    put(Value{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", "kube-apiserver-n1"}, {"namespace", "kube-system"}, {"labels", {{"tier", "control-plane"}, {"component", "kube-apiserver"}}}}},
              {"spec", {{"nodeName", "n1"}, {"containers", Value::array({{{"name", "kube-apiserver"}, {"image", "registry.k8s.io/kube-apiserver:v1.37.2"}}})}}}});
    for (int i = 1; i <= count; ++i) {
      const auto name = fmt::format("w{}", i);
      put({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}, {"labels", {{"disk", i == 1 ? "ssd" : "hdd"}}}}},
           {"status", {{"nodeInfo", {{"kubeletVersion", "v1.36.3"}}}, {"allocatable", {{"cpu", "4"}, {"memory", "1Gi"}, {"pods", "110"}}},
                       {"conditions", Value::array({{{"type", "Ready"}, {"status", "True"}}})}}}});
      for (int k = 0; k < 2 && i < count; ++k) makePod(fmt::format("web-{}{}", i, k), name);
    }
    clock.onSleep = [this] {
      settle();
      follow();
    };
    api.intercept = [this, record = api.intercept](const net::Request& request) -> std::optional<net::Response> {
      if (auto other = record(request)) return other;
      const auto begin = request.url.find("/api", 8);
      const auto path = begin == std::string::npos ? "" : request.url.substr(begin);
      if (lingers && request.method == "DELETE" && path.find("/pods/kubestrap-upgrade") != path.npos) {
        auto pod = *api.object(path);
        CHECK_FALSE(pod["metadata"].contains("deletionTimestamp"));
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
        put(pod);
        return net::Response{.status = 200, .headers = {}, .body = pod.dump()};
      }
      if (path.ends_with("/log") && unread > 0 && unread-- > 0) return net::Response{.status = 500, .headers = {}, .body = "{}"};
      if (path.ends_with("/log")) return net::Response{.status = 200, .headers = {}, .body = path.find("upgrade-look") == path.npos ? swapSays : lookSays};
      if (!path.ends_with("/eviction")) return std::nullopt;
      const auto pod = path.substr(std::string("/api/v1/namespaces/default/pods/").size(), path.size() - std::string("/api/v1/namespaces/default/pods//eviction").size());
      if (held.contains(pod))
        return net::Response{.status = 429, .headers = {}, .body = R"({"kind":"Status","details":{"causes":[{"message":"The disruption budget web needs 6 healthy pods and has 6 currently"}]}})"};
      if (twice.contains(pod))
        return net::Response{.status = 201, .headers = {}, .body = R"({"kind":"Status","status":"Failure","message":"This pod has more than one PodDisruptionBudget","code":500})"};
      if (request.body.find("dryRun") != std::string::npos) return net::Response{.status = 201, .headers = {}, .body = "{}"};
      ++moves[pod];
      homeless.push_back(pod);
      return std::nullopt;
    };
  }

  std::string lookSays = "looking\n{\"obstacles\":[]}\n", swapSays = "done\n";
  std::set<std::string> held, failing; ///< pods no budget lets go; workers whose kubelet cannot be replaced
  std::set<std::string> twice; ///< pods that two budgets are about
  std::map<std::string, int> moves;
  int unread = 0; ///< logs that cannot be read at first
  bool lingers = false; ///< pods on workers' machines are there for a while after they were told to go
  workers::Intent intent{.nodes = {.access = {config::paths::adminConf, "https://10.0.0.11:6443"}, .image = "kubestrap.io/kubestrap:v1"}, .version = "v1.37.2", .source = {"--kubelet", "/opt/kubelet"}};
  cmd::Workers meant;

  void put(const Value& document) { api.put(document); }
  Value node(const std::string& name) { return *api.object("/api/v1/nodes/" + name); }
  bool isClosed(const std::string& name) { return node(name).contains("spec") && node(name)["spec"].value("unschedulable", false); }
  std::string version(const std::string& name) { return stringAt(node(name), "status.nodeInfo.kubeletVersion"); }
  bool isMarked(const std::string& name) { return node(name)["metadata"].value("annotations", Value::object()).contains(std::string(workers::annotation)); }

  void upgrade() {
    plan::World world{host, cri, api, clock, entropy};
    cmd::WorkersLook looking(meant, intent, clock);
    kube::Client client(api, kube::parseKubeconfig(host.text("/etc/kubernetes/admin.conf"), "admin.conf"), "https://10.0.0.11:6443");
    workers::Progress progress;
    const auto next = [&] {
      auto seen = looking.look(client);
      looking.empty(workers::emptied(intent, progress, seen), seen, client);
      progress = workers::remembered(intent, std::move(progress), seen);
      return workers::next(intent, progress, seen);
    };
    plan::perform({.name = "upgrade workers", .access = intent.nodes.access, .holder = "n1", .state = "workers", .next = next}, world, listener);
  }
  std::string fails() {
    try {
      upgrade();
      return "";
    } catch (const Error& error) {
      return error.message() + "; " + error.hint();
    }
  }

  bool isThrough(const std::string& name) { return version(name) == "v1.37.2" && !isClosed(name) && !isMarked(name); }
  /// Pods on workers' machines that nobody has removed.
  bool hasRemains() {
    return std::ranges::any_of(api.paths(), [](const std::string& path) { return path.find("/pods/kubestrap-upgrade") != path.npos; });
  }

private:
  void makePod(const std::string& name, const std::string& on) {
    put({{"apiVersion", "v1"}, {"kind", "Pod"},
         {"metadata", {{"name", name}, {"namespace", "default"}, {"ownerReferences", Value::array({{{"kind", "ReplicaSet"}, {"name", "web"}, {"controller", true}}})}}},
         {"spec", {{"nodeName", on}, {"containers", Value::array({{{"name", "web"}, {"resources", {{"requests", {{"cpu", "100m"}, {"memory", "32Mi"}}}}}}})}}},
         {"status", {{"phase", "Running"}}}});
  }

  std::vector<std::string> workersOpen() {
    std::vector<std::string> open;
    for (const auto& path : api.paths())
      if (path.starts_with("/api/v1/nodes/w") && !isClosed(path.substr(14))) open.push_back(path.substr(14));
    return open;
  }

  void follow() {
    const auto open = workersOpen();
    for (auto& name : std::exchange(homeless, {})) {
      if (open.empty()) homeless.push_back(name);
      else makePod(name, open[placed_++ % open.size()]);
    }
    for (const auto& path : api.paths()) {
      if (path.find("/pods/kubestrap-upgrade") == path.npos) continue;
      auto pod = *api.object(path);
      if (pod["metadata"].contains("deletionTimestamp") && ++ending_[path] % 3 == 0) api.remove(path);
      if (pod["metadata"].contains("deletionTimestamp")) continue;
      if (stringAt(pod, "status.phase") == "Succeeded" || stringAt(pod, "status.phase") == "Failed") continue;
      const auto name = stringAt(pod, "spec.nodeName");
      const bool swaps = path.find("upgrade-look") == path.npos;
      pod["status"]["phase"] = swaps && failing.contains(name) ? "Failed" : "Succeeded";
      put(pod);
      if (!swaps || failing.contains(name)) continue;
      for (const auto& each : api.paths())
        if (each.starts_with("/api/v1/namespaces/default/pods/")) CHECK(stringAt(*api.object(each), "spec.nodeName") != name);
      auto changed = node(name);
      changed["status"]["nodeInfo"]["kubeletVersion"] = "v1.37.2";
      put(changed);
    }
  }

  std::vector<std::string> homeless;
  std::size_t placed_ = 0;
  std::map<std::string, int> ending_; ///< looks at such pods
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("workers are upgraded one after the other, their pods move once each, and nothing is left over") {
  Cluster cluster;
  cluster.upgrade();
  for (const auto* name : {"w1", "w2", "w3"}) CHECK(cluster.isThrough(name));
  for (const auto& [pod, count] : cluster.moves) CHECK(count == 1);
  CHECK(cluster.moves.size() == 4);
  CHECK_FALSE(cluster.hasRemains());
  const auto writes = cluster.api.writes().size();
  cluster.upgrade();
  CHECK(cluster.api.writes().size() == writes + 2); // who drives, and that it is over
}

TEST_CASE("only the workers that are named, or have the labels, are upgraded") {
  Cluster cluster;
  cluster.meant = {.names = {}, .selector = "disk=ssd"};
  cluster.upgrade();
  CHECK(cluster.isThrough("w1"));
  CHECK(cluster.version("w2") == "v1.36.3");
  cluster.meant = {.names = {"w2"}, .selector = {}};
  cluster.upgrade();
  CHECK(cluster.isThrough("w2"));
  CHECK(cluster.version("w3") == "v1.36.3");
  cluster.meant = {.names = {"n1"}, .selector = {}};
  CHECK(has(cluster.fails(), "there is no worker n1; the workers are w1, w2, w3"));
}

TEST_CASE("a budget that lets nobody go is named in the API server's words while it is waited for, and in the end; nodes take pods again") {
  Cluster cluster;
  cluster.held = {"web-10"};
  cluster.intent.drainPatience = std::chrono::seconds(30);
  const auto said = cluster.fails();
  CHECK(has(said, "not upgraded: w1: its pods had not left it after 30s, 1 still on it: default/web-10 (The disruption budget web needs 6 healthy pods and has 6 currently)"));
  CHECK(has(said, "--drain-timeout"));
  CHECK(std::ranges::any_of(cluster.listener.waits, [](const std::string& line) { return has(line, "default/web-10 (The disruption budget web"); }));
  for (const auto* name : {"w1", "w2", "w3"}) {
    CHECK_FALSE(cluster.isClosed(name));
    CHECK_FALSE(cluster.isMarked(name));
  }
  CHECK(cluster.isThrough("w3")); // it had no pods, and went first
  cluster.held.clear();
  CHECK(cluster.fails() == "");
  CHECK(cluster.isThrough("w1"));
}

TEST_CASE("a pod that two budgets are about has not left, although the API server answers as if it had") {
  Cluster cluster;
  cluster.twice = {"web-10"};
  cluster.intent.drainPatience = std::chrono::seconds(30);
  CHECK(has(cluster.fails(), "1 still on it: default/web-10 (This pod has more than one PodDisruptionBudget)"));
}

TEST_CASE("a worker that cannot be upgraded says so before any pod has moved") {
  Cluster cluster;
  cluster.lookSays = "{\"obstacles\":[\"there is no /opt/kubelet on it\"]}\n";
  const auto said = cluster.fails();
  CHECK(has(said, "not upgraded: w1: there is no /opt/kubelet on it; w2: there is no /opt/kubelet on it; w3"));
  CHECK(cluster.moves.empty());
  CHECK_FALSE(cluster.hasRemains());
  cluster.lookSays = "kubestrap: command not found\n";
  CHECK(has(cluster.fails(), "it does not say whether it can be upgraded"));
}

TEST_CASE("a kubelet that cannot be replaced keeps its node closed, and its words are told; the next run tries again") {
  Cluster cluster;
  cluster.failing = {"w2"};
  cluster.swapSays = "[kubelet] something\nerror: install ended with code 1: no space left\n  try: is there room on its file system?\n";
  const auto said = cluster.fails();
  CHECK(has(said, "w2: its kubelet was not replaced: install ended with code 1: no space left"));
  CHECK(cluster.isClosed("w2"));
  CHECK_FALSE(cluster.isClosed("w1"));
  cluster.failing.clear();
  CHECK(cluster.fails() == "");
  for (const auto* name : {"w1", "w2", "w3"}) CHECK(cluster.isThrough(name));
  CHECK_FALSE(cluster.hasRemains());
}

TEST_CASE("a log that cannot be read is read again") {
  Cluster cluster;
  cluster.unread = 5;
  CHECK(cluster.fails() == "");
  for (const auto* name : {"w1", "w2", "w3"}) CHECK(cluster.isThrough(name));
}

TEST_CASE("pods on workers' machines that take their time to go are told so once") {
  Cluster cluster;
  cluster.lingers = true;
  cluster.failing = {"w2"};
  CHECK(has(cluster.fails(), "w2: its kubelet was not replaced"));
  cluster.failing.clear();
  CHECK(cluster.fails() == "");
  for (const auto* name : {"w1", "w2", "w3"}) CHECK(cluster.isThrough(name));
}

TEST_CASE("a kubelet of packages is installed by the operator's command, unless it is there; then the service finds its program newer") {
  fakes::FakeHost host;
  std::string version = "v1.36.3";
  Lines ran;
  int code = 0;
  host.onRun = [&](const host::Command& command) -> host::CommandResult {
    if (command.program == "/usr/bin/kubelet") return {.exitCode = 0, .output = "Kubernetes " + version + "\n"};
    ran.push_back(command.program + " " + join(command.arguments, " "));
    if (command.program == "sh" && code == 0) version = "v1.37.2";
    return {.exitCode = command.program == "sh" ? code : 0, .output = {}, .errors = code ? "reading lists\nE: no such package\n" : ""};
  };
  const auto fails = [&](const cmd::KubeletWish& wish) -> std::string {
    try {
      cmd::installKubelet(wish, host);
      return "";
    } catch (const Error& error) {
      return error.message();
    }
  };
  cmd::KubeletWish wish{.command = "apt-get install kubelet=1.37.2-*", .program = "/usr/bin/kubelet", .version = "v1.37.2", .running = "v1.36.3"};
  code = 100;
  CHECK(fails(wish) == "apt-get install kubelet=1.37.2-* ended with code 100: E: no such package");
  code = 0;
  ran.clear();
  CHECK(fails(wish) == "");
  CHECK(ran == Lines{"sh -c apt-get install kubelet=1.37.2-*", "touch --no-dereference --no-create /usr/bin/kubelet"});
  ran.clear();
  wish.command.clear();
  CHECK(fails(wish) == "");
  CHECK(ran == Lines{"touch --no-dereference --no-create /usr/bin/kubelet"});
  ran.clear();
  wish.running = "v1.37.2";
  CHECK(fails(wish) == "");
  CHECK(ran.empty());
  cmd::makeNewerThanProcess(wish, host);
  CHECK(ran.empty());
  wish.running = "v1.36.3"; // a file that is there already, whoever has put it there
  cmd::makeNewerThanProcess(wish, host);
  CHECK(ran == Lines{"touch --no-dereference --no-create /usr/bin/kubelet"});
  wish.version = "v1.37.3";
  CHECK(fails(wish) == "/usr/bin/kubelet is v1.37.2, and not v1.37.3");
  wish.command = "true";
  CHECK(fails(wish) == "after true /usr/bin/kubelet is v1.37.2, and not v1.37.3");
}

TEST_CASE("an upgrade of workers that is killed anywhere is carried to its end by the next one") {
  const auto effects = [] {
    Cluster cluster;
    return cluster.effectsOf([&] { cluster.upgrade(); });
  }();
  CHECK(effects > 20);
  for (std::size_t n = 1; n <= effects; n += 3) {
    CAPTURE(n);
    Cluster cluster;
    cluster.host.stopAtEffect = cluster.host.effects.size() + n;
    CHECK_THROWS_AS(cluster.upgrade(), fakes::Killed);
    cluster.host.stopAtEffect.reset();
    CHECK(cluster.fails() == "");
    for (const auto* name : {"w1", "w2", "w3"}) CHECK(cluster.isThrough(name));
    for (const auto& [pod, count] : cluster.moves) CHECK(count <= 2);
    CHECK_FALSE(cluster.hasRemains());
  }
}

} // namespace kubestrap::flow
