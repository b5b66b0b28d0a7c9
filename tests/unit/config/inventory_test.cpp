#include "config/inventory.hpp"

#include "config/cloud_init.hpp"
#include "tests/unit/config/fixture.hpp"

namespace kubestrap::config {

namespace {

std::string inventoryOf(const std::string& body) { return "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\n" + body; }

const std::string three = "hosts:\n"
                          "- {name: n1, address: 10.0.0.11, role: control-plane}\n"
                          "- {name: w1, address: 10.0.0.51, role: worker, ssh: {user: admin, port: 2222}, labels: {disk: ssd}, taints: []}\n"
                          "- {name: n2, address: 10.0.0.12, role: control-plane}\n"
                          "- {name: n3, address: 10.0.0.13, role: control-plane}\n";

ClusterFile fileOf(const std::string& yaml, Lines* warnings = nullptr) {
  Lines ignored;
  return loadClusterFile(documents(yaml), counting(), warnings ? *warnings : ignored);
}

Lines problemsOfFile(const std::string& yaml) {
  Lines lines;
  try {
    fileOf(yaml);
  } catch (const Problems& problems) {
    for (const auto& problem : problems.list()) lines.push_back(describe(problem));
  }
  return lines;
}

} // namespace

TEST_CASE("a file of machines with kubeadm's documents beside it") {
  const auto file = fileOf(stream({inventoryOf("metadata: {name: blue}\nssh: {user: root, identityFile: key}\nbundle: b.bundle\n" + three),
                                   cluster("kubernetesVersion: v1.37.2\nnetworking: {podSubnet: 10.244.0.0/16}\n"), kubestrap("endpoint: {mode: local}\n")}));
  CHECK(file.name == "blue");
  CHECK(file.inventory.hosts.size() == 4);
  CHECK(file.first().name == "n1");
  CHECK(file.find("w1")->ssh->port == 2222);
  CHECK(file.find("w1")->labels.at("disk") == "ssd");
  CHECK(file.find("w9") == nullptr);
  CHECK(file.documents.size() == 2);
  CHECK(file.endpoint == "10.0.0.11:6443");
}

TEST_CASE("a file of machines alone will do; the cluster is called as kubeadm calls it") {
  const auto file = fileOf(inventoryOf(three));
  CHECK(file.name == "kubernetes");
  CHECK(fileOf(stream({inventoryOf(three), cluster("controlPlaneEndpoint: api.example.org\n")})).endpoint == "api.example.org:6443");
}

TEST_CASE("all that is wrong with the machines is told at once") {
  CHECK(problemsOfFile(inventoryOf("hostss: []\nhosts:\n"
                                   "- {name: N1, address: 10.0.0.300, role: master, color: red}\n"
                                   "- {name: w1, address: 10.0.0.51, role: worker, ssh: {user: -oProxyCommand=x}}\n"
                                   "- {name: w1, address: 10.0.0.51, role: worker}\n")) ==
        Lines{"k.yaml:3:1: hostss: unknown field; did you mean \"hosts\"?",
              "k.yaml:5:4: hosts[0].name: \"N1\" is not a DNS name (expected lower-case letters, digits, dashes and dots, like example.org)",
              "k.yaml:5:14: hosts[0].address: \"10.0.0.300\" is not an IP address (expected an address like 10.0.0.11 or fd00::11)",
              "k.yaml:5:35: hosts[0].role: \"master\" is not known (expected one of control-plane, worker)",
              "k.yaml:5:49: hosts[0].color: unknown field",
              "k.yaml:6:54: hosts[1].ssh.user: \"-oProxyCommand=x\" is not a name that ssh takes (expected a host, address or user without spaces and quotes)",
              "k.yaml:7:4: hosts[2].name: w1 is that of hosts[1], too (expected each of them once)",
              "k.yaml:7:14: hosts[2].address: 10.0.0.51 is that of hosts[1], too (expected each of them once)",
              "k.yaml:4:1: hosts: none of them is a control plane (expected one host, or three, of role control-plane)"});
}

TEST_CASE("an item of hosts that is no mapping counts where another is pointed to") {
  CHECK(problemsOfFile(inventoryOf("hosts:\n- n0\n"
                                   "- {name: n1, address: 10.0.0.11, role: control-plane}\n"
                                   "- {name: n1, address: '::ffff:10.0.0.11', role: worker}\n")) ==
        Lines{"k.yaml:4:3: hosts[0]: \"n0\" is text (expected a mapping)", "k.yaml:6:4: hosts[2].name: n1 is that of hosts[1], too (expected each of them once)",
              "k.yaml:6:14: hosts[2].address: 10.0.0.11 is that of hosts[1], too (expected each of them once)"});
}

TEST_CASE("the other documents are judged as init judges them, and none may be missing that says who they are") {
  CHECK(problemsOfFile(stream({inventoryOf(three), cluster("networking: {podSubnet: 10.244.0.0/33}\n")})).size() == 1);
  CHECK(problemsOfFile(cluster("kubernetesVersion: v1.37.2\n")) ==
        Lines{"k.yaml:1:1: kind: there is no document of kind Cluster (expected apiVersion: kubestrap.io/v1alpha1 and kind: Cluster, with hosts)"});
  CHECK(problemsOfFile(stream({inventoryOf(three), "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n"})).size() == 1);
  CHECK(problemsOfFile(stream({inventoryOf(three), kubestrap("bundle: /b.bundle\n")})) ==
        Lines{"k.yaml:11:1: bundle: is of one machine here, and would be the first one's only (expected bundle in the Cluster, which is of all machines)"});
}

TEST_CASE("the example of the documentation is right") {
  std::ifstream stream(KUBESTRAP_SOURCE_DIR "/docs/examples/cluster.yaml");
  std::stringstream text;
  text << stream.rdbuf();
  const auto file = fileOf(text.str());
  CHECK(file.name == "hall-1");
  CHECK(file.version == "v1.37.2");
}

TEST_CASE("paths are from the file's folder, and ~ is a home, which ssh -F does not know") {
  auto inventory = fileOf(inventoryOf("ssh: {configFile: ~/x, identityFile: keys/a}\nbinary: ~nobody/b\nimage: /opt/i\nhosts:\n"
                                      "- {name: n1, address: 10.0.0.11, role: control-plane, ssh: {identityFile: ~/.ssh/id}}\n")).inventory;
  resolvePaths(inventory, "/desk", "/home/me");
  CHECK(inventory.ssh->configFile == "/home/me/x");
  CHECK(inventory.ssh->identityFile == "/desk/keys/a");
  CHECK(inventory.hosts[0].ssh->identityFile == "/home/me/.ssh/id");
  CHECK(inventory.binary == "~nobody/b"); // somebody else's home is for those who know it
  CHECK(inventory.image == "/opt/i");
  CHECK(inventory.bundle.empty());
}

TEST_CASE("a file may have a program, an image and a bundle for each architecture that machines may be of") {
  const std::string one = "hosts: [{name: n1, address: 10.0.0.11, role: control-plane}]\n";
  auto inventory = fileOf(inventoryOf("architectures: {arm64: {binary: arm/kubestrap, bundle: arm.bundle}}\n" + one)).inventory;
  CHECK(bringsBundle(inventory));
  CHECK_FALSE(bringsBundle(fileOf(inventoryOf("architectures: {arm64: {binary: b}}\n" + one)).inventory));
  resolvePaths(inventory, "/desk", "/home/me");
  CHECK(Lines{inventory.architectures.at("arm64").binary, inventory.architectures.at("arm64").image, inventory.architectures.at("arm64").bundle} == Lines{"/desk/arm/kubestrap", "", "/desk/arm.bundle"});
  CHECK(problemsOfFile(inventoryOf("architectures: {aarch64: {binary: b}}\n" + one)) ==
        Lines{"k.yaml:3:17: architectures.aarch64: is no architecture that is known (expected one of amd64, arm64, s390x, ppc64le)"});
  CHECK(problemsOfFile(inventoryOf("architectures: {arm64: {bundle: b}}\n" + one)).size() == 1); // without a program
}

TEST_CASE("a machine is reached by its own settings before those for all, and by itself at its address") {
  const auto inventory = fileOf(inventoryOf("ssh: {user: root, identityFile: key}\n" + three)).inventory;
  const auto all = sshOf(inventory, inventory.hosts[0]), own = sshOf(inventory, inventory.hosts[1]);
  CHECK(Lines{all.host, all.user, all.identityFile, std::to_string(all.port)} == Lines{"10.0.0.11", "root", "key", "0"});
  CHECK(Lines{own.host, own.user, own.identityFile, std::to_string(own.port)} == Lines{"10.0.0.51", "admin", "key", "2222"});
}

TEST_CASE("an even number of control planes is pointed out") {
  Lines warnings;
  fileOf(inventoryOf("hosts:\n- {name: n1, address: 10.0.0.11, role: control-plane}\n- {name: n2, address: 10.0.0.12, role: control-plane}\n"), &warnings);
  CHECK(warnings.front() == "2 control planes: etcd stops when 1 of them is lost, as with 1; an odd number bears more");
}

TEST_CASE("init is given the file's documents with what is the machine's own") {
  const auto file = fileOf(stream({inventoryOf(three), cluster("kubernetesVersion: v1.37.2\n"),
                                   init("nodeRegistration: {criSocket: unix:///run/x.sock, kubeletExtraArgs: [{name: v, value: '2'}]}\n")}));
  const auto documents = initDocuments(file, file.first());
  REQUIRE(documents.size() == 2);
  CHECK(documents[0]["nodeRegistration"] == Value{{"criSocket", "unix:///run/x.sock"},
                                                  {"kubeletExtraArgs", {{{"name", "v"}, {"value", "2"}}, {{"name", "node-ip"}, {"value", "10.0.0.11"}}}},
                                                  {"name", "n1"}});
  CHECK(documents[0]["localAPIEndpoint"]["advertiseAddress"] == "10.0.0.11");
  CHECK(documents[1]["kind"] == "ClusterConfiguration");
}

TEST_CASE("kubelets are told the address of their machine, where the file tells them no other") {
  CHECK_FALSE(saysNodeIp(fileOf(inventoryOf(three))));
  CHECK_FALSE(saysNodeIp(fileOf(stream({inventoryOf(three), init("nodeRegistration: {kubeletExtraArgs: [{name: v, value: '2'}]}\n")}))));
  CHECK(saysNodeIp(fileOf(stream({inventoryOf(three), init("nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: '::'}]}\n")}))));
}

TEST_CASE("a machine's taints are its own, or those for all, or nobody's business") {
  const auto plain = fileOf(inventoryOf(three));
  CHECK_FALSE(taintsOf(plain, plain.first()));
  CHECK(taintsOf(plain, *plain.find("w1"))->empty());
  const auto file = fileOf(stream({inventoryOf(three), init("nodeRegistration: {taints: [{key: a, effect: NoSchedule}]}\n")}));
  REQUIRE(taintsOf(file, file.first()));
  CHECK(stringAt(taintsOf(file, file.first())->front(), "key") == "a");
  CHECK(taintsOf(file, *file.find("w1"))->empty());
}

TEST_CASE("a control plane that stands is given the settings of the file, without version and add-ons") {
  const auto file = fileOf(stream({inventoryOf(three), cluster("kubernetesVersion: v1.37.2\nnetworking: {podSubnet: 10.244.0.0/16}\n"), init(""),
                                   "apiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\naddons: [{name: metrics-server, source: /m.yaml}]\n"}));
  const auto documents = settingsDocuments(file);
  REQUIRE(documents.size() == 2);
  CHECK(documents.front() == Value{{"apiVersion", "kubeadm.k8s.io/v1beta4"}, {"kind", "ClusterConfiguration"}, {"networking", {{"podSubnet", "10.244.0.0/16"}}}});
  CHECK(documents.back() == Value{{"apiVersion", "kubestrap.io/v1alpha1"}, {"kind", "KubestrapConfiguration"}});
  REQUIRE(addonsDocument(file));
  CHECK(stringAt(addonsDocument(file)->at("addons")[0], "name") == "metrics-server");
  CHECK(addonsDocument(file)->size() == 3);
  CHECK_FALSE(addonsDocument(fileOf(stream({inventoryOf(three), kubestrap("endpoint: {mode: local}\n")}))));
}

TEST_CASE("a file may ask for a control plane in its own cluster, which neither init nor reconfigure is told in a document") {
  const auto file = fileOf(stream({inventoryOf(three), cluster(""), kubestrap("hosting: self\nendpoint: {mode: local}\n")}));
  CHECK(file.selfHosted);
  const auto given = initDocuments(file, file.first()).back();
  CHECK_FALSE(given.contains("hosting"));
  CHECK(given["layout"] == "hosted");
  CHECK_FALSE(settingsDocuments(file).back().contains("hosting"));
  CHECK_FALSE(settingsDocuments(file).back().contains("layout"));
  CHECK(stringAt(file.documents.back().value, "hosting") == "self"); // as it stands in the file
  CHECK(cloudInit(file, file.first(), {}).find("kubestrap init --self-hosted --config") != std::string::npos);
  CHECK(cloudInit(file, *file.find("w1"), {}).find("--self-hosted") == std::string::npos);

  const auto still = fileOf(stream({inventoryOf(three), cluster(""), kubestrap("hosting: static\n")}));
  CHECK_FALSE(still.selfHosted);
  CHECK_FALSE(settingsDocuments(still).back().contains("hosting")); // of one that has pivoted that is not undone
  CHECK(problemsOfFile(stream({inventoryOf(three), kubestrap("hosting: self\nlayout: plain\n")})).front().find("self goes with layout hosted only") != std::string::npos);
  CHECK(problemsOfFile(stream({inventoryOf(three), kubestrap("hosting: self\nendpoint: {mode: external}\n")})).size() > 0);
}

TEST_CASE("join goes by the registration of the file, too, and a control plane gets its address and key") {
  const auto file = fileOf(stream({inventoryOf(three), init("localAPIEndpoint: {bindPort: 7443}\nnodeRegistration: {criSocket: unix:///run/x.sock}\n")}));
  const Value discovery{{"file", {{"kubeConfigPath", "/x"}}}};
  const auto worker = joinDocument(file, *file.find("w1"), discovery, "key");
  CHECK(worker["nodeRegistration"]["criSocket"] == "unix:///run/x.sock");
  CHECK(worker["nodeRegistration"]["taints"] == Value::array());
  CHECK(worker["discovery"] == discovery);
  CHECK_FALSE(worker.contains("controlPlane"));
  CHECK(joinDocument(file, *file.find("n2"), discovery, "key")["controlPlane"] ==
        Value{{"localAPIEndpoint", {{"advertiseAddress", "10.0.0.12"}, {"bindPort", 7443}}}, {"certificateKey", "key"}});
}

TEST_CASE("cloud-init's user data has the configuration and the step, and no secret but what was given") {
  const auto file = fileOf(stream({inventoryOf(three), cluster("kubernetesVersion: v1.37.2\n")}));
  const auto parsed = [](const std::string& text) {
    CHECK(text.starts_with("#cloud-config\n"));
    return parseYamlValue(text, "user data");
  };
  const auto first = parsed(cloudInit(file, file.first(), {}));
  CHECK(first["write_files"][0]["path"] == "/etc/kubestrap/init.yaml");
  CHECK(first["write_files"][0]["permissions"] == "0600");
  const auto documents = parseYaml(first["write_files"][0]["content"].get<std::string>(), "init.yaml");
  REQUIRE(documents.size() == 2);
  CHECK(load(first["write_files"][0]["content"].get<std::string>()).node.name == "n1");
  CHECK(first["runcmd"] == Value{{"kubestrap", "preflight", "init", "--fix", "--config", "/etc/kubestrap/init.yaml"}, "kubestrap init --config /etc/kubestrap/init.yaml"});

  auto without = file;
  without.inventory.offline = true;
  CHECK(parsed(cloudInit(without, without.first(), {}))["runcmd"] ==
        Value{{"kubestrap", "preflight", "init", "--fix", "--config", "/etc/kubestrap/init.yaml", "--offline"}, "kubestrap init --offline --config /etc/kubestrap/init.yaml"});

  const auto worker = parsed(cloudInit(file, *file.find("w1"), {}));
  CHECK(parseYamlValue(worker["write_files"][0]["content"].get<std::string>(), "join.yaml")["discovery"] == Value{{"file", {{"kubeConfigPath", "/etc/kubestrap/discovery.conf"}}}});
  CHECK(worker["runcmd"][1] == "kubestrap join --config /etc/kubestrap/join.yaml && rm -f /etc/kubestrap/join.yaml");

  const auto given = parsed(cloudInit(file, *file.find("n2"), {.token = Secret("abcdef.0123456789abcdef"), .certificateKey = Secret(std::string(64, 'a')), .caCertHashes = {"sha256:" + std::string(64, 'b')}}));
  const auto join = given["write_files"][0]["content"].get<std::string>();
  Lines warnings;
  CHECK(validateDocuments(parseYaml(join, "join.yaml"), warnings).empty());
  CHECK(parseYamlValue(join, "join.yaml")["controlPlane"]["certificateKey"] == std::string(64, 'a'));
}

} // namespace kubestrap::config
