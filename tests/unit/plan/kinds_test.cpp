// Each kind of resource alone: what is compared, what is made, and what is refused.
#include "tests/unit/plan/world.hpp"

#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <future>

using namespace kubestrap;
using namespace kubestrap::plan;
using Lines = std::vector<std::string>;

// ---- files and folders

TEST_CASE("a file is made, kept, replaced, and its mode put right") {
  SmallWorld small;
  File file{.path = "/etc/a/b.conf", .content = "one\n", .mode = 0600, .folderMode = 0700};
  CHECK(small.make(file) == "create (missing)");
  CHECK(small.host.text("/etc/a/b.conf") == "one\n");
  CHECK(small.host.files["/etc/a/b.conf"].mode == 0600);
  CHECK(small.host.files["/etc/a"].mode == 0700);
  CHECK(small.make(file) == "keep");
  file.content = "two\n";
  CHECK(small.make(file) == "update (content differs)");
  CHECK(small.host.text("/etc/a/b.conf") == "two\n");
  const auto written = small.host.files["/etc/a/b.conf"].modified;
  file.mode = 0644;
  CHECK(small.make(file) == "update (mode is 0600, not 0644)");
  CHECK(small.host.files["/etc/a/b.conf"].modified == written); // a mode alone restarts nothing
}

TEST_CASE("a document that differs in layout only is kept, what is no document is replaced") {
  SmallWorld small;
  File file{.path = "/a.yaml", .content = "a: 1\nb: [x, y]\n", .compare = Compare::document};
  small.host.put("/a.yaml", "# mine\n{b: ['x', \"y\"], a: 1}\n");
  CHECK(small.make(file) == "keep");
  small.host.put("/a.yaml", "a: '1'\nb: [x, y]\n");
  CHECK(small.make(file) == "update (content differs)");
  small.host.put("/a.yaml", "a: [\n");
  CHECK(small.make(file) == "update (content differs)");
}

TEST_CASE("a file that changes between look and write is not overwritten") {
  SmallWorld small;
  const File file{.path = "/a", .content = "ours\n"};
  const auto change = diff(file, small.applying());
  small.host.put("/a", "theirs\n");
  CHECK(messageOf([&] { enact(file, change, small.applying()); }) == "/a was changed by somebody else just now");
  CHECK(small.host.text("/a") == "theirs\n");
}

TEST_CASE("a plan shows what a file would be, and of a secret one only a fingerprint") {
  SmallWorld small;
  File file{.path = "/a", .content = "old\nnew\n"};
  small.host.put("/a", "old\n");
  CHECK(diff(file, small.looking()).preview == " old\n+new\n");
  file.secrecy = Secrecy::secret;
  const auto preview = diff(file, small.looking()).preview;
  CHECK(preview.starts_with("secret, fingerprint "));
  CHECK(preview.find("new") == std::string::npos);
}

TEST_CASE("a folder is made, its mode put right, and a file in its place refused") {
  SmallWorld small;
  const Folder folder{.path = "/var/lib/etcd", .mode = 0700};
  CHECK(small.make(folder) == "create (missing)");
  CHECK(small.make(folder) == "keep");
  small.host.files["/var/lib/etcd"].mode = 0755;
  CHECK(small.make(folder) == "update (mode is 0755, not 0700)");
  small.host.files.erase("/var/lib/etcd");
  small.host.put("/var/lib/etcd", "");
  CHECK(messageOf([&] { diff(folder, small.applying()); }) == "/var/lib/etcd is not a folder");
}

TEST_CASE("the mode of a link is nobody's wish: what it leads to is compared") {
  SmallWorld small;
  small.host.files["/a"] = {.content = "x", .mode = 0777, .modified = {}, .type = host::FileStatus::Type::symlink};
  CHECK(verdict(diff(File{.path = "/a", .content = "x", .mode = 0600}, small.looking())) == "keep");
  CHECK(verdict(diff(File{.path = "/a", .content = "y", .mode = 0600}, small.looking())) == "update (content differs)");
}

