#include "kube/reading.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::kube;

TEST_CASE("labels and annotations are found by names with dots, and are absent where they are not texts") {
  const auto object = parseJson(R"({"metadata": {"labels": {"a.b/c": "1"}, "annotations": {"d.e/f": "2", "g": 3}}})");
  CHECK(labelOf(object, "a.b/c") == "1");
  CHECK(annotationOf(object, "d.e/f") == "2");
  CHECK_FALSE(labelOf(object, "d.e/f"));
  CHECK_FALSE(annotationOf(object, "g"));
  CHECK_FALSE(labelOf(Value::object(), "a"));
  CHECK_FALSE(labelOf(parseJson(R"({"metadata": {"labels": null}})"), "a"));
}

TEST_CASE("a number that is left out is zero") {
  const auto object = parseJson(R"({"status": {"desired": 3, "text": "4"}})");
  CHECK(numberAt(object, "status.desired") == 3);
  CHECK(numberAt(object, "status.available") == 0);
  CHECK(numberAt(object, "status.text") == 0);
}

TEST_CASE("a node is ready when it says so itself") {
  CHECK(isReady(parseJson(R"({"status": {"conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": "True"}]}})")));
  CHECK_FALSE(isReady(parseJson(R"({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})")));
  CHECK_FALSE(isReady(parseJson(R"({"status": {"conditions": null}})")));
  CHECK_FALSE(isReady(Value::object()));
}

TEST_CASE("pods of the host's network run on a node that lacks a pod network only") {
  const auto node = [](const char* status, const char* message) {
    return Value{{"status", {{"conditions", Value::array({{{"type", "Ready"}, {"status", status}, {"message", message}}})}}}};
  };
  const auto* noNetwork = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
  CHECK(runsHostPods(node("True", "kubelet is posting ready status")));
  CHECK(runsHostPods(node("False", noNetwork)));
  CHECK_FALSE(isReady(node("False", noNetwork)));
  CHECK_FALSE(runsHostPods(node("Unknown", "Kubelet stopped posting node status.")));
  CHECK_FALSE(runsHostPods(node("False", "[container runtime is down, container runtime network not ready: NetworkReady=false]")));
  CHECK_FALSE(runsHostPods(Value::object()));
}

TEST_CASE("a node's internal addresses are told in its order, and none where it has told none") {
  CHECK(internalAddresses(parseJson(R"({"status": {"addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.1"},
                                                                 {"type": "ExternalIP", "address": "192.0.2.1"}, {"type": "InternalIP", "address": "fd00::1"}]}})")) ==
        std::vector<std::string>{"10.0.0.1", "fd00::1"});
  CHECK(internalAddresses(parseJson(R"({"status": {"addresses": null}})")).empty());
  CHECK(internalAddresses(Value::object()).empty());
}
