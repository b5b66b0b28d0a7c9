#include "archive/image.hpp"
#include "tests/unit/archive/fixture.hpp"

#include "support/encoding.hpp"
#include "support/tar.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::archive;

namespace {

struct Images {
  TempFolder temp;
  Blobs blobs{temp.folder / "blobs"};
  Images() { fs::create_directory(temp.folder / "blobs"); }

  std::vector<Image> read(const std::string& content, std::string_view architecture = "amd64") {
    temp.put("archive.tar", content);
    return readImages(temp.folder / "archive.tar", architecture, blobs);
  }
  std::string failure(const std::string& content, std::string_view architecture = "amd64") {
    return messageOf([&] { read(content, architecture); });
  }
};

std::string packed(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string all;
  for (const auto& [name, content] : files) all += tar::header({.name = name, .mode = 0644, .size = content.size()}) + content + tar::padding(content.size());
  return all + tar::end();
}

} // namespace

TEST_CASE_FIXTURE(Images, "an OCI archive is read, packed or not") {
  const auto plain = ociArchive("registry.k8s.io/pause:3.10.2", "a layer");
  const auto images = read(plain);
  REQUIRE(images.size() == 1);
  CHECK(images[0].name == "registry.k8s.io/pause:3.10.2");
  CHECK(images[0].layers == std::vector<std::string>{"sha256:" + sha256Hex("a layer")});
  CHECK(contentOf(blobs.file(images[0].layers[0])) == "a layer");
  std::string packedWithZstd;
  ZstdWriter zstd([&](std::string_view bytes) { packedWithZstd += bytes; });
  zstd.write(plain);
  zstd.finish();
  CHECK(read(packedWithZstd) == images);
}

TEST_CASE_FIXTURE(Images, "what docker save wrote before OCI is read, and gets a manifest") {
  const auto configuration = R"({"architecture":"amd64","config":{"Labels":{"org.opencontainers.image.licenses":"MIT"}}})";
  const auto images = read(packed({{"abc.json", configuration},
                                   {"1/layer.tar", "first"},
                                   {"2/layer.tar", "\x1f\x8bsecond"},
                                   {"manifest.json", R"([{"Config":"abc.json","RepoTags":["nginx:1.25"],"Layers":["1/layer.tar","2/layer.tar"]}])"}}));
  REQUIRE(images.size() == 1);
  CHECK(images[0].name == "docker.io/library/nginx:1.25");
  CHECK(images[0].licence == "MIT");
  const auto manifest = parseJson(contentOf(blobs.file(images[0].manifest)));
  CHECK(manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar");
  CHECK(manifest["layers"][1]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip");
  CHECK(manifest["layers"][0]["digest"] == "sha256:" + sha256Hex("first"));
}

TEST_CASE_FIXTURE(Images, "of an index of several architectures one is taken") {
  const auto one = [](const std::string& architecture) {
    const auto configuration = Value{{"architecture", architecture}}.dump();
    const auto manifest = Value{{"config", {{"digest", "sha256:" + sha256Hex(configuration)}}}, {"layers", Value::array()}}.dump();
    return std::pair(configuration, manifest);
  };
  const auto [c1, m1] = one("amd64");
  const auto [c2, m2] = one("arm64");
  const auto entry = [](const std::string& manifest, const char* architecture) {
    return Value{{"mediaType", "application/vnd.oci.image.manifest.v1+json"}, {"digest", "sha256:" + sha256Hex(manifest)}, {"platform", {{"architecture", architecture}, {"os", "linux"}}}};
  };
  auto attestation = entry(m1, "unknown");
  const auto index = Value{{"manifests", Value::array({entry(m1, "amd64"), entry(m2, "arm64"), attestation})}}.dump();
  const auto top = Value{{"manifests", Value::array({Value{{"mediaType", "application/vnd.oci.image.index.v1+json"},
                                                           {"digest", "sha256:" + sha256Hex(index)},
                                                           {"annotations", {{"org.opencontainers.image.ref.name", "quay.io/a/b:1"}}}}})}}
                       .dump();
  const auto blob = [](const std::string& content) { return std::pair("blobs/sha256/" + sha256Hex(content), content); };
  const auto archive = packed({{"index.json", top}, blob(index), blob(m1), blob(c1), blob(m2), blob(c2)});
  const auto images = read(archive, "arm64");
  REQUIRE(images.size() == 1);
  CHECK(images[0].manifest == "sha256:" + sha256Hex(m2));
  CHECK(failure(archive, "s390x") == "there is no image for s390x in it");
  CHECK(failure(packed({{"index.json", top}, blob(index)})).find("lacks sha256:") != std::string::npos);
}

TEST_CASE_FIXTURE(Images, "what is no archive of images says so") {
  CHECK(failure(packed({{"readme", "x"}})) == "there is neither index.json nor manifest.json in it");
  CHECK(failure("hello").starts_with("it is no archive of tar's, or damaged"));
  CHECK(failure(ociArchive("", "a layer")).find("has no name") != std::string::npos);
}

TEST_CASE_FIXTURE(Images, "an image is written for the runtime as it was read") {
  const auto images = read(ociArchive("registry.k8s.io/pause:3.10.2", "a layer"));
  Lock lock{.architecture = "amd64", .kubernetesVersion = {}, .members = {}, .images = images};
  for (const auto& [digest, size] : blobs.sizes()) lock.members.push_back({.path = blobPath(digest), .kind = Kind::blob, .version = {}, .size = size, .sha256 = digest.substr(7), .licence = {}});
  std::ranges::sort(lock.members, {}, &Member::path);
  writeImage(images[0], lock, temp.folder / "blobs", temp.folder / "written.tar");
  Blobs again{temp.folder / "again"};
  fs::create_directory(temp.folder / "again");
  CHECK(readImages(temp.folder / "written.tar", "amd64", again) == images);
}

TEST_CASE("images are called as the runtime calls them") {
  CHECK(fullName("nginx") == "docker.io/library/nginx:latest");
  CHECK(fullName("flannel/flannel:v1") == "docker.io/flannel/flannel:v1");
  CHECK(fullName("quay.io/a/b") == "quay.io/a/b:latest");
  CHECK(fullName("localhost/a:1") == "localhost/a:1");
  CHECK(fullName("registry:5000/a@sha256:00") == "registry:5000/a@sha256:00");
  CHECK(tagOf("registry:5000/a") == "");
  CHECK(tagOf("registry.k8s.io/pause:3.10@sha256:00") == "3.10");
}