TEST_CASE("an empty folder that must be absent is removed, a file that came in its place is not") {
  SmallWorld small;
  const auto folder = [&] {
    small.host.files["/a"] = {.content = "", .mode = 0755, .modified = {}, .type = host::FileStatus::Type::folder};
  };
  folder();
  CHECK(small.make(Absent{"/a"}) == "remove (not needed any more)");
  folder();
  const auto change = diff(Absent{"/a"}, small.applying());
  const auto intended = intents(Absent{"/a"}, change, small.applying());
  REQUIRE(intended.size() == 1);
  CHECK(intended.front().kind == "Folder");
  small.host.put("/a", "theirs");
  CHECK(messageOf([&] { enact(Absent{"/a"}, change, small.applying()); }) == "/a was changed by somebody else just now");
}

TEST_CASE("what must be absent is removed, and nothing is done when it is") {
  SmallWorld small;
  small.host.put("/a", "x");
  CHECK(small.make(Absent{"/a"}) == "remove (not needed any more)");
  CHECK(small.make(Absent{"/a"}) == "keep");
}

TEST_CASE("the journal is told of every folder that making something makes, outermost first") {
  SmallWorld small;
  small.host.files["/srv"] = {.content = "", .mode = 0755, .modified = {}, .type = host::FileStatus::Type::folder};
  const auto targets = [&](const Resource& wanted) {
    Lines paths;
    for (const auto& intent : intents(wanted, diff(wanted, small.applying()), small.applying()))
      paths.push_back(intent.kind + " " + stringAt(intent.target, "path"));
    return paths;
  };
  CHECK(targets(File{.path = "/srv/a/b/c.conf", .content = "x"}) ==
        Lines{"Folder /srv/a", "Folder /srv/a/b", "File /srv/a/b/c.conf"});
  CHECK(targets(Folder{.path = "/srv/a/b"}) == Lines{"Folder /srv/a", "Folder /srv/a/b"});
  CHECK(targets(KeyPair{.privateKey = "/srv/pki/sa.key", .publicKey = "/srv/pki/sa.pub"}) ==
        Lines{"Folder /srv/pki", "Key /srv/pki/sa.key", "Key /srv/pki/sa.pub"});
  CHECK(targets(Service{.name = "kubelet"}) == Lines{"Service "});
  small.make(File{.path = "/srv/a/b/c.conf", .content = "x"});
  CHECK(targets(File{.path = "/srv/a/b/c.conf", .content = "y"}) == Lines{"File /srv/a/b/c.conf"});
}

// ---- services

TEST_CASE("when a service is started, started again, enabled, stopped") {
  SmallWorld small;
  auto& kubelet = small.host.services["kubelet"];
  Service service{.name = "kubelet", .restartWhenChanged = {"/etc/a", "/etc/b"}};
  small.host.put("/etc/a", "1");
  small.host.now += std::chrono::seconds(1);
  CHECK(small.make(service) == "start (was not running)");
  CHECK(small.make(service) == "keep");
  const auto started = *kubelet.startedAt;

  SUBCASE("a file written in the moment before the start is no reason") {
    small.host.files["/etc/a"].modified = started;
    CHECK(small.make(service) == "keep");
  }
  SUBCASE("a file written after the start is") {
    small.host.now += std::chrono::milliseconds(5);
    small.host.put("/etc/b", "1");
    CHECK(small.make(service) == "start (/etc/b is newer than the running process)");
  }
  SUBCASE("one that would not come back after a reboot is enabled, without a restart") {
    kubelet.enabled = false;
    CHECK(small.make(service) == "update (not enabled: it would not come back after a reboot)");
    CHECK(*kubelet.startedAt == started);
  }
  SUBCASE("one that fails is started again") {
    kubelet.active = "activating", kubelet.sub = "auto-restart", kubelet.startedAt.reset();
    CHECK(small.make(service) == "start (it fails and is being restarted)");
  }
  SUBCASE("one that is to be stopped is stopped") {
    service.wanted = Wanted::stopped;
    CHECK(small.make(service) == "stop (is active)");
    CHECK(small.make(service) == "keep");
  }
}

