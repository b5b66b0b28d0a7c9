#include "config/kinds.hpp"
#include "fixture.hpp"

namespace kubestrap::config {

TEST_CASE("an unknown field is named with its place and the nearest known one") {
  CHECK(problemOf(cluster("networking:\n  podSubnett: 10.244.0.0/16\n")) ==
        "k.yaml:4:3: networking.podSubnett: unknown field; did you mean \"podSubnet\"?");
  CHECK(problemOf(cluster("clustername: x\n")) ==
        "k.yaml:3:1: clustername: unknown field; did you mean \"clusterName\"?");
}

TEST_CASE("a field that was put a level too high is told where it belongs") {
  CHECK(problemOf(cluster("podSubnet: 10.244.0.0/16\n")) ==
        "k.yaml:3:1: podSubnet: unknown field; it belongs into \"networking\"");
}

TEST_CASE("everything that is wrong is told at once, over all documents") {
  const auto lines = problemsOf(stream(
      {init("localAPIEndpoint:\n  advertiseAddress: nowhere\n  bindPort: \"6443\"\nnodeRegistration:\n  name: "
            "Under_score\n"),
       cluster("kubernetesVersion: 1.37\nnetworking:\n  podSubnet: 10.244.0.0/33\nencryptionAlgorithm: ECDSA-P521\n"),
       kubelet("failSwapOnn: false\n")}));
  CHECK(lines == Lines{"k.yaml:4:3: localAPIEndpoint.advertiseAddress: \"nowhere\" is not an IP address (expected an "
                       "address like 10.0.0.11 or fd00::11)",
                       "k.yaml:5:3: localAPIEndpoint.bindPort: \"6443\" is text (expected a whole number)",
                       "k.yaml:7:3: nodeRegistration.name: \"Under_score\" is not a node name (expected a DNS name of "
                       "letters, digits, dashes and dots, like worker-1)",
                       "k.yaml:11:1: kubernetesVersion: 1.37 is a number (expected text; put it in quotes)",
                       "k.yaml:14:1: encryptionAlgorithm: \"ECDSA-P521\" is not known (expected one of RSA-2048, "
                       "RSA-3072, RSA-4096, ECDSA-P256, ECDSA-P384)",
                       "k.yaml:18:1: failSwapOnn: unknown field; did you mean \"failSwapOn\"?",
                       "k.yaml:13:3: networking.podSubnet: \"10.244.0.0/33\" is not an address range (expected a range "
                       "like 10.244.0.0/16, or an IPv4 and an IPv6 one with a comma between)"});
}

TEST_CASE("values of another type than the field's are refused") {
  struct Row {
    std::string document, problem;
  };
  const Row rows[] = {
      {cluster("clusterName: true\n"), "clusterName: true is true or false (expected text; put it in quotes)"},
      {cluster("proxy:\n  disabled: \"no\"\n"), "proxy.disabled: \"no\" is text (expected true or false)"},
      {cluster("networking: 10.0.0.0/8\n"),
       "networking: \"10.0.0.0/8\" is text (expected a mapping with serviceSubnet, podSubnet, dnsDomain)"},
      {cluster("apiServer:\n  extraArgs: {v: \"5\"}\n"),
       "apiServer.extraArgs: a mapping stands here (expected a list of mappings with name, value)"},
      {cluster("apiServer:\n  extraArgs:\n  - {name: v, value: 5}\n"),
       "apiServer.extraArgs[0].value: 5 is a number (expected text; put it in quotes)"},
      {cluster("apiServer:\n  certSANs: a.example.org\n"),
       "apiServer.certSANs: \"a.example.org\" is text (expected a list of text)"},
      {cluster("certificateValidityPeriod: 8760\n"),
       "certificateValidityPeriod: 8760 is a number (expected a duration like 1h30m)"},
      {cluster("certificateValidityPeriod: a year\n"),
       "certificateValidityPeriod: \"a year\" is not a duration like 1h30m"},
      {init("bootstrapTokens:\n- expires: tomorrow\n"),
       "bootstrapTokens[0].expires: \"tomorrow\" is not a time like 2026-11-22T18:46:44Z"},
      {kubelet("maxPods: many\n") + "---\n" + cluster(""), "maxPods: \"many\" is text (expected a whole number)"},
  };
  for (const auto& row : rows) {
    const auto line = problemOf(row.document);
    CHECK_MESSAGE(line.ends_with(": " + row.problem), line);
  }
}

TEST_CASE("a duplicate key is an error that names both places") {
  Lines lines;
  try {
    documents(cluster("clusterName: a\nclusterName: b\n"));
  } catch (const Problems& problems) {
    for (const auto& problem : problems.list()) lines.push_back(describe(problem));
  }
  REQUIRE(lines.size() == 1);
  CHECK(lines.front().starts_with("k.yaml:4:1: "));
  CHECK(lines.front().find("clusterName") != std::string::npos);
}

TEST_CASE("the order of documents does not matter, null and empty values count as not given") {
  const auto a = init("nodeRegistration: {name: first}\n"),
             b = cluster("clusterName: blue\nnetworking: {podSubnet: null, dnsDomain: \"\"}\n");
  for (const auto& text : {stream({a, b}), stream({b, a})}) {
    const auto setup = load(text);
    CHECK(setup.node.name == "first");
    CHECK(setup.cluster.name == "blue");
    CHECK(setup.cluster.networks.pods.empty());
    CHECK(setup.cluster.networks.dnsDomain == "cluster.local");
  }
}

TEST_CASE("JSON is read as YAML is") {
  CHECK(load(R"({"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "clusterName": "blue"})")
            .cluster.name == "blue");
}

