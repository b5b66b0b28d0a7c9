// What the machines of a cluster.yaml answer, and what is told of it.
#include "cmd/cluster_inventory.hpp"
#include "cmd/cluster_run.hpp"
#include "cmd/cluster_status.hpp"
#include "cmd/commands.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"
#include "tests/unit/net/authority.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::cmd;
namespace fleet = kubestrap::phases::fleet;

namespace {

config::ClusterFile fileOf(std::initializer_list<std::pair<const char*, const char*>> hosts) {
  config::ClusterFile file;
  file.name = "desk";
  for (const auto& [name, role] : hosts) file.inventory.hosts.push_back({.name = name, .address = "10.0.0.1", .role = role, .ssh = {}, .labels = {}, .taints = {}});
  return file;
}

Value answerOf(bool node, const std::string& begun = "") {
  return {{"machine", "x86_64"}, {"kernel", "Linux 6.12"}, {"binary", "b"}, {"image", ""}, {"bundle", ""}, {"authority", ""}, {"apiServer", ""}, {"node", node}, {"controlPlane", node}, {"begun", begun},
          {"busy", nullptr}, {"status", nullptr}};
}

Value statusOf(const std::string& answering) {
  return parseJson(R"({"apiServer":{"answers":)" + answering + R"(},"cluster":{"version":"v1.37.2","layout":"hosted","hosting":"static"},"findings":[{"name":"WorkerNotReady","severity":"warning","where":"w1","cause":"it is away","remedy":"bring it back"}],
    "nodes":[{"name":"n1","role":"control-plane","kubelet":"v1.37.2","ready":true,"address":"10.0.0.1","labels":{"a":"b"},"givenLabels":"a",
              "addresses":["10.0.0.1","fd00::1"],"taints":[{"key":"k","value":"v","effect":"NoSchedule"}],"givenTaints":"k:NoSchedule","settingsFollow":true},
             {"name":"w1","role":"worker","kubelet":"v1.37.2","ready":false},{"name":"w9","role":"worker","kubelet":"v1.37.2","ready":true}]})");
}

} // namespace

TEST_CASE("a machine's answer is what was seen of it") {
  auto answer = answerOf(true, "join");
  answer["busy"] = {{"command", "join"}, {"pid", 7}};
  answer["advertised"] = "10.0.0.1";
  CHECK(hostSeen(answer).manifests.empty()); // it was not asked for any
  answer["manifests"] = {{"flannel", "digest"}, {"metallb", ""}};
  const auto seen = hostSeen(answer);
  CHECK(seen.manifests == std::map<std::string, std::string>{{"flannel", "digest"}, {"metallb", ""}});
  CHECK(seen.machine == "x86_64");
  CHECK(seen.node);
  CHECK(seen.begun == "join");
  CHECK(seen.busy == "join");
  CHECK(seen.advertised == "10.0.0.1");
  CHECK(seen.unreachable.empty());
}

TEST_CASE("the authority of a machine is known by its key, whatever stands around it") {
  const auto ours = net::tests::Authority("kubernetes").pair().certificate, other = net::tests::Authority("kubernetes").pair().certificate;
  const auto told = [](const std::string& content) {
    auto answer = answerOf(true);
    answer["authority"] = base64(content);
    return hostSeen(answer).authorities;
  };
  REQUIRE(told(ours).size() == 1);
  CHECK(told("# of hall 1\n" + ours) == told(ours));
  CHECK(told(replaceAll(ours, "\n", "\r\n")) == told(ours));
  CHECK(told(other) != told(ours));
  CHECK(told(other + ours) == std::vector<std::string>{told(other).front(), told(ours).front()});
  CHECK(told("").empty());
  CHECK(told("no certificate").size() == 1);
}

