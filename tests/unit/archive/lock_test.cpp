#include "archive/compare.hpp"
#include "archive/lock.hpp"
#include "archive/references.hpp"
#include "archive/spdx.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

#include <functional>

using namespace kubestrap;
using namespace kubestrap::archive;

namespace {

const std::string one(64, '1'), two(64, '2'), three(64, '3');

Lock sample() {
  return {.architecture = "amd64",
          .kubernetesVersion = "v1.37.2",
          .members = {{.path = "bin/kubelet", .kind = Kind::program, .version = "v1.37.2", .size = 7, .sha256 = one, .licence = "Apache-2.0"},
                      {.path = "images/blobs/sha256/" + one, .kind = Kind::blob, .version = {}, .size = 1, .sha256 = one, .licence = "Apache-2.0"},
                      {.path = "images/blobs/sha256/" + two, .kind = Kind::blob, .version = {}, .size = 2, .sha256 = two, .licence = "Apache-2.0"},
                      {.path = "images/blobs/sha256/" + three, .kind = Kind::blob, .version = {}, .size = 3, .sha256 = three, .licence = "Apache-2.0"},
                      {.path = "units/kubelet.service", .kind = Kind::unit, .version = {}, .size = 9, .sha256 = two, .licence = "NOASSERTION"}},
          .images = {{.name = "registry.k8s.io/pause:3.10.2", .version = "3.10.2", .licence = "Apache-2.0", .manifest = "sha256:" + one, .configuration = "sha256:" + two, .layers = {"sha256:" + three}}}};
}

/// What the reader says of the sample after a change of its document.
std::string saidOf(const std::function<void(Value&)>& change) {
  auto value = asValue(sample());
  change(value);
  try {
    parseLock(value.dump(), "lock");
    return "good";
  } catch (const Error& error) {
    return error.message();
  }
}

} // namespace

TEST_CASE("a package is for the bundle's architecture or for all, by its name, and nothing else is taken") {
  for (const auto* name : {"conntrack_1.4.7-1_amd64.deb", "conntrack_1%3a1.4.7-1_all.deb", "conntrack-tools-1.4.7-2.el9.x86_64.rpm", "tzdata-2024a-1.el9.noarch.rpm"}) {
    CAPTURE(name);
    CHECK_FALSE(foreignPackage(name, "amd64"));
  }
  for (const auto* name : {"a_1_i386.deb", "a_1_armhf.deb", "a_1_arm64.deb", "a_1_x86-64.deb", "a_1_noarch.deb", "a-1-1.i686.rpm", "a-1-1.src.rpm", "a-1-1.amd64.rpm", "a-1-1.all.rpm", "a.deb", "a.rpm",
                           "a_1_amd64.tar"}) {
    CAPTURE(name);
    CHECK(foreignPackage(name, "amd64"));
  }
  CHECK(foreignPackage("a_1_i386.deb", "amd64") == "it is a package for i386, not for amd64");
  CHECK(foreignPackage("a-1-1.aarch64.rpm", "amd64") == "it is a package for arm64, not for amd64");
  CHECK(foreignPackage("a.deb", "amd64") == "its name does not say what it is: NAME_VERSION_ARCHITECTURE.deb, NAME-VERSION-RELEASE.ARCHITECTURE.rpm");
}

TEST_CASE("a lock file that was written is read as it was") { CHECK(parseLock(emitLock(sample()), "lock") == sample()); }

TEST_CASE("a lock file that is not what it has to be is refused, and says where") {
  CHECK(saidOf([](Value&) {}) == "good");
  CHECK(saidOf([](Value& v) { v["kind"] = "Other"; }) == "lock is no BundleLock of kubestrap.io/v1alpha1");
  CHECK(saidOf([](Value& v) { v["further"] = 1; }) == "lock: further is not known: it was made by a newer kubestrap");
  CHECK(saidOf([](Value& v) { v["architecture"] = "pdp11"; }) == "lock: architecture \"pdp11\" is not known");
  CHECK(saidOf([](Value& v) { v["members"][0]["architecture"] = "arm64"; }) == "lock: members[0].architecture of bin/kubelet is arm64, and that of the bundle amd64");
  CHECK(saidOf([](Value& v) { v["members"][0]["mode"] = "4755"; }) == "lock: members[0].mode is not that of bin/kubelet");
  CHECK(saidOf([](Value& v) { v["members"][0]["kind"] = "unit"; }) == "lock: members[0].kind is not that of bin/kubelet");
  CHECK(saidOf([](Value& v) { v["members"][0]["size"] = -1; }) == "lock: members[0].size is no size");
  CHECK(saidOf([](Value& v) { v["members"][0]["sha256"] = "abc"; }) == "lock: members[0].sha256 is no digest");
  CHECK(saidOf([](Value& v) { v["members"][1]["sha256"] = two; }) == "lock: members[1].sha256 is not what images/blobs/sha256/" + one + " is called by");
  CHECK(saidOf([](Value& v) { v["members"][1] = v["members"][0]; }) == "lock: members[1]: bin/kubelet is there twice, or not in its place");
  CHECK(saidOf([](Value& v) { v["members"].erase(3); }) == "lock: the image registry.k8s.io/pause:3.10.2 needs sha256:" + three + ", which is no member");
  CHECK(saidOf([](Value& v) { v["images"][0]["name"] = "--all"; }) == "lock: images[0].name is no reference of an image");
  CHECK(saidOf([](Value& v) { v["members"] = 3; }) == "lock: members is no list");
}

