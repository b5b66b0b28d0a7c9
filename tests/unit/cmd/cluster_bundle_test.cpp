// A bundle that a cluster.yaml names, before it goes to any machine.
#include "cmd/cluster_fleet.hpp"
#include "cmd/globals.hpp"
#include "support/encoding.hpp"
#include "tests/unit/archive/fixture.hpp"
#include "tests/unit/nodes/played_ssh.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <unistd.h>

using namespace kubestrap;
using namespace kubestrap::cmd;
namespace fleet = kubestrap::phases::fleet;

namespace {

/// A desk whose root is a folder of its own, with a bundle that is not signed.
struct Desk {
  archive::Workshop workshop;

  Desk() {
    auto making = workshop.making("cluster.bundle");
    making.key.reset();
    archive::create(making);
    workshop.temp.put("desk/kubestrap", "the program");
    workshop.temp.put("cluster.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\nbinary: desk/kubestrap\nbundle: cluster.bundle\n"
                                          "hosts: [{name: n1, address: 10.0.0.11, role: control-plane}]\n");
    globals().rootfs = workshop.temp.folder.string();
  }
  ~Desk() { globals().rootfs = "/"; }
  void trusts(const certs::PrivateKey& key) { workshop.temp.put("etc/kubestrap/trusted-keys.pem", key.publicPem()); }
  std::string verdict(const fleet::Plan& plan) const {
    Fleet machines(workshop.at("cluster.yaml").string(), {});
    try {
      machines.judgeBundle(plan);
      return "good";
    } catch (const Error& error) {
      return error.message();
    }
  }
};

const fleet::Plan copies{.steps = {{"n1", fleet::Task::copyBundle, "missing"}}, .troubles = {}, .notes = {}, .busy = {}};

} // namespace

TEST_CASE("a bundle is judged where it is brought from, by the keys that are trusted there") {
  Desk desk;
  CHECK(desk.verdict(copies) == "good"); // no keys, no judge: that is told
  desk.trusts(certs::PrivateKey::generate(certs::KeyAlgorithm::ed25519));
  CHECK(desk.verdict(copies).find("not signed") != std::string::npos);
  CHECK(desk.verdict({}) == "good"); // it goes nowhere
}

TEST_CASE("a bundle that is not whole is found before it is copied") {
  Desk desk;
  auto parts = archive::unpacked(desk.workshop.at("cluster.bundle"));
  parts.back().content += "more";
  archive::pack(parts, desk.workshop.at("cluster.bundle"));
  CHECK(desk.verdict(copies) != "good");
}

namespace {

/// A desk with a program and a bundle for machines of each of two architectures.
struct DeskOfTwo : Desk {
  DeskOfTwo() {
    workshop.temp.put("desk/kubestrap", archive::program("amd64", "the program"));
    workshop.temp.put("desk/arm", archive::program("arm64", "the program"));
    workshop.temp.put("arm/bin/kubelet", archive::program("arm64", "a kubelet"));
    auto making = workshop.making("arm.bundle");
    making.inputs = archive::inputsIn(workshop.at("arm"));
    making.inputs.configuration.architecture = "arm64";
    making.inputs.configuration.kubernetesVersion = "v1.37.2";
    making.key.reset();
    archive::create(making);
  }
  void describe(const std::string& binary, const std::string& bundle) const {
    workshop.temp.put("cluster.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\nbinary: desk/kubestrap\nbundle: cluster.bundle\narchitectures: {arm64: {binary: " + binary + ", bundle: " + bundle +
                                          "}}\nhosts: [{name: n1, address: 10.0.0.11, role: control-plane}]\n");
  }
  std::string refusal() const {
    Fleet machines(workshop.at("cluster.yaml").string(), {});
    try {
      machines.wish(false);
    } catch (const Error& error) {
      return error.message();
    }
    return "good";
  }
};

} // namespace

TEST_CASE("machines of another architecture get its program and its bundle, and each bundle is judged where it goes") {
  DeskOfTwo desk;
  desk.describe("desk/arm", "arm.bundle");
  Fleet machines(desk.workshop.at("cluster.yaml").string(), {});
  const auto wish = machines.wish(false);
  CHECK(wish.machine == "x86_64");
  REQUIRE(wish.others.contains("aarch64"));
  CHECK(wish.others.at("aarch64").binary.is(sha256Hex(archive::program("arm64", "the program"))));
  CHECK(wish.others.at("aarch64").kubelet == "v1.37.2");
  CHECK(machines.cargo(fleet::Task::copyBundle, "aarch64").from == desk.workshop.at("arm.bundle"));
  CHECK(machines.cargo(fleet::Task::copyBundle).from == desk.workshop.at("cluster.bundle"));
  // One that is not whole keeps nothing from going where the other goes.
  auto parts = archive::unpacked(desk.workshop.at("arm.bundle"));
  parts.back().content += "more";
  archive::pack(parts, desk.workshop.at("arm.bundle"));
  CHECK(desk.verdict(copies) == "good");
  CHECK(desk.verdict({.steps = {{.host = "w1", .task = fleet::Task::copyBundle, .reason = "missing", .machine = "aarch64"}}, .troubles = {}, .notes = {}, .busy = {}}).find("arm.bundle") != std::string::npos);
}

