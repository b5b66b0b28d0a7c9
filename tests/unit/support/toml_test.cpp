#include "support/text.hpp"
#include "support/toml.hpp"

#include <doctest/doctest.h>

namespace kubestrap {

namespace {

using Names = std::vector<std::string>;

constexpr auto containerd = R"(# kept by hand
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  # the sandbox
  sandbox_image = "registry.k8s.io/pause:3.6" # old
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
)";
const Names cri{"plugins", "io.containerd.grpc.v1.cri"};

} // namespace

TEST_CASE("TOML is read with its tables, lists and scalars, and what is none is nothing") {
  CHECK(*parseToml("a = 1\nb.c = ['x', true]\n[d.\"e.f\"]\nwhen = 2026-01-02\n") ==
        Value{{"a", 1}, {"b", {{"c", {"x", true}}}}, {"d", {{"e.f", {{"when", "2026-01-02"}}}}}});
  CHECK_FALSE(parseToml("a = \n"));
  CHECK(parseToml("")->empty());
}

TEST_CASE("a setting that is there is changed in its line") {
  const auto text = withTomlSetting(containerd, cri, "sandbox_image", "registry.k8s.io/pause:3.10.2");
  CHECK(*text == R"(# kept by hand
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  # the sandbox
  sandbox_image = "registry.k8s.io/pause:3.10.2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
)");
}

TEST_CASE("a setting that is missing goes below its table's header, a missing table to the end") {
  auto runc = cri;
  for (const auto* name : {"containerd", "runtimes", "runc"}) runc.emplace_back(name);
  CHECK(withTomlSetting(containerd, runc, "snapshotter", "native")
            ->find(".runc]\n    snapshotter = \"native\"\n    runtime_type") != std::string::npos);
  runc.emplace_back("options");
  const auto text = *withTomlSetting(containerd, runc, "SystemdCgroup", true);
  CHECK(text == std::string(containerd) +
                    "\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n  SystemdCgroup = true\n");
  CHECK(withTomlSetting("", {"a"}, "b", 1) == "[a]\n  b = 1\n");
}

TEST_CASE("names of tables are the same however they are quoted") {
  CHECK(withTomlSetting("[ 'a.b' . c ]\nd = 1\n", {"a.b", "c"}, "d", 2) == "[ 'a.b' . c ]\nd = 2\n");
  CHECK(withTomlSetting("[a]\n'd' = 1\n", {"a"}, "d", 2) == "[a]\nd = 2\n");
}

TEST_CASE("names of a header may be many and of any length") {
  Names table;
  std::string headers;
  for (std::size_t n = 1; n <= 9; ++n) {
    table.push_back(std::string(8 * n, 'x') + std::to_string(n));
    headers += "[" + join(table, ".") + "]\n";
  }
  CHECK(*withTomlSetting(headers + "d = 1\n", table, "d", 2) == headers + "d = 2\n");
}

TEST_CASE("what cannot be changed by lines is left alone") {
  CHECK_FALSE(withTomlSetting("a = { b = 1 }\n", {"a"}, "b", 2));
  CHECK_FALSE(withTomlSetting("a.b = 1\n", {"a"}, "b", 2));
  CHECK_FALSE(withTomlSetting("[a]\nb = [\n  1,\n]\n", {"a"}, "b", 2));
  CHECK_FALSE(withTomlSetting("a = 1\n", {"a"}, "b", 2));
  CHECK_FALSE(withTomlSetting("no toml", {"a"}, "b", 2));
  // The same words inside a text are no setting.
  CHECK_FALSE(withTomlSetting("[a]\nc = \"\"\"\nb = 1\n\"\"\"\n", {"a"}, "b", 2));
}

} // namespace kubestrap
