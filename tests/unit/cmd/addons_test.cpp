// What addons apply looks at before it applies something.
#include "cmd/addons_look.hpp"

#include "support/error.hpp"
#include "tests/fakes/fake_cri.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::cmd;

namespace {

const Value kPod{{"apiVersion", "v1"},
                 {"kind", "Pod"},
                 {"metadata", {{"name", "a"}, {"namespace", "b"}}},
                 {"spec", {{"containers", Value::array({Value{{"name", "a"}, {"image", "example.org/here:1"}}, Value{{"name", "b"}, {"image", "example.org/far:1"}}})}}}};

config::Setup asking() {
  config::Setup setup;
  setup.cluster.kubestrap.addons = {{.name = "metrics-server", .source = {}, .values = {}}};
  setup.request.addons["metrics-server"].manifest = {kPod};
  return setup;
}

} // namespace

TEST_CASE("addons apply --offline names the images that the runtime lacks with the add-ons that want them") {
  fakes::FakeCri cri;
  cri.images = {"example.org/here:1"};
  try {
    refusePulls(asking(), cri);
    FAIL("nothing was refused");
  } catch (const Error& error) {
    CHECK(error.message() == "the runtime has to pull example.org/far:1 (of metrics-server), and --offline forbids it");
    CHECK(error.exitCode() == ExitCode::refused);
  }
  cri.images.insert("example.org/far:1");
  refusePulls(asking(), cri);
  CHECK(cri.effects.empty());
}

TEST_CASE("addons apply --offline says so where no runtime answers") {
  fakes::FakeCri cri;
  cri.runtime.reachable = false;
  try {
    refusePulls(asking(), cri);
    FAIL("nothing was refused");
  } catch (const Error& error) {
    REQUIRE(error.contexts().size() == 1);
    CHECK(error.contexts().front() == "looking for the images of add-ons on this machine");
  }
}
