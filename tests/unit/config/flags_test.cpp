#include "fixture.hpp"

namespace kubestrap::config {

TEST_CASE("flags alone say what a file would say") {
  InitFlags flags;
  flags.apiserverAdvertiseAddress = "10.0.0.7";
  flags.apiserverBindPort = 7443;
  flags.apiserverCertExtraSans = Lines{"API.example.org"};
  flags.certDir = "/srv/pki";
  flags.certificateKey = std::string(64, 'a');
  flags.controlPlaneEndpoint = "api.example.org";
  flags.criSocket = "unix:///run/crio.sock";
  flags.featureGates = "";
  flags.imageRepository = "mirror.example.org";
  flags.kubernetesVersion = "1.36.3";
  flags.nodeName = "first";
  flags.patches = "/srv/patches";
  flags.podNetworkCidr = "10.10.0.0/16";
  flags.serviceCidr = "10.20.0.0/16";
  flags.serviceDnsDomain = "example.local";
  flags.skipPhases = Lines{"preflight"};
  flags.token = "abcdef.0123456789abcdef";
  flags.tokenTtl = "2h";
  flags.ignorePreflightErrors = Lines{"Swap", "NumCPU"};
  const auto setup = load("", flags);
  CHECK(setup.node.advertiseAddress.string() == "10.0.0.7");
  CHECK(setup.node.bindPort == 7443);
  CHECK(setup.node.criSocket == "unix:///run/crio.sock");
  CHECK(setup.node.name == "first");
  CHECK(setup.cluster.apiServerCertSANs == Lines{"api.example.org"});
  CHECK(setup.cluster.pki.folder == "/srv/pki");
  CHECK(setup.cluster.controlPlaneEndpoint->string() == "api.example.org:7443");
  CHECK(setup.cluster.images.apiServer == "mirror.example.org/kube-apiserver:v1.36.3");
  CHECK(setup.cluster.networks.podSubnet == "10.10.0.0/16");
  CHECK(setup.cluster.networks.serviceSubnet == "10.20.0.0/16");
  CHECK(setup.cluster.networks.dnsDomain == "example.local");
  CHECK(setup.request.certificateKey.reveal() == std::string(64, 'a'));
  CHECK(setup.request.patchesDirectory == "/srv/patches");
  CHECK(setup.request.skipPhases == Lines{"preflight"});
  CHECK(setup.request.tokens.at(0).id == "abcdef");
  CHECK(setup.request.tokens.at(0).ttl == std::chrono::hours(2));
  CHECK(setup.request.tokens.at(0).groups.size() == 1);
  CHECK(setup.request.tokensGiven);
  CHECK(setup.request.ignorePreflightErrors == Lines{"numcpu", "swap"});
}

TEST_CASE("a wrong value of a flag is told with the flag's name") {
  InitFlags flags;
  flags.apiserverAdvertiseAddress = "somewhere";
  flags.apiserverBindPort = 70000;
  flags.apiserverCertExtraSans = Lines{"ok.example.org", "under_score"};
  flags.podNetworkCidr = "10.244.0.0";
  flags.kubernetesVersion = "1.20.0";
  flags.featureGates = "RootlessControlPlane=maybe";
  flags.tokenTtl = "long";
  CHECK(
      problemsOf("", flags) ==
      Lines{"--apiserver-advertise-address: localAPIEndpoint.advertiseAddress: \"somewhere\" is not an IP address "
            "(expected an address like 10.0.0.11 or fd00::11)",
            "--apiserver-bind-port: localAPIEndpoint.bindPort: 70000 is not a port (expected a number from 1 to 65535)",
            "--token-ttl: bootstrapTokens[0].ttl: \"long\" is not a duration like 1h30m",
            "--apiserver-cert-extra-sans: apiServer.certSANs[1]: \"under_score\" is neither an IP address nor a DNS "
            "name (expected a name like api.example.org, *.example.org or 10.0.0.11)",
            "--feature-gates: featureGates.RootlessControlPlane: \"maybe\" is text (expected true or false)",
            "--pod-network-cidr: networking.podSubnet: \"10.244.0.0\" is not an address range (expected a range like "
            "10.244.0.0/16, or an IPv4 and an IPv6 one with a comma between)",
            "--kubernetes-version: kubernetesVersion: Kubernetes v1.20.0 is not supported (expected a version of "
            "1.37 or 1.36, like v1.37.2)"});
}

TEST_CASE("a token's or a key's value is never part of a message") {
  InitFlags flags;
  flags.token = "abcdef-0123456789abcdef";
  flags.certificateKey = "5ec7e7";
  const auto lines = problemsOf("", flags);
  REQUIRE(lines.size() == 2);
  for (const char* secret : {"abcdef-0123", "5ec7e7"}) CHECK(join(lines, "\n").find(secret) == std::string::npos);
  CHECK(lines[1].starts_with("--token: bootstrapTokens[0].token: the value (not shown) is not a bootstrap token"));
  CHECK(lines[0].starts_with("--certificate-key: certificateKey: the value (not shown) is not a certificate key"));
}

TEST_CASE("beside a file only some flags may stand; each other one is told with the field to use instead") {
  InitFlags flags;
  flags.configFile = "k.yaml";
  flags.nodeName = "flagged";
  flags.skipPhases = Lines{"addon"};
  flags.ignorePreflightErrors = Lines{"Mem"};
  flags.uploadCerts = true;
  const auto text = init("skipPhases: [preflight]\nnodeRegistration: {name: x, ignorePreflightErrors: [Swap]}\n");
  const auto setup = load(text, flags);
  CHECK(setup.node.name == "flagged");
  CHECK(setup.request.skipPhases == Lines{"addon"});
  CHECK(setup.request.ignorePreflightErrors == Lines{"mem", "swap"});
  CHECK(setup.request.uploadCerts);

  flags.podNetworkCidr = "10.244.0.0/16";
  flags.token = "abcdef.0123456789abcdef";
  CHECK(problemsOf(text, flags) ==
        Lines{"--pod-network-cidr: cannot be given together with --config (expected networking.podSubnet in the file)",
              "--token: cannot be given together with --config (expected bootstrapTokens[0].token in the file)"});
}

TEST_CASE("all preflight errors are ignored by \"all\", which stands alone") {
  InitFlags flags;
  flags.ignorePreflightErrors = Lines{"all"};
  CHECK(load("", flags).request.ignorePreflightErrors == Lines{"all"});
  CHECK(problemOf(init("nodeRegistration: {ignorePreflightErrors: [Swap]}\n"), flags)
            .starts_with("--ignore-preflight-errors: "));
}

TEST_CASE("certificates to upload get a key when none is given") {
  InitFlags flags;
  flags.uploadCerts = true;
  CHECK(load("", flags).request.certificateKey.reveal().size() == 64);
  flags.certificateKey = std::string(64, 'b');
  CHECK(load("", flags).request.certificateKey.reveal() == std::string(64, 'b'));
}

TEST_CASE("of the flags, kubeadm's few may stand beside a file, and every other one is told where it belongs") {
  using Set = void (*)(InitFlags&);
  const Set allowed[] = {[](InitFlags& f) { f.nodeName = "a"; }, [](InitFlags& f) { f.skipPhases = Lines{"addon"}; },
                         [](InitFlags& f) { f.ignorePreflightErrors = Lines{"Swap"}; }, [](InitFlags& f) { f.uploadCerts = true; }};
  const Set refused[] = {
      [](InitFlags& f) { f.apiserverAdvertiseAddress = "10.0.0.1"; }, [](InitFlags& f) { f.apiserverBindPort = 1; },
      [](InitFlags& f) { f.apiserverCertExtraSans = Lines{"a"}; },    [](InitFlags& f) { f.certDir = "/a"; },
      [](InitFlags& f) { f.certificateKey = std::string(64, 'a'); },  [](InitFlags& f) { f.controlPlaneEndpoint = "a"; },
      [](InitFlags& f) { f.criSocket = "unix:///a"; },                [](InitFlags& f) { f.featureGates = "A=true"; },
      [](InitFlags& f) { f.imageRepository = "a"; },                  [](InitFlags& f) { f.kubernetesVersion = "1.37.2"; },
      [](InitFlags& f) { f.patches = "/a"; },                         [](InitFlags& f) { f.podNetworkCidr = "10.0.0.0/16"; },
      [](InitFlags& f) { f.serviceCidr = "10.0.0.0/16"; },            [](InitFlags& f) { f.serviceDnsDomain = "a"; },
      [](InitFlags& f) { f.token = "abcdef.0123456789abcdef"; },      [](InitFlags& f) { f.tokenTtl = "1h"; },
      [](InitFlags& f) { f.schedulerExtraArgs = Lines{"v=1"}; }};
  for (const auto set : allowed) {
    InitFlags flags;
    set(flags);
    CHECK(problemsOf(cluster(""), flags).empty());
  }
  for (const auto set : refused) {
    InitFlags flags;
    set(flags);
    const auto line = problemOf(cluster(""), flags);
    CHECK_MESSAGE((line.starts_with("--") && line.find(": cannot be given together with --config (expected ") != std::string::npos), line);
  }
}

TEST_CASE("arguments of the components come from flags in alphabetical order, and not beside a file") {
  InitFlags flags;
  flags.apiserverExtraArgs = Lines{"v=5", "feature-gates=A=true"};
  flags.schedulerExtraArgs = Lines{"v=2"};
  const auto setup = load("", flags);
  CHECK(setup.cluster.apiServer.extraArgs == std::vector<Arg>{{"feature-gates", "A=true"}, {"v", "5"}});
  CHECK(setup.cluster.scheduler.extraArgs == std::vector<Arg>{{"v", "2"}});
  CHECK(warningsOf("", flags) == Lines{"--apiserver-extra-args is deprecated; apiServer.extraArgs in a file takes its place",
                                       "--scheduler-extra-args is deprecated; scheduler.extraArgs in a file takes its place"});
  flags = {};
  flags.controllerManagerExtraArgs = Lines{"v"};
  CHECK(problemOf("", flags) == "--controller-manager-extra-args: controllerManager.extraArgs[0]: \"v\" is text (expected a mapping "
                                "with name, value)");
  flags.controllerManagerExtraArgs = Lines{"v=1"};
  CHECK(problemOf(cluster(""), flags) ==
        "--controller-manager-extra-args: cannot be given together with --config (expected controllerManager.extraArgs in the file)");
}

} // namespace kubestrap::config
