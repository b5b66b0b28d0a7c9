// bundle inspect, diff and delta, as they are typed.
#include "cmd/bundle.hpp"
#include "cmd/commands.hpp"
#include "cmd/globals.hpp"

#include "support/error.hpp"
#include "support/value.hpp"
#include "tests/unit/archive/fixture.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

using namespace kubestrap;
using archive::Workshop;

namespace {

/// What goes to a descriptor meanwhile goes into a file.
class Redirected {
public:
  Redirected(int descriptor, const std::filesystem::path& file) : descriptor_(descriptor), before_(dup(descriptor)) {
    std::fflush(nullptr);
    const int into = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(into >= 0);
    dup2(into, descriptor_);
    close(into);
  }
  ~Redirected() {
    std::fflush(nullptr);
    dup2(before_, descriptor_);
    close(before_);
  }

private:
  int descriptor_, before_;
};

struct Said {
  ExitCode code = ExitCode::done;
  std::string output, errors;
};

struct Typed : Workshop {
  Typed() { temp.put("key.pub", key.publicPem()); }

  Said run(std::vector<std::string> words) {
    cmd::globals() = {};
    words.insert(words.begin(), {"kubestrap", "bundle"});
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    Said said;
    {
      const Redirected output(STDOUT_FILENO, at("stdout")), errors(STDERR_FILENO, at("stderr"));
      auto root = cmd::rootCommand();
      said.code = cmd::dispatch(root, static_cast<int>(argv.size()), argv.data());
    }
    cmd::globals() = {};
    said.output = archive::contentOf(at("stdout"));
    said.errors = archive::contentOf(at("stderr"));
    return said;
  }
  std::string file(const std::string& name) const { return at(name).string(); }
  void makeUnsigned(const std::string& name) {
    auto unsigned_ = making(name);
    unsigned_.key.reset();
    archive::create(unsigned_);
  }
  /// Two bundles: the newer has another kubelet, and one image more.
  void makeBoth() {
    make("old.bundle");
    temp.put("in/bin/kubelet", archive::program("amd64", "a newer kubelet"));
    temp.put("in/images/further.tar", archive::ociArchive("example.org/further:2", "another layer"));
    make("new.bundle");
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE_FIXTURE(Typed, "bundle diff names what differs, and ends with 4 where it is asked to") {
  makeBoth();
  const auto shown = run({"diff", file("old.bundle"), file("new.bundle"), "--exit-code", "-o", "json"});
  CHECK(shown.code == ExitCode::differs);
  const auto document = parseJson(shown.output);
  CHECK(document["kind"] == "BundleDifference");
  REQUIRE(document["items"].size() == 2);
  CHECK(document["items"][0]["name"] == "bin/kubelet");
  CHECK(document["items"][0]["change"] == "changed");
  CHECK(document["items"][1]["name"] == "example.org/further:2");
  CHECK(document["items"][1]["change"] == "added");
  CHECK(run({"diff", file("old.bundle"), file("new.bundle")}).code == ExitCode::done);
  const auto same = run({"diff", file("old.bundle"), file("old.bundle"), "--exit-code"});
  CHECK(same.code == ExitCode::done);
  CHECK(same.output == "both hold the same\n");
}

TEST_CASE_FIXTURE(Typed, "bundle delta makes what is verified with the older bundle beside it, and with no other") {
  makeBoth();
  CHECK(run({"delta", file("old.bundle"), file("new.bundle"), file("delta"), "--key", file("key.pub")}).code == ExitCode::done);
  CHECK(run({"verify", file("delta"), "--base", file("old.bundle"), "--key", file("key.pub")}).code == ExitCode::done);
  const auto alone = run({"verify", file("delta"), "--key", file("key.pub"), "-o", "json"});
  CHECK(alone.code == ExitCode::done);
  CHECK(parseJson(alone.output)["lacking"].size() > 0);
  const auto loaded = run({"load", file("delta"), "--key", file("key.pub"), "--dry-run"});
  CHECK(loaded.code == ExitCode::usage);
  CHECK(has(loaded.errors, "--base OLD of bundle load, --bundle-base OLD of init, join and upgrade"));
  const auto other = run({"verify", file("delta"), "--base", file("new.bundle"), "--key", file("key.pub")});
  CHECK(other.code == ExitCode::failed);
  CHECK(has(other.errors, "does not go by"));
}

TEST_CASE_FIXTURE(Typed, "bundle delta with a trusted key refuses where either side is not signed, and makes nothing") {
  makeBoth();
  makeUnsigned("unsigned.bundle");
  for (const auto& each : {std::pair{"unsigned.bundle", "new.bundle"}, {"old.bundle", "unsigned.bundle"}, {"unsigned.bundle", "unsigned.bundle"}}) {
    CAPTURE(each.first);
    CAPTURE(each.second);
    const auto said = run({"delta", file(each.first), file(each.second), file("delta"), "--key", file("key.pub")});
    CHECK(said.code == ExitCode::refused);
    CHECK(has(said.errors, file("unsigned.bundle") + " is not signed, and a key is trusted here"));
    CHECK(!std::filesystem::exists(at("delta")));
  }
}

TEST_CASE("what is held of a bundle as a whole is bounded, also where many add-ons are small enough each") {
  const auto part = [](const std::string& name, std::uint64_t size) {
    return archive::Member{.path = "manifests/" + name, .kind = archive::Kind::manifest, .version = {}, .size = size, .sha256 = {}, .licence = {}};
  };
  cmd::SmallParts small;
  for (const auto* name : {"a.yaml", "b.yaml", "c.yaml", "d.yaml"}) small.add(part(name, 4 << 20));
  CHECK(host::messageOf([&] { small.add(part("e.yaml", 1)); }).starts_with("with manifests/e.yaml units and add-ons are larger together than 16"));
  CHECK(host::messageOf([] { cmd::SmallParts().add({.path = "units/a.service", .kind = archive::Kind::unit, .version = {}, .size = (4 << 20) + 1, .sha256 = {}, .licence = {}}); }) ==
        "units/a.service is larger than any unit or add-on");
}

TEST_CASE_FIXTURE(Typed, "bundle inspect names images that add-ons, their helpers and kubestrap itself want, and that are missing") {
  temp.put("in/bin/kubestrap", archive::program("amd64", "kubestrap"));
  temp.put("in/manifests/local-path.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n  helperPod.yaml: |\n    kind: Pod\n    spec: {containers: [{name: h, image: busybox}]}\n");
  make("a.bundle");
  const auto shown = run({"inspect", file("a.bundle"), "-o", "json"});
  CHECK(shown.code == ExitCode::done);
  std::map<std::string, Value> missing;
  const auto document = parseJson(shown.output);
  for (const auto& each : document.at("missingImages")) missing[stringAt(each, "name")] = each["wantedBy"];
  CHECK(missing["docker.io/library/busybox:latest"] == Value{"manifests/local-path.yaml"});
  CHECK(missing["kubestrap.io/kubestrap"] == Value{"bin/kubestrap"});
  CHECK(!missing.contains("registry.k8s.io/pause:3.10.2"));
  CHECK(has(run({"inspect", file("a.bundle")}).errors, "warning: docker.io/library/busybox:latest is not in the bundle, and is wanted by manifests/local-path.yaml"));
}

TEST_CASE_FIXTURE(Typed, "bundle inspect of a bundle that is damaged behind its lock file shows that file, and says what is not known") {
  auto parts = archive::unpacked(make("a.bundle"));
  parts.back().content += "x";
  archive::pack(parts, at("a.bundle"));
  const auto shown = run({"inspect", file("a.bundle")});
  CHECK(shown.code == ExitCode::done);
  CHECK(has(shown.output, "bin/kubelet"));
  CHECK(has(shown.errors, "which images are missing is not known in full"));
}
