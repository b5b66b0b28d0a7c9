#include "manifests/static_pods.hpp"

#include "manifests/components.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::test;
using namespace kubestrap::manifests;

namespace {

/// "name path type -> mount[ ro]" for each volume, in the order of the mounts.
std::vector<std::string> volumes(const Value& pod) {
  std::vector<std::string> lines;
  for (const Value& mount : container(pod).at("volumeMounts"))
    for (const Value& volume : pod.at("spec").at("volumes"))
      if (volume.at("name") == mount.at("name"))
        lines.push_back(stringAt(volume, "name") + " " + stringAt(volume, "hostPath.path") + " " +
                        stringAt(volume, "hostPath.type") + " -> " + stringAt(mount, "mountPath") +
                        (mount.contains("readOnly") ? " ro" : ""));
  return lines;
}

/// "scheme host path delay/period/timeout/failures"
std::string probe(const Value& pod, const char* which) {
  const Value& probe = container(pod).at(which);
  return stringAt(probe, "httpGet.scheme") + " " + stringAt(probe, "httpGet.host", "-") + " " +
         stringAt(probe, "httpGet.path") + " " + std::to_string(probe.value("initialDelaySeconds", 0)) + "/" +
         std::to_string(probe.value("periodSeconds", 0)) + "/" + std::to_string(probe.value("timeoutSeconds", 0)) +
         "/" + std::to_string(probe.value("failureThreshold", 0));
}

int probePort(const Value& pod) { return container(pod).at("ports").at(0).at("containerPort").get<int>(); }

Value yaml(const char* text) { return parseYamlValue(text, "test"); }

config::Setup ipv6Setup() {
  config::Setup setup = referenceSetup();
  setup.node.advertiseAddress = *IpAddress::parse("fd00:88::11");
  setup.cluster.networks.services = {*Cidr::parse("fd00:10::/112")};
  setup.cluster.networks.serviceSubnet = "fd00:10::/112";
  setup.cluster.networks.podSubnet = "fd00:244::/56";
  return setup;
}

} // namespace

TEST_CASE("for the reference cluster every static pod is the document that kubeadm 1.37.2 writes") {
  config::Setup setup = referenceSetup();
  CHECK(fingerprint(etcdPod(setup)) == "6679d18d71538e896ddf40dc9428d93413d76a0e8631d025147e4235bcf06bfa");
  CHECK(fingerprint(apiServerPod(setup)) == "1f845ee57b39683cc43966c6fbfff19a5ec0f5302f910778767065f3aa2c7c1d");
  CHECK(fingerprint(controllerManagerPod(setup)) == "57c4b91805f1849d7c7d2cb2eab8a8ced1ade30b93cb21ac2cb6509c414835a6");
  CHECK(fingerprint(schedulerPod(setup)) == "9675b4917f5d14b8dbcefa51cef0de91b34e1646407dfa52eac6a251885b6094");
}

TEST_CASE("a second etcd joins with the same document as kubeadm's") {
  config::Setup setup = referenceSetup();
  setup.node.name = setup.node.hostname = "n2";
  setup.node.advertiseAddress = *IpAddress::parse("10.88.0.12");
  Value pod = etcdPod(setup, "n1=https://10.88.0.11:2380,n2=" + etcdPeerUrl(setup.node));
  CHECK(has(command(pod), "--initial-cluster=n1=https://10.88.0.11:2380,n2=https://10.88.0.12:2380"));
  CHECK(has(command(pod), "--initial-cluster-state=existing"));
  CHECK(fingerprint(pod) == "80e9fc3b0aa8fb0969a15c3ebe4b640a0dfde20ba093868d31b54bd8da138bc5");
  CHECK(fingerprint(apiServerPod(setup)) == "4fe6aa6cf3fab20ce513bd104a18a074fd6b7fc67bd8c4b0392eed836aeb3f08");
}

TEST_CASE("manifests are written with sorted keys, and the same for the same configuration") {
  config::Setup setup = referenceSetup();
  for (const Component& component : components()) {
    Value pod = component.pod(setup);
    CHECK(pod.dump() == sorted(pod).dump());
    CHECK(pod.dump() == component.pod(setup).dump());
    CHECK(pod.at("status") == Value::object());
  }
}

TEST_CASE("the API server is told where the cluster's keys, networks and etcd are") {
  CHECK(command(apiServerPod(referenceSetup())) ==
        std::vector<std::string>{
            "kube-apiserver",
            "--advertise-address=10.88.0.11",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--client-ca-file=/etc/kubernetes/pki/ca.crt",
            "--enable-admission-plugins=NodeRestriction",
            "--enable-bootstrap-token-auth=true",
            "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt",
            "--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key",
            "--etcd-servers=https://127.0.0.1:2379",
            "--kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt",
            "--kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            "--proxy-client-cert-file=/etc/kubernetes/pki/front-proxy-client.crt",
            "--proxy-client-key-file=/etc/kubernetes/pki/front-proxy-client.key",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            "--secure-port=6443",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
            "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt",
            "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
        });
}

