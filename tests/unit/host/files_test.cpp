#include "host/local_host.hpp"
#include "host/root.hpp"
#include "support/text.hpp"
#include "tests/unit/host/fixture.hpp"

#include <fcntl.h>
#include <sys/stat.h>

using namespace kubestrap;
using namespace kubestrap::host;

namespace {

struct Machine {
  TempFolder temp;
  LocalHost host{temp.folder};
};

/// The text of a file opened through a root, or errno's text.
std::string readThrough(const Root& root, const std::string& path, int flags = O_RDONLY) {
  Descriptor file = root.open(path, flags);
  if (!file) return std::generic_category().message(errno);
  char text[100];
  auto count = ::read(file.get(), text, sizeof text);
  return count < 0 ? std::generic_category().message(errno) : std::string(text, static_cast<std::size_t>(count));
}

} // namespace

TEST_CASE_FIXTURE(Machine, "a file is written with its mode, whatever the umask, and parents are made with theirs") {
  auto before = umask(0077);
  host.write("/etc/kubernetes/pki/ca.crt", "certificate", 0644, 0750);
  host.write("/etc/kubernetes/pki/ca.key", "key", 0600);
  umask(before);
  CHECK(temp.text("etc/kubernetes/pki/ca.crt") == "certificate");
  CHECK(host.status("/etc/kubernetes/pki/ca.crt")->mode == 0644);
  CHECK(host.status("/etc/kubernetes/pki/ca.key")->mode == 0600);
  CHECK(host.status("/etc/kubernetes")->mode == 0750);
  CHECK(host.status("/etc/kubernetes/pki")->mode == 0750);
  CHECK(host.status("/etc/kubernetes/pki")->type == FileStatus::Type::folder);
}

TEST_CASE_FIXTURE(Machine, "writing replaces the file as a whole, so that an open reader keeps the old one") {
  host.write("/a", "old", 0644);
  std::ifstream reader(temp.folder / "a");
  host.write("/a", "new and longer", 0600);
  std::string seen;
  reader >> seen;
  CHECK(seen == "old");
  CHECK(host.read("/a") == "new and longer");
  CHECK(host.status("/a")->mode == 0600);
  CHECK(host.list("/") == std::vector<std::string>{"a"});
}

TEST_CASE_FIXTURE(Machine, "what a killed run left beside a file goes with the next write, other neighbours stay") {
  temp.put("m/.a.yaml.kubestrap-0badcafe", "half a fi");
  temp.put("m/.a.yaml.kubestrap-note", "not ours");
  temp.put("m/.b.yaml.kubestrap-0badcafe", "of another file");
  host.write("/m/a.yaml", "whole", 0600);
  CHECK(host.list("/m") == std::vector<std::string>{".a.yaml.kubestrap-note", ".b.yaml.kubestrap-0badcafe", "a.yaml"});
  host.remove("/m/b.yaml");
  CHECK(host.list("/m") == std::vector<std::string>{".a.yaml.kubestrap-note", "a.yaml"});
}

TEST_CASE_FIXTURE(Machine, "a write that fails leaves the old file and no neighbour") {
  temp.put("folder/inside", "x");
  CHECK(messageOf([&] { host.write("/folder", "file", 0644); }) ==
        "cannot replace " + (temp.folder / "folder").string() + ": Is a directory");
  CHECK(host.list("/") == std::vector<std::string>{"folder"});
}

TEST_CASE_FIXTURE(Machine, "a link at the path is replaced by the file, its target is left alone") {
  temp.put("elsewhere", "mine");
  std::filesystem::create_symlink("elsewhere", temp.folder / "link");
  CHECK(host.status("/link")->type == FileStatus::Type::symlink);
  host.write("/link", "new", 0644);
  CHECK(host.status("/link")->type == FileStatus::Type::file);
  CHECK(temp.text("elsewhere") == "mine");
}

TEST_CASE_FIXTURE(Machine, "appending adds to what is there and keeps its mode") {
  host.append("/var/lib/kubestrap/journal", "one\n", 0600);
  host.append("/var/lib/kubestrap/journal", "two\n", 0644);
  CHECK(host.read("/var/lib/kubestrap/journal") == "one\ntwo\n");
  CHECK(host.status("/var/lib/kubestrap/journal")->mode == 0600);
}

