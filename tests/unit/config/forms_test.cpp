// What a file may look like, as the table in docs/configuration.md promises it.
#include "fixture.hpp"

#include "config/defaults.hpp"
#include "config/kinds.hpp"

#include <fmt/format.h>

namespace kubestrap::config {

namespace {

/// What `config validate` says to a file: nothing, or its problems in lines.
std::string answer(const std::string& text) {
  Lines lines, warnings;
  try {
    for (const auto& problem : validateDocuments(parseYaml(text, "k.yaml"), warnings)) lines.push_back(describe(problem));
  } catch (const Problems& problems) {
    for (const auto& problem : problems.list()) lines.push_back(describe(problem));
  }
  return join(lines, "\n");
}

std::string deep(int levels) {
  std::string text = "featureGates: ";
  for (int i = 0; i < levels; ++i) text += "{a: ";
  return text + "1" + std::string(static_cast<std::size_t>(levels), '}') + "\n";
}

std::string bomb() {
  std::string text = "x0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 9; ++i) {
    text += fmt::format("x{}: &a{} [", i, i);
    for (int j = 0; j < 10; ++j) text += fmt::format("{}*a{}", j ? ", " : "", i - 1);
    text += "]\n";
  }
  return text;
}

} // namespace

TEST_CASE("forms of a file that are read") {
  const std::string good = cluster("clusterName: blue\nnetworking:\n  podSubnet: 10.244.0.0/16\n");
  CHECK(answer(good) == "");
  CHECK(answer("\xef\xbb\xbf" + good) == "");
  CHECK(answer(replaceAll(good, "\n", "\r\n")) == "");
  CHECK(answer("---\n" + good + "---\n---\n# nothing but a comment\n---\n" + init("") + "...\n---\n") == "");
  CHECK(answer(R"({"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "networking": {"podSubnet": "10.244.0.0/16"}})") == "");
  CHECK(answer(cluster("apiServer: {certSANs: &names [a.example.org]}\netcd: {local: {serverCertSANs: *names}}\n")) == "");
  CHECK(answer("") == "");
}

TEST_CASE("forms of a file that are refused, with their places") {
  struct Row {
    std::string text, answer;
  };
  const Row rows[] = {
      {cluster("clusterName: a\nclusterName: b\n"), "k.yaml:4:1: clusterName: the key \"clusterName\" is given twice, before on line 3"},
      {cluster("networking:\n  dnsDomain: a\n  dnsDomain: b\n"), "k.yaml:5:3: networking.dnsDomain: the key \"dnsDomain\" is given twice, before on line 4"},
      {cluster("apiServer: &a {certSANs: [a]}\nscheduler: {<<: *a}\n"), "k.yaml:4:13: scheduler: merge keys (<<) are not supported"},
      {cluster("networking:\n\tdnsDomain: a\n"), "k.yaml:4:1: "},
      {cluster("kubernetesVersion: 1.37\n"), "k.yaml:3:1: kubernetesVersion: 1.37 is a number (expected text; put it in quotes)"},
      {cluster("kubernetesVersion: \"1.37\"\n"), "k.yaml:3:1: kubernetesVersion: \"1.37\" is not a version"},
      {kubelet("maxPods: 0644\n"), "k.yaml:3:10: maxPods: "},
      {cluster("proxy: {disabled: yes}\n"), "k.yaml:3:9: proxy.disabled: \"yes\" is text (expected true or false)"},
      {cluster(bomb()), "k.yaml:"},
      {cluster(deep(101)), "k.yaml:3:"},
      {cluster("clusterName: \xff\n"), "k.yaml:3:"},
      {cluster("networking: {podSubnet: [}\n"), "k.yaml:3:"},
      {"[1, 2]\n", "k.yaml:1:1: the document does not say what it is"},
      {"text\n", "k.yaml:1:1: the document does not say what it is"},
      {"apiVersion: 1\nkind: ClusterConfiguration\n", "k.yaml:1:1: the document does not say what it is"},
      {R"({"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "networkin": {}})",
       "k.yaml:1:74: networkin: unknown field; did you mean \"networking\"?"},
      {stream({cluster(""), cluster("")}), "k.yaml:4:1: kind: a second ClusterConfiguration; the first stands at k.yaml:1:1"},
      {"apiVersion: example.org/v1\nkind: Thing\n", "k.yaml:1:1: apiVersion: example.org/v1 Thing is unknown here"},
  };
  for (const auto& row : rows) {
    const auto said = answer(row.text);
    CHECK_MESSAGE(said.starts_with(row.answer), "\n" << said << "\ninstead of\n" << row.answer);
    CHECK_MESSAGE(said.size() < 20000, said.size());
  }
}

TEST_CASE("a key of a megabyte is refused in a line that can be read") {
  const auto said = answer("? " + std::string(1'000'000, 'a') + "\n: 1\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n");
  CHECK(said == "k.yaml:1:3: " + std::string(60, 'a') + "...: unknown field");
}

TEST_CASE("every field of every kind has a type, a meaning and the version that brought it") {
  const std::function<void(const schema::Type&, const std::string&, bool)> visit = [&](const schema::Type& type, const std::string& path,
                                                                                       bool ours) {
    for (const auto& field : type.fields) {
      const std::string at = path + "." + std::string(field.name);
      const auto text = explain(at);
      CHECK_MESSAGE(text.find("  type:    ") != std::string::npos, at);
      if (ours) CHECK_MESSAGE((!field.doc.empty() && text.find(field.doc) != std::string::npos), at);
      if (ours) CHECK_MESSAGE((!field.since.empty() && text.find(field.since) != std::string::npos), at);
      if (!field.otherwise.empty()) CHECK_MESSAGE(text.find(field.otherwise) != std::string::npos, at);
      const auto* below = field.type;
      while (below->item) below = below->item;
      if (below->kind == schema::Kind::record) visit(*below, at, ours);
    }
  };
  // The components' own documents are explained by the components; here their fields only have a type.
  for (const auto& kind : documentKinds())
    visit(*kind.type, std::string(kind.kind), kind.apiVersion.starts_with("kubeadm.") || kind.apiVersion.starts_with("kubestrap."));
}

} // namespace kubestrap::config