TEST_CASE("an authorization-config leaves out the authorization-mode") {
  config::Setup setup = referenceSetup();
  setup.cluster.apiServer.extraArgs = {{"authorization-config", "/etc/kubernetes/authz.yaml"}};
  auto flags = command(apiServerPod(setup));
  CHECK_FALSE(has(flags, "--authorization-mode=Node,RBAC"));
  CHECK(flags.back() == "--authorization-config=/etc/kubernetes/authz.yaml");
}

TEST_CASE("an authorization-mode of the operator's takes the default's place") {
  config::Setup setup = referenceSetup();
  setup.cluster.apiServer.extraArgs = {{"authorization-mode", "Node,RBAC,Webhook"}};
  auto flags = command(apiServerPod(setup));
  CHECK_FALSE(has(flags, "--authorization-mode=Node,RBAC"));
  CHECK(flags.back() == "--authorization-mode=Node,RBAC,Webhook");
}

TEST_CASE("the API server follows etcd when its advertised client URLs are set") {
  config::Setup setup = referenceSetup();
  setup.cluster.etcd.local.extraArgs = {{"advertise-client-urls", "https://etcd.example.org:2379"}};
  CHECK(has(command(apiServerPod(setup)), "--etcd-servers=https://etcd.example.org:2379"));
}

TEST_CASE("an external etcd gives the API server its endpoints, its files and the folders they lie in") {
  config::Setup setup = referenceSetup();
  setup.cluster.etcd.external = config::ExternalEtcd{.endpoints = {"https://e1:2379", "https://e2:2379"},
                                                     .caFile = "/etc/etcd/ca/ca.crt",
                                                     .certFile = "/etc/etcd/client.crt",
                                                     .keyFile = "/etc/keys/client.key"};
  Value pod = apiServerPod(setup);
  auto flags = command(pod);
  CHECK(has(flags, "--etcd-servers=https://e1:2379,https://e2:2379"));
  CHECK(has(flags, "--etcd-cafile=/etc/etcd/ca/ca.crt"));
  CHECK(has(flags, "--etcd-certfile=/etc/etcd/client.crt"));
  CHECK(has(flags, "--etcd-keyfile=/etc/keys/client.key"));
  auto lines = volumes(pod);
  CHECK(has(lines, "etcd-certs-0 /etc/etcd DirectoryOrCreate -> /etc/etcd ro"));
  CHECK(has(lines, "etcd-certs-1 /etc/keys DirectoryOrCreate -> /etc/keys ro"));
  CHECK(lines.size() == 7);
}

TEST_CASE(
    "an external etcd without TLS adds neither files nor volumes, and a certificate without its key is not used") {
  config::Setup setup = referenceSetup();
  setup.cluster.etcd.external = config::ExternalEtcd{.endpoints = {"http://e1:2379"}};
  Value pod = apiServerPod(setup);
  for (const std::string& flag : command(pod))
    if (flag.starts_with("--etcd-")) CHECK(flag == "--etcd-servers=http://e1:2379");
  CHECK(volumes(pod).size() == 5);

  setup.cluster.etcd.external->certFile = "/etc/kubernetes/pki/etcd/client.crt";
  for (const std::string& flag : command(apiServerPod(setup))) CHECK_FALSE(flag.starts_with("--etcd-certfile"));
}

TEST_CASE("folders that are mounted anyway are not mounted again for an external etcd, look-alikes are") {
  config::Setup setup = referenceSetup();
  setup.cluster.etcd.external = config::ExternalEtcd{.endpoints = {"https://e1:2379"},
                                                     .caFile = "/etc/ssl/certs/etcd.crt",
                                                     .certFile = "/etc/kubernetes/pki/etcd/client.crt",
                                                     .keyFile = "/etc/kubernetes/pki-etcd/client.key"};
  auto lines = volumes(apiServerPod(setup));
  CHECK(has(lines, "etcd-certs-0 /etc/kubernetes/pki-etcd DirectoryOrCreate -> /etc/kubernetes/pki-etcd ro"));
  CHECK(lines.size() == 6);
}

TEST_CASE("without a pod network the controller-manager allocates no node networks") {
  config::Setup setup = referenceSetup();
  setup.cluster.networks.podSubnet.clear();
  for (const std::string& flag : command(controllerManagerPod(setup))) {
    CHECK_FALSE(flag.starts_with("--allocate-node-cidrs"));
    CHECK_FALSE(flag.starts_with("--cluster-cidr"));
    CHECK_FALSE(flag.starts_with("--service-cluster-ip-range"));
  }
}