TEST_CASE("a service that is not installed is an error with a way out") {
  SmallWorld small;
  CHECK(messageOf([&] { diff(Service{.name = "kubelettt"}, small.applying()); }) ==
        "there is no service kubelettt on this machine");
  CHECK(small.make(Service{.name = "kubelettt", .wanted = Wanted::stopped}) == "keep");
}

// ---- images

namespace {

/// Pulls until somebody was told that it does.
struct SlowCri : fakes::FakeCri {
  using FakeCri::FakeCri;
  void pullImage(const std::string& reference) override {
    told.get_future().wait();
    FakeCri::pullImage(reference);
  }
  std::promise<void> told;
};

struct WaitsSeen : Reporter {
  explicit WaitsSeen(SlowCri& runtime) : cri(runtime) {}
  void phaseBegins(std::string_view, std::string_view) override {}
  void phaseEnds(std::string_view) override {}
  void phaseSkipped(std::string_view) override {}
  void planned(std::string_view, const Change&) override {}
  void done(std::string_view, const Change&, Duration) override {}
  void waiting(std::string_view, const Change& change, Duration, Duration patience, std::string_view seen) override {
    if (lines.empty()) cri.told.set_value();
    lines.push_back(fmt::format("{}: {} (at most {})", change.subject, seen, humanDuration(patience)));
  }
  void warning(std::string_view, std::string_view) override {}
  SlowCri& cri;
  std::vector<std::string> lines;
};

} // namespace

TEST_CASE("while the runtime pulls, it is told that it does") {
  SmallWorld small;
  SlowCri slow(&small.host);
  WaitsSeen reporter(slow);
  World world{small.host, slow, small.api, small.clock, small.entropy};
  const Context telling{.world = world, .applying = true, .apiPatience = {}, .phase = "test", .reporter = &reporter, .keys = nullptr};
  const Task wanted = PullImage{"registry.k8s.io/pause:3.10.2"};
  const auto change = diff(wanted, telling);
  SUBCASE("and has it in the end") {
    enact(wanted, change, telling);
    CHECK(slow.hasImage("registry.k8s.io/pause:3.10.2"));
  }
  SUBCASE("and gives up in the end, in its own words") {
    slow.pullFailures["registry.k8s.io/pause:3.10.2"] = "dial tcp 10.0.0.1:443: i/o timeout";
    try {
      enact(wanted, change, telling);
      FAIL("nothing was pulled");
    } catch (const Error& error) {
      CHECK(error.message() == "cannot pull registry.k8s.io/pause:3.10.2: dial tcp 10.0.0.1:443: i/o timeout");
    }
  }
  REQUIRE_FALSE(reporter.lines.empty());
  CHECK(reporter.lines.front() == "image registry.k8s.io/pause:3.10.2: the runtime pulls it (at most 15m)");
}

TEST_CASE("an image is pulled when it is not there, or always when asked so") {
  SmallWorld small;
  CHECK(small.make(Task{PullImage{"example.org/a:1"}}) == "do (not in the runtime)");
  CHECK(small.make(Task{PullImage{"example.org/a:1"}}) == "keep");
  CHECK(diff(Task{PullImage{"example.org/a:1", PullImage::When::always}}, small.applying()).changes());
}

// ---- the running kernel