TEST_CASE_FIXTURE(Machine, "errors name the action, the path as the operator sees it, and the reason") {
  temp.put("file", "x");
  auto shown = [&](const char* name) { return (temp.folder / name).string(); };
  CHECK(messageOf([&] { host.write("/file/below", "x", 0644); }) ==
        "cannot open folder " + shown("file") + ": Not a directory");
  CHECK(messageOf([&] { host.list("/file"); }) == "cannot list " + shown("file") + ": Not a directory");
  CHECK(messageOf([&] { host.read("/"); }) == "cannot read " + temp.folder.string() + "/: Is a directory");
  CHECK(messageOf([&] { host.rename("/none", "/other"); }) ==
        "cannot rename " + shown("none") + " to " + shown("other") + ": No such file or directory");
  CHECK(messageOf([&] { host.setMode("/none", 0600); }) ==
        "cannot set the mode of " + shown("none") + ": No such file or directory");
  CHECK(messageOf([&] { host.write("relative", "x", 0644); }) ==
        "\"relative\" is not a path of a file: it must be absolute and end with a name");
}

TEST_CASE_FIXTURE(Machine, "a full disk is named with a hint, and the old content stays") {
  LocalHost machine("/");
  try {
    machine.append("/dev/full", "x", 0600);
    FAIL("no Error was thrown");
  } catch (const Error& error) {
    CHECK(error.message() == "cannot write /dev/full: No space left on device");
    CHECK(error.hint() == "make room on this file system and run the same command again");
  }
}

TEST_CASE_FIXTURE(Machine, "the time of a file is that of its last write, to less than the kernel's tick") {
  auto before = std::chrono::system_clock::now();
  host.write("/a", "x", 0644);
  auto after = std::chrono::system_clock::now();
  auto modified = host.status("/a")->modified;
  CHECK(modified >= before - std::chrono::milliseconds(20)); // files get the time of the last tick
  CHECK(modified <= after);
}

TEST_CASE("a root that is no folder is refused") {
  CHECK(messageOf([] { LocalHost host("/etc/hostname/nope"); }) ==
        "cannot use as root folder /etc/hostname/nope: Not a directory");
}

TEST_CASE("no path leads out of a root, by the kernel's way and by our own") {
  TempFolder outer;
  outer.put("secret", "outside");
  outer.put("root/inside", "in");
  outer.put("root/a/b/deep", "deep");
  outer.put("root/etc/passwd", "root's own");
  auto root = outer.folder / "root";
  namespace fs = std::filesystem;
  fs::create_symlink("/etc", root / "absolute");
  fs::create_symlink("../../../../secret", root / "a/climbing");
  fs::create_symlink("../secret", root / "escape");
  fs::create_symlink("loop2", root / "loop1");
  fs::create_symlink("loop1", root / "loop2");
  fs::create_symlink("b/../../a/./b", root / "a/winding");
  fs::create_symlink("/missing", root / "dangling");

  for (auto resolve : {Root::Resolve::kernel, Root::Resolve::steps}) {
    CAPTURE(resolve == Root::Resolve::kernel);
    Root inside(root, resolve);
    CHECK(readThrough(inside, "/inside") == "in");
    CHECK(readThrough(inside, "/../../inside") == "in");
    CHECK(readThrough(inside, "/a/b/../../inside") == "in");
    CHECK(readThrough(inside, "/absolute/passwd") == "root's own");
    CHECK(readThrough(inside, "/a/winding/deep") == "deep");
    CHECK(readThrough(inside, "/a/climbing") == "No such file or directory");
    CHECK(readThrough(inside, "/escape") == "No such file or directory");
    CHECK(readThrough(inside, "/loop1") == "Too many levels of symbolic links");
    CHECK(readThrough(inside, "/inside/below") == "Not a directory");
    CHECK(readThrough(inside, "/absolute", O_RDONLY | O_NOFOLLOW) == "Too many levels of symbolic links");
    CHECK(readThrough(inside, "/none/../inside") == "No such file or directory");
    CHECK(readThrough(inside, "relative") == "Invalid argument");
    CHECK(inside.open("/", O_RDONLY | O_DIRECTORY));
    CHECK(inside.open("/a/..", O_RDONLY | O_DIRECTORY));
    CHECK_FALSE(inside.open("/dangling", O_WRONLY | O_CREAT | O_EXCL, 0600));
    CHECK(fs::is_symlink(root / "dangling"));
  }
}

TEST_CASE("writing beneath a root through a link that climbs stays beneath it") {
  TempFolder outer;
  outer.put("root/marker", "");
  std::filesystem::create_symlink("/../../..", outer.folder / "root/up");
  LocalHost host(outer.folder / "root");
  host.write("/up/new/file", "x", 0644);
  CHECK(outer.text("root/new/file") == "x");
}
