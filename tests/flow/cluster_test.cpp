// Objects of the cluster: what stays the operator's, what comes back, and an API server that does not answer as it
// should.
#include "tests/flow/end_state.hpp"
#include "tests/lines.hpp"

#include "certs/seal.hpp"
#include "support/encoding.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kSystem = "/api/v1/namespaces/kube-system/";
const std::string kCoreDns = "/apis/apps/v1/namespaces/kube-system/deployments/coredns";

Lines writesOf(Machine& machine) {
  auto writes = machine.api.writes();
  machine.api.forgetRecords();
  return writes;
}

/// A machine that is done up to the addons, with its API server running.
struct Done : Machine {
  Done() {
    init();
    api.forgetRecords();
  }
};

} // namespace

// ---- what stays the operator's

TEST_CASE("a CoreDNS that was scaled and a Corefile that was edited survive the next run") {
  Done machine;
  auto deployment = *machine.api.object(kCoreDns);
  deployment["spec"]["replicas"] = 5;
  machine.api.put(deployment, "kubectl-scale");
  auto config = *machine.api.object(kSystem + "configmaps/coredns");
  config["data"]["Corefile"] = ".:53 { forward . 192.0.2.1 }\n";
  machine.api.put(config, "kubectl-edit");
  CHECK(changesOf(machine.plan()) == Lines{});
  SUBCASE("as they are") {}
  SUBCASE("when the rest of the object has to be changed") {
    machine.adjust = [](config::Setup& setup) {
      setup.cluster.images.coreDns = "registry.k8s.io/coredns/coredns:v1.14.7";
    };
    CHECK(changesOf(machine.plan()).size() == 2); // the image to pull, and the Deployment
  }
  machine.init();
  CHECK((*machine.api.object(kCoreDns))["spec"]["replicas"] == 5);
  CHECK((*machine.api.object(kSystem + "configmaps/coredns"))["data"]["Corefile"] == ".:53 { forward . 192.0.2.1 }\n");
}

TEST_CASE("labels and annotations of others on our objects survive, what we declare is put right") {
  Done machine;
  auto proxy = *machine.api.object("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy");
  proxy["metadata"]["annotations"]["example.org/owner"] = "me";
  proxy["spec"]["template"]["spec"]["containers"][0]["image"] = "example.org/mine";
  machine.api.put(proxy, "kubectl-edit");
  const auto changes = changesOf(machine.plan());
  REQUIRE(changes.size() == 1);
  CHECK(changes.front().starts_with(
      "addon/kube-proxy: update DaemonSet kube-system/kube-proxy (differs in spec.template"));
  machine.init();
  proxy = *machine.api.object("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy");
  CHECK(proxy["metadata"]["annotations"]["example.org/owner"] == "me");
  CHECK(stringAt(proxy["spec"]["template"]["spec"]["containers"][0], "image") == "registry.k8s.io/kube-proxy:v1.37.2");
}

TEST_CASE("an object that was deleted comes back alone") {
  Done machine;
  machine.api.remove("/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns");
  machine.init();
  CHECK(writesOf(machine) == Lines{"PATCH /apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns"});
}

TEST_CASE("a bootstrap token keeps its date and its secret in the next run") {
  Done machine;
  const auto path = kSystem + "secrets/bootstrap-token-abcdef";
  const auto before = machine.api.object(path);
  REQUIRE(before);
  CHECK(*fromBase64(stringAt(*before, "data.token-secret")) == kTokenSecret);
  machine.host.now += std::chrono::hours(3);
  machine.init();
  CHECK(machine.api.object(path) == before);
}

TEST_CASE("marking a control plane adds its label and taint to those of the node") {
  Done machine;
  auto node = *machine.api.object("/api/v1/nodes/n1");
  const auto keys = [&] {
    Lines found;
    for (const auto& taint : node["spec"]["taints"]) found.push_back(stringAt(taint, "key"));
    return found;
  };
  CHECK(keys() == Lines{"node.kubernetes.io/not-ready", "node-role.kubernetes.io/control-plane"});
  CHECK(node["metadata"]["labels"].contains("node-role.kubernetes.io/control-plane"));
  CHECK(node["metadata"]["labels"]["kubernetes.io/hostname"] == "n1");

  node["spec"]["taints"] = Value::array({{{"key", "example.org/gpu"}, {"effect", "NoExecute"}, {"value", "a"}}});
  machine.api.put(node, "kubectl-taint");
  CHECK(changesOf(machine.plan()) == Lines{"mark-control-plane: update Node n1 (lacks what marks it)"});
  machine.init();
  node = *machine.api.object("/api/v1/nodes/n1");
  CHECK(keys() == Lines{"example.org/gpu", "node-role.kubernetes.io/control-plane"});
  CHECK(node["spec"]["taints"][0]["value"] == "a");
}