namespace {

/// A machine whose programs do to /proc and /sys what the real ones do.
struct KernelWorld : SmallWorld {
  KernelWorld() {
    host.put("/proc/sys/net/ipv4/ip_forward", "0\n");
    host.put("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1000 0 -2\n/swapfile\tfile 9 0 -3\n");
    host.onRun = [this](const host::Command& command) -> host::CommandResult {
      const auto& first = command.arguments.front();
      if (command.program == "sysctl") host.put("/proc/sys/net/ipv4/ip_forward", first == "-w" ? "1\n" : "");
      if (command.program == "modprobe" && first == "missing")
        return {.exitCode = 1, .errors = "modprobe: FATAL: Module missing not found in directory /lib/modules/6.1\n"};
      if (command.program == "modprobe") host.put("/sys/module/" + first + "/refcnt", "0\n");
      if (command.program == "swapoff") host.put("/proc/swaps", "Filename Type Size Used Priority\n");
      return {};
    };
  }
};

} // namespace

TEST_CASE_FIXTURE(KernelWorld, "a sysctl is set when it has another value, and recorded with that value") {
  const Task task{SetSysctl{"net.ipv4.ip_forward", "1"}};
  const auto change = diff(task, looking());
  CHECK(change.subject == "net.ipv4.ip_forward = 1");
  const auto recorded = intents(task, change, applying()).at(0);
  CHECK(recorded.kind == "Sysctl");
  CHECK(recorded.target == Value{{"sysctl", "net.ipv4.ip_forward"}});
  CHECK(recorded.before == Value{{"value", "0"}});
  CHECK(make(task) == "do (is 0)");
  CHECK(make(task) == "keep");
  CHECK(host.effects == Lines{"run sysctl -w net.ipv4.ip_forward=1"});
  host.files.erase("/proc/sys/net/ipv4/ip_forward");
  CHECK(verdict(diff(task, looking())) == "do (not there yet)");
}

TEST_CASE_FIXTURE(KernelWorld, "a module is loaded when the kernel does not have it") {
  const Task task{LoadModule{"br_netfilter"}};
  CHECK(make(task) == "do (not loaded)");
  CHECK(make(task) == "keep");
  CHECK(host.effects == Lines{"run modprobe br_netfilter"});
  const Task missing{LoadModule{"missing"}};
  CHECK(messageOf([&] { enact(missing, diff(missing, applying()), applying()); }) ==
        "modprobe ended with code 1: modprobe: FATAL: Module missing not found in directory /lib/modules/6.1");
}

TEST_CASE_FIXTURE(KernelWorld, "swap is turned off when something is swapped to, which is recorded") {
  const Task task{TurnSwapOff{}};
  const auto change = diff(task, looking());
  CHECK(intents(task, change, applying()).at(0).before == Value{{"areas", {"/dev/sda2", "/swapfile"}}});
  CHECK(make(task) == "stop (/dev/sda2, /swapfile are in use)");
  CHECK(make(task) == "keep");
  CHECK(host.effects == Lines{"run swapoff -a"});
}

// ---- certificates

namespace {

certs::CertSpec authority() {
  return {.name = "ca",
          .issuer = "ca",
          .authority = true,
          .subject = {.commonName = "kubernetes"},
          .life = std::chrono::hours(87600),
          .certificate = "/pki/ca.crt",
          .key = "/pki/ca.key",
          .issuerCertificate = "/pki/ca.crt",
          .issuerKey = "/pki/ca.key"};
}

certs::CertSpec leaf() {
  return {.name = "web",
          .issuer = "ca",
          .subject = {.commonName = "web"},
          .names = {.dns = {"web.example.org"}, .ips = {}},
          .usages = {certs::ExtendedUsage::serverAuth},
          .life = std::chrono::hours(8760),
          .certificate = "/pki/web.crt",
          .key = "/pki/web.key",
          .issuerCertificate = "/pki/ca.crt",
          .issuerKey = "/pki/ca.key"};
}

struct Pki : SmallWorld {
  Pki() {
    make(Certificate{authority()});
    make(Certificate{leaf()});
  }
  std::string verdictOn(const certs::CertSpec& spec) { return verdict(diff(Certificate{spec}, looking())); }
};

} // namespace