TEST_CASE("the first control plane whose API server answers tells of the nodes") {
  const auto file = fileOf({{"w1", "worker"}, {"n1", "control-plane"}, {"n2", "control-plane"}});
  FleetLook look;
  look.status["n1"] = statusOf("false");
  learnNodes(file, look);
  CHECK(look.seen.asked.empty());
  look.status["n2"] = statusOf("true");
  learnNodes(file, look);
  CHECK(look.seen.asked == "n2");
  CHECK(look.seen.version == "v1.37.2");
  CHECK(look.seen.hosted);
  CHECK_FALSE(look.seen.selfHosted);
  REQUIRE(look.seen.nodes.size() == 3);
  CHECK(look.seen.nodes[0].labels.all.at("a") == "b");
  CHECK(look.seen.nodes[0].labels.given == std::vector<std::string>{"a"});
  CHECK(look.seen.nodes[0].addresses == std::vector<std::string>{"10.0.0.1", "fd00::1"});
  REQUIRE(look.seen.nodes[0].taints);
  CHECK(look.seen.nodes[0].taints->all.at("k:NoSchedule") == "v");
  CHECK(look.seen.nodes[0].taints->given == std::vector<std::string>{"k:NoSchedule"});
  CHECK(look.seen.nodes[0].settingsFollow);
  CHECK_FALSE(look.seen.nodes[1].settingsFollow);
  CHECK_FALSE(look.seen.nodes[1].taints); // as an older kubestrap tells it
}

TEST_CASE("preflight is told what the machine shall be, and that nothing may be fetched") {
  using Words = std::vector<std::string>;
  auto file = fileOf({{"n1", "control-plane"}, {"n2", "control-plane"}, {"w1", "worker"}});
  CHECK(preflightWords(file, file.inventory.hosts[0], true) == Words{"preflight", "init", "--fix", "--config", "-"});
  CHECK(preflightWords(file, file.inventory.hosts[1], false) == Words{"preflight", "join", "--fix", "--config", "-", "--control-plane"});
  file.inventory.offline = true;
  CHECK(preflightWords(file, file.inventory.hosts[2], false) == Words{"preflight", "join", "--fix", "--config", "-", "--offline"});
  for (const auto& flags : {preflightCommand().flags(), preflightCommand().children.front().flags(), preflightCommand().children.back().flags()})
    CHECK(std::ranges::find(flags, "offline", &Flag::name) != flags.end());
}

TEST_CASE("only the upgrade of a node is told that pods which nobody makes anew elsewhere may end, and only where that was asked for") {
  using Words = std::vector<std::string>;
  using fleet::Task;
  auto file = fileOf({{"n1", "control-plane"}, {"w1", "worker"}});
  CHECK(upgradeWords(file, Task::upgradeNode, "", PodsAlone::refused) == Words{});
  CHECK(upgradeWords(file, Task::upgradeNode, "", PodsAlone::ended) == Words{"--force"});
  file.inventory.offline = true;
  CHECK(upgradeWords(file, Task::upgradeNode, "/a.bundle", PodsAlone::ended) == Words{"--bundle", "/a.bundle", "--bundle-without", "kubestrap", "--offline", "--force"});
  CHECK(upgradeWords(file, Task::upgrade, "/a.bundle", PodsAlone::ended) == Words{"--bundle", "/a.bundle", "--bundle-without", "kubestrap", "--offline"});
  std::vector<std::string> having;
  for (const auto& command : clusterCommand().children)
    if (command.flags && std::ranges::any_of(command.flags(), [](const Flag& flag) { return flag.name == "force"; })) having.push_back(command.name);
  CHECK(having == Words{"apply"});
}

TEST_CASE("a further plain control plane takes the cluster's settings by words that reconfigure node knows") {
  auto file = fileOf({{"n1", "control-plane"}});
  file.documents = parseYaml("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\npatches: {directory: /root/patches}\n", "cluster.yaml");
  CHECK(settingsNodeCommand(file) == std::vector<std::string>{"reconfigure", "node", "--patches", "/root/patches"});
  const auto command = reconfigureCommand();
  const auto node = std::ranges::find(command.children, "node", &Command::name);
  REQUIRE(node != command.children.end());
  for (const auto* name : {"patches", "dry-run", "exit-code", "kubeconfig"}) {
    const auto flags = node->flags();
    CHECK(std::ranges::find(flags, name, &Flag::name) != flags.end());
  }
}