TEST_CASE("a node that has not registered yet is waited for") {
  Machine machine;
  machine.timetable.node = std::chrono::seconds(30);
  CHECK(machine.initFails() == "");
  CHECK(machine.api.object("/api/v1/nodes/n1"));
  CHECK(std::ranges::any_of(machine.listener.waits, [](const auto& each) {
    return each == "the cluster answers about Node n1: Node n1 is not registered yet";
  }));
}

// ---- upload-certs

TEST_CASE("uploaded certificates can be opened with the certificate key, and belong to a token that ends") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) { setup.request.uploadCerts = true; };
  machine.init();
  const auto secret = machine.api.object(kSystem + "secrets/kubeadm-certs");
  REQUIRE(secret);
  CHECK((*secret)["data"].size() == 8);
  for (const auto& [key, value] : (*secret)["data"].items()) {
    CAPTURE(key);
    const auto plain = certs::unseal(*fromBase64(value.get<std::string>()), Secret(*fromHex(kCertificateKey)));
    REQUIRE(plain);
    const auto file = key.starts_with("etcd-") ? "etcd/" + key.substr(5) : key;
    CHECK(plain->reveal() == machine.host.text("/etc/kubernetes/pki/" + file));
  }
  const auto& owner = (*secret)["metadata"]["ownerReferences"][0];
  const auto token = machine.api.object(kSystem + "secrets/" + stringAt(owner, "name"));
  REQUIRE(token);
  CHECK(stringAt(owner, "uid") == stringAt(*token, "metadata.uid"));
  CHECK(*fromBase64(stringAt(*token, "data.expiration")) == "2026-11-22T14:00:00Z");
}

TEST_CASE("certificates uploaded again under another key replace the first ones") {
  Machine machine;
  machine.adjust = [](config::Setup& setup) { setup.request.uploadCerts = true; };
  machine.init();
  const std::string other(64, 'b');
  machine.adjust = [&](config::Setup& setup) {
    setup.request.uploadCerts = true;
    setup.request.certificateKey = Secret(other);
  };
  machine.selection.only = "upload-certs";
  machine.init();
  const auto secret = machine.api.object(kSystem + "secrets/kubeadm-certs");
  const auto sealed = (*secret)["data"]["ca.crt"].get<std::string>();
  const auto authority = certs::unseal(*fromBase64(sealed), Secret(*fromHex(other)));
  REQUIRE(authority);
  CHECK(authority->reveal() == machine.host.text("/etc/kubernetes/pki/ca.crt"));
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("certificates are not uploaded unless asked for") {
  Done machine;
  CHECK_FALSE(machine.api.object(kSystem + "secrets/kubeadm-certs"));
}

// ---- an API server in trouble

TEST_CASE("an API server that fails for a while is asked again, and the end is the same") {
  Machine calm, machine;
  calm.init();
  machine.selection.skip = {"upload-config",   "upload-certs",     "mark-control-plane",
                            "bootstrap-token", "kubelet-finalize", "addon"};
  machine.init();
  machine.selection.skip = {};
  SUBCASE("with 500") { machine.api.failNext(5, 500); }
  SUBCASE("with 503") { machine.api.failNext(5, 503); }
  SUBCASE("with 429") { machine.api.failNext(5, 429); }
  SUBCASE("by refusing connections for 20 s") { machine.api.refuseUntil(machine.host.now + std::chrono::seconds(20)); }
  SUBCASE("by closing connections before it has done what it was asked") {
    machine.api.dropNext(3, fakes::FakeApi::Lost::request);
  }
  SUBCASE("by forbidding for a moment what was granted just now") { machine.api.failNext(4, 403); }
  SUBCASE("by not answering in time") {
    unsigned hanging = 2;
    const auto intercept = machine.api.intercept;
    machine.api.intercept = [&machine, hanging,
                             intercept](const net::Request& request) mutable -> std::optional<net::Response> {
      if (request.url.find("kubeadm-config") != std::string::npos && hanging > 0) {
        --hanging;
        machine.host.now += request.timeout;
        throw net::TransportError(net::TransportError::Kind::timeout, request.url + " gave no answer in 10 s");
      }
      return intercept(request);
    };
  }
  CHECK(machine.initFails() == "");
  CHECK(differing(endState(calm), endState(machine)) == Lines{});
}

TEST_CASE("writes whose answers are lost are not done twice, and the end is the same") {
  Machine calm, machine;
  calm.init();
  const auto reachable = machine.api.reachable;
  std::set<std::string> lost;
  machine.api.reachable = [&](const net::Request& request) {
    const bool is = reachable(request);
    if (is && request.method != "GET" && lost.insert(request.method + request.url).second)
      machine.api.dropNext(1, fakes::FakeApi::Lost::answer);
    return is;
  };
  CHECK(machine.initFails() == "");
  CHECK(lost.size() > 30);
  CHECK(differing(endState(calm), endState(machine)) == Lines{});
}

TEST_CASE("patience with an API server ends after the configured time, with what it said last") {
  Done machine;
  machine.api.remove(kCoreDns);
  machine.adjust = [](config::Setup& setup) { setup.request.timeouts.kubernetesAPICall = std::chrono::seconds(30); };
  machine.selection.only = "addon/coredns";
  const auto begin = machine.host.now;
  const auto intercept = machine.api.intercept;
  SUBCASE("that answers with failures") {
    machine.api.failNext(1000000, 500);
    CHECK(machine.initFails().find("500 InternalError") != std::string::npos);
  }
  SUBCASE("that refuses connections") {
    machine.api.refuseUntil(begin + std::chrono::hours(1));
    CHECK(machine.initFails().find("nobody listens there") != std::string::npos);
  }
  SUBCASE("that hangs") {
    machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
      machine.host.now += request.timeout;
      throw net::TransportError(net::TransportError::Kind::timeout, request.url + " gave no answer in 10 s");
    };
    CHECK(machine.initFails().find("gave no answer") != std::string::npos);
  }
  CHECK(machine.host.now - begin >= std::chrono::seconds(30));
  CHECK(machine.host.now - begin <= std::chrono::seconds(42));
}

