#include "manifests/reach.hpp"

#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::manifests;

TEST_CASE("a pod tries to reach a machine from another one's own network, and may do nothing else there") {
  const auto pod = reachPod("registry.k8s.io/etcd:3.7.0-0", "n1", "n2", *IpAddress::parse("10.88.0.12"), {2379, 2380});
  CHECK(stringAt(pod, "metadata.name") == "kubestrap-reach-n2-from-n1");
  CHECK(stringAt(pod, "spec.nodeName") == "n1");
  CHECK(pod.at("spec").at("hostNetwork") == true);
  const auto& container = pod.at("spec").at("containers").at(0);
  CHECK(container.at("image") == "registry.k8s.io/etcd:3.7.0-0");
  CHECK(test::strings(container.at("command"))[3] == "--endpoints=http://10.88.0.12:2379,http://10.88.0.12:2380");
  CHECK(container.at("securityContext").at("allowPrivilegeEscalation") == false);
  CHECK(pod.at("spec").at("securityContext").at("runAsUser") == 65534);
  CHECK(pod.at("spec").at("automountServiceAccountToken") == false);
  CHECK_FALSE(pod.at("spec").contains("volumes"));
}

TEST_CASE("an IPv6 address stands in brackets there") {
  const auto pod = reachPod("etcd", "n1", "n2", *IpAddress::parse("fd00::2"), {2380});
  CHECK(test::strings(pod.at("spec").at("containers").at(0).at("command"))[3] == "--endpoints=http://[fd00::2]:2380");
}