TEST_CASE("why a certificate is issued anew") {
  Pki pki;
  auto spec = leaf();
  CHECK(pki.verdictOn(spec) == "keep (signed by ca, expires 2027-11-22)");
  SUBCASE("a name") {
    spec.names.dns.push_back("other.example.org");
    CHECK(pki.verdictOn(spec) == "update (lacks SAN other.example.org)");
  }
  SUBCASE("a use") {
    spec.usages.push_back(certs::ExtendedUsage::clientAuth);
    CHECK(pki.verdictOn(spec) == "update (may not be used by a client)");
  }
  SUBCASE("its end, within the margin") {
    spec.renewWithin = std::chrono::hours(24 * 400);
    CHECK(pki.verdictOn(spec).starts_with("update (expires 2027-11-22, in "));
  }
  SUBCASE("its end") {
    pki.host.now += std::chrono::hours(24 * 366);
    CHECK(pki.verdictOn(spec) == "update (expired 2027-11-22)");
  }
  SUBCASE("a lost key") {
    pki.host.files.erase("/pki/web.key");
    CHECK(pki.verdictOn(spec) == "update (its key is missing)");
  }
  SUBCASE("another key") {
    pki.host.files["/pki/web.key"].content = pki.host.text("/pki/ca.key");
    CHECK(pki.verdictOn(spec) == "update (its key does not match)");
  }
}

TEST_CASE("keys are for root alone, certificates for all") {
  Pki pki;
  CHECK(pki.host.files["/pki/web.key"].mode == 0600);
  CHECK(pki.host.files["/pki/web.crt"].mode == 0644);
}

TEST_CASE("a certificate that changes between look and issue is not overwritten") {
  Pki pki;
  pki.host.files.erase("/pki/web.crt");
  const auto change = diff(Certificate{leaf()}, pki.applying());
  pki.host.put("/pki/web.crt", "theirs");
  CHECK(messageOf([&] { enact(Certificate{leaf()}, change, pki.applying()); }) ==
        "/pki/web.crt was changed by somebody else just now");
  CHECK(pki.host.text("/pki/web.crt") == "theirs");
}

TEST_CASE("what is no certificate is named, and left alone") {
  Pki pki;
  pki.host.put("/pki/web.crt", "nonsense");
  CHECK(messageOf([&] { diff(Certificate{leaf()}, pki.applying()); }).find("/pki/web.crt") != std::string::npos);
}

TEST_CASE("a leaf cannot be made before its authority") {
  SmallWorld small;
  const auto change = diff(Certificate{leaf()}, small.applying());
  CHECK(verdict(change) == "create (missing)");
  CHECK(messageOf([&] { enact(Certificate{leaf()}, change, small.applying()); }) ==
        "cannot sign web: /pki/ca.crt is absent");
}

TEST_CASE("a key pair's public half follows its private one") {
  SmallWorld small;
  const KeyPair pair{"/pki/sa.key", "/pki/sa.pub"};
  CHECK(small.make(pair) == "create (missing)");
  const auto key = small.host.text("/pki/sa.key");
  small.host.files.erase("/pki/sa.pub");
  CHECK(small.make(pair) == "update (its public key is missing)");
  small.host.put("/pki/sa.pub", "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n");
  CHECK(small.make(pair) == "update (its public key does not match)");
  CHECK(small.host.text("/pki/sa.key") == key);
}

// ---- kubeconfigs

