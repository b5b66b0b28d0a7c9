// What containerd is asked for when a bundle takes its images from there.
#include "cmd/bundle_images.hpp"

#include "support/text.hpp"
#include "tests/fakes/fake_host.hpp"
#include "tests/unit/archive/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::cmd;

namespace {

const std::string kImage = "registry.k8s.io/pause:3.10.2";

/// A containerd that has an image for some architectures; what it lacks of a name that it knows it cannot export.
struct Containerd {
  host::TempFolder temp;
  fakes::FakeHost host;
  std::vector<std::string> ran;                ///< without what all begin with
  std::string listed, has, brings = "arm64";   ///< the name that it lists; an architecture; the one that a pull adds
  bool whole = true;                           ///< or it refuses to export
  std::filesystem::path target = temp.folder / "image.tar";

  Containerd() {
    host.onRun = [this](const host::Command& command) { return answer(command); };
  }
  host::CommandResult answer(const host::Command& command) {
    const auto line = join(command.arguments, " ");
    const std::string begins = "--address /run/containerd/containerd.sock --namespace k8s.io images ";
    REQUIRE(command.program == "ctr");
    REQUIRE(line.starts_with(begins));
    ran.push_back(replaceAll(line.substr(begins.size()), target.string(), "FILE"));
    if (ran.back().starts_with("ls")) return {.output = listed, .errors = {}};
    if (ran.back().starts_with("pull")) {
      has = brings;
      whole = true;
      return {};
    }
    if (!whole) return {.exitCode = 1, .output = {}, .errors = "ctr: content digest sha256:00: not found\n"};
    archive::put(target, archive::ociArchive(kImage, "a layer", has));
    return {};
  }
  std::string said(const std::string& architecture, ImageSource::Pulls pulls = ImageSource::Pulls::yes) {
    try {
      ImageSource("unix:///run/containerd/containerd.sock", architecture, pulls, host).write(kImage, target);
      return "";
    } catch (const Error& error) {
      return error.message();
    }
  }
};

const std::string kList = "ls -q name==" + kImage;
std::string exported(const std::string& architecture) { return "export --platform linux/" + architecture + " FILE " + kImage; }

} // namespace

TEST_CASE_FIXTURE(Containerd, "an image that containerd has for the architecture is exported, and nothing is pulled") {
  listed = kImage + "\n";
  has = "amd64";
  CHECK(said("amd64", ImageSource::Pulls::no) == "");
  CHECK(ran == std::vector<std::string>{kList, exported("amd64")});
}

TEST_CASE_FIXTURE(Containerd, "an image that it does not have is pulled for the architecture, with the registries' settings of the runtime where it has some") {
  CHECK(said("arm64") == "");
  CHECK(ran == std::vector<std::string>{kList, "pull --platform linux/arm64 " + kImage, exported("arm64")});
  ran.clear();
  host.makeFolder("/etc/containerd/certs.d", 0755);
  CHECK(said("arm64") == "");
  CHECK(ran[1] == "pull --platform linux/arm64 --hosts-dir /etc/containerd/certs.d " + kImage);
}

TEST_CASE_FIXTURE(Containerd, "an image that it has for another architecture only is pulled, however it says so") {
  listed = kImage + "\n";
  has = "amd64";
  SUBCASE("it has an index, and cannot export what it lacks of it") { whole = false; }
  SUBCASE("it has one manifest, and exports that for any platform") {}
  CHECK(said("arm64") == "");
  CHECK(ran == std::vector<std::string>{kList, exported("arm64"), "pull --platform linux/arm64 " + kImage, exported("arm64")});
}

TEST_CASE_FIXTURE(Containerd, "with --offline nothing is pulled, and what is there and does not do is named") {
  CHECK(said("arm64", ImageSource::Pulls::no) == "bundle create wanted to pull " + kImage + " for arm64, and --offline forbids it");
  listed = kImage + "\n";
  whole = false;
  CHECK(said("arm64", ImageSource::Pulls::no) == "bundle create wanted to pull " + kImage + " for arm64, and --offline forbids it; the one that is there does not do: containerd cannot give the image " +
                                                     kImage + ": ctr: content digest sha256:00: not found");
  CHECK(std::ranges::none_of(ran, [](const auto& line) { return line.starts_with("pull"); }));
}