TEST_CASE("a kind may stand in a file once") {
  CHECK(problemOf(stream({cluster("clusterName: a\n"), cluster("clusterName: b\n")})) ==
        "k.yaml:5:1: kind: a second ClusterConfiguration; the first stands at k.yaml:1:1 (expected one document of "
        "each kind)");
}

TEST_CASE("a document that does not say what it is, or is of an unknown kind or old version, is refused") {
  CHECK(problemOf("networking: {}\n") ==
        "k.yaml:1:1: the document does not say what it is (expected apiVersion and kind, as text)");
  CHECK(problemOf("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfig\n") ==
        "k.yaml:2:1: kind: ClusterConfig is not a kind of kubeadm.k8s.io/v1beta4 (expected one of InitConfiguration, "
        "ClusterConfiguration, "
        "JoinConfiguration, ResetConfiguration, UpgradeConfiguration)");
  CHECK(problemOf("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfigration\n")
            .starts_with("k.yaml:2:1: kind: unknown kind InitConfigration; did you mean InitConfiguration?"));
  CHECK(problemOf("apiVersion: kubelet.config.k8s.io/v1beta4\nkind: KubeletConfiguration\n") ==
        "k.yaml:1:1: apiVersion: KubeletConfiguration is not of kubelet.config.k8s.io/v1beta4 (expected "
        "kubelet.config.k8s.io/v1beta1)");
  CHECK(problemOf("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n") ==
        "k.yaml:1:1: apiVersion: kubeadm.k8s.io/v1beta3 is an old version of ClusterConfiguration, last read by "
        "kubeadm v1.36 (expected "
        "kubeadm.k8s.io/v1beta4; kubestrap config migrate converts the file)");
  CHECK(problemOf("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n")
            .ends_with("(expected kubeadm.k8s.io/v1beta4; kubeadm v1.22 config migrate converts the file to the next one)"));
  CHECK(problemOf("apiVersion: kubeadm.k8s.io/v1\nkind: ClusterConfiguration\n") ==
        "k.yaml:1:1: apiVersion: kubeadm.k8s.io/v1 is experimental (expected kubeadm.k8s.io/v1beta4)");
}