TEST_CASE("a program or a bundle that is for another architecture than the file says is named before any machine is asked") {
  DeskOfTwo desk;
  desk.describe("desk/kubestrap", "arm.bundle");
  CHECK(desk.refusal().ends_with("desk/kubestrap: it is a program for amd64, not for arm64"));
  desk.describe("desk/arm", "cluster.bundle");
  CHECK(desk.refusal().find("cluster.bundle is for amd64, and ") != std::string::npos);
  desk.workshop.temp.put("desk/kubestrap", archive::program("arm64", "the program"));
  desk.describe("desk/arm", "arm.bundle");
  CHECK(desk.refusal().find("cluster.bundle is for amd64, and ") != std::string::npos);
}

TEST_CASE("nodes get the kubestrap of the desk, also where the bundle has one, and its kubelet is that of the bundle's version") {
  Desk desk;
  desk.workshop.temp.put("in/bin/kubestrap", archive::program("amd64", "an older kubestrap"));
  auto making = desk.workshop.making("cluster.bundle");
  archive::create(making);
  Fleet machines(desk.workshop.at("cluster.yaml").string(), {});
  const auto wish = machines.wish(false);
  CHECK(wish.common.binary.is(machines.cargo(fleet::Task::copyBinary).digest));
  CHECK_FALSE(wish.common.binary.is(sha256Hex(archive::program("amd64", "an older kubestrap"))));
  CHECK(wish.common.kubelet == "v1.37.2");
  REQUIRE(wish.notes.size() == 1);
  CHECK(wish.notes.front().find("the bundle has another kubestrap") != std::string::npos);
}

TEST_CASE("a machine is asked for the manifests of those add-ons alone that a bundle brings, and the bundle's are known by their digests") {
  Desk desk;
  const std::string manifest = "kind: ConfigMap\n";
  for (const auto* name : {"metrics-server", "local-path", "notes"}) desk.workshop.temp.put(std::string("in/manifests/") + name + ".yaml", manifest);
  archive::create(desk.workshop.making("cluster.bundle"));
  desk.workshop.temp.put("cluster.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\nbinary: desk/kubestrap\nbundle: cluster.bundle\nhosts: [{name: n1, address: 10.0.0.11, role: control-plane}]\n---\n"
                                         "apiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\naddons: [{name: metrics-server}, {name: local-path, source: /root/local-path.yaml}]\n");
  Fleet machines(desk.workshop.at("cluster.yaml").string(), {});
  CHECK(machines.wish(false).common.manifests == std::map<std::string, std::string>{{"metrics-server", sha256Hex(manifest)}});
  if (geteuid() != 0) return; // there is no sudo to try
  const nodes::PlayedSsh ssh("for last; do :; done; exec sh -c \"$last\""); // this machine answers
  const auto seen = machines.look().seen.of("n1");
  CHECK(seen.unreachable.empty());
  CHECK(seen.manifests.size() == 1);
  CHECK(seen.manifests.contains("metrics-server"));
}

TEST_CASE("the policy of an audit log is a file of the desk, and goes to the machines with the documents") {
  Desk desk;
  desk.workshop.temp.put("cluster.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\nbinary: desk/kubestrap\nhosts: [{name: n1, address: 10.0.0.11, role: control-plane}]\n---\n"
                                         "apiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nsecurity: {audit: {policyFile: /etc/policy.yaml}}\n");
  const auto read = [&] { return readClusterFile(desk.workshop.at("cluster.yaml").string()); };
  CHECK_THROWS_WITH_AS(read(), "security.audit.policyFile names /etc/policy.yaml, and it is not there", Error);
  desk.workshop.temp.put("etc/policy.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n");
  const auto file = read();
  for (const auto& documents : {config::initDocuments(file, file.first()), config::settingsDocuments(file)})
    CHECK(std::ranges::count_if(documents, [](const Value& each) { return stringAt(each, "kind") == "Policy" && find(each, "rules") != nullptr; }) == 1);
  desk.workshop.temp.put("etc/policy.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]\n");
  CHECK_THROWS_AS(read(), Problems); // before any machine is asked
}

TEST_CASE("a bundle that is for another Kubernetes than the file says is told with the plan") {
  Desk desk;
  archive::create(desk.workshop.making("cluster.bundle"));
  const auto notesFor = [&](const std::string& version) {
    desk.workshop.temp.put("cluster.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\nbinary: desk/kubestrap\nbundle: cluster.bundle\nhosts: [{name: n1, address: 10.0.0.11, role: control-plane}]\n---\n"
                                           "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: " + version + "\n");
    return Fleet(desk.workshop.at("cluster.yaml").string(), {}).wish(false).notes;
  };
  CHECK(notesFor("v1.37.2").empty());
  const auto notes = notesFor("v1.36.3");
  REQUIRE(notes.size() == 1);
  CHECK(notes.front().find("is for Kubernetes v1.37.2, and the file says v1.36.3") != std::string::npos);
}