TEST_CASE("a kubeconfig follows its credential") {
  Pki pki;
  auto spec = leaf();
  spec.certificate.clear(), spec.key.clear();
  spec.usages = {certs::ExtendedUsage::clientAuth};
  spec.names = {};
  spec.subject = {.commonName = "admin", .organizations = {"admins"}};
  Kubeconfig wanted{.path = "/admin.conf",
                    .server = "https://10.0.0.11:6443",
                    .tlsServerName = "",
                    .clusterName = "kubernetes",
                    .user = "admin",
                    .authority = "/pki/ca.crt",
                    .credential = EmbeddedCertificate{spec}};
  CHECK(pki.make(wanted) == "create (missing)");
  CHECK(pki.host.files["/admin.conf"].mode == 0600);
  CHECK(pki.make(wanted) == "keep");

  wanted.tlsServerName = "kubernetes";
  CHECK(pki.make(wanted) == "update (names another TLS server name)");
  std::get<EmbeddedCertificate>(wanted.credential).spec.subject.organizations = {"others"};
  CHECK(pki.make(wanted) == "update (is for O=admins, CN=admin, not O=others, CN=admin)");

  wanted.credential = CertificateFile{"/var/lib/kubelet/pki/current.pem"};
  CHECK(pki.make(wanted) == "update (does not name /var/lib/kubelet/pki/current.pem)");
  const auto found = kube::parseKubeconfig(pki.host.text("/admin.conf"), "admin.conf");
  CHECK(found.clientCertificateFile == "/var/lib/kubelet/pki/current.pem");
  CHECK(found.clientKeyFile == "/var/lib/kubelet/pki/current.pem");
  // The kubelet's own rotation is not undone by the phase that made its first credentials.
  wanted.credential = EmbeddedCertificate{spec};
  CHECK(pki.make(wanted) == "keep");

  wanted.credential = TokenCredential{Secret("abcdef.0123456789abcdef")};
  CHECK(pki.make(wanted) == "update (has another token)");
}

TEST_CASE("a kubeconfig that changes between look and write is not overwritten") {
  Pki pki;
  const Kubeconfig wanted{.path = "/a.conf",
                          .server = "https://a:6443",
                          .tlsServerName = "",
                          .clusterName = "kubernetes",
                          .user = "a",
                          .authority = "/pki/ca.crt",
                          .credential = TokenCredential{Secret("abcdef.0123456789abcdef")}};
  const auto change = diff(wanted, pki.applying());
  pki.host.put("/a.conf", "theirs");
  CHECK(messageOf([&] { enact(wanted, change, pki.applying()); }) == "/a.conf was changed by somebody else just now");
}

// ---- objects

namespace {

struct Cluster : Pki {
  Cluster() {
    make(Kubeconfig{.path = "/admin.conf",
                    .server = "https://10.0.0.11:6443",
                    .tlsServerName = "",
                    .clusterName = "kubernetes",
                    .user = "admin",
                    .authority = "/pki/ca.crt",
                    .credential = TokenCredential{Secret("abcdef.0123456789abcdef")}});
  }
  Object object(const Value& data, ApplyMode mode = ApplyMode::apply) {
    return {.document = {{"apiVersion", "v1"},
                         {"kind", "ConfigMap"},
                         {"metadata", {{"name", "a"}, {"namespace", "kube-system"}}},
                         {"data", data}},
            .mode = mode,
            .access = {.kubeconfig = "/admin.conf", .server = ""},
            .fills = {},
            .secrecy = Secrecy::open,
            .initialOnly = {}};
  }
  Value data() { return (*api.object("/api/v1/namespaces/kube-system/configmaps/a"))["data"]; }
};

} // namespace

TEST_CASE("an object is made, kept, changed, and members that are not declared any more go") {
  Cluster cluster;
  CHECK(cluster.make(cluster.object({{"x", "1"}, {"y", "1"}})) == "create (missing)");
  CHECK(cluster.make(cluster.object({{"x", "1"}, {"y", "1"}})) == "keep");
  CHECK(cluster.make(cluster.object({{"x", "2"}, {"y", "1"}})) == "update (differs in data.x)");
  CHECK(cluster.make(cluster.object({{"x", "2"}})) == "update (no longer wanted: data.y)");
  CHECK(cluster.data() == Value{{"x", "2"}});
}