TEST_CASE("documents of other makers and for other commands are passed over with a warning, but checked when known") {
  const std::string foreign = "apiVersion: example.org/v1\nkind: Thing\n";
  const std::string join =
      "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  file: {kubeConfigPath: /x}\n";
  const auto warnings = warningsOf(stream({cluster(""), foreign, join}));
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0] == "k.yaml:4:1: example.org/v1 Thing is nothing that kubestrap knows, and is ignored");
  CHECK(warnings[1].ends_with("JoinConfiguration is not for init, and is ignored"));
  CHECK(problemOf(stream({cluster(""), join + "  fil: {}\n"}))
            .ends_with("discovery.fil: unknown field; did you mean \"file\"?"));
}

TEST_CASE("a file without anything for init is refused") {
  InitFlags flags;
  flags.configFile = "empty.yaml";
  CHECK(problemOf("", flags) ==
        "empty.yaml: there is nothing for init in this file (expected InitConfiguration or ClusterConfiguration)");
}

TEST_CASE("fields of KubestrapConfiguration that do nothing yet are refused with what they will come with") {
  CHECK(problemOf(kubestrap("pki:\n  autoRenew: {enabled: true}\n")) ==
        "k.yaml:4:3: pki.autoRenew: reserved: this field comes with a later version and does nothing yet (expected no "
        "such field)");
  CHECK(problemOf(kubestrap("layout: flat\n")) == "k.yaml:3:1: layout: \"flat\" is not known (expected one of plain, hosted)");
}

TEST_CASE("a bundle and being offline are of the machine that init runs on, and not of the cluster") {
  CHECK(problemOf(stream({cluster(""), kubestrap("bundle: b.bundle\n")})).find("bundle: \"b.bundle\"") != std::string::npos); // relative to what?
  const auto setup = load(stream({cluster(""), kubestrap("bundle: /root/b.bundle\noffline: true\n")}));
  const auto kept = kubestrapConfigurationDocument(setup.cluster);
  CHECK_FALSE(kept.contains("bundle"));
  CHECK_FALSE(kept.contains("offline"));
}

TEST_CASE("what a layout needs is said where something else was asked for") {
  const auto with = [](const std::string& text) { return problemOf(stream({cluster(""), kubestrap(text)})); };
  CHECK(with("hosting: self\n").find("self is what pivot makes of a cluster, which begins with static pods") != std::string::npos);
  CHECK(with("layout: hosted\nendpoint: {mode: single}\n").find("\"single\" does not go with layout hosted") != std::string::npos);
}

namespace {

/// Puts each kind of value at every place that the schema knows, two list items deep, and hands the documents to
/// `visit`.
void misshape(const Value& document, const std::string& pointer, const schema::Type& type,
              const std::function<void(const Value&)>& visit) {
  static const Value shapes[] = {
      nullptr, true, -1, 1.5, "", "x", Value::array(), Value::object(), Value::array({nullptr, 1, "x"})};
  for (const Value& shape : shapes) {
    Value changed = document;
    changed[Pointer(pointer)] = shape;
    visit(changed);
  }
  Value deeper = document;
  const schema::Type* below = &type;
  std::string at = pointer;
  if (type.kind == schema::Kind::list) {
    deeper[Pointer(pointer)] = Value::array({Value::object()});
    below = type.item;
    at += "/0";
  }
  if (below->kind == schema::Kind::record)
    for (const auto& field : below->fields) misshape(deeper, at + "/" + std::string(field.name), *field.type, visit);
}

} // namespace

TEST_CASE("whatever stands at a field, the answer is a setup or a list of problems") {
  int loaded = 0, refused = 0;
  for (const auto& kind : documentKinds())
    for (const auto& field : kind.type->fields)
      misshape({{"apiVersion", std::string(kind.apiVersion)}, {"kind", std::string(kind.kind)}},
               "/" + std::string(field.name), *field.type, [&](const Value& value) {
                 const std::vector<Document> file{{value, "k.yaml", {}}};
                 Lines warnings;
                 try {
                   loadInit(file, {}, machine(), counting(), warnings);
                   ++loaded;
                 } catch (const Problems& problems) {
                   CHECK(!problems.list().empty());
                   ++refused;
                 }
                 validateDocuments(file, warnings);
               });
  CHECK(loaded > 100);
  CHECK(refused > 1000);
}

} // namespace kubestrap::config
