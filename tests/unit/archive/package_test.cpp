// What packages of Debian's say of themselves, and what becomes of it in a bundle.
#include "archive/package.hpp"

#include "archive/zstd.hpp"
#include "support/tar.hpp"
#include "tests/unit/archive/fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

using namespace kubestrap;
using namespace kubestrap::archive;

namespace {

const std::string kControl = "Package: conntrack\nVersion: 1:1.4.7-1\nArchitecture: amd64\nDescription: one\n with more lines\nDepends: libc6\n";
const std::string kCopyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
                               "License: BSD-3-clause\n\n"
                               "Files: debian/*\nLicense: MIT\n\n"
                               "Files: *\nCopyright: 2000 somebody\nLicense: GPL-2+\n This program is free software.\n .\n License: none\n";

using Files = std::vector<std::pair<std::string, std::string>>;

std::string tarOf(const Files& files) {
  std::string all;
  for (const auto& [name, content] : files) all += tar::header({.name = name, .mode = 0644, .size = content.size()}) + content + tar::padding(content.size());
  return all + tar::end();
}

std::string zstdOf(const std::string& text) {
  std::string all;
  ZstdWriter zstd([&](std::string_view bytes) { all += bytes; });
  zstd.write(text);
  zstd.finish();
  return all;
}

std::string arOf(const Files& files) {
  std::string all = "!<arch>\n";
  for (const auto& [name, content] : files) all += fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 0, 0, 0, 100644, content.size()) + content + (content.size() % 2 ? "\n" : "");
  return all;
}

std::string packageOf(const std::string& control, const std::string& copyright) {
  return arOf({{"debian-binary", "2.0\n"},
               {"control.tar", tarOf({{"./md5sums", "x"}, {"./control", control}})},
               {"data.tar.zst", zstdOf(tarOf({{"./usr/sbin/conntrack", std::string(3 << 20, 'x')}, {"./usr/share/doc/other/copyright", "no"}, {"./usr/share/doc/conntrack/copyright", copyright}}))}});
}

const std::string kName = "in/packages/conntrack_1.4.7-1_amd64.deb";

} // namespace

TEST_CASE_FIXTURE(Workshop, "a package says its name, version, architecture and licence") {
  temp.put(kName, packageOf(kControl, kCopyright));
  const auto said = describePackage(at(kName));
  CHECK(said.name == "conntrack");
  CHECK(said.version == "1:1.4.7-1");
  CHECK(said.architecture == "amd64");
  CHECK(said.licence == "GPL-2.0-or-later");
}

TEST_CASE_FIXTURE(Workshop, "a package that dpkg-deb has made says the same, whatever it is packed with") {
  if (std::system("command -v dpkg-deb >/dev/null") != 0) return;
  temp.put("tree/DEBIAN/control", kControl + "Maintainer: a <a@example.org>\n");
  temp.put("tree/usr/share/doc/conntrack/copyright", kCopyright);
  for (const auto* packing : {"xz", "gzip", "none"}) {
    CAPTURE(packing);
    REQUIRE(std::system(fmt::format("dpkg-deb --build --root-owner-group -Z{} {} {} >/dev/null", packing, at("tree").string(), at("made.deb").string()).c_str()) == 0);
    const auto said = describePackage(at("made.deb"));
    CHECK(said.version == "1:1.4.7-1");
    CHECK(said.licence == "GPL-2.0-or-later");
  }
}

TEST_CASE_FIXTURE(Workshop, "what is no whole package says as much as can be read of it") {
  const auto whole = packageOf(kControl, kCopyright);
  for (const auto& content : {std::string(), std::string("!<arch>\n"), std::string("text"), whole.substr(0, 100), whole.substr(0, 700)}) {
    temp.put("a.deb", content);
    CHECK(describePackage(at("a.deb")).licence.empty());
  }
  temp.put("a.deb", whole.substr(0, whole.size() - 20));
  CHECK(describePackage(at("a.deb")).name == "conntrack");
}

TEST_CASE_FIXTURE(Workshop, "a bundle has a package's version and licence, and what bundle.yaml says counts before them") {
  temp.put(kName, packageOf(kControl, kCopyright));
  const auto* const path = "packages/conntrack_1.4.7-1_amd64.deb";
  const auto made = create(making("a.bundle"));
  CHECK(made.lock.find(path)->version == "1:1.4.7-1");
  CHECK(made.lock.find(path)->licence == "GPL-2.0-or-later");
  temp.put("in/bundle.yaml", fmt::format("apiVersion: kubestrap.io/v1alpha1\nkind: BundleConfiguration\narchitecture: amd64\nversions: {{{0}: v9}}\nlicences: {{{0}: GPL-2.0-only}}\n", path));
  const auto other = create(making("b.bundle"));
  CHECK(other.lock.find(path)->version == "v9");
  CHECK(other.lock.find(path)->licence == "GPL-2.0-only");
}

TEST_CASE_FIXTURE(Workshop, "a package that is called otherwise than it is is refused, since its name says what is to be installed") {
  temp.put(kName, packageOf("Package: conntrack\nVersion: 1:1.4.6-2\nArchitecture: i386\n", kCopyright));
  try {
    making("a.bundle");
    FAIL("nothing was refused");
  } catch (const Problems& problems) {
    REQUIRE(problems.list().size() == 1);
    CHECK(problems.list().front().message == "is called so, and is conntrack 1:1.4.6-2 for i386");
    CHECK(problems.list().front().expected == "conntrack_1%3a1.4.6-2_i386.deb");
  }
}

TEST_CASE("a licence is said in SPDX's words, or not at all") {
  const auto of = [](const std::string& licence) {
    return licenceIn("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles:\n *\nLicense: " + licence + "\n text\n");
  };
  CHECK(of("GPL-2") == "GPL-2.0-only");
  CHECK(of("GPL-2.0+") == "GPL-2.0-or-later");
  CHECK(of("LGPL-2.1-or-later") == "LGPL-2.1-or-later");
  CHECK(of("Expat") == "MIT");
  CHECK(of("GPL-2+ or Expat and BSD-3-Clause") == "GPL-2.0-or-later OR MIT AND BSD-3-Clause");
  for (const auto* unknown : {"", "PD", "GPL-9", "GPL-2+ with OpenSSL exception", "GPL-2, and Expat", "GPL-2 and", "and", "GPL-2 Expat"}) {
    CAPTURE(unknown);
    CHECK(of(unknown) == "");
  }
  CHECK(licenceIn("") == "");
  CHECK(licenceIn("This is free software.\n\nFiles: *\nLicense: MIT\n") == ""); // for people
  CHECK(licenceIn("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: src/*\nLicense: MIT\n") == "");
}