TEST_CASE("a plan shows what would become of an object, and of a secret one only a fingerprint") {
  Cluster cluster;
  cluster.make(cluster.object({{"x", "1"}, {"y", "1"}}));
  auto live = *cluster.api.object("/api/v1/namespaces/kube-system/configmaps/a");
  live["data"]["theirs"] = "1";
  cluster.api.put(live, "kubectl-edit");
  auto object = cluster.object({{"x", "2"}, {"z", "1"}});
  CHECK(diff(object, cluster.looking()).preview == "   name: a\n   namespace: kube-system\n data:\n-  x: \"1\"\n-  \"y\": \"1\"\n"
                                                   "+  x: \"2\"\n+  z: \"1\"\n");
  object.secrecy = Secrecy::secret;
  CHECK(diff(object, cluster.looking()).preview.starts_with("secret, fingerprint "));
  object.secrecy = Secrecy::open;
  object.document["kind"] = "Secret";
  CHECK(diff(object, cluster.looking()).preview.starts_with("secret, fingerprint "));
}

TEST_CASE("a member of a container that is not declared any more goes") {
  Cluster cluster;
  auto object = cluster.object({});
  object.document = {{"apiVersion", "apps/v1"},
                     {"kind", "Deployment"},
                     {"metadata", {{"name", "a"}, {"namespace", "kube-system"}}},
                     {"spec", {{"template", {{"spec", {{"containers", Value::array({{{"name", "c"}, {"image", "i"}, {"tty", true}}})}}}}}}}};
  CHECK(cluster.make(object) == "create (missing)");
  object.document["spec"]["template"]["spec"]["containers"][0].erase("tty");
  CHECK(cluster.make(object) == "update (no longer wanted: spec.template.spec.containers[0].tty)");
}

TEST_CASE("what is made once is never changed, and what must go goes") {
  Cluster cluster;
  CHECK(cluster.make(cluster.object({{"x", "1"}}, ApplyMode::createOnly)) == "create (missing)");
  CHECK(cluster.make(cluster.object({{"x", "2"}}, ApplyMode::createOnly)) == "keep");
  CHECK(cluster.data() == Value{{"x", "1"}});
  CHECK(cluster.make(cluster.object({}, ApplyMode::absent)) == "remove (not wanted any more)");
  CHECK(cluster.make(cluster.object({}, ApplyMode::absent)) == "keep");
}

TEST_CASE("members that are set at first only are the operator's afterwards") {
  Cluster cluster;
  auto object = cluster.object({{"x", "1"}, {"y", "1"}});
  object.initialOnly = {Pointer("/data/x")};
  cluster.make(object);
  auto live = *cluster.api.object("/api/v1/namespaces/kube-system/configmaps/a");
  live["data"]["x"] = "mine";
  cluster.api.put(live, "kubectl-edit");
  CHECK(cluster.make(object) == "keep");
  object.document["data"]["y"] = "2";
  CHECK(cluster.make(object) == "update (differs in data.y)");
  CHECK(cluster.data() == Value{{"x", "mine"}, {"y", "2"}});
}

TEST_CASE("an object without credentials to ask with is unknown to a plan, and an error to a run") {
  Cluster cluster;
  cluster.host.files.erase("/admin.conf");
  CHECK(verdict(diff(cluster.object({{"x", "1"}}), cluster.looking())) == "apply (/admin.conf is absent)");
  CHECK(messageOf([&] {
          diff(cluster.object({{"x", "1"}}), cluster.applying(std::chrono::seconds(1)));
        }) == "/admin.conf is absent");
}

TEST_CASE("an object that refers to one that is not there yet is unknown to a plan") {
  Cluster cluster;
  auto object = cluster.object({{"x", "1"}});
  object.document["metadata"]["ownerReferences"] = Value::array({{{"name", "b"}, {"uid", ""}}});
  object.fills = {{Pointer("/metadata/ownerReferences/0/uid"), UidOf{"v1", "ConfigMap", "kube-system", "b"}}};
  CHECK(verdict(diff(object, cluster.looking())) == "apply (ConfigMap kube-system/b is absent)");
}

