#include "phases/rescue.hpp"

#include "manifests/guard.hpp"
#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::phases;
using manifests::Slot;
namespace paths = config::paths;

namespace {

config::Setup setup() { return test::hostedSetup(); }

rescue::Seen seen() {
  rescue::Seen found{.apiAnswers = true, .guardRuns = true, .mode = "selfhosted", .held = {"kube-scheduler"}, .standbys = {}, .activation = 7};
  for (const auto name : manifests::hostedComponents)
    found.standbys[std::string(name)] = {.slot = Slot::rescue, .pod = manifests::rescuePod(manifests::component(name), setup()), .promoted = false, .besides = false};
  return found;
}

std::vector<std::string> subjects(const plan::Resources& resources) {
  std::vector<std::string> all;
  for (const auto& each : resources) all.push_back(plan::subject(each));
  return all;
}

const plan::File& fileAt(const plan::Resources& resources, const config::Path& path) {
  for (const auto& each : resources)
    if (const auto* file = std::get_if<plan::File>(&each); file && file->path == path) return *file;
  FAIL("there is no file ", path.string());
  return std::get<plan::File>(resources.front());
}

std::string heldAsTheNodeSays(const plan::Resources& resources) {
  return std::get<plan::Object>(resources.at(0)).document["metadata"]["annotations"].at(std::string(manifests::heldAnnotation)).get<std::string>();
}

} // namespace

TEST_CASE("while there is an API and a guard, the Node's word is enough") {
  const auto resources = rescue::hold(setup(), {"kube-apiserver"}, seen());
  REQUIRE(resources.size() == 2);
  CHECK(heldAsTheNodeSays(resources) == "kube-apiserver,kube-scheduler");
  CHECK(std::get<plan::Condition>(resources[1]).what == "the static pod of kube-apiserver is ready at 127.64.43.3:6443");
}

TEST_CASE("without an API the guard reads it from node.json") {
  auto found = seen();
  found.apiAnswers = false;
  const auto resources = rescue::hold(setup(), {"kube-apiserver"}, found);
  REQUIRE(resources.size() == 2);
  CHECK(parseJson(fileAt(resources, paths::nodeState).content)["held"] == Value::array({"kube-apiserver", "kube-scheduler"}));
}

TEST_CASE("without a guard its work is done, once") {
  auto found = seen();
  found.guardRuns = false;
  found.standbys["kube-scheduler"].promoted = true;
  const auto resources = rescue::hold(setup(), {"kube-apiserver", "kube-scheduler"}, found);
  const auto& promoted = fileAt(resources, manifests::rescueManifest(manifests::component("kube-apiserver"), Slot::rescue));
  CHECK(parseYamlValue(promoted.content, "pod")["metadata"]["annotations"][std::string(manifests::activationAnnotation)] == "8");
  CHECK(fileAt(resources, paths::nodeState.parent_path() / "activation").content == "8");
  CHECK(subjects(resources).size() == 6);
}

TEST_CASE("where what stands by is unfit the one before it is promoted, in its own slot") {
  auto found = seen();
  const auto& component = manifests::component("kube-scheduler");
  found.standbys["kube-scheduler"] = {.slot = Slot::previous, .pod = manifests::previousPodOf(component, manifests::rescuePod(component, setup())), .promoted = false, .besides = false};
  const auto resources = rescue::hold(setup(), {"kube-scheduler"}, found);
  CHECK(std::get<plan::Condition>(resources.back()).what == "the static pod of kube-scheduler is ready at 127.64.43.5:10259");
}

TEST_CASE("what was made anew is promoted beside the one before it, which the guard would leave at that") {
  auto found = seen();
  found.standbys["kube-scheduler"].besides = true;
  fileAt(rescue::hold(setup(), {"kube-scheduler"}, found), manifests::rescueManifest(manifests::component("kube-scheduler"), Slot::rescue));
}

TEST_CASE("what is released is taken from what is held, and nothing else") {
  CHECK(heldAsTheNodeSays(rescue::release(setup(), {"kube-scheduler", "kube-apiserver"}, seen())) == "");
  auto found = seen();
  found.held = {"kube-apiserver", "kube-scheduler"};
  CHECK(heldAsTheNodeSays(rescue::release(setup(), {"kube-scheduler"}, found)) == "kube-apiserver");
}

TEST_CASE("from the configuration comes what init has written") {
  const auto resources = rescue::standbysOf(setup(), {"kube-apiserver"});
  REQUIRE(resources.size() == 1);
  const auto& component = manifests::component("kube-apiserver");
  CHECK(sameDocument(parseYamlValue(fileAt(resources, manifests::standby(component, Slot::rescue)).content, "pod"), manifests::rescuePod(component, setup())));
}
