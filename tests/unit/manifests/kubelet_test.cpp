#include "manifests/kubelet.hpp"

#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::test;
using namespace kubestrap::manifests;

namespace {
Value yaml(const char* text) { return parseYamlValue(text, "test"); }
} // namespace

TEST_CASE("the kubelet of a control plane node gets the operator's flags and nothing else") {
  CHECK(kubeletFlagsEnv(referenceSetup()) == "KUBELET_KUBEADM_ARGS=\"--node-ip=10.88.0.11\"\n");
  config::Setup setup = referenceSetup();
  setup.node.kubeletExtraArgs.clear();
  CHECK(kubeletFlagsEnv(setup) == "KUBELET_KUBEADM_ARGS=\"\"\n");
}

TEST_CASE("a worker registers with its taints") {
  config::Setup setup = referenceSetup();
  setup.node.controlPlane = false;
  setup.node.kubeletExtraArgs.clear();
  setup.node.taints = {yaml("{key: gpu, value: a100, effect: NoSchedule}"), yaml("{key: spot, effect: NoExecute}"),
                       yaml("{key: bare}")};
  CHECK(kubeletFlagsEnv(setup) ==
        "KUBELET_KUBEADM_ARGS=\"--register-with-taints=gpu=a100:NoSchedule,spot:NoExecute,bare\"\n");
  setup.node.taints.clear();
  CHECK(kubeletFlagsEnv(setup) == "KUBELET_KUBEADM_ARGS=\"\"\n");
}

TEST_CASE("a node that is not called as its machine overrides the hostname, once") {
  config::Setup setup = referenceSetup();
  setup.node.name = "alpha";
  CHECK(kubeletFlagsEnv(setup) == "KUBELET_KUBEADM_ARGS=\"--hostname-override=alpha --node-ip=10.88.0.11\"\n");
  setup.node.kubeletExtraArgs = {{"hostname-override", "alpha"}};
  CHECK(kubeletFlagsEnv(setup) == "KUBELET_KUBEADM_ARGS=\"--hostname-override=alpha\"\n");
}

TEST_CASE("quotes and backslashes in a flag do not end the line's string") {
  config::Setup setup = referenceSetup();
  setup.node.kubeletExtraArgs = {{"node-labels", R"(a="b\c")"}};
  CHECK(kubeletFlagsEnv(setup) == R"(KUBELET_KUBEADM_ARGS="--node-labels=a=\"b\\c\"")"
                                  "\n");
}

TEST_CASE("the instance configuration holds the socket only, and wins over everything") {
  config::Setup setup = referenceSetup();
  CHECK(kubeletInstanceConfig(setup) == yaml("containerRuntimeEndpoint: unix:///run/containerd/containerd.sock"));
  CHECK(fingerprint(kubeletInstanceConfig(setup)) ==
        "053d9b4300561196c24aaefed988e730e32001c10bd873e836bc7ce7b3850233");
  setup.request.patches = {{"kubeletconfiguration+merge.yaml", config::Patch::Target::kubeletConfiguration,
                            config::Patch::Kind::merge,
                            yaml("{containerRuntimeEndpoint: unix:///other.sock, maxPods: 50}")}};
  Value document = kubeletConfig(setup);
  CHECK(stringAt(document, "containerRuntimeEndpoint") == "unix:///run/containerd/containerd.sock");
  CHECK(document.at("maxPods") == 50);
}

TEST_CASE("the resolver's file of systemd-resolved is used unless the operator named one") {
  config::Setup setup = referenceSetup();
  CHECK_FALSE(kubeletConfig(setup).contains("resolvConf"));
  setup.node.resolvConf = "/run/systemd/resolve/resolv.conf";
  CHECK(stringAt(kubeletConfig(setup), "resolvConf") == "/run/systemd/resolve/resolv.conf");
  setup.cluster.kubelet.document["resolvConf"] = "/etc/resolv.own";
  CHECK(stringAt(kubeletConfig(setup), "resolvConf") == "/etc/resolv.own");
}

TEST_CASE("the kubelet's unit and drop-in start the program that is there, with the files that init writes") {
  CHECK(kubeletUnit("/opt/bin/kubelet").find("\nExecStart=/opt/bin/kubelet\n") != std::string::npos);
  std::string dropIn = kubeletDropIn();
  for (const char* part :
       {"--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf", "--kubeconfig=/etc/kubernetes/kubelet.conf",
        "--config=/var/lib/kubelet/config.yaml", "EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env",
        "\nExecStart=\nExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS"}) {
    CAPTURE(part);
    CHECK(dropIn.find(part) != std::string::npos);
  }
  CHECK(dropIn.find("{{") == std::string::npos);
}
