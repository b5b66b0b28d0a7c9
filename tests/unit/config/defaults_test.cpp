#include "config/defaults.hpp"
#include "config/kinds.hpp"
#include "fixture.hpp"

namespace kubestrap::config {

namespace {

void forEachField(const schema::Type& type, const std::function<void(const schema::Field&)>& visit) {
  for (const auto& field : type.fields) {
    visit(field);
    const schema::Type* below = field.type;
    while (below->item) below = below->item;
    forEachField(*below, visit);
  }
}

} // namespace

TEST_CASE("printed defaults are kubeadm's, but for the version and the kind of keys") {
  const auto kubeadm = documents(dataFile("init-defaults-components.yaml"));
  const auto ours = initDefaults();
  REQUIRE(ours.size() == 2);
  CHECK(ours[0] == kubeadm[0].value);
  auto cluster = kubeadm[1].value;
  cluster["encryptionAlgorithm"] = "ECDSA-P256";
  cluster["kubernetesVersion"] = "1.37.2";
  CHECK(ours[1] == cluster);
  CHECK(componentDefaults() == std::vector<Value>{kubeadm[2].value, kubeadm[3].value});
  CHECK(emitYaml(joinDefaults("n1")) == dataFile("join-defaults.yaml"));
  CHECK(emitYaml(resetDefaults()) == dataFile("reset-defaults.yaml"));
  CHECK(emitYaml(upgradeDefaults()) == dataFile("upgrade-defaults.yaml"));
}

TEST_CASE("every default keeps its own field's rule") {
  for (const auto& kind : documentKinds())
    forEachField(*kind.type, [](const schema::Field& field) {
      if (field.otherwise.empty() || !field.rule) return;
      std::vector<Problem> problems;
      const schema::Field row[] = {field};
      const schema::Type type{.kind = schema::Kind::record, .fields = row};
      schema::check(Value{{std::string(field.name), schema::defaultValue(*field.type, field.otherwise)}}, type,
                    {.where = {}, .problems = problems});
      CHECK_MESSAGE(problems.empty(), field.name);
    });
}

TEST_CASE("every field of kubeadm's and our own kinds has a sentence that explains it") {
  for (const auto& kind : documentKinds()) {
    if (kind.type == findKind("KubeletConfiguration")->type || kind.type == findKind("KubeProxyConfiguration")->type)
      continue;
    forEachField(*kind.type, [](const schema::Field& field) { CHECK_MESSAGE(field.doc.ends_with('.'), field.name); });
  }
}

TEST_CASE("explain tells type, default and meaning, and lists the fields of a record") {
  const auto text = explain("ClusterConfiguration.networking.serviceSubnet");
  CHECK(text.starts_with("ClusterConfiguration.networking.serviceSubnet  (kubeadm.k8s.io/v1beta4)\n"));
  CHECK(text.find("default: 10.96.0.0/12") != std::string::npos);
  CHECK(explain("networking.serviceSubnet") == text);
  CHECK(explain("encryptionAlgorithm").find("one of RSA-2048, RSA-3072") != std::string::npos);
  CHECK(explain("ClusterConfiguration.apiServer.extraVolumes").find("mountPath") != std::string::npos);
  CHECK(explain("pki.autoRenew").find("reserved: comes with a later version") != std::string::npos);
}

TEST_CASE("explain of a component's field tells what is filled in for it, and who says what it means") {
  const auto text = explain("KubeletConfiguration.authentication.anonymous.enabled");
  CHECK(text.find("default: false") != std::string::npos);
  CHECK(text.find("https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/") != std::string::npos);
  CHECK(explain("KubeletConfiguration.clusterDNS").find("default: [\"10.96.0.10\"]") != std::string::npos);
  CHECK(explain("KubeProxyConfiguration.mode").find("default: iptables") != std::string::npos);
  CHECK(explain("KubeletConfiguration").find("10.96.0.10") != std::string::npos);
  CHECK(explain("KubeletConfiguration.maxPods").find("default") == std::string::npos); // left to the kubelet
  CHECK(explain("KubeletConfiguration.syncFrequency").find("default") == std::string::npos);
}

TEST_CASE("explain of a wrong path names the nearest") {
  try {
    explain("ClusterConfiguration.networking.podSubnett");
    FAIL("the path was found");
  } catch (const Error& error) {
    CHECK(error.message() == "ClusterConfiguration.networking has no field \"podSubnett\"");
    CHECK(error.hint() == "did you mean \"podSubnet\"?");
  }
  CHECK_THROWS_AS(explain(""), Error);
  CHECK_THROWS_AS(explain("nothingLikeThis"), Error);
}

} // namespace kubestrap::config
