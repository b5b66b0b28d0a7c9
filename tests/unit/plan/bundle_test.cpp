// What a bundle brings: unpacked once, put in its places, kept the second time, and taken away by reset as it was recorded.
#include "archive/create.hpp"
#include "archive/image.hpp"
#include "plan/bundle.hpp"
#include "plan/recorded.hpp"
#include "support/encoding.hpp"
#include "tests/unit/archive/fixture.hpp"
#include "tests/unit/plan/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace kubestrap;
using namespace kubestrap::plan;

namespace {

namespace fs = std::filesystem;

/// A machine with the programs that put files in their places, and containerd's own.
struct Loading : archive::Workshop {
  SmallWorld small;
  std::vector<std::string> ran;
  Path folder = temp.folder / "unpacked";
  archive::Made made = archive::create(making("a.bundle"));

  Loading() {
    small.host.onRun = [this](const host::Command& command) { return run(command); };
  }

  std::optional<std::string> content(const std::string& path) {
    if (const auto found = small.host.files.find(path); found != small.host.files.end()) return found->second.content;
    if (fs::exists(path)) return archive::contentOf(path);
    return std::nullopt;
  }

  host::CommandResult run(const host::Command& command) {
    const auto& words = command.arguments;
    if (command.program == "sha256sum") return {.output = sha256Hex(content(words.back()).value_or("")) + "  " + words.back() + "\n", .errors = {}};
    ran.push_back(command.program);
    if (command.program == "install") {
      small.host.put(words.back(), content(words[words.size() - 2]).value(), static_cast<unsigned>(std::stoul(words[words.size() - 3], nullptr, 8)));
      return {};
    }
    if (command.program == "ctr") {
      CHECK(fs::exists(words.back()));
      archive::Blobs blobs{temp.folder / "seen"};
      fs::create_directories(temp.folder / "seen");
      for (const auto& image : archive::readImages(words.back(), "amd64", blobs)) small.cri.images.insert(image.name);
      return {};
    }
    return {.exitCode = 127, .output = {}, .errors = "not found"};
  }

  std::string file = "a.bundle"; ///< what is unpacked, which may be a delta with an older bundle
  std::optional<Path> base;

  UnpackBundle unpack() {
    UnpackBundle wanted{.file = at(file), .base = base, .lockDigest = made.lockDigest, .folder = folder, .parts = {}, .images = {}};
    for (const auto& member : made.lock.members)
      if (member.kind == archive::Kind::program || member.kind == archive::Kind::cni)
        wanted.parts.push_back({.part = member.path, .from = folder / member.path, .to = *archive::placeOf(member.path), .sha256 = member.sha256, .mode = 0755});
    for (const auto& image : made.lock.images) wanted.images.push_back(image.name);
    return wanted;
  }
  LoadImage load(const std::string& image) { return {.image = image, .archive = {}, .socket = "unix:///run/containerd/containerd.sock", .layout = folder}; }

  /// All of it, as the phase does it: the verdicts.
  std::vector<std::string> all() {
    std::vector<std::string> verdicts;
    const auto wanted = unpack();
    const auto change = diff(Task{wanted}, small.applying());
    verdicts.push_back(plan::verdict(change));
    if (change.changes()) enact(Task{wanted}, change, small.applying());
    for (const auto& part : wanted.parts) verdicts.push_back(small.make(Task{part}));
    for (const auto& image : wanted.images) verdicts.push_back(small.make(Task{load(image)}));
    return verdicts;
  }
  std::vector<Intent> recordOf(const Resource& resource) { return intents(resource, diff(resource, small.applying()), small.applying()); }
};

} // namespace

