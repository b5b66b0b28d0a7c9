#include "phases/readdress.hpp"

#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::phases;

namespace {

config::Setup moving(bool othersVote) {
  auto setup = test::hostedSetup();
  setup.node.advertiseAddress = *IpAddress::parse("10.88.0.21");
  setup.request.readdressing = {.from = "10.88.0.11", .to = "10.88.0.21", .files = {}, .own = true, .othersVote = othersVote, .objects = {}};
  setup.request.readdressing.files["/etc/kubernetes/manifests/etcd.yaml"] = {"--name=n1 --initial-cluster=n1=https://10.88.0.11:2380,n2=https://10.88.0.110:2380", 0600};
  setup.request.readdressing.files["/etc/kubernetes/admin.conf"] = {"server: https://10.88.0.11:6443", 0600};
  return setup;
}

const plan::Phase& phase(const plan::Workflow& workflow, std::string_view name) {
  for (const auto& each : workflow.phases)
    if (each.name == name) return each;
  FAIL("no phase " << name);
  return workflow.phases.front();
}

plan::Resources resources(const plan::Workflow& workflow, std::string_view name, const config::Setup& setup) { return phase(workflow, name).desired(setup, phase(workflow, name)); }

} // namespace

TEST_CASE("an address takes another one's place where it stands alone, and nowhere else") {
  struct Row {
    std::string_view text, from, to, made;
  };
  const Row rows[] = {
      {"https://10.0.0.11:2380", "10.0.0.11", "10.0.0.21", "https://10.0.0.21:2380"},
      {"10.0.0.110 110.0.0.11 10.0.0.11.5 10.0.0.11", "10.0.0.11", "10.0.0.21", "10.0.0.110 110.0.0.11 10.0.0.11.5 10.0.0.21"},
      {"--a=10.0.0.11,10.0.0.11 b 10.0.0.11.", "10.0.0.11", "10.0.0.21", "--a=10.0.0.21,10.0.0.21 b 10.0.0.21."},
      {"n10.0.0.11", "10.0.0.11", "10.0.0.21", "n10.0.0.21"},
      {"https://[fd00::1]:2380 fd00::11 fd00::1:2 fd00::1", "fd00::1", "fd00::2", "https://[fd00::2]:2380 fd00::11 fd00::1:2 fd00::2"},
      {"", "10.0.0.11", "10.0.0.21", ""},
      {"nothing", "10.0.0.11", "10.0.0.21", "nothing"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(readdressed(row.text, row.from, row.to) == row.made);
    CHECK(readdressed(row.made, row.from, row.to) == row.made); // a second time changes nothing
  }
}

TEST_CASE("what names the old address in files is written anew, and a kubeconfig is never shown") {
  const auto made = resources(readdressWorkflow(), "files", moving(false));
  REQUIRE(made.size() == 2);
  const auto& kubeconfig = std::get<plan::File>(made[0]);
  CHECK(kubeconfig.content == "server: https://10.88.0.21:6443");
  CHECK(kubeconfig.secrecy == plan::Secrecy::secret);
  const auto& etcd = std::get<plan::File>(made[1]);
  CHECK(etcd.content == "--name=n1 --initial-cluster=n1=https://10.88.0.21:2380,n2=https://10.88.0.110:2380");
  CHECK(etcd.mode == 0600);
}

TEST_CASE("other members of etcd are told before this one moves, and one that is alone when it runs again") {
  CHECK(resources(readdressWorkflow(), "etcd-member", moving(false)).empty());
  const auto first = resources(readdressWorkflow(), "etcd-member", moving(true)), last = resources(readdressClusterWorkflow(), "etcd-member", moving(false));
  for (const auto* each : {&first, &last}) {
    REQUIRE(each->size() == 1);
    const auto& move = std::get<plan::MoveEtcdMember>(std::get<plan::Task>(each->front()));
    CHECK(move.peerUrl == "https://10.88.0.21:2380");
    CHECK(move.name == "n1");
  }
  // This node's own API server is not there while its etcd is not.
  CHECK(std::get<plan::MoveEtcdMember>(std::get<plan::Task>(first.front())).access.api.server.empty());
}

TEST_CASE("a worker's certificates, balancer and etcd are nobody's business") {
  auto setup = moving(true);
  setup.node.controlPlane = false;
  for (const auto* name : {"etcd-member", "certs", "front"}) CHECK_MESSAGE(resources(readdressWorkflow(), name, setup).empty(), name);
  for (const auto* name : {"etcd-member", "cluster", "front"}) CHECK_MESSAGE(resources(readdressClusterWorkflow(), name, setup).empty(), name);
  CHECK(resources(readdressWorkflow(), "kubelet", setup).size() == 2);
}

TEST_CASE("what is under way is written down first and forgotten last") {
  CHECK(readdressWorkflow().phases.front().name == "begin");
  CHECK(std::get<plan::File>(resources(readdressWorkflow(), "begin", moving(false)).front()).path == readdressing);
  CHECK(readdressClusterWorkflow().phases.back().name == "end");
  CHECK(std::get<plan::Absent>(resources(readdressClusterWorkflow(), "end", moving(false)).front()).path == readdressing);
}