TEST_CASE("what reconfigure says of the settings is taken, and its refusal with its remedy") {
  CHECK(settingsSeen({.exitCode = 0, .output = R"({"kind":"OperationPlan","changed":false,"steps":[]})", .errors = {}}).steps.empty());
  CHECK(settingsSeen({.exitCode = 0, .output = R"({"changes":[{"verb":"update","subject":"ConfigMap kube-system/kubeadm-config"}],"steps":[{"name":"one"},{"name":"two"}]})", .errors = {}}).steps ==
        std::vector<std::string>{"one", "two"});
  CHECK(settingsSeen({.exitCode = 0, .output = R"({"changes":[{"verb":"update","subject":"DaemonSet kube-system/kube-apiserver"},{"verb":"keep","subject":"ConfigMap kube-system/kubeadm-config"}],"steps":[{"name":"wait"}]})", .errors = {}}).steps.empty());
  const auto refused = settingsSeen({.exitCode = 3, .output = {}, .errors = "warning: w\nerror: a roll cannot change etcd\n  try: it can change others\n"});
  CHECK(refused.refused == "a roll cannot change etcd");
  CHECK(refused.hint == "it can change others");
  CHECK(refused.failed.empty());
  CHECK(settingsSeen({.exitCode = 1, .output = {}, .errors = "error: the API server does not answer\n"}).failed == "the API server does not answer");
}

TEST_CASE("what addons says of the file's add-ons is taken: which would change, and which are there beyond them") {
  const auto seen = addonsSeen({.exitCode = 0, .output = R"({"changed":true,"changes":[{"phase":"upload-config","verb":"update"},{"phase":"addon/flannel","verb":"keep"},
    {"phase":"addon/metallb","verb":"create"},{"phase":"addon/metallb","verb":"create"}],"notInConfiguration":["traefik"]})", .errors = {}});
  CHECK(seen.steps == std::vector<std::string>{"the cluster's configuration", "metallb"});
  CHECK(seen.beyond == std::vector<std::string>{"traefik"});
  CHECK(addonsSeen({.exitCode = 0, .output = R"({"changed":false,"changes":[{"phase":"addon/flannel","verb":"keep"}],"notInConfiguration":[]})", .errors = {}}).steps.empty());
  CHECK(addonsSeen({.exitCode = 3, .output = {}, .errors = "error: there is no manifest of it\n  try: put it there\n"}).refused == "there is no manifest of it");
  auto file = fileOf({{"n1", "control-plane"}});
  CHECK(addonsCommand(file) == std::vector<std::string>{"addons", "apply", "--config", "-"});
  file.inventory.offline = true;
  CHECK(addonsCommand(file).back() == "--offline");
}

TEST_CASE("status has a row for each machine, and for nodes that the file does not have") {
  const auto file = fileOf({{"n1", "control-plane"}, {"w1", "worker"}, {"w2", "worker"}, {"w3", "worker"}});
  FleetLook look;
  for (const auto* name : {"n1", "w1"}) look.seen.hosts[name] = hostSeen(answerOf(true));
  look.seen.hosts["w2"] = {.unreachable = "No route to host", .hint = "see whether it is up"};
  look.seen.hosts["w3"] = hostSeen(answerOf(false, "join"));
  look.status["n1"] = statusOf("true");
  learnNodes(file, look);
  CHECK(statusText(file, look) == "HOST   ROLE            REACHED   VERSION   STATUS     WHAT IS WRONG\n"
                                  "n1     control-plane   yes       v1.37.2   Ready      -\n"
                                  "w1     worker          yes       v1.37.2   NotReady   WorkerNotReady\n"
                                  "w2     worker          no        -         -          No route to host\n"
                                  "w3     worker          yes       -         -          join has not come to its end\n"
                                  "w9     worker          -         v1.37.2   Ready      not in the file\n"
                                  "w2: No route to host\n"
                                  "  try: see whether it is up\n"
                                  "warning: WorkerNotReady: w1: it is away\n"
                                  "  try: bring it back\n");
  CHECK_FALSE(isWell(file, look));
  const auto hosts = statusValue(file, look)["hosts"];
  CHECK(hosts[2]["hint"] == "see whether it is up");
  CHECK(hosts[4]["inFile"] == false);
  CHECK_FALSE(hosts[4].contains("hint"));
}

