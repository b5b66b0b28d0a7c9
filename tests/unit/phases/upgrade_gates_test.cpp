#include "phases/upgrade.hpp"

#include "config/versions.hpp"
#include "phases/corefile.hpp"
#include "phases/workflows.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

using namespace kubestrap;
using namespace kubestrap::phases;

namespace {

/// A healthy control plane node of a cluster of three.
config::Setup healthy(const std::string& from = "v1.36.3", const std::string& to = "v1.37.2") {
  config::Setup setup;
  setup.cluster.version = parseVersion(to);
  setup.cluster.images.etcd = "registry.k8s.io/etcd:3.7.0-0";
  setup.node.name = "n1";
  setup.node.advertiseAddress = *IpAddress::parse("10.0.0.11");
  auto& seen = setup.request.upgrading;
  seen.from = parseVersion(from);
  seen.server = from;
  seen.now = parseRfc3339("2026-11-28T12:00:00Z");
  for (const auto* name : {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"}) seen.manifests[name] = "{}";
  for (const auto* name : {"n1", "n2", "n3"}) seen.nodes.push_back({.name = name, .kubelet = from, .ready = true, .controlPlane = true, .versions = {}});
  seen.etcd = {.members = {"https://10.0.0.11:2379", "https://10.0.0.12:2379", "https://10.0.0.13:2379"}, .silent = {}, .version = "3.6.8"};
  return setup;
}

config::Facts sound() {
  config::Facts facts;
  facts.runtime.reachable = facts.runtime.ready = true;
  return facts;
}

/// "error NodesReady", "warning ..." of what speaks up.
std::vector<std::string> spoken(const config::Setup& setup) {
  std::vector<std::string> said;
  for (const auto& finding : judgeUpgrade(setup, sound()))
    said.push_back((finding.severity == plan::Severity::error ? "error " : "warning ") + finding.check);
  return said;
}

using Said = std::vector<std::string>;

} // namespace

TEST_CASE("a healthy cluster may go to the next minor version, and to a later patch") {
  CHECK(spoken(healthy()) == Said{});
  CHECK(spoken(healthy("v1.36.1", "v1.36.3")) == Said{});
  CHECK(spoken(healthy("v1.37.2", "v1.37.2")) == Said{});
}

TEST_CASE("rules of versions: what is refused, and what --force admits") {
  struct Row {
    const char *from, *to;
    bool force;
    Said said;
  };
  for (const auto& [from, to, force, said] : {Row{"v1.35.4", "v1.37.2", false, {"error VersionSkew"}},
                                              Row{"v1.35.4", "v1.37.2", true, {"error VersionSkew"}},
                                              Row{"v1.37.2", "v1.37.1", false, {"error VersionSkew"}},
                                              Row{"v1.37.2", "v1.37.1", true, {"warning VersionSkew"}},
                                              Row{"v1.38.0", "v1.36.3", true, {"error VersionSkew", "warning KubeletSkew"}},
                                              Row{"v1.36.3", "v1.37.0-rc.1", false, {"error VersionSkew"}}}) {
    CAPTURE(from);
    CAPTURE(to);
    auto setup = healthy(from, to);
    setup.request.upgrading.force = force;
    CHECK(spoken(setup) == said);
  }
  auto candidate = healthy("v1.36.3", "v1.37.0-rc.1");
  candidate.request.upgrading.releaseCandidates = true;
  CHECK(spoken(candidate) == Said{});
  auto skipping = healthy("v1.35.4", "v1.37.2");
  skipping.request.ignorePreflightErrors = {"all"};
  CHECK(spoken(skipping) == Said{"error VersionSkew"});
}

TEST_CASE("kubelets may be three minor versions older and never newer") {
  auto setup = healthy();
  setup.request.upgrading.nodes[1].kubelet = "v1.33.9";
  CHECK(spoken(setup) == Said{"error KubeletSkew"});
  setup.request.upgrading.nodes[1].kubelet = "v1.34.0";
  CHECK(spoken(setup) == Said{});
  setup.request.upgrading.nodes[1].kubelet = "v1.38.0";
  CHECK(spoken(setup) == Said{"error KubeletSkew"});
}

TEST_CASE("another node that is down is told and does not stop it; this one does") {
  auto setup = healthy();
  setup.request.upgrading.nodes[2].ready = false;
  CHECK(spoken(setup) == Said{"warning NodesReady"});
  setup.request.upgrading.nodes[0].ready = false;
  CHECK(spoken(setup) == Said{"error ControlPlaneNodesReady", "warning NodesReady"});
}

TEST_CASE("a control plane that is away keeps a roll from beginning, unless all it lacks is a pod network; a worker, and an upgrade of one node, do not") {
  auto setup = healthy();
  setup.cluster.kubestrap.layout = config::Layout::hosted;
  auto& nodes = setup.request.upgrading.nodes;
  nodes[1].controlPlane = nodes[2].controlPlane = true;
  nodes[1].ready = false;
  CHECK(spoken(setup) == Said{"error NodesReady"});
  CHECK(judgeUpgrade(setup, sound()).front().remedy.find("kubestrap node remove") != std::string::npos);
  REQUIRE(judgeUpgradeOfNode(setup, sound()).size() == 1);
  CHECK(judgeUpgradeOfNode(setup, sound()).front().severity == plan::Severity::warning);
  nodes[1].lacksPodNetwork = true;
  CHECK(spoken(setup) == Said{"warning NodesReady"});
  nodes[1].lacksPodNetwork = false;
  nodes[1].controlPlane = false;
  CHECK(spoken(setup) == Said{"warning NodesReady"});
  nodes[2].ready = false;
  CHECK(spoken(setup) == Said{"error NodesReady", "warning NodesReady"});
  setup.request.ignorePreflightErrors = {"NodesReady"};
  CHECK(spoken(setup) == Said{"warning NodesReady", "warning NodesReady"});
}

TEST_CASE("a kubelet elsewhere that lacks room is told, and keeps a roll away from its control plane") {
  auto setup = healthy();
  setup.request.upgrading.nodes[1].controlPlane = true;
  setup.request.upgrading.nodes[2].controlPlane = false;
  for (auto& node : setup.request.upgrading.nodes) node.diskPressure = true;
  CHECK(spoken(setup) == Said{"warning DiskPressure"});
  setup.cluster.kubestrap.layout = config::Layout::hosted;
  CHECK(spoken(setup) == Said{"error DiskPressure", "warning DiskPressure"});
  setup.request.upgrading.nodes[1].diskPressure = setup.request.upgrading.nodes[2].diskPressure = false;
  CHECK(spoken(setup) == Said{});
}

TEST_CASE("etcd has to keep its quorum while this node's member restarts") {
  auto setup = healthy();
  setup.request.upgrading.etcd.silent = {"https://10.0.0.13:2379"};
  CHECK(spoken(setup) == Said{"error EtcdHealthy"});
  setup.request.upgrading.othersTurn = "n3"; // which is waited for
  CHECK(spoken(setup) == Said{"warning EtcdHealthy"});
  setup.request.upgrading.othersTurn.clear();
  setup.request.upgrading.etcd.silent = {"https://10.0.0.11:2379"};
  CHECK(spoken(setup) == Said{"warning EtcdHealthy"});
  setup.request.upgrading.etcd = {.members = {"https://10.0.0.11:2379"}, .silent = {}, .version = "3.5.9", .trouble = {}, .alarms = {"NOSPACE"}};
  CHECK(spoken(setup) == Said{"error EtcdHealthy", "error EtcdVersion"});
}

TEST_CASE("a member of etcd that is away keeps nobody from what leaves etcd alone") {
  auto setup = healthy();
  setup.request.upgrading.etcd.silent = {"https://10.0.0.13:2379"};
  setup.request.upgrading.upgradesEtcd = false;
  CHECK(spoken(setup) == Said{"warning EtcdHealthy"});
}

TEST_CASE("other settings of a plain control plane are kept back by what they need, and by no question of versions or of other nodes") {
  const auto said = [](const config::Setup& setup) {
    Said names;
    for (const auto& finding : judgeReconfiguration(setup, sound()))
      if (finding.severity == plan::Severity::error) names.push_back(finding.check);
    return names;
  };
  auto setup = healthy("v1.35.0", "v1.37.2");
  setup.request.upgrading.nodes[0].ready = setup.request.upgrading.nodes[1].ready = false;
  setup.request.upgrading.disruptionBudgets = {"default/web"};
  CHECK(said(setup) == Said{});
  setup.request.upgrading.manifests.erase("kube-scheduler");
  setup.request.upgrading.etcd.trouble = "no leader";
  CHECK(said(setup) == Said{"StaticPodManifest", "EtcdHealthy"});
  setup.request.upgrading.unreachable = "connection refused";
  CHECK(said(setup) == Said{"ClusterAnswers", "StaticPodManifest", "EtcdHealthy"});
  setup.request.upgrading.goesOn = true; // it is to bring it back
  CHECK(said(setup) == Said{"StaticPodManifest", "EtcdHealthy"});
}

TEST_CASE("a snapshot of etcd has to fit where one is taken: a roll takes none for a patch version alone") {
  auto facts = sound();
  facts.disks[config::paths::kubelet.string()] = {.mountPoint = "/var", .freeBytes = std::uint64_t{1} << 20};
  const auto lacks = [&](const config::Setup& setup) {
    return std::ranges::any_of(judgeUpgrade(setup, facts), [](const auto& each) { return each.check == "SnapshotSpace" && each.severity == plan::Severity::error; });
  };
  for (const auto layout : {config::Layout::plain, config::Layout::hosted}) {
    auto setup = healthy();
    setup.cluster.kubestrap.layout = layout;
    setup.request.upgrading.etcd.size = std::int64_t{1} << 20;
    CHECK(lacks(setup));
    setup.request.upgrading.from = parseVersion("v1.37.1");
    CHECK(lacks(setup)); // etcd's version changes
    setup.request.upgrading.etcd.version = "3.7.0";
    CHECK(lacks(setup) == (layout == config::Layout::plain));
  }
}

TEST_CASE("a webhook that nobody serves stands in the way, one that is served is told") {
  auto setup = healthy();
  setup.request.upgrading.webhooks = {{.name = "a", .service = "policy/a", .unready = false}};
  CHECK(spoken(setup) == Said{"warning FailClosedWebhooks"});
  setup.request.upgrading.webhooks[0].unready = true;
  CHECK(spoken(setup) == Said{"error FailClosedWebhooks"});
  setup.request.ignorePreflightErrors = {"failclosedwebhooks"};
  CHECK(spoken(setup) == Said{"warning FailClosedWebhooks"});
}

TEST_CASE("outdated APIs are an error once the new version is without them") {
  auto setup = healthy();
  setup.request.upgrading.deprecated = {{.name = "endpoints.v1", .removedIn = ""}, {.name = "a.v1beta1.example.org", .removedIn = "1.39"}};
  CHECK(spoken(setup) == Said{"warning DeprecatedAPIs"});
  setup.request.upgrading.deprecated.push_back({.name = "b.v1beta1.example.org", .removedIn = "1.37"});
  CHECK(spoken(setup) == Said{"error DeprecatedAPIs", "warning DeprecatedAPIs"});
  setup = healthy();
  setup.request.upgrading.unasked = {{"n3", "connection refused"}};
  CHECK(spoken(setup) == Said{"warning DeprecatedAPIs"});
}

TEST_CASE("what the new CoreDNS does not know of a Corefile is named, where its lines begin with it") {
  using Lines = std::vector<std::string>;
  struct Row {
    const char *corefile, *tag;
    Lines unknown;
  };
  const Row rows[] = {
      {".:53 {\n    errors\n    health {\n       lameduck 5s\n    }\n    kubernetes cluster.local {\n       pods insecure\n    }\n    forward . /etc/resolv.conf {\n"
       "       max_concurrent 1000\n    }\n    cache 30\n}\n", "v1.14.6", {}},
      {".:53 {\n  kubernetes cluster.local {\n    upstream\n  }\n  federation cluster.local {\n    a b\n  }\n  proxy . /etc/resolv.conf\n}\n", "v1.14.6",
       {"upstream in kubernetes", "federation", "proxy"}},
      {".:53 {\n  file db {\n    upstream\n  }\n}\n", "v1.14.6", {}},
      {".:53 {\n  proxyproto\n}\n", "v1.14.6", {}},
      {".:53 {\n  proxyproto\n}\n", "v1.14.2", {"proxyproto"}},
      {"# proxy\n.:53 {\n  # proxy\n  errors # proxy\n}\n", "v1.14.6", {}},
      {"(mine) {\n  max_concurrent 10\n}\n.:53 {\n  forward . 10.0.0.1 {\n    import mine\n  }\n}\nshop.example:53 {\n  unbound\n}\n", "v1.14.6", {"unbound"}},
      {".:53 {\n  template IN A {\n    answer \"{\n\"\n  }\n  errors\n}\n", "v1.14.6", {}},
      {".:53 {\n  proxy . 10.0.0.1\n}\n", "v9.9.9", {}},
      {".:53 { errors }\n", "v1.14.6", {}},
      {"", "v1.14.6", {}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.corefile);
    CHECK(unknownIn(row.corefile, row.tag) == row.unknown);
  }
  auto setup = healthy();
  setup.cluster.images.coreDns = "registry.k8s.io/coredns/coredns:v1.14.6";
  setup.request.upgrading.corefile = ".:53 {\n  proxy . 10.0.0.1\n}\n";
  CHECK(spoken(setup) == Said{"warning Corefile"});
  setup.cluster.dnsDisabled = true;
  CHECK(spoken(setup) == Said{});
}

TEST_CASE("pods that would not come back from a drain are refused, and with --force told") {
  auto setup = healthy();
  setup.request.upgrading.alone = {"default/held"};
  setup.request.ignorePreflightErrors = {"all"};
  CHECK(spoken(setup) == Said{"error PodsAlone"});
  setup.request.upgrading.force = true;
  CHECK(spoken(setup) == Said{"warning PodsAlone"});
}

TEST_CASE("everything that stands in the way is told at once, each with a remedy") {
  auto setup = healthy();
  setup.request.upgrading.nodes[0].ready = false;
  setup.request.upgrading.etcd.trouble = "1 of 3 members are healthy";
  setup.request.upgrading.webhooks = {{.name = "a", .service = "policy/a", .unready = true}};
  setup.request.upgrading.certificateEnds["/etc/kubernetes/pki/ca.crt"] = setup.request.upgrading.now + std::chrono::hours(24);
  CHECK(spoken(setup) == Said{"error ControlPlaneNodesReady", "error EtcdHealthy", "error FailClosedWebhooks", "warning CertificatesEnd"});
  for (const auto& finding : judgeUpgrade(setup, sound())) CHECK_MESSAGE(!finding.remedy.empty(), finding.check);
}

TEST_CASE("a certificate that ends soon is told with its node, and with its file or where it is shown") {
  auto setup = healthy();
  auto& upgrading = setup.request.upgrading;
  const auto soon = upgrading.now + std::chrono::hours(24), late = upgrading.now + std::chrono::hours(24 * 300);
  upgrading.certificateEnds = {{"/etc/kubernetes/pki/apiserver.crt", soon}, {"/etc/kubernetes/pki/ca.crt", late}};
  upgrading.shownCertificates = {{"n2", {"10.0.0.12:6443", late}}, {"n3", {"10.0.0.13:6443", soon}}};
  const auto findings = judgeUpgrade(setup, sound());
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].evidence == "certificates on n1 end within 30 days: /etc/kubernetes/pki/apiserver.crt (2026-11-29T12:00:00Z)");
  CHECK(findings[1].evidence == "the certificate that the API server of n3 shows at 10.0.0.13:6443 ends within 30 days (2026-11-29T12:00:00Z); its other files are not seen from here");
  CHECK(findings[1].remedy == "on n3: kubestrap certs renew all");
}

