// Making a bundle, and what is read of it.
#include "tests/unit/archive/fixture.hpp"

#include "support/encoding.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <sys/stat.h>

using namespace kubestrap;
using namespace kubestrap::archive;

namespace {

/// Keeps what comes.
struct Kept : Sink {
  std::map<std::string, std::string> parts;
  std::string now;
  void begin(const Member& member) override { now = member.path; }
  void data(std::string_view bytes) override { parts[now] += bytes; }
  void end(const Member&) override {}
};

/// How a program of this machine ends.
int run(const std::string& command) { return std::system(command.c_str()); }

} // namespace

TEST_CASE_FIXTURE(Workshop, "a bundle has all parts, as they were, with what is said of them") {
  make("a.bundle");
  Kept kept;
  const auto found = verify({at("a.bundle"), {}}, trusted, kept, Alone::no);
  CHECK(kept.parts["bin/kubelet"] == program("amd64", "kubelet"));
  CHECK(kept.parts["packages/conntrack_1.4.7-1_amd64.deb"] == "!<arch>\n");
  CHECK(found.lock.find("bin/kubelet")->version == "v1.37.2");
  CHECK(found.lock.find("bin/kubelet")->licence == "Apache-2.0");
  CHECK(found.lock.find("cni/bridge")->version == "v1.6.2");
  CHECK(found.lock.find("packages/conntrack_1.4.7-1_amd64.deb")->version == "1.4.7-1");
  CHECK(found.lock.find("bundle.spdx.json"));
  REQUIRE(found.lock.images.size() == 2);
  CHECK(found.lock.images[1].name == "registry.k8s.io/pause:3.10.2");
  CHECK(found.lock.images[1].version == "3.10.2");
  // Both images have the same configuration, layer and so manifest: each is there once.
  CHECK(std::ranges::count(found.lock.members, Kind::blob, &Member::kind) == 3);
  CHECK(found.signature.standing == Signature::Standing::trusted);
}

TEST_CASE_FIXTURE(Workshop, "the same inputs give the same bytes, whatever their dates and modes, the umask and the folder") {
  make("a.bundle");
  const auto before = umask(0077);
  fs::copy(at("in"), at("elsewhere"), fs::copy_options::recursive);
  fs::permissions(at("elsewhere/bin/kubelet"), fs::perms(0700));
  fs::last_write_time(at("elsewhere/bin/kubectl"), fs::file_time_type::clock::now() + std::chrono::hours(1000));
  fs::rename(at("elsewhere/images/pause.tar"), at("elsewhere/images/a-name-that-comes-first.tar"));
  auto other = making("b.bundle");
  other.inputs = inputsIn(at("elsewhere"));
  std::ranges::reverse(other.inputs.files);
  std::ranges::reverse(other.inputs.archives);
  create(other);
  umask(before);
  CHECK(contentOf(at("a.bundle")) == contentOf(at("b.bundle")));
  CHECK(std::ranges::distance(fs::directory_iterator(temp.folder)) == 4); // nothing is left beside them
}

TEST_CASE_FIXTURE(Workshop, "an add-on whose images are missing is named with them") {
  temp.put("in/manifests/more.yaml", "kind: Pod\nspec: {containers: [{image: nginx:1.25}, {image: registry.k8s.io/pause:3.10.2}]}\n");
  CHECK(create(making("a.bundle")).missing == std::map<std::string, std::vector<std::string>>{{"docker.io/library/nginx:1.25", {"manifests/more.yaml"}}});
}

TEST_CASE_FIXTURE(Workshop, "a part for another architecture is refused when the bundle is made") {
  temp.put("in/bin/kubectl", program("arm64", "kubectl"));
  CHECK(messageOf([&] { make("a.bundle"); }) == at("in/bin/kubectl").string() + ": it is a program for arm64, not for amd64");
  temp.put("in/bin/kubectl", program("amd64", "kubectl"));
  temp.put("in/images/other.tar", ociArchive("example.org/other:1", "a layer", "arm64"));
  CHECK(messageOf([&] { make("a.bundle"); }).find("the image example.org/other:1 is for arm64, not for amd64") != std::string::npos);
  temp.put("in/images/other.tar", ociArchive("example.org/other:1", "a layer"));
  temp.put("in/packages/x_1_arm64.deb", "x");
  CHECK(messageOf([&] { make("a.bundle"); }).find("it is a package for arm64, not for amd64") != std::string::npos);
  CHECK(!fs::exists(at("a.bundle")));
}

TEST_CASE_FIXTURE(Workshop, "an image that is there twice has to be the same") {
  temp.put("in/images/other.tar", ociArchive("registry.k8s.io/pause:3.10.2", "another layer"));
  CHECK(messageOf([&] { make("a.bundle"); }).starts_with("the image registry.k8s.io/pause:3.10.2 is there twice, and not the same"));
}

TEST_CASE_FIXTURE(Workshop, "what is no input is told, all at once") {
  temp.put("in/readme.txt", "x");
  temp.put("in/extra/file", "x");
  temp.put("in/bin/a b", "x");
  temp.put("in/bundle.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: BundleConfiguration\nversions: {bin/kubelett: v1}\n");
  try {
    inputsIn(at("in"));
    FAIL("nothing was found");
  } catch (const Problems& problems) {
    CHECK(problems.list().size() == 4);
  }
  temp.put("in/bundle.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: BundleConfiguration\narchitectur: amd64\n");
  CHECK(messageOf([&] { inputsIn(at("in")); }).find("architectur") != std::string::npos);
}