TEST_CASE("a plan is told by machine, with what keeps from others") {
  const fleet::Wish wish{.hosts = {{"n1", "10.0.0.1", true, {}}, {"w1", "10.0.0.2", false, {}}, {"w2", "10.0.0.3", false, {}}}, .machine = {}, .version = {}};
  const fleet::Plan plan{.steps = {{"w1", fleet::Task::copyBinary, "missing"}, {"w1", fleet::Task::join, ""}, {"w9", fleet::Task::forget, "not in the file, and not Ready"}},
                         .troubles = {{"w2", "it cannot be reached: No route to host", "see whether it is up"}},
                         .notes = {},
                         .busy = {}};
  CHECK(planText(wish, plan) == "w1 (worker, 10.0.0.2)\n  copy kubestrap (missing)\n  join\nw9 (worker)\n  forget (not in the file, and not Ready)\nnothing to do: n1\n"
                                "w2: it cannot be reached: No route to host\n  try: see whether it is up\n");
  const auto value = planValue(wish, plan);
  CHECK(value["changed"] == true);
  CHECK(value["hosts"][1]["steps"][0] == Value{{"name", "copy kubestrap"}, {"reason", "missing"}});
  CHECK(value["hosts"][2]["error"] == "it cannot be reached: No route to host");
}

TEST_CASE("who is waited for is an event among others") {
  CHECK(waitingEvent("n1 (join)") == Value{{"event", "waiting"}, {"for", "another kubestrap"}, {"busy", "n1 (join)"}});
}

TEST_CASE("what failed is told with the machine's own words and what to do, what was not begun with the reason") {
  const fleet::Plan plan{.steps = {{"n1", fleet::Task::init, "", true}, {"w1", fleet::Task::join, ""}}, .troubles = {}, .notes = {}, .busy = {}};
  LiveView view;
  const auto outcomes = carryOut(plan, [](const fleet::Step&) { throw Error("the port 6443 is taken", "ss -ltnp"); }, view, {});
  CHECK(failuresText(plan, outcomes) == "n1: init: the port 6443 is taken\n  try: ss -ltnp\nw1: join: not begun, since init has failed on n1\n");
  CHECK(outcomesValue(plan, outcomes)[1]["result"] == "not begun");
  std::stop_source stopped;
  CHECK_THROWS_AS(carryOut(plan, [&](const fleet::Step&) { stopped.request_stop(); }, view, stopped.get_token()), Interrupted);
}

TEST_CASE("the inventory is what the file says, and how each machine is reached") {
  config::ClusterFile file;
  file.name = "desk";
  file.inventory = config::decodeInventory(parseYamlValue("metadata: {name: desk}\nssh: {user: root, identityFile: /desk/key, configFile: /desk/ssh.config}\nimage: /desk/image.tar\nhosts:\n"
                                                          "- {name: n1, address: 10.0.0.11, role: control-plane, taints: []}\n"
                                                          "- {name: w1, address: 'fd00::51', role: worker, labels: {disk: ssd, zone: ''}, ssh: {user: admin, port: 2222}}\n",
                                                          "cluster.yaml"));
  file.documents = parseYaml("kind: ClusterConfiguration\nnetworking: {podSubnet: 10.8.0.0/16}\n", "cluster.yaml");
  CHECK(inventoryText(file) == "HOST   ROLE            ADDRESS     SSH                     LABELS\n"
                               "n1     control-plane   10.0.0.11   root@10.0.0.11          -\n"
                               "w1     worker          fd00::51    admin@[fd00::51]:2222   disk=ssd,zone=\n");
  CHECK(inventoryValue(file, {"odd"}) == parseJson(R"({"cluster": "desk",
    "ssh": {"user": "root", "identityFile": "/desk/key", "configFile": "/desk/ssh.config"},
    "image": "/desk/image.tar",
    "hosts": [
      {"name": "n1", "address": "10.0.0.11", "role": "control-plane",
       "ssh": {"host": "10.0.0.11", "user": "root", "identityFile": "/desk/key", "configFile": "/desk/ssh.config"}, "taints": []},
      {"name": "w1", "address": "fd00::51", "role": "worker",
       "ssh": {"host": "fd00::51", "user": "admin", "port": 2222, "identityFile": "/desk/key", "configFile": "/desk/ssh.config"}, "labels": {"disk": "ssd", "zone": ""}}],
    "documents": {"ClusterConfiguration": {"kind": "ClusterConfiguration", "networking": {"podSubnet": "10.8.0.0/16"}}},
    "warnings": ["odd"]})"));
}