TEST_CASE("with an external authority the controller-manager does not sign") {
  config::Setup setup = referenceSetup();
  setup.node.externalAuthority = true;
  auto flags = command(controllerManagerPod(setup));
  CHECK(has(flags, "--cluster-signing-cert-file="));
  CHECK(has(flags, "--cluster-signing-key-file="));
  CHECK(has(flags, "--root-ca-file=/etc/kubernetes/pki/ca.crt"));
}

TEST_CASE("on an IPv6 node loopback is ::1 and addresses in URLs are in brackets") {
  config::Setup setup = ipv6Setup();
  Value etcd = etcdPod(setup), api = apiServerPod(setup);
  CHECK(has(command(etcd), "--listen-client-urls=https://[::1]:2379,https://[fd00:88::11]:2379"));
  CHECK(has(command(etcd), "--listen-metrics-urls=http://[::1]:2381"));
  CHECK(has(command(etcd), "--initial-cluster=n1=https://[fd00:88::11]:2380"));
  CHECK(probe(etcd, "livenessProbe") == "HTTP ::1 /livez 10/10/15/8");
  CHECK(has(command(api), "--etcd-servers=https://[::1]:2379"));
  CHECK(has(command(api), "--advertise-address=fd00:88::11"));
  CHECK(probe(api, "readinessProbe") == "HTTPS fd00:88::11 /readyz 0/1/15/3");
  CHECK(api.at("metadata").at("annotations").at("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint") ==
        "[fd00:88::11]:6443");
  CHECK(etcd.at("metadata").at("annotations").at("kubeadm.kubernetes.io/etcd.advertise-client-urls") ==
        "https://[fd00:88::11]:2379");
}

TEST_CASE("probes follow a bind address of the operator's, and leave an unspecified one to the kubelet") {
  config::Setup setup = referenceSetup();
  setup.cluster.controllerManager.extraArgs = {{"bind-address", "10.0.0.5"}};
  setup.cluster.scheduler.extraArgs = {{"bind-address", "0.0.0.0"}};
  CHECK(probe(controllerManagerPod(setup), "livenessProbe") == "HTTPS 10.0.0.5 /healthz 10/10/15/8");
  CHECK(probe(schedulerPod(setup), "livenessProbe") == "HTTPS - /livez 10/10/15/8");
  setup.cluster.scheduler.extraArgs = {{"bind-address", "::"}};
  CHECK(probe(schedulerPod(setup), "readinessProbe") == "HTTPS - /readyz 0/1/15/3");
}

TEST_CASE("etcd is probed where its first metrics URL says") {
  config::Setup setup = referenceSetup();
  auto etcdWith = [&](const char* urls) {
    setup.cluster.etcd.local.extraArgs = {{"listen-metrics-urls", urls}};
    return etcdPod(setup);
  };
  Value pod = etcdWith("https://10.88.0.11:12381,http://127.0.0.1:2381");
  CHECK(probe(pod, "startupProbe") == "HTTPS 10.88.0.11 /readyz 10/10/15/24");
  CHECK(probePort(pod) == 12381);
  pod = etcdWith("http://[fd00::5]");
  CHECK(probe(pod, "livenessProbe") == "HTTP fd00::5 /livez 10/10/15/8");
  CHECK(probePort(pod) == 2381);
  pod = etcdWith("nonsense");
  CHECK(probe(pod, "livenessProbe") == "HTTP 127.0.0.1 /livez 10/10/15/8");
}

TEST_CASE("a component may take as long to start as the operator has patience, rounded up to ten seconds") {
  config::Setup setup = referenceSetup();
  auto tries = [&](Duration patience) {
    setup.request.timeouts.controlPlaneComponentHealthCheck = patience;
    return container(apiServerPod(setup)).at("startupProbe").value("failureThreshold", 0);
  };
  CHECK(tries(std::chrono::minutes(4)) == 24);
  CHECK(tries(std::chrono::seconds(241)) == 25);
  CHECK(tries(std::chrono::milliseconds(1)) == 1);
}

TEST_CASE("the API server is probed at its own port, and the scheduler and the controller-manager at theirs") {
  config::Setup setup = referenceSetup();
  setup.node.bindPort = 7443;
  CHECK(probePort(apiServerPod(setup)) == 7443);
  CHECK(has(command(apiServerPod(setup)), "--secure-port=7443"));
  CHECK(probePort(controllerManagerPod(setup)) == 10257);
  CHECK(probePort(schedulerPod(setup)) == 10259);
}

