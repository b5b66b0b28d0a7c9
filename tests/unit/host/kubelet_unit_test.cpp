#include "host/facts.hpp"
#include "tests/fakes/fake_host.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::host;

namespace {

/// What the packages kubelet and kubeadm of pkgs.k8s.io bring.
constexpr const char* plainUnit = "[Unit]\nDescription=kubelet\n\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\n";
constexpr const char* kubeadmDropIn = R"([Service]
Environment="KUBELET_KUBECONFIG_ARGS=--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS
)";
const std::string unit = "/usr/lib/systemd/system/kubelet.service";

config::KubeletUnitFacts parsed(const std::vector<std::string>& texts, const std::string& environment = "") {
  return parseKubeletUnit(texts, [&](const Path&) { return environment; });
}

bool readsSettings(std::initializer_list<std::pair<std::string, std::string>> files) {
  fakes::FakeHost host;
  for (const auto& [path, content] : files) host.put(path, content);
  return lookAtKubeletUnit(host).readsSettings;
}

} // namespace

TEST_CASE("a kubelet reads our settings when its unit or a drop-in names their file") {
  CHECK_FALSE(readsSettings({{unit, plainUnit}}));
  CHECK(readsSettings({{unit, plainUnit}, {unit + ".d/10-kubeadm.conf", kubeadmDropIn}}));
  CHECK(readsSettings({{unit, plainUnit}, {"/etc/systemd/system/kubelet.service.d/own.conf", kubeadmDropIn}}));
  CHECK(readsSettings({{"/etc/systemd/system/kubelet.service", "[Service]\nExecStart=/k/kubelet --config /var/lib/kubelet/config.yaml\n"}}));
  CHECK_FALSE(readsSettings({{unit, plainUnit}, {unit + ".d/10-kubeadm.conf.dpkg-old", kubeadmDropIn}}));
}

TEST_CASE("what is hidden by a file of the same name in an earlier folder does not count") {
  CHECK_FALSE(readsSettings({{unit, plainUnit},
                             {unit + ".d/10-kubeadm.conf", kubeadmDropIn},
                             {"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", ""}}));
  CHECK_FALSE(readsSettings({{"/etc/systemd/system/kubelet.service", plainUnit}, {unit, kubeadmDropIn}}));
}

TEST_CASE("our own drop-in does not count, so that it is wanted as long as it is needed") {
  CHECK_FALSE(readsSettings({{unit, plainUnit}, {"/etc/systemd/system/kubelet.service.d/10-kubestrap.conf", kubeadmDropIn}}));
}

TEST_CASE("comments do not count, and environment files do") {
  CHECK_FALSE(parsed({plainUnit, "# --config=/var/lib/kubelet/config.yaml\n ; /var/lib/kubelet/config.yaml\n"}).readsSettings);
  const std::string withFile = "[Service]\nEnvironmentFile=-/etc/kubernetes/kubelet.env\nExecStart=/usr/bin/kubelet $ARGS\n";
  CHECK(parsed({withFile}, "ARGS=--config=/var/lib/kubelet/config.yaml").readsSettings);
  CHECK_FALSE(parsed({withFile}, "ARGS=--config=/etc/kubelet.yaml").readsSettings);
}

TEST_CASE("the program is the one that the unit starts") {
  CHECK(parsed({plainUnit}).program == "/usr/bin/kubelet");
  CHECK(parsed({plainUnit, "[Service]\nExecStart=\nExecStart = -/opt/bin/kubelet --v=2\n"}).program == "/opt/bin/kubelet");
  CHECK(parsed({"[Service]\nExecStart=/usr/bin/env kubelet\n"}).program == "/usr/bin/kubelet");
}

TEST_CASE("without a unit, or with one that is masked, there is nothing to say") {
  fakes::FakeHost host;
  CHECK_FALSE(lookAtKubeletUnit(host).exists);
  host.put("/etc/systemd/system/kubelet.service", ""); // what a link to /dev/null reads as
  CHECK_FALSE(lookAtKubeletUnit(host).exists);
}