TEST_CASE("no path of a part leads out of its folder") {
  for (const auto* path : {"../etc/passwd", "/etc/passwd", "bin/../../etc/passwd", "bin/a/b", "bin/", "bin/.", "bin/..", "bin/.hidden", "bin/-rf", "bin/a b", "other/a", "bin", "",
                           "images/blobs/sha256/short", "images/blobs/sha256/../../../bin/kubelet", "cni/\xc3\xa4"}) {
    CAPTURE(path);
    CHECK(saidOf([&](Value& v) { v["members"][0]["path"] = path; }).find("is no place of a part") != std::string::npos);
  }
  CHECK(placeOf("bin/kubelet") == fs::path("/usr/bin/kubelet"));
  CHECK(placeOf("cni/bridge") == fs::path("/opt/cni/bin/bridge"));
  CHECK(placeOf("units/kubelet.service") == fs::path("/etc/systemd/system/kubelet.service"));
  CHECK(!placeOf("bundle.spdx.json"));
}

TEST_CASE("two bundles differ by parts and images, and what an image is made of does not show by itself") {
  auto newer = sample();
  newer.members[0].sha256 = three;
  newer.members[0].size = 10;
  newer.members[0].version = "v1.37.3";
  newer.members.pop_back();
  newer.images[0].name = "registry.k8s.io/pause:3.11";
  const auto differences = compare(sample(), newer);
  REQUIRE(differences.size() == 4);
  CHECK(differences[0].name == "bin/kubelet");
  CHECK(differences[0].before == "v1.37.2");
  CHECK(differences[0].after == "v1.37.3");
  CHECK(differences[0].octets == 3);
  CHECK(differences[1].name == "registry.k8s.io/pause:3.10.2");
  CHECK(differences[1].what == Difference::What::removed);
  CHECK(differences[1].octets == -6);
  CHECK(differences[2].name == "units/kubelet.service");
  CHECK(differences[3].what == Difference::What::added);
  CHECK(compare(sample(), sample()).empty());
}

TEST_CASE("images that add-ons name are found in pods, templates, cron jobs, lists and image volumes, by the runtime's names") {
  const auto documents = parseYaml(R"(
kind: Deployment
spec: {template: {spec: {initContainers: [{image: nginx}], containers: [{image: "registry.k8s.io/pause:3.10.2"}], volumes: [{image: {reference: quay.io/a/b@sha256:aa}}]}}}
---
kind: List
items: [{kind: CronJob, spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: "localhost:5000/x:1"}]}}}}}}]
---
kind: ConfigMap
data: {image: not-one}
)",
                                   "addon.yaml");
  std::vector<Value> values;
  for (const auto& each : documents) values.push_back(each.value);
  CHECK(imagesNamed(values) == std::set<std::string>{"docker.io/library/nginx:latest", "localhost:5000/x:1", "quay.io/a/b@sha256:aa", "registry.k8s.io/pause:3.10.2"});
}

TEST_CASE("the pod that an add-on's controller makes of a file of its ConfigMap is a pod as well, and other files are none") {
  const auto documents = parseYaml("kind: ConfigMap\n"
                                   "data:\n"
                                   "  helperPod.yaml: |-\n"
                                   "    apiVersion: v1\n"
                                   "    kind: Pod\n"
                                   "    spec: {containers: [{name: helper-pod, image: docker.io/library/busybox}]}\n"
                                   "  config.json: '{\"nodePathMap\": []}'\n"
                                   "  template.yaml: '{{ if .it }} image: x'\n"
                                   "  setup: '{containers: [{image: no-document}]}'\n",
                                   "local-path.yaml");
  CHECK(imagesNamed({documents.front().value}) == std::set<std::string>{"docker.io/library/busybox:latest"});
}

TEST_CASE("kubestrap's own image is missed where its program is in the bundle, in the program's version where that is known") {
  auto lock = sample();
  CHECK(missingImages(lock, {}).empty());
  lock.members.insert(lock.members.begin() + 1, {.path = "bin/kubestrap", .kind = Kind::program, .version = {}, .size = 7, .sha256 = two, .licence = "Apache-2.0"});
  CHECK(missingImages(lock, {}) == Missing{{"kubestrap.io/kubestrap", {"bin/kubestrap"}}});
  lock.images.insert(lock.images.begin(), lock.images.front());
  lock.images.front().name = "kubestrap.io/kubestrap:v0.1.0";
  CHECK(missingImages(lock, {}).empty());
  lock.members[1].version = "0.1.0";
  CHECK(missingImages(lock, {}).empty());
  lock.members[1].version = "v0.2.0";
  CHECK(missingImages(lock, {}) == Missing{{"kubestrap.io/kubestrap:v0.2.0", {"bin/kubestrap"}}});
}

TEST_CASE("the list of contents has a package for each part and image, and the same bytes for the same lock") {
  const auto text = spdxOf(sample(), "1970-01-01T00:00:00Z", "kubestrap-0.1.0");
  const auto value = parseJson(text);
  CHECK(stringAt(value, "spdxVersion") == "SPDX-2.3");
  REQUIRE(value["packages"].size() == 3);
  CHECK(value["packages"][0]["name"] == "bin/kubelet");
  CHECK(value["packages"][0]["versionInfo"] == "v1.37.2");
  CHECK(value["packages"][0]["licenseDeclared"] == "Apache-2.0");
  CHECK(value["packages"][0]["checksums"][0]["checksumValue"] == one);
  CHECK(value["packages"][2]["name"] == "registry.k8s.io/pause:3.10.2");
  CHECK(text == spdxOf(sample(), "1970-01-01T00:00:00Z", "kubestrap-0.1.0"));
}