TEST_CASE("proxy variables reach the control plane but not etcd, and the operator's own win") {
  config::Setup setup = referenceSetup();
  setup.node.proxyVariables = {{"HTTPS_PROXY", "http://proxy:3128"}, {"no_proxy", "10.0.0.0/8"}};
  setup.cluster.scheduler.extraEnvs = {
      yaml("{name: TZ, value: UTC}"), yaml("{name: HTTPS_PROXY, value: http://other:3128}"),
      yaml("{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}"), yaml("{name: EMPTY}")};
  CHECK(container(apiServerPod(setup)).at("env") ==
        yaml("[{name: HTTPS_PROXY, value: 'http://proxy:3128'}, {name: no_proxy, value: 10.0.0.0/8}]"));
  CHECK(sameDocument(container(schedulerPod(setup)).at("env"),
                     yaml("[{name: EMPTY}, {name: HTTPS_PROXY, value: 'http://other:3128'},"
                          " {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: TZ, value: UTC},"
                          " {name: no_proxy, value: 10.0.0.0/8}]")));
  CHECK_FALSE(container(etcdPod(setup)).contains("env"));
  setup.cluster.etcd.local.extraEnvs = {yaml("{name: ETCD_LOG_LEVEL, value: debug}")};
  CHECK(container(etcdPod(setup)).at("env") == yaml("[{name: ETCD_LOG_LEVEL, value: debug}]"));
}

TEST_CASE("volumes of the operator's are added, or replace one of the same name") {
  config::Setup setup = referenceSetup();
  setup.node.caFolders.clear();
  setup.cluster.apiServer.extraVolumes = {
      {.name = "audit",
       .hostPath = "/var/log/audit",
       .mountPath = "/audit",
       .readOnly = false,
       .pathType = "DirectoryOrCreate"},
      {.name = "ca-certs", .hostPath = "/opt/certs", .mountPath = "/etc/ssl/certs", .readOnly = true, .pathType = ""}};
  Value pod = apiServerPod(setup);
  CHECK(volumes(pod) == std::vector<std::string>{
                            "audit /var/log/audit DirectoryOrCreate -> /audit",
                            "ca-certs /opt/certs  -> /etc/ssl/certs ro",
                            "k8s-certs /etc/kubernetes/pki DirectoryOrCreate -> /etc/kubernetes/pki ro",
                        });
}

TEST_CASE("another folder for the keys is used in every flag and mounted") {
  config::Setup setup = referenceSetup();
  setup.cluster.pki.folder = "/srv/pki";
  for (const Component& component : components()) {
    Value pod = component.pod(setup);
    CAPTURE(component.name);
    CHECK(pod.dump().find("/etc/kubernetes/pki") == std::string::npos);
  }
  CHECK(has(volumes(etcdPod(setup)), "etcd-certs /srv/pki/etcd DirectoryOrCreate -> /srv/pki/etcd"));
}

TEST_CASE("patches of all three kinds change the pod they are for, in their order, and no other") {
  using Patch = config::Patch;
  config::Setup setup = referenceSetup();
  setup.request.patches = {
      {"kube-apiserver0+json.yaml", Patch::Target::apiServer, Patch::Kind::json,
       yaml("[{op: add, path: /spec/containers/0/command/-, value: --v=2}]")},
      {"kube-apiserver1+merge.yaml", Patch::Target::apiServer, Patch::Kind::merge,
       yaml("metadata: {labels: {team: blue}}")},
      {"kube-apiserver2.yaml", Patch::Target::apiServer, Patch::Kind::strategic,
       yaml("spec: {containers: [{name: kube-apiserver, resources: {requests: {cpu: 500m}}}]}")},
  };
  Value pod = apiServerPod(setup);
  CHECK(command(pod).back() == "--v=2");
  CHECK(stringAt(pod, "metadata.labels.team") == "blue");
  CHECK(stringAt(pod, "metadata.labels.component") == "kube-apiserver");
  CHECK(stringAt(container(pod), "resources.requests.cpu") == "500m");
  CHECK(stringAt(container(pod), "image") == "registry.k8s.io/kube-apiserver:v1.37.2");
  CHECK(schedulerPod(setup) == schedulerPod(referenceSetup()));
}

TEST_CASE("a patch that does not fit is named") {
  config::Setup setup = referenceSetup();
  setup.request.patches = {{"etcd0+json.yaml", config::Patch::Target::etcd, config::Patch::Kind::json,
                            yaml("[{op: remove, path: /spec/nothing}]")}};
  try {
    etcdPod(setup);
    FAIL("the patch was accepted");
  } catch (const Error& error) {
    std::string all = error.message();
    for (const std::string& context : error.contexts()) all += "\n" + context;
    CHECK(all.find("etcd0+json.yaml") != std::string::npos);
  }
}
