#include "manifests/trial.hpp"

#include "support/error.hpp"
#include "tests/unit/manifests/fixture.hpp"
#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::manifests;

namespace {

Value podTemplate(const config::Setup& setup, Slot slot, int revision) {
  return daemonSet(component("kube-apiserver"), setup, slot, revision).at("spec").at("template");
}

Value rehearsal(const config::Setup& setup, const std::string& node = "n1") {
  return rehearsalPod(component("kube-apiserver"), podTemplate(setup, Slot::blue, 0), node);
}

} // namespace

TEST_CASE("a rehearsal runs the whole command line, and ends with the version") {
  const auto setup = test::hostedSetup();
  const auto pod = rehearsal(setup);
  const auto command = pod.at("spec").at("containers").at(0).at("command");
  auto wanted = podTemplate(setup, Slot::blue, 0).at("spec").at("containers").at(0).at("command");
  wanted.push_back("--version");
  CHECK(command == wanted);
  CHECK(stringAt(pod, "spec.nodeName") == "n1");
  CHECK(stringAt(pod, "spec.restartPolicy") == "Never");
  CHECK_FALSE(find(pod, "spec.volumes"));
}

TEST_CASE("a rehearsal is called by what it tries and where") {
  auto setup = test::hostedSetup();
  const auto name = stringAt(rehearsal(setup), "metadata.name");
  CHECK(stringAt(rehearsal(setup), "metadata.name") == name);
  CHECK(stringAt(rehearsal(setup, "n2"), "metadata.name") != name);
  setup.cluster.apiServer.extraArgs.push_back({"v", "4"});
  CHECK(stringAt(rehearsal(setup), "metadata.name") != name);
}

TEST_CASE("a canary needs only the one whose work it shows") {
  const auto setup = test::hostedSetup();
  const auto set = canary(component("kube-controller-manager"), setup);
  CHECK(stringAt(set, "kind") == "DaemonSet");
  CHECK(find(set, "spec.template.spec.nodeSelector"));
  const auto pod = canary(component("kube-scheduler"), setup);
  CHECK(stringAt(pod, "kind") == "Pod");
  CHECK_FALSE(find(pod, "spec.nodeName"));
  CHECK_THROWS_AS(canary(component("kube-apiserver"), setup), Error);
}