TEST_CASE("a kubeconfig that is made anew is read anew") {
  Cluster cluster;
  Kubeconfigs kubeconfigs;
  CHECK(kubeconfigs.read("/nowhere.conf", cluster.host) == nullptr);
  CHECK(kubeconfigs.read("/admin.conf", cluster.host)->server == "https://10.0.0.11:6443");
  cluster.host.files["/admin.conf"].content =
      replaceAll(cluster.host.text("/admin.conf"), "https://10.0.0.11:6443", "https://api.example.org:6443");
  CHECK(kubeconfigs.read("/admin.conf", cluster.host)->server == "https://api.example.org:6443");
  cluster.host.files["/admin.conf"].content = "nonsense: [";
  CHECK(messageOf([&] { kubeconfigs.read("/admin.conf", cluster.host); }) != "");
  CHECK(messageOf([&] { kubeconfigs.read("/admin.conf", cluster.host); }) != "");
  cluster.host.files.erase("/admin.conf");
  CHECK(kubeconfigs.read("/admin.conf", cluster.host) == nullptr);
}

// ---- conditions

TEST_CASE("a condition that holds is kept, another is waited for until it does") {
  SmallWorld small;
  const Condition condition{.what = "it is there",
                            .probe = FileExists{"/a"},
                            .patience = std::chrono::seconds(5),
                            .hint = "look",
                            .fatal = {}};
  const auto change = diff(condition, small.looking());
  CHECK(verdict(change) == "wait until (not there yet)");
  const auto begin = small.host.now;
  CHECK(messageOf([&] { enact(condition, change, small.applying()); }) ==
        "gave up after 5s waiting until it is there: not there yet");
  CHECK(small.host.now - begin >= std::chrono::seconds(5));
  small.host.put("/a", "");
  CHECK(verdict(diff(condition, small.looking())) == "keep");
  small.clock.sleeps = 0;
  enact(condition, change, small.applying());
  CHECK(small.clock.sleeps == 0);
}

TEST_CASE("a health port that answers with an error is told as it is") {
  SmallWorld small;
  small.api.page("https://127.0.0.1:10257/healthz", 500);
  CHECK(verdict(diff(Condition{.what = "",
                               .probe = ComponentHealthy{"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                               .patience = {},
                               .hint = "",
                               .fatal = {}},
                     small.looking())) == "wait until (answers 500)");
  small.api.page("https://127.0.0.1:10257/healthz", 200);
  CHECK(verdict(diff(Condition{.what = "",
                               .probe = ComponentHealthy{"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                               .patience = {},
                               .hint = "",
                               .fatal = {}},
                     small.looking())) == "keep");
}

TEST_CASE("a health port is asked without verifying the certificate that it signed itself, an API server never so") {
  Cluster cluster;
  cluster.api.page("https://127.0.0.1:10257/healthz", 200);
  diff(Condition{.what = "",
                 .probe = ComponentHealthy{"kube-controller-manager", "https://127.0.0.1:10257/healthz"},
                 .patience = {},
                 .hint = "",
                 .fatal = {}},
       cluster.looking());
  diff(Condition{.what = "",
                 .probe = ApiServerAnswers{.access = {.kubeconfig = "/admin.conf", .server = ""}},
                 .patience = {},
                 .hint = "",
                 .fatal = {}},
       cluster.looking());
  const auto& records = cluster.api.records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].request.tls.verify == net::TlsIdentity::Verify::no);
  CHECK(records[0].request.bearerToken.empty());
  CHECK(records[1].request.tls.verify == net::TlsIdentity::Verify::yes);
  CHECK_FALSE(records[1].request.tls.authorities.empty());
}