TEST_CASE_FIXTURE(Workshop, "where a key is trusted, a bundle without its signature is refused; where none is, it says who is not known") {
  auto unsigned_ = making("unsigned.bundle");
  unsigned_.key.reset();
  create(unsigned_);
  CHECK(verdict(at("unsigned.bundle")) == at("unsigned.bundle").string() + " is not signed, and a key is trusted here");
  auto foreign = making("foreign.bundle");
  foreign.key = certs::PrivateKey::generate(certs::KeyAlgorithm::ed25519);
  create(foreign);
  CHECK(verdict(at("foreign.bundle")) == at("foreign.bundle").string() + " is signed, but not by a key that is trusted here");
  NoSink none;
  CHECK(verify({at("unsigned.bundle"), {}}, {}, none, Alone::no).signature.standing == Signature::Standing::absent);
  CHECK(verify({at("foreign.bundle"), {}}, {}, none, Alone::no).signature.standing == Signature::Standing::unknown);
}

TEST_CASE_FIXTURE(Workshop, "keys of other kinds sign as well") {
  for (const auto kind : {certs::KeyAlgorithm::ecdsaP256, certs::KeyAlgorithm::rsa2048}) {
    key = certs::PrivateKey::generate(kind);
    trusted = certs::PublicKey::parseAll(key.publicPem(), "key.pub");
    make("a.bundle");
    CHECK(verdict(at("a.bundle")) == "good");
  }
}

TEST_CASE_FIXTURE(Workshop, "a delta has what the older bundle lacks, and together they are the newer one") {
  make("old.bundle");
  temp.put("in/bin/kubelet", program("amd64", "a newer kubelet"));
  temp.put("in/images/other.tar", ociArchive("example.org/other:2", "another layer"));
  make("new.bundle");
  const auto made = makeDelta(at("old.bundle"), at("new.bundle"), at("delta"), trusted);
  CHECK(made.parts == 4); // kubelet, a manifest, a layer, the list
  Kept whole, together;
  verify({at("new.bundle"), {}}, trusted, whole, Alone::no);
  const auto found = verify({at("delta"), at("old.bundle")}, trusted, together, Alone::no);
  CHECK(whole.parts == together.parts);
  CHECK(found.lacking.empty());
  CHECK(verdict(Source{at("delta"), {}}, Alone::yes) == "good");
  CHECK(verdict(Source{at("delta"), {}}) == at("delta").string() + " is a delta, and has only what an older bundle lacks");
}

TEST_CASE_FIXTURE(Workshop, "a delta on another bundle than its own is refused, and so is one that is not signed as it has to be") {
  make("old.bundle");
  temp.put("in/bin/kubelet", program("amd64", "a newer kubelet"));
  make("new.bundle");
  temp.put("in/bin/kubectl", program("amd64", "another kubectl"));
  make("third.bundle");
  makeDelta(at("old.bundle"), at("new.bundle"), at("delta"), trusted);
  CHECK(verdict(Source{at("delta"), at("third.bundle")}).find("does not go by") != std::string::npos);
  CHECK(verdict(Source{at("delta"), at("delta")}).find("is a delta itself") != std::string::npos);
  CHECK(verdict(Source{at("new.bundle"), at("old.bundle")}).find("is whole") != std::string::npos);
  auto unsigned_ = making("unsigned.bundle");
  unsigned_.key.reset();
  create(unsigned_);
  CHECK(messageOf([&] { makeDelta(at("old.bundle"), at("unsigned.bundle"), at("x"), trusted); }).find("is not signed") != std::string::npos);
  CHECK(messageOf([&] { makeDelta(at("unsigned.bundle"), at("new.bundle"), at("x"), trusted); }).find("is not signed") != std::string::npos);
  makeDelta(at("old.bundle"), at("unsigned.bundle"), at("unsigned.delta"), {});
  CHECK(verdict(Source{at("unsigned.delta"), at("old.bundle")}).find("is not signed") != std::string::npos);
  CHECK(!fs::exists(at("x")));
}

TEST_CASE_FIXTURE(Workshop, "tar, zstd and openssl of the machine read it, and verify its signature") {
  make("a.bundle");
  temp.put("key.pub", key.publicPem());
  fs::create_directory(at("out"));
  const auto out = at("out").string();
  if (run("command -v zstd openssl tar sha256sum >/dev/null") != 0) return;
  REQUIRE(run("zstd -q -d -c " + at("a.bundle").string() + " | tar -x -C " + out) == 0);
  CHECK(contentOf(at("out/bin/kubelet")) == program("amd64", "kubelet"));
  CHECK(run("openssl pkeyutl -verify -pubin -inkey " + at("key.pub").string() + " -rawin -in " + out + "/bundle.lock.json -sigfile " + out + "/bundle.lock.sig >/dev/null") == 0);
  struct stat status {};
  stat(at("out/bin/kubelet").c_str(), &status);
  CHECK((status.st_mode & 0111) != 0);
  for (const auto& member : parseLock(contentOf(at("out/bundle.lock.json")), "lock").members) CHECK(sha256Hex(contentOf(at("out/" + member.path))) == member.sha256);
}
