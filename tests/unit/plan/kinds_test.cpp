// Files, services, images and the running kernel: what is compared, what is made, and what is refused.
#include "tests/unit/plan/world.hpp"


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

TEST_CASE("a folder is given to the user who works in it") {
  SmallWorld small;
  CHECK(small.make(Folder{.path = "/var/lib/front", .mode = 0700, .owner = 65532}) == "create (missing)");
  CHECK(small.host.files["/var/lib/front"].owner == 65532);
  small.host.setOwner("/var/lib/front", 0);
  CHECK(small.make(Folder{.path = "/var/lib/front", .mode = 0700, .owner = 65532}) == "update (belongs to user 0, not 65532)");
}

TEST_CASE("a file that is only begun here is others' to write from then on") {
  SmallWorld small;
  const File wanted{.path = "/var/lib/front/servers", .content = "first\n", .compare = Compare::presence};
  CHECK(small.make(wanted) == "create (missing)");
  small.host.put("/var/lib/front/servers", "later\n", 0644);
  CHECK(small.make(wanted) == "keep");
  CHECK(small.host.text("/var/lib/front/servers") == "later\n");
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

TEST_CASE("an image that comes as an archive is given to the runtime by its own program, once") {
  SmallWorld small;
  const LoadImage wanted{"kubestrap.io/kubestrap:v1", "/usr/lib/kubestrap/kubestrap-image.tar", "unix:///run/containerd/containerd.sock"};
  std::vector<host::Command> commands;
  SUBCASE("which imports it under its name") {
    small.host.onRun = [&](const host::Command& command) -> host::CommandResult {
      commands.push_back(command);
      small.cri.images.insert(wanted.image);
      return {};
    };
    CHECK(small.make(Task{wanted}) == "do (not in the runtime)");
    REQUIRE(commands.size() == 1);
    CHECK(commands.front().program == "ctr");
    CHECK(commands.front().arguments.back() == wanted.archive);
    CHECK(small.make(Task{wanted}) == "keep");
  }
  SUBCASE("whose success is not believed unseen") {
    small.host.onRun = [](const host::Command&) -> host::CommandResult { return {}; };
    CHECK_THROWS_AS(small.make(Task{wanted}), Error);
  }
  SUBCASE("which only containerd has") {
    auto elsewhere = wanted;
    elsewhere.socket = "unix:///var/run/crio/crio.sock";
    CHECK_THROWS_AS(small.make(Task{elsewhere}), Error);
  }
  SUBCASE("and without an archive it is an error with a way out") {
    auto without = wanted;
    without.archive.clear();
    CHECK_THROWS_AS(small.make(Task{without}), Error);
  }
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
