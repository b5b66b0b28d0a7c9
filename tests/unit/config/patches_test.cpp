#include "config/patches.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

namespace kubestrap::config {

namespace {
std::vector<Patch> parse(std::vector<PatchFile> files) {
  std::vector<std::string> warnings;
  return parsePatches(std::move(files), warnings);
}
} // namespace

TEST_CASE("a patch file's name says target, order and kind") {
  struct Row {
    const char* name;
    Patch::Target target;
    Patch::Kind kind;
  };
  const Row rows[] = {
      {"etcd.yaml", Patch::Target::etcd, Patch::Kind::strategic},
      {"kube-apiserver0+merge.yaml", Patch::Target::apiServer, Patch::Kind::merge},
      {"kube-controller-manager+json.json", Patch::Target::controllerManager, Patch::Kind::json},
      {"kube-scheduler-late+strategic.yaml", Patch::Target::scheduler, Patch::Kind::strategic},
      {"kubeletconfiguration.json", Patch::Target::kubeletConfiguration, Patch::Kind::strategic},
      {"corednsdeployment.yaml", Patch::Target::coreDnsDeployment, Patch::Kind::strategic},
      {"kubeproxydaemonset+merge.yaml", Patch::Target::kubeProxyDaemonSet, Patch::Kind::merge},
      {"more/etcd0+merge.yaml", Patch::Target::etcd, Patch::Kind::merge},
  };
  for (const auto& row : rows) {
    const auto patches = parse({{row.name, "{\"a\": 1}"}});
    REQUIRE_MESSAGE(patches.size() == 1, row.name);
    CHECK_MESSAGE(patches[0].target == row.target, row.name);
    CHECK_MESSAGE(patches[0].kind == row.kind, row.name);
    CHECK(patches[0].fileName == row.name);
  }
}

TEST_CASE("patches are applied by path and in the order of their documents") {
  const auto patches = parse({{"etcd1+merge.yaml", "a: 3\n"},
                              {"etcd0+merge.yaml", "a: 1\n---\na: 2\nb: 2\n"},
                              {"kube-scheduler+merge.yaml", "a: 9\n"}});
  REQUIRE(patches.size() == 4);
  CHECK(patches[0].document["a"] == 1);
  CHECK(patches[2].document["a"] == 3);
  CHECK(applyPatches(Value::object(), Patch::Target::etcd, patches) == Value{{"a", 3}, {"b", 2}});
}

TEST_CASE("other names and empty files are passed over with a warning") {
  std::vector<std::string> warnings;
  CHECK(parsePatches({{"README.md", "x"}, {"apiserver.yaml", "a: 1\n"}, {"etcd.yml", "a: 1\n"}, {"etcd.yaml", " \n"}},
                     warnings)
            .empty());
  REQUIRE(warnings.size() == 4);
  CHECK(warnings[2] == "patches: etcd.yaml is ignored: it is empty");
}

TEST_CASE("an unknown kind of patch and unreadable files are problems, all at once") {
  try {
    parse({{"etcd+append.yaml", "a: 1\n"}, {"kube-scheduler.yaml", "a: 1\na: 2\n"}});
    FAIL("no problem was found");
  } catch (const Problems& problems) {
    REQUIRE(problems.list().size() == 2);
    CHECK(describe(problems.list()[0]) ==
          "etcd+append.yaml: unknown patch type after \"+\" (expected one of strategic, merge, json)");
    CHECK(problems.list()[1].where.starts_with("kube-scheduler.yaml:2"));
  }
}

TEST_CASE("a patch that does not fit is named") {
  const auto patches = parse({{"etcd+json.yaml", "- {op: replace, path: /spec/x, value: 1}\n"}});
  try {
    applyPatches(Value{{"spec", Value::object()}}, Patch::Target::etcd, patches);
    FAIL("the patch was applied");
  } catch (const Error& error) {
    CHECK(error.contexts() == std::vector<std::string>{"applying the patch etcd+json.yaml"});
  }
}

} // namespace kubestrap::config