TEST_CASE("what is forbidden for good ends the run soon, with the API server's words") {
  Done machine;
  machine.api.remove(kCoreDns);
  machine.selection.only = "addon/coredns";
  machine.api.failNext(1000000, 403);
  const auto begin = machine.host.now;
  CHECK(machine.initFails().find("403 Forbidden") != std::string::npos);
  CHECK(machine.host.now - begin <= std::chrono::seconds(12));
}

TEST_CASE("a plan does not wait for an API server, and says what it could not see") {
  Done machine;
  machine.api.refuseUntil(machine.host.now + std::chrono::hours(1));
  const auto begin = machine.host.now;
  const auto changes = changesOf(machine.plan());
  CHECK(std::ranges::count(
            changes, "upload-config/kubeadm: apply ConfigMap kube-system/kubeadm-config (no API server yet)") == 1);
  CHECK(machine.host.now == begin);
}

TEST_CASE("an object that somebody changes between look and apply is looked at again, and their change stays") {
  Done machine;
  auto config = *machine.api.object(kSystem + "configmaps/kube-proxy");
  config["data"]["config.conf"] = "edited: true\n";
  machine.api.put(config, "kubectl-edit");
  const auto intercept = machine.api.intercept;
  unsigned meddled = 0;
  machine.api.intercept = [&](const net::Request& request) {
    if (request.method == "PATCH" && request.url.find("configmaps/kube-proxy") != std::string::npos && meddled++ < 2) {
      auto now = *machine.api.object(kSystem + "configmaps/kube-proxy");
      now["metadata"]["labels"]["meddled"] = std::to_string(meddled);
      machine.api.put(now, "kubectl-label");
    }
    return intercept(request);
  };
  CHECK(machine.initFails() == "");
  CHECK(meddled == 3);
  config = *machine.api.object(kSystem + "configmaps/kube-proxy");
  CHECK(stringAt(config, "metadata.labels.meddled") == "2");
  CHECK(config["data"]["config.conf"] != "edited: true\n");
}

TEST_CASE("somebody who changes an object all the time ends the run with a conflict") {
  Done machine;
  auto config = *machine.api.object(kSystem + "configmaps/kube-proxy");
  config["data"]["config.conf"] = "edited: true\n";
  machine.api.put(config, "kubectl-edit");
  const auto intercept = machine.api.intercept;
  unsigned meddled = 0;
  machine.api.intercept = [&](const net::Request& request) {
    if (request.method == "PATCH" && request.url.find("configmaps/kube-proxy") != std::string::npos) {
      config["metadata"]["labels"]["meddled"] = std::to_string(++meddled);
      machine.api.put(config, "somebody");
    }
    return intercept(request);
  };
  CHECK(machine.initFails().find("the object has been modified") != std::string::npos);
  CHECK(meddled > 10);
  CHECK((*machine.api.object(kSystem + "configmaps/kube-proxy"))["data"]["config.conf"] == "edited: true\n");
}