TEST_CASE("of a roll gates and bundle can be done, or left out, by themselves, and no other phase of upgrade apply") {
  for (const auto* phase : {"bundle", "preflight"}) CHECK(standsAloneInRoll(phase));
  for (const auto& phase : plan::phaseNames(upgradeApplyWorkflow()))
    if (phase != "bundle" && phase != "preflight") CHECK_FALSE_MESSAGE(standsAloneInRoll(phase), phase);
}

TEST_CASE("docs/upgrade.md tells of every gate") {
  std::ifstream file(KUBESTRAP_SOURCE_DIR "/docs/upgrade.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const auto& gate : upgradeGates()) CHECK_MESSAGE(text.find(fmt::format("| `{}` | {} |", gate.name, gate.fires)) != text.npos, gate.name);
}

TEST_CASE("a cluster that does not answer stops it, unless an upgrade that was stopped has left it so") {
  auto setup = healthy();
  setup.request.upgrading.unreachable = "connection refused";
  setup.request.upgrading.nodes.clear();
  setup.request.upgrading.etcd = {};
  CHECK(spoken(setup) == Said{"error ClusterAnswers"});
  setup.request.upgrading.goesOn = true;
  CHECK(spoken(setup) == Said{"warning ClusterAnswers"});
}

TEST_CASE("control planes of layout hosted have no manifests to be missed, and may go back to what the cluster has not left yet") {
  auto setup = healthy();
  setup.cluster.kubestrap.layout = config::Layout::hosted;
  setup.request.upgrading.manifests.clear();
  CHECK(spoken(setup) == Said{});
  setup.cluster.version = parseVersion("v1.38.0");
  CHECK(spoken(setup) == Said{"error VersionSkew"});
  setup.cluster.version = parseVersion("v1.36.3");
  setup.request.upgrading.server = "v1.37.2";
  CHECK(spoken(setup) == Said{});
  setup.cluster.version = parseVersion("v1.36.2");
  CHECK(spoken(setup) == Said{"error VersionSkew"});
}
