// What the engine relies on must hold for the real machine and for the fake that stands for it.

#include "host/local_host.hpp"
#include "tests/fakes/fake_host.hpp"
#include "tests/unit/host/fixture.hpp"

using namespace kubestrap;
using namespace kubestrap::host;

namespace {

struct Real {
  TempFolder temp;
  LocalHost host{temp.folder};
};
struct Fake {
  fakes::FakeHost host;
};

} // namespace

TEST_CASE_TEMPLATE("what is absent is a value, not an error", Machine, Real, Fake) {
  Machine machine;
  Host& host = machine.host;
  CHECK_FALSE(host.status("/none"));
  CHECK_FALSE(host.read("/none/below"));
  CHECK(host.list("/none").empty());
  CHECK_NOTHROW(host.remove("/none"));
  CHECK_NOTHROW(host.remove("/none/below"));
}

TEST_CASE_TEMPLATE("a written file is read back with its mode, and lists of names are sorted", Machine, Real, Fake) {
  Machine machine;
  Host& host = machine.host;
  host.write("/etc/b", "two", 0600, 0700);
  host.write("/etc/a", "one", 0644);
  host.makeFolder("/etc/c/d", 0755);
  CHECK(host.read("/etc/b") == "two");
  CHECK(host.status("/etc/b")->mode == 0600);
  CHECK(host.status("/etc/b")->size == 3);
  CHECK(host.status("/etc")->mode == 0700);
  CHECK(host.list("/etc") == std::vector<std::string>{"a", "b", "c"});
  CHECK(host.list("/etc/c") == std::vector<std::string>{"d"});
}

TEST_CASE_TEMPLATE("a folder that exists keeps its mode, and setMode changes it", Machine, Real, Fake) {
  Machine machine;
  Host& host = machine.host;
  host.makeFolder("/f", 0700);
  host.makeFolder("/f", 0755);
  CHECK(host.status("/f")->mode == 0700);
  host.setMode("/f", 0750);
  CHECK(host.status("/f")->mode == 0750);
}

TEST_CASE_TEMPLATE("files and empty folders can be removed, full folders cannot", Machine, Real, Fake) {
  Machine machine;
  Host& host = machine.host;
  host.write("/f/a", "x", 0644);
  CHECK_THROWS_AS(host.remove("/f"), Error);
  host.remove("/f/a");
  CHECK(host.status("/f"));
  CHECK(host.list("/f").empty());
  host.remove("/f");
  CHECK_FALSE(host.status("/f"));
}

TEST_CASE_TEMPLATE("renaming replaces a file and moves a folder with what is in it", Machine, Real, Fake) {
  Machine machine;
  Host& host = machine.host;
  host.write("/f/a", "new", 0600);
  host.write("/f/b", "old", 0644);
  host.rename("/f/a", "/f/b");
  CHECK(host.read("/f/b") == "new");
  CHECK(host.status("/f/b")->mode == 0600);
  CHECK_FALSE(host.status("/f/a"));
  host.rename("/f", "/g");
  CHECK(host.read("/g/b") == "new");
  CHECK_FALSE(host.status("/f"));
  CHECK_THROWS_AS(host.rename("/none", "/other"), Error);
  CHECK_THROWS_AS(host.rename("/g/b", "/none/b"), Error);
}

TEST_CASE_TEMPLATE("a folder in the way of a file is an error, and so is a file in the way of a folder", Machine, Real,
                   Fake) {
  Machine machine;
  Host& host = machine.host;
  host.write("/f/a", "x", 0644);
  CHECK_THROWS_AS(host.write("/f", "x", 0644), Error);
  CHECK_THROWS_AS(host.write("/f/a/b", "x", 0644), Error);
  CHECK_THROWS_AS(host.makeFolder("/f/a", 0755), Error);
  CHECK_THROWS_AS(host.read("/f"), Error);
  CHECK_THROWS_AS(host.list("/f/a"), Error);
  CHECK(host.read("/f/a") == "x");
}

TEST_CASE_TEMPLATE("the lock is held by one only, and free again when its holder lets go", Machine, Real, Fake) {
  Machine machine;
  Host& host = machine.host;
  auto lock = host.lock("init");
  CHECK(messageOf([&] {
          host.lock("reset");
        }).starts_with("another kubestrap is at work on this machine: `init`, process "));
  lock.reset();
  CHECK_NOTHROW(host.lock("reset"));
}

TEST_CASE_TEMPLATE("facts answer what was asked about files and folders", Machine, Real, Fake) {
  Machine machine;
  Host& host = machine.host;
  host.write("/full/file", "x", 0644);
  host.makeFolder("/empty", 0755);
  auto facts = host.facts({.files = {"/full/file", "/none"}, .folders = {"/full", "/empty", "/none"}});
  CHECK(facts.files == std::map<std::string, bool>{{"/full/file", true}, {"/none", false}});
  CHECK(facts.nonEmptyFolders == std::map<std::string, bool>{{"/full", true}, {"/empty", false}});
}

TEST_CASE("the fake lists effects, counts them, and is gone once at the one that was asked for") {
  fakes::FakeHost host;
  host.stopAtEffect = 3;
  host.write("/a", "1", 0644);
  host.remove("/none"); // changes nothing, so it is no effect
  host.service("kubelet", Host::ServiceAction::start);
  CHECK_THROWS_AS(host.write("/b", "2", 0644), fakes::Killed);
  CHECK(host.text("/b").empty());
  host.write("/b", "2", 0644);
  CHECK(host.effects == std::vector<std::string>{"write /a", "start kubelet", "write /b"});
}

TEST_CASE("a service of the fake that was restarted is younger than the file that was written before") {
  fakes::FakeHost host;
  host.service("kubelet", Host::ServiceAction::start);
  host.write("/var/lib/kubelet/config.yaml", "x", 0644);
  auto written = host.status("/var/lib/kubelet/config.yaml")->modified;
  CHECK(host.service("kubelet").startedAt < written);
  host.service("kubelet", Host::ServiceAction::restart);
  CHECK(host.service("kubelet").startedAt > written);
  host.service("kubelet", Host::ServiceAction::stop);
  CHECK(host.service("kubelet").active == "inactive");
}