TEST_CASE_FIXTURE(Loading, "a bundle is unpacked once, its parts and images are put in their places, and a second time all is kept") {
  CHECK(all() == std::vector<std::string>{"do (4 of 4 parts and 2 of 2 images are not here)", "create (missing)", "create (missing)", "create (missing)", "create (missing)",
                                          "do (not in the runtime)", "do (not in the runtime)"});
  CHECK(small.host.text("/usr/bin/kubelet") == archive::program("amd64", "kubelet"));
  CHECK(small.host.files.at("/usr/bin/kubelet").mode == 0755);
  CHECK(small.host.text("/opt/cni/bin/bridge") == archive::program("amd64", "bridge"));
  CHECK(small.cri.images == std::set<std::string>{"example.org/other:1", "registry.k8s.io/pause:3.10.2"});
  CHECK(!fs::exists(folder / "image.tar"));
  ran.clear();
  CHECK(all() == std::vector<std::string>(7, "keep"));
  CHECK(ran.empty());
}

TEST_CASE_FIXTURE(Loading, "only what is lacking is unpacked") {
  all();
  fs::remove_all(folder);
  small.host.put("/usr/bin/kubectl", "an older kubectl", 0755);
  CHECK(plan::verdict(diff(Task{unpack()}, small.applying())) == "do (1 of 4 parts and 0 of 2 images are not here)");
  all();
  CHECK(fs::exists(folder / "bin/kubectl"));
  CHECK(!fs::exists(folder / "bin/kubelet"));
  CHECK(!fs::exists(folder / "images"));
}

TEST_CASE_FIXTURE(Loading, "a delta brings what is new to a machine that has the older bundle, and all of the newer one to a bare machine") {
  std::size_t lacking = 0;
  SUBCASE("it has the older one") {
    all();
    lacking = 1;
  }
  SUBCASE("it is bare") { lacking = 4; }
  fs::remove_all(folder);
  temp.put("in/bin/kubelet", archive::program("amd64", "a newer kubelet"));
  temp.put("in/images/further.tar", archive::ociArchive("example.org/further:2", "another layer"));
  made = archive::create(making("new.bundle"));
  archive::makeDelta(at("a.bundle"), at("new.bundle"), at("delta"), trusted);
  file = "delta";
  base = at("a.bundle");
  const auto verdicts = all();
  CHECK(verdicts.front() == fmt::format("do ({} of 4 parts and {} of 3 images are not here)", lacking, lacking == 1 ? 1 : 3));
  CHECK(small.host.text("/usr/bin/kubelet") == archive::program("amd64", "a newer kubelet"));
  CHECK(small.host.text("/usr/bin/kubectl") == archive::program("amd64", "kubectl"));
  CHECK(small.cri.images == std::set<std::string>{"example.org/further:2", "example.org/other:1", "registry.k8s.io/pause:3.10.2"});
  CHECK(all() == std::vector<std::string>(8, "keep"));
}

TEST_CASE_FIXTURE(Loading, "a delta is not unpacked without the bundle that it goes by, nor on another one, and leaves nothing") {
  temp.put("in/bin/kubelet", archive::program("amd64", "a newer kubelet"));
  made = archive::create(making("new.bundle"));
  archive::makeDelta(at("a.bundle"), at("new.bundle"), at("delta"), trusted);
  file = "delta";
  const auto change = diff(Task{unpack()}, small.applying());
  const auto said = [&] { return plan::messageOf([&] { enact(Task{unpack()}, change, small.applying()); }); };
  CHECK(said().find("is a delta, and has only what an older bundle lacks") != std::string::npos);
  base = at("new.bundle");
  CHECK(said().find("does not go by") != std::string::npos);
  CHECK(!fs::exists(folder));
  CHECK(small.host.files.empty());
}

TEST_CASE_FIXTURE(Loading, "a bundle that is another one than was verified is not unpacked, and a damaged one leaves nothing") {
  auto wanted = unpack();
  const auto change = diff(Task{wanted}, small.applying());
  wanted.lockDigest = std::string(64, '0');
  CHECK(plan::messageOf([&] { enact(Task{wanted}, change, small.applying()); }).find("is not what was verified just now") != std::string::npos);
  auto parts = archive::unpacked(at("a.bundle"));
  parts.back().content[0] ^= 1;
  archive::pack(parts, at("a.bundle"));
  CHECK(plan::messageOf([&] { enact(Task{unpack()}, change, small.applying()); }).find("units/kubelet.service is not what the lock file says") != std::string::npos);
  CHECK(!fs::exists(folder));
  CHECK(small.host.files.empty());
}

