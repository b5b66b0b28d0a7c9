// What running init means as a whole: a plan only looks, an apply makes, a second one keeps.
#include "tests/flow/end_state.hpp"
#include "tests/lines.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

void withUploadedCertificates(config::Setup& setup) { setup.request.uploadCerts = true; }

std::string phaseError(const std::string& only, const Lines& skip) {
  try {
    plan::check({.only = only.empty() ? std::nullopt : std::optional(only), .skip = skip}, phases::initWorkflow());
    return {};
  } catch (const Error& error) {
    CHECK(error.exitCode() == ExitCode::usage);
    return error.message() + "; " + error.hint();
  }
}

} // namespace

TEST_CASE("apply, then plan, is all keep") {
  Machine machine;
  machine.adjust = withUploadedCertificates;
  CHECK(machine.init().changed());
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("the second of two runs makes no effect on the machine or in the cluster") {
  Machine machine;
  machine.adjust = withUploadedCertificates;
  machine.init();
  const auto before = endState(machine);
  machine.api.forgetRecords();
  machine.host.now += std::chrono::hours(24 * 30);
  CHECK(machine.effectsOf([&] { CHECK_FALSE(machine.init().changed()); }) == 0);
  CHECK(machine.api.writes() == Lines{});
  CHECK(differing(before, endState(machine)) == Lines{});
}

TEST_CASE("a plan touches nothing and waits for nothing") {
  Machine machine;
  SUBCASE("on a bare machine") {}
  SUBCASE("on a machine where a run was stopped") { machine.initStoppedAt(60); }
  SUBCASE("where everything is done, and something was spoilt since") {
    machine.init();
    machine.host.files.erase("/etc/kubernetes/pki/apiserver.crt");
    machine.api.remove("/api/v1/namespaces/kube-system/configmaps/coredns");
  }
  machine.settle();
  const auto state = endState(machine);
  const auto now = machine.host.now;
  machine.api.forgetRecords();
  CHECK(machine.effectsOf([&] { CHECK(machine.plan().changed()); }) == 0);
  CHECK(machine.api.writes() == Lines{});
  CHECK(differing(state, endState(machine)) == Lines{});
  CHECK(machine.host.now == now);
}

TEST_CASE("a plan of a bare machine names everything that the run then does") {
  Machine machine;
  const auto subjects = [](const plan::Outcome& outcome) {
    Lines found;
    for (const auto& [phase, change] : outcome.changes)
      // What somebody else brings about may be there before the run comes to wait for it.
      if (change.changes() && change.verb != plan::Verb::wait) found.push_back(phase + ": " + change.subject);
    return found;
  };
  const auto planned = subjects(machine.plan());
  CHECK(planned == subjects(machine.init()));
  CHECK(planned.size() > 50);
}

TEST_CASE("the kubelet starts when all static pods and its settings are in place") {
  Machine machine;
  Lines before;
  machine.host.onServiceAction = [&](const std::string&, host::Host::ServiceAction) {
    for (const auto& [path, file] : machine.host.files)
      if (path.starts_with("/etc/kubernetes/manifests/") || path == "/var/lib/kubelet/config.yaml")
        before.push_back(path);
  };
  machine.init();
  CHECK(before == Lines{"/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/manifests/kube-apiserver.yaml",
                        "/etc/kubernetes/manifests/kube-controller-manager.yaml",
                        "/etc/kubernetes/manifests/kube-scheduler.yaml", "/var/lib/kubelet/config.yaml"});
}

TEST_CASE("a kubelet setting that changed restarts the kubelet, once") {
  Machine machine;
  machine.init();
  machine.adjust = [](config::Setup& setup) { setup.cluster.kubelet.document["maxPods"] = 50; };
  CHECK(
      changesOf(machine.plan()) ==
      Lines{
          "kubelet-start: update file /var/lib/kubelet/config.yaml (content differs)",
          "kubelet-start: start service kubelet (/var/lib/kubelet/config.yaml will be newer than the running process)",
          "upload-config/kubelet: update ConfigMap kube-system/kubelet-config (differs in "
          "metadata.annotations.kubeadm.kubernetes.io/component-config.hash, data.kubelet)"});
  machine.init();
  CHECK(std::ranges::count(machine.effects(), "restart kubelet") == 2);
  CHECK(changesOf(machine.plan()) == Lines{});
}

TEST_CASE("a run that was stopped between the kubelet's settings and its restart restarts it later") {
  Machine machine;
  machine.init();
  machine.adjust = [](config::Setup& setup) { setup.cluster.kubelet.document["maxPods"] = 50; };
  machine.host.onEffect = [](const std::string& effect) {
    if (effect == "restart kubelet") throw fakes::Killed{};
  };
  CHECK_THROWS_AS(machine.init(), fakes::Killed);
  machine.host.onEffect = nullptr;
  const auto restarts = [&] { return std::ranges::count(machine.effects(), "restart kubelet"); };
  CHECK(restarts() == 1);
  CHECK(changesOf(machine.plan()).front() ==
        "kubelet-start: start service kubelet (/var/lib/kubelet/config.yaml is newer than the running process)");
  machine.init();
  CHECK(restarts() == 2);
}

namespace {

constexpr const char* kUnit = "/usr/lib/systemd/system/kubelet.service";
constexpr const char* kPackagesDropIn = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf";
constexpr const char* kOwnDropIn = "/etc/systemd/system/kubelet.service.d/10-kubestrap.conf";

} // namespace

TEST_CASE("a kubelet whose unit does not hand it its settings gets a drop-in that does, before it starts") {
  Machine machine;
  machine.host.put(kUnit, "[Service]\nExecStart=/opt/bin/kubelet\n");
  machine.host.onServiceAction = [&](const std::string&, host::Host::ServiceAction) {
    CHECK(machine.host.text(kOwnDropIn).find("\nExecStart=/opt/bin/kubelet $KUBELET_KUBECONFIG_ARGS") != std::string::npos);
  };
  machine.init();
  CHECK(machine.host.text("/var/lib/kubestrap/journal").find(kOwnDropIn) != std::string::npos);

  // It counts as ours, not as the unit's own: it is still wanted, and kept, and put back.
  CHECK(changesOf(machine.plan()) == Lines{});
  machine.host.files.erase(kOwnDropIn);
  CHECK(changesOf(machine.plan()) ==
        Lines{std::string("kubelet-start: create file ") + kOwnDropIn + " (missing)",
              std::string("kubelet-start: start service kubelet (") + kOwnDropIn + " will be newer than the running process)"});
}

TEST_CASE("a kubelet that is handed its settings by its unit is left as it is") {
  Machine machine;
  machine.host.put(kUnit, "[Service]\nExecStart=/usr/bin/kubelet\n");
  machine.host.put(kPackagesDropIn, "[Service]\nEnvironment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"\n");
  machine.init();
  CHECK(machine.host.text(kOwnDropIn) == "");
}

// ---- which phases run

TEST_CASE("a phase that is skipped leaves its things alone, with its children") {
  Machine machine;
  machine.selection.skip = {"addon/coredns", "upload-config"};
  machine.init();
  CHECK_FALSE(machine.api.object("/apis/apps/v1/namespaces/kube-system/deployments/coredns"));
  CHECK_FALSE(machine.api.object("/api/v1/namespaces/kube-system/configmaps/kubeadm-config"));
  CHECK(machine.api.object("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"));
  CHECK(std::ranges::count(machine.listener.lines, "[addon/coredns] skipped") == 1);
  CHECK(std::ranges::count(machine.listener.lines, "[upload-config] skipped") == 1);
}

TEST_CASE("one phase alone does its own work and no other") {
  Machine machine;
  machine.selection.only = "certs/etcd-ca";
  machine.init();
  Lines files;
  for (const auto& [path, file] : machine.host.files)
    if (file.type == host::FileStatus::Type::file && !path.starts_with("/var/lib/kubestrap")) files.push_back(path);
  CHECK(files == Lines{"/etc/kubernetes/pki/etcd/ca.crt", "/etc/kubernetes/pki/etcd/ca.key"});
  CHECK(machine.cri.images.empty());
}

TEST_CASE("a phase with children runs them all") {
  Machine machine;
  machine.selection.only = "certs";
  const auto outcome = machine.init();
  CHECK(outcome.changes.size() == 11);
  CHECK(std::ranges::all_of(outcome.changes, [](const auto& each) { return each.phase.starts_with("certs/"); }));
}

TEST_CASE("a phase that does not exist is answered with the one that was probably meant") {
  CHECK(phaseError("certs/apiserver", {"preflight", "addon/kube-proxy"}) == "");
  CHECK(phaseError("certs/apisever", {}) == "init has no phase certs/apisever; did you mean certs/apiserver?");
  CHECK(phaseError("", {"preflihgt"}) == "init has no phase preflihgt; did you mean preflight?");
  CHECK(phaseError("xyzzy", {}) == "init has no phase xyzzy; see: kubestrap init phase --help");
  CHECK(phaseError("certs/", {}).starts_with("init has no phase certs/;"));
}

TEST_CASE("a machine that preflight refuses is not touched") {
  Machine machine;
  machine.host.machine.swaps = {"/dev/sda2"};
  machine.host.machine.cpus = 1;
  try {
    machine.init();
    FAIL("preflight refuses one CPU");
  } catch (const Problems& problems) {
    CHECK(problems.exitCode() == ExitCode::refused);
    REQUIRE(problems.list().size() == 1);
    CHECK(problems.list().front().field == "NumCPU");
  }
  CHECK(machine.effects() == Lines{});
}

TEST_CASE("images that are not there are pulled, others are not") {
  Machine machine;
  const auto images = [&] {
    Lines pulled;
    for (const auto& effect : machine.effects())
      if (effect.starts_with("pull ")) pulled.push_back(effect.substr(5));
    return pulled;
  };
  machine.cri.images = {"registry.k8s.io/kube-apiserver:v1.37.2", "registry.k8s.io/kube-proxy:v1.37.2"};
  machine.init();
  CHECK(images().size() == 5);
  CHECK(std::ranges::count(images(), "registry.k8s.io/kube-apiserver:v1.37.2") == 0);
}

TEST_CASE("an image that cannot be pulled ends the run with the runtime's words") {
  Machine machine;
  machine.cri.pullFailures["registry.k8s.io/kube-apiserver:v1.37.2"] = "failed to resolve reference: not found";
  const auto error = machine.initFails();
  CHECK(error.find("registry.k8s.io/kube-apiserver:v1.37.2") != std::string::npos);
  CHECK(error.find("failed to resolve reference: not found") != std::string::npos);
}
