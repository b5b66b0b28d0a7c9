// Bundles that somebody, or something, has had hands on. Each is refused, and what is wrong is named.
#include "tests/unit/archive/fixture.hpp"

#include "support/encoding.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::archive;

namespace {

/// A sound bundle, taken apart.
struct Damaged : Workshop {
  std::vector<RawPart> parts = unpacked(make("sound.bundle"));

  RawPart& part(const std::string& path) {
    return *std::ranges::find(parts, path, &RawPart::path);
  }
  std::string said() {
    pack(parts, at("damaged.bundle"));
    auto text = verdict(at("damaged.bundle"));
    const auto own = at("damaged.bundle").string();
    for (auto found = text.find(own); found != std::string::npos; found = text.find(own)) text.replace(found, own.size(), "it");
    return text;
  }
  void add(RawPart extra) { parts.push_back(std::move(extra)); }
  /// With a lock file that says otherwise, signed anew: by somebody who has the key, and is mistaken.
  void relock(const std::function<void(Value&)>& change) {
    auto value = parseJson(parts[0].content);
    change(value);
    parts[0].content = value.dump();
    parts[1].content = certs::signDetached(key, parts[0].content);
  }
  void replace(const std::string& path, const std::string& content) {
    part(path).content = content;
    relock([&](Value& lock) {
      for (auto& member : lock["members"])
        if (member["path"] == path) {
          member["size"] = content.size();
          member["sha256"] = sha256Hex(content);
        }
    });
  }
};

std::string plain(const fs::path& bundle) {
  ZstdReader zstd(bytesOf(bundle));
  std::string all;
  for (auto piece = zstd.read(); !piece.empty(); piece = zstd.read()) all += piece;
  return all;
}

} // namespace

TEST_CASE_FIXTURE(Damaged, "put together again as it was, it is good") { CHECK(said() == "good"); }

TEST_CASE_FIXTURE(Damaged, "cut off anywhere, it is refused") {
  const auto whole = contentOf(at("sound.bundle"));
  for (std::size_t length = 0; length < whole.size(); length += length < 64 ? 1 : 37) {
    CAPTURE(length);
    put(at("cut"), whole.substr(0, length));
    CHECK(verdict(at("cut")) != "good");
  }
}

TEST_CASE_FIXTURE(Damaged, "with any octet changed, it is refused") {
  const auto whole = contentOf(at("sound.bundle"));
  for (std::size_t at_ = 0; at_ < whole.size(); at_ += 11) {
    CAPTURE(at_);
    auto changed = whole;
    changed[at_] = static_cast<char>(changed[at_] ^ 0x10);
    put(at("changed"), changed);
    // zstd can say some things in two ways: then what is in it is the same.
    if (verdict(at("changed")) == "good") CHECK(plain(at("changed")) == plain(at("sound.bundle")));
  }
}

TEST_CASE_FIXTURE(Damaged, "what comes behind its end is refused") {
  put(at("long"), contentOf(at("sound.bundle")) + "more");
  CHECK(verdict(at("long")) != "good");
  put(at("twice"), contentOf(at("sound.bundle")) + contentOf(at("sound.bundle")));
  CHECK(verdict(at("twice")) == "there is something behind its end");
}

TEST_CASE_FIXTURE(Damaged, "a part that is changed, swapped, missing, too much or twice is named") {
  SUBCASE("changed") {
    part("bin/kubectl").content.back() = 'X';
    CHECK(said().starts_with("it: bin/kubectl is not what the lock file says: its sha256 is "));
  }
  SUBCASE("longer") {
    part("bin/kubectl").content += "more";
    CHECK(said() == "it: bin/kubectl has 31 octets, and not 27 as the lock file says");
  }
  SUBCASE("swapped") {
    std::swap(part("bin/kubectl").content, part("bin/kubelet").content);
    CHECK(said().starts_with("it: bin/kubectl is not what the lock file says"));
  }
  SUBCASE("in another place") {
    std::swap(parts[3], parts[4]);
    CHECK(said() == "it: the part \"" + parts[4].path + "\" is there twice, or not in its place");
  }
  SUBCASE("missing") {
    std::erase_if(parts, [](const RawPart& each) { return each.path == "bin/kubelet"; });
    CHECK(said() == "it: bin/kubelet is missing");
  }
  SUBCASE("unknown") {
    add({.path = "bin/other", .content = "x", .target = {}});
    CHECK(said() == "it: the part \"bin/other\" is not in the lock file");
  }
  SUBCASE("twice") {
    add(part("units/kubelet.service"));
    CHECK(said() == "it: the part \"units/kubelet.service\" is there twice, or not in its place");
  }
}