TEST_CASE_FIXTURE(Loading, "a program that was there before is kept beside the journal, the first one, and reset puts it back") {
  small.host.put("/usr/bin/kubelet", "of a package", 0755);
  const auto wanted = unpack();
  const auto kubelet = *std::ranges::find(wanted.parts, "bin/kubelet", &InstallPart::part), kubectl = *std::ranges::find(wanted.parts, "bin/kubectl", &InstallPart::part);
  Journal journal(small.host, "bundle load");
  for (const auto& part : {kubelet, kubectl}) journal.begin(recordOf(Task{part}), small.clock.now());
  CHECK(recorded(Journal::read(small.host), small.host).size() == 1); // the kubelet was not replaced yet
  all();
  journal.begin(recordOf(Task{kubelet}), small.clock.now());
  auto newer = kubelet;
  newer.from = "/newer";
  newer.sha256 = sha256Hex("newer");
  small.host.put("/newer", "newer");
  journal.begin(recordOf(Task{newer}), small.clock.now());
  CHECK(small.make(Task{newer}) == "update (is another one)");
  CHECK(small.host.text("/var/lib/kubestrap/before/usr-bin-kubelet") == "of a package");
  const auto things = recorded(Journal::read(small.host), small.host);
  REQUIRE(things.size() == 2);
  CHECK(things[0].name == "/usr/bin/kubectl");
  CHECK(things[0].kind == config::Recorded::Kind::file);
  CHECK(!things[0].existed);
  CHECK(things[1].name == "/usr/bin/kubelet");
  CHECK(things[1].kind == config::Recorded::Kind::program);
  CHECK(things[1].value == "/var/lib/kubestrap/before/usr-bin-kubelet");
}

namespace {

/// A machine whose packages `manager` keeps; the other one may be there, and has none.
struct Packaged : Loading {
  std::string manager = "dpkg";
  std::map<std::string, std::string> installed, brings; ///< versions, as the manager says them
  std::vector<std::string> arguments;

  Packaged() {
    small.host.onRun = [this](const host::Command& command) { return answer(command); };
  }
  host::CommandResult answer(const host::Command& command) {
    const auto& name = command.arguments.back();
    const bool rpm = command.program == "rpm";
    if (command.program == "sha256sum") return run(command);
    if (!rpm && !command.program.starts_with("dpkg")) throw Error("cannot run " + command.program + ": it is not in PATH");
    if (command.program == "dpkg-query" || command.arguments.front() == "--query") {
      const bool own = rpm == (manager == "rpm");
      if (own && name == manager) return {.output = "installed 1.21.22\n", .errors = {}};
      return own && installed.contains(name) ? host::CommandResult{.output = "installed " + installed[name] + "\n", .errors = {}} : host::CommandResult{.exitCode = 1, .output = {}, .errors = {}};
    }
    arguments = command.arguments;
    if (arguments.front() == "--purge" || arguments.front() == "--erase") installed.erase(name);
    else
      for (const auto& [package, version] : brings) installed[package] = version;
    return {};
  }
};

UnpackBundle withPackage(UnpackBundle wanted, const std::string& name) {
  wanted.parts.push_back({.part = "packages/" + name, .from = wanted.folder / "packages" / name, .to = "/p/" + name, .sha256 = std::string(64, '0'), .mode = 0644});
  return wanted;
}

} // namespace

TEST_CASE_FIXTURE(Packaged, "packages are installed where their version is not, and only new ones are recorded for reset") {
  installed = {{"socat", "1.7.4.4-2"}, {"conntrack", "1:1.4.6-1"}};
  brings = {{"conntrack", "1:1.4.7-1"}, {"ebtables", "2.0.11-5"}};
  const InstallPackages wanted{{"/p/conntrack_1%3a1.4.7-1_amd64.deb", "/p/ebtables_2.0.11-5_amd64.deb", "/p/socat_1.7.4.4-2_amd64.deb"}};
  Journal journal(small.host, "bundle load");
  journal.begin(recordOf(Task{wanted}), small.clock.now());
  CHECK(small.make(Task{wanted}) == "do (not installed in their versions: conntrack, ebtables)");
  CHECK(arguments == std::vector<std::string>{"--install", "--force-confold", "/p/conntrack_1%3a1.4.7-1_amd64.deb", "/p/ebtables_2.0.11-5_amd64.deb"});
  CHECK(small.make(Task{wanted}) == "keep");
  const auto things = recorded(Journal::read(small.host), small.host);
  REQUIRE(things.size() == 1);
  CHECK(things[0].kind == config::Recorded::Kind::package);
  CHECK(small.make(Task{RemovePackages{{things[0].name}}}) == "remove (installed by kubestrap)");
  CHECK(small.make(Task{RemovePackages{{things[0].name}}}) == "keep");
}

TEST_CASE_FIXTURE(Packaged, "on a machine of rpm's its packages are installed the same way, by the names that stand before their versions") {
  manager = "rpm";
  installed = {{"socat", "1.7.4.4-2.el9"}, {"conntrack-tools", "1.4.6-1.el9"}};
  brings = {{"conntrack-tools", "1.4.7-2.el9"}, {"libnetfilter_queue", "1.0.5-1.el9"}};
  const InstallPackages wanted{{"/p/conntrack-tools-1.4.7-2.el9.x86_64.rpm", "/p/libnetfilter_queue-1.0.5-1.el9.x86_64.rpm", "/p/socat-1.7.4.4-2.el9.x86_64.rpm"}};
  Journal journal(small.host, "bundle load");
  journal.begin(recordOf(Task{wanted}), small.clock.now());
  CHECK(small.make(Task{wanted}) == "do (not installed in their versions: conntrack-tools, libnetfilter_queue)");
  CHECK(arguments == std::vector<std::string>{"--upgrade", "--replacepkgs", "--oldpackage", "/p/conntrack-tools-1.4.7-2.el9.x86_64.rpm", "/p/libnetfilter_queue-1.0.5-1.el9.x86_64.rpm"});
  CHECK(small.make(Task{wanted}) == "keep");
  const auto things = recorded(Journal::read(small.host), small.host);
  REQUIRE(things.size() == 1);
  CHECK(things[0].name == "libnetfilter_queue");
  CHECK(small.make(Task{RemovePackages{{things[0].name}}}) == "remove (installed by kubestrap)");
  CHECK(arguments == std::vector<std::string>{"--erase", "libnetfilter_queue"});
}

TEST_CASE_FIXTURE(Packaged, "packages of another kind than the machine's are refused before anything of the bundle is written, in a plan too") {
  const auto said = [&](const std::string& name) { return plan::messageOf([&] { diff(Task{withPackage(unpack(), name)}, small.looking()); }); };
  CHECK(said("a_1_amd64.deb") == "");
  CHECK(said("a-1-1.el9.x86_64.rpm") == "a-1-1.el9.x86_64.rpm cannot be installed: this machine's packages are dpkg's (.deb)");
  manager = "rpm";
  CHECK(said("a-1-1.el9.x86_64.rpm") == "");
  CHECK(said("a_1_amd64.deb") == "a_1_amd64.deb cannot be installed: this machine's packages are rpm's (.rpm)");
  manager = "apk";
  CHECK(said("a_1_amd64.deb") == "a_1_amd64.deb cannot be installed: this machine's packages are neither dpkg's nor rpm's");
  CHECK(small.host.files.empty());
  CHECK(!fs::exists(folder));
}

TEST_CASE_FIXTURE(Loading, "a plan of a bundle looks only, also where no runtime answers yet") {
  small.cri.runtime.reachable = false;
  CHECK(plan::verdict(diff(Task{unpack()}, small.looking())) == "do (4 of 4 parts and 2 of 2 images are not here)");
  CHECK(plan::verdict(diff(Task{load("example.org/other:1")}, small.looking())) == "do (no runtime answers yet)");
  CHECK(!fs::exists(folder));
  CHECK(ran.empty());
}