TEST_CASE_FIXTURE(Damaged, "a part that would leave its folder is named") {
  SUBCASE("by ..") {
    add({.path = "bin/../../../etc/passwd", .content = "x", .target = {}});
    CHECK(said() == "it: the part \"bin/../../../etc/passwd\" would leave its folder");
  }
  SUBCASE("by an absolute path") {
    add({.path = "/etc/passwd", .content = "x", .target = {}});
    CHECK(said() == "it: the part \"/etc/passwd\" would leave its folder");
  }
  SUBCASE("through a symbolic link") {
    part("units/kubelet.service") = {.path = "units/kubelet.service", .content = {}, .type = '2', .target = "/etc/passwd"};
    CHECK(said() == "it: the part \"units/kubelet.service\" is a link, to /etc/passwd");
  }
  SUBCASE("through a hard link") {
    part("units/kubelet.service") = {.path = "units/kubelet.service", .content = {}, .type = '1', .target = "../../etc/shadow"};
    CHECK(said() == "it: the part \"units/kubelet.service\" is a link, to ../../etc/shadow");
  }
  SUBCASE("as a device") {
    part("units/kubelet.service") = {.path = "units/kubelet.service", .content = {}, .type = '3', .target = {}};
    CHECK(said() == "it: the part \"units/kubelet.service\" is no file");
  }
  SUBCASE("in the lock file itself") {
    relock([](Value& lock) { lock["members"][0]["path"] = "bin/../../etc/passwd"; });
    CHECK(said().find("\"bin/../../etc/passwd\" is no place of a part") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Damaged, "a lock file that was changed is not what was signed") {
  auto& lock = parts[0].content;
  lock.replace(lock.find("v1.37.2"), 7, "v1.37.1");
  CHECK(said() == "it is signed, but not by a key that is trusted here");
  part("bundle.lock.sig").content = "short";
  CHECK(said() == "it is signed, but not by a key that is trusted here");
  parts.erase(parts.begin() + 1);
  CHECK(said() == "it is not signed, and a key is trusted here");
}

TEST_CASE_FIXTURE(Damaged, "a part for another architecture is named, also where the lock file is signed") {
  replace("bin/kubelet", program("arm64", "kubelet"));
  CHECK(said() == "it: bin/kubelet: it is a program for arm64, not for amd64");
}

TEST_CASE_FIXTURE(Damaged, "a package that is neither for the bundle's architecture nor for all is named, also where the lock file is signed") {
  const std::string was = "packages/conntrack_1.4.7-1_amd64.deb", is = "packages/conntrack_1.4.7-1_i386.deb";
  part(was).path = is;
  relock([&](Value& lock) {
    for (auto& member : lock["members"])
      if (member["path"] == was) member["path"] = is;
  });
  CHECK(said() == "it: " + is + ": it is a package for i386, not for amd64");
}

TEST_CASE_FIXTURE(Damaged, "an image that does not hold together is named") {
  relock([](Value& lock) { lock["images"][0]["layers"] = Value::array({lock["images"][0]["configuration"]}); });
  CHECK(said() == "it: the image example.org/other:1 is made of other parts than the lock file says");
}

TEST_CASE_FIXTURE(Damaged, "what does not begin as a bundle is none") {
  put(at("text"), "hello");
  CHECK(verdict(at("text")) == "it is damaged: Unknown frame descriptor");
  parts.erase(parts.begin());
  CHECK(said() == "it is no bundle: its first part is not bundle.lock.json");
  CHECK(verdict(at("nothing")) == "there is no file " + at("nothing").string() + ", or it cannot be read");
}
