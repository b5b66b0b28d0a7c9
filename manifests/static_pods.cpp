#include "manifests/static_pods.hpp"

#include "config/patches.hpp"
#include "manifests/components.hpp"
#include "manifests/flags.hpp"
#include "manifests/security.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace kubestrap::manifests {

namespace {

using config::Arg;
using config::Cluster;
using config::Node;
using config::Path;
using config::Setup;

constexpr int etcdClientPort = 2379, etcdPeerPort = 2380;

/// Folders that /etc/ssl/certs may point into by symbolic links on some distributions (kubeadm:
/// phases/controlplane/volumes.go).
constexpr std::string_view optionalCaFolders[] = {"/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/ca-certificates",
                                                  "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"};
constexpr std::string_view caCertificates = "/etc/ssl/certs";

// ---- volumes

/// Volumes and their mounts by name: a later one replaces an earlier one of the same name, and both lists come out
/// sorted.
class Mounts {
public:
  void add(const std::string& name, const Path& path, std::string_view type, bool readOnly = true) {
    add({name, path.string(), path.string(), readOnly, std::string(type)});
  }
  void add(const config::HostPathMount& mount) { mounts_[mount.name] = mount; }

  Value volumes() const {
    Value list = Value::array();
    for (const auto& [name, mount] : mounts_)
      list.push_back(Value::object(
          {{"hostPath", Value::object({{"path", mount.hostPath}, {"type", mount.pathType}})}, {"name", name}}));
    return list;
  }
  Value volumeMounts() const {
    Value list = Value::array();
    for (const auto& [name, mount] : mounts_) list.push_back(volumeMount(mount));
    return list;
  }
  Value volumeMount(const std::string& name) const { return volumeMount(mounts_.at(name)); }

private:
  static Value volumeMount(const config::HostPathMount& mount) {
    Value value = Value::object({{"mountPath", mount.mountPath}, {"name", mount.name}});
    if (mount.readOnly) value["readOnly"] = true;
    return value;
  }
  std::map<std::string, config::HostPathMount> mounts_;
};

/// Whether `path` is `folder` or lies below it. (kubeadm compares the beginnings of the texts, and so takes
/// /etc/kubernetes/pki-etcd for a part of /etc/kubernetes/pki and does not mount it.)
bool isWithin(const Path& path, const Path& folder) {
  auto [rest, unused] = std::ranges::mismatch(folder, path);
  return rest == folder.end();
}

/// The folders that the API server must see to speak to an external etcd and that are not mounted anyway.
std::set<Path> externalEtcdFolders(const config::ExternalEtcd& etcd, const Path& pki) {
  std::set<Path> folders;
  for (const std::string& file : {etcd.caFile, etcd.certFile, etcd.keyFile}) {
    Path folder = Path(file).parent_path();
    bool mounted = isWithin(folder, pki) || isWithin(folder, caCertificates) ||
                   std::ranges::any_of(optionalCaFolders, [&](auto known) { return isWithin(folder, known); });
    if (file.empty() || mounted) continue;
    if (std::ranges::any_of(folders, [&](const Path& known) { return isWithin(folder, known); })) continue;
    std::erase_if(folders, [&](const Path& known) { return isWithin(known, folder); });
    folders.insert(folder);
  }
  return folders;
}

/// What the API server and the controller-manager both see.
Mounts certificateMounts(const Setup& setup) {
  Mounts mounts;
  mounts.add("k8s-certs", setup.cluster.pki.folder, "DirectoryOrCreate");
  mounts.add("ca-certs", caCertificates, "DirectoryOrCreate");
  for (const std::string& folder : setup.node.caFolders)
    mounts.add(replaceAll(folder.substr(1), "/", "-"), folder, "DirectoryOrCreate");
  return mounts;
}

void addExtraVolumes(Mounts& mounts, const config::ComponentOptions& options) {
  for (const config::HostPathMount& mount : options.extraVolumes) mounts.add(mount);
}

Path kubeconfigPath(const Component& component) { return config::paths::kubernetes / component.kubeconfig; }

// ---- environment

/// Sorted by name; of several with the same name the last one counts.
Value environment(const std::map<std::string, std::string>& proxyVariables, const std::vector<Value>& extra) {
  std::map<std::string, Value> byName;
  for (const auto& [name, value] : proxyVariables) byName[name] = Value::object({{"name", name}, {"value", value}});
  for (Value variable : extra) {
    std::string name = stringAt(variable, "name");
    byName[name] = std::move(variable);
  }
  Value list = Value::array();
  for (auto& [name, variable] : byName) list.push_back(std::move(variable));
  return list;
}

// ---- probes

/// An unspecified address cannot be asked; without a host the kubelet asks the pod's own address.
std::string probeHost(std::string host) {
  auto address = IpAddress::parse(host);
  return address && address->isUnspecified() ? "" : host;
}

struct ProbeTiming {
  int initialDelay, period, failures;
};

Value probe(const ProbeEndpoint& endpoint, std::string_view path, ProbeTiming timing) {
  Value get = Value::object(
      {{"path", path}, {"port", "probe-port"}, {"scheme", endpoint.scheme == "https" ? "HTTPS" : "HTTP"}});
  if (!endpoint.host.empty()) get["host"] = endpoint.host;
  Value value = Value::object({{"failureThreshold", timing.failures},
                               {"httpGet", std::move(get)},
                               {"periodSeconds", timing.period},
                               {"timeoutSeconds", 15}});
  if (timing.initialDelay > 0) value["initialDelaySeconds"] = timing.initialDelay;
  if (timing.failures == 0) value.erase("failureThreshold");
  return value;
}

/// So many tries, ten seconds apart, that the component has the whole patience of the operator to start.
int startupTries(const config::Timeouts& timeouts) {
  using namespace std::chrono;
  return static_cast<int>(ceil<duration<int, std::ratio<10>>>(timeouts.controlPlaneComponentHealthCheck).count());
}

// ---- the pod

struct PodParts {
  std::vector<Arg> flags;
  std::span<const Arg> extraFlags;
  Value environment = Value::array();
  ProbeEndpoint probes;
  Value volumes, volumeMounts;
  Value annotations;
};

Value componentPod(const Component& component, const Setup& setup, const PodParts& parts) {
  Value command = Value::array({component.name});
  for (std::string& flag : flagList(parts.flags, parts.extraFlags)) command.push_back(std::move(flag));

  Value container = Value::object({
      {"command", std::move(command)},
      {"image", setup.cluster.images.*component.image},
      {"imagePullPolicy", "IfNotPresent"},
      {"livenessProbe", probe(parts.probes, component.livenessPath, {.initialDelay = 10, .period = 10, .failures = 8})},
      {"name", component.name},
      {"ports", Value::array({Value::object(
                    {{"containerPort", parts.probes.port}, {"name", "probe-port"}, {"protocol", "TCP"}})})},
      {"resources", Value::object({{"requests", Value::object({{"cpu", component.cpuRequest}})}})},
      {"startupProbe", probe(parts.probes, component.startupPath,
                             {.initialDelay = 10, .period = 10, .failures = startupTries(setup.request.timeouts)})},
      {"volumeMounts", parts.volumeMounts},
  });
  if (!component.readinessPath.empty())
    container["readinessProbe"] =
        probe(parts.probes, component.readinessPath, {.initialDelay = 0, .period = 1, .failures = 3});
  if (!component.memoryRequest.empty()) container["resources"]["requests"]["memory"] = component.memoryRequest;
  if (!parts.environment.empty()) container["env"] = parts.environment;

  Value metadata = Value::object({{"labels", Value::object({{"component", component.name}, {"tier", "control-plane"}})},
                                  {"name", component.name},
                                  {"namespace", "kube-system"}});
  if (!parts.annotations.empty()) metadata["annotations"] = parts.annotations;

  Value pod = Value::object({
      {"apiVersion", "v1"},
      {"kind", "Pod"},
      {"metadata", std::move(metadata)},
      {"spec",
       Value::object({
           {"containers", Value::array({std::move(container)})},
           {"hostNetwork", true},
           {"priority", 2000001000},
           {"priorityClassName", "system-node-critical"},
           {"securityContext", Value::object({{"seccompProfile", Value::object({{"type", "RuntimeDefault"}})}})},
           {"volumes", parts.volumes},
       })},
      {"status", Value::object()},
  });
  return sorted(config::applyPatches(pod, component.patchTarget, setup.request.patches));
}

std::string loopback(const Node& node) { return node.advertiseAddress.isV6() ? "::1" : "127.0.0.1"; }

std::string url(std::string_view scheme, const std::string& host, int port) {
  return std::string(scheme) + "://" + joinHostPort(host, port);
}

std::string advertised(const Node& node, int port) { return url("https", node.advertiseAddress.string(), port); }

/// What kubeadm's `bind-address` gives for the probes of the controller-manager and the scheduler.
ProbeEndpoint boundProbe(const Component& component, const std::vector<Arg>& extraArgs) {
  const std::string* bound = lastValue(extraArgs, "bind-address");
  return {"https", probeHost(bound ? *bound : "127.0.0.1"), component.port};
}

} // namespace

std::string etcdClientUrl(const Node& node) { return advertised(node, etcdClientPort); }
std::string etcdPeerUrl(const Node& node) { return advertised(node, etcdPeerPort); }

ProbeEndpoint parseMetricsUrl(std::string_view metricsUrl, std::string otherwiseHost) {
  ProbeEndpoint endpoint{"http", std::move(otherwiseHost), component("etcd").port};
  auto schemeEnd = metricsUrl.find("://");
  if (schemeEnd == std::string_view::npos) return endpoint;
  std::string_view rest = metricsUrl.substr(schemeEnd + 3);
  auto end = splitHostPort(rest.substr(0, rest.find_first_of("/?#")));
  if (!end) return endpoint;
  if (metricsUrl.substr(0, schemeEnd) == "https") endpoint.scheme = "https";
  if (!end->host.empty()) endpoint.host = end->host;
  if (end->port) endpoint.port = *end->port;
  return endpoint;
}

namespace {

void addAudit(const Cluster& cluster, std::vector<Arg>& flags, Mounts& mounts) {
  const auto& audit = cluster.kubestrap.audit;
  if (!audit) return;
  const auto policy = auditPolicyFile(*audit), log = auditLogFolder();
  flags.push_back({"audit-policy-file", policy.string()});
  flags.push_back({"audit-log-path", (log / "audit.log").string()});
  flags.push_back({"audit-log-maxsize", std::to_string(audit->maxSize)});
  flags.push_back({"audit-log-maxbackup", std::to_string(audit->maxBackups)});
  mounts.add("kubestrap-audit-policy", policy.parent_path(), "DirectoryOrCreate");
  mounts.add("kubestrap-audit-log", log, "DirectoryOrCreate", false);
}

/// The file lies with the certificates, whose folder is mounted, and is looked at again when it changes.
void addEncryption(const Cluster& cluster, std::vector<Arg>& flags) {
  if (!cluster.kubestrap.encryption) return;
  flags.push_back({"encryption-provider-config", encryptionFile(cluster).string()});
  flags.push_back({"encryption-provider-config-automatic-reload", "true"});
}

} // namespace

Value apiServerPod(const Setup& setup) {
  const Cluster& cluster = setup.cluster;
  const Node& node = setup.node;
  const Component& self = component("kube-apiserver");
  auto pki = [&](std::string_view file) { return (cluster.pki.folder / file).string(); };
  const std::vector<Arg>& extraArgs = cluster.apiServer.extraArgs;

  std::vector<Arg> flags = {
      {"advertise-address", node.advertiseAddress.string()},
      {"allow-privileged", "true"},
      {"client-ca-file", pki("ca.crt")},
      {"enable-admission-plugins", "NodeRestriction"},
      {"enable-bootstrap-token-auth", "true"},
      {"kubelet-client-certificate", pki("apiserver-kubelet-client.crt")},
      {"kubelet-client-key", pki("apiserver-kubelet-client.key")},
      {"kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname"},
      {"proxy-client-cert-file", pki("front-proxy-client.crt")},
      {"proxy-client-key-file", pki("front-proxy-client.key")},
      {"requestheader-allowed-names", "front-proxy-client"},
      {"requestheader-client-ca-file", pki("front-proxy-ca.crt")},
      {"requestheader-extra-headers-prefix", "X-Remote-Extra-"},
      {"requestheader-group-headers", "X-Remote-Group"},
      {"requestheader-username-headers", "X-Remote-User"},
      {"secure-port", std::to_string(node.bindPort)},
      {"service-account-issuer", "https://kubernetes.default.svc." + cluster.networks.dnsDomain},
      {"service-account-key-file", pki("sa.pub")},
      {"service-account-signing-key-file", pki("sa.key")},
      {"service-cluster-ip-range", cluster.networks.serviceSubnet},
      {"tls-cert-file", pki("apiserver.crt")},
      {"tls-private-key-file", pki("apiserver.key")},
  };
  if (!lastValue(extraArgs, "authorization-config")) flags.push_back({"authorization-mode", "Node,RBAC"});

  Mounts mounts = certificateMounts(setup);
  addAudit(cluster, flags, mounts);
  addEncryption(cluster, flags);
  if (const auto& external = cluster.etcd.external) {
    flags.push_back({"etcd-servers", join(external->endpoints, ",")});
    if (!external->caFile.empty()) flags.push_back({"etcd-cafile", external->caFile});
    if (!external->certFile.empty() && !external->keyFile.empty()) {
      flags.push_back({"etcd-certfile", external->certFile});
      flags.push_back({"etcd-keyfile", external->keyFile});
    }
    int number = 0;
    for (const Path& folder : externalEtcdFolders(*external, cluster.pki.folder))
      mounts.add("etcd-certs-" + std::to_string(number++), folder, "DirectoryOrCreate");
  } else {
    const std::string* advertisedUrls = lastValue(cluster.etcd.local.extraArgs, "advertise-client-urls");
    flags.push_back({"etcd-servers", advertisedUrls ? *advertisedUrls : url("https", loopback(node), etcdClientPort)});
    flags.push_back({"etcd-cafile", pki("etcd/ca.crt")});
    flags.push_back({"etcd-certfile", pki("apiserver-etcd-client.crt")});
    flags.push_back({"etcd-keyfile", pki("apiserver-etcd-client.key")});
  }
  addExtraVolumes(mounts, cluster.apiServer);

  return componentPod(self, setup,
                      {.flags = std::move(flags),
                       .extraFlags = extraArgs,
                       .environment = environment(node.proxyVariables, cluster.apiServer.extraEnvs),
                       .probes = {"https", probeHost(node.advertiseAddress.string()), node.bindPort},
                       .volumes = mounts.volumes(),
                       .volumeMounts = mounts.volumeMounts(),
                       .annotations = Value::object({{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint",
                                                      node.localEndpoint().string()}})});
}

Value controllerManagerPod(const Setup& setup, CaKey caKey) {
  const Cluster& cluster = setup.cluster;
  const Component& self = component("kube-controller-manager");
  const std::vector<Arg>& extraArgs = cluster.controllerManager.extraArgs;
  auto pki = [&](std::string_view file) { return (cluster.pki.folder / file).string(); };
  const std::string kubeconfig = kubeconfigPath(self).string();
  const bool signs = caKey == CaKey::present;

  std::vector<Arg> flags = {
      {"authentication-kubeconfig", kubeconfig},
      {"authorization-kubeconfig", kubeconfig},
      {"bind-address", "127.0.0.1"},
      {"client-ca-file", pki("ca.crt")},
      {"cluster-name", cluster.name},
      {"cluster-signing-cert-file", signs ? pki("ca.crt") : ""},
      {"cluster-signing-key-file", signs ? pki("ca.key") : ""},
      {"controllers", "*,bootstrapsigner,tokencleaner"},
      {"kubeconfig", kubeconfig},
      {"leader-elect", "true"},
      {"requestheader-client-ca-file", pki("front-proxy-ca.crt")},
      {"root-ca-file", pki("ca.crt")},
      {"service-account-private-key-file", pki("sa.key")},
      {"use-service-account-credentials", "true"},
  };
  if (!cluster.networks.podSubnet.empty()) {
    flags.push_back({"allocate-node-cidrs", "true"});
    flags.push_back({"cluster-cidr", cluster.networks.podSubnet});
    flags.push_back({"service-cluster-ip-range", cluster.networks.serviceSubnet});
  }

  Mounts mounts = certificateMounts(setup);
  mounts.add("kubeconfig", kubeconfig, "FileOrCreate");
  addExtraVolumes(mounts, cluster.controllerManager);

  return componentPod(self, setup,
                      {.flags = std::move(flags),
                       .extraFlags = extraArgs,
                       .environment = environment(setup.node.proxyVariables, cluster.controllerManager.extraEnvs),
                       .probes = boundProbe(self, extraArgs),
                       .volumes = mounts.volumes(),
                       .volumeMounts = mounts.volumeMounts()});
}

Value controllerManagerPod(const Setup& setup) {
  return controllerManagerPod(setup, setup.node.externalAuthority ? CaKey::external : CaKey::present);
}

Value schedulerPod(const Setup& setup) {
  const config::ComponentOptions& options = setup.cluster.scheduler;
  const Component& self = component("kube-scheduler");
  const std::string kubeconfig = kubeconfigPath(self).string();

  Mounts mounts;
  mounts.add("kubeconfig", kubeconfig, "FileOrCreate");
  addExtraVolumes(mounts, options);

  return componentPod(self, setup,
                      {.flags = {{"authentication-kubeconfig", kubeconfig},
                                 {"authorization-kubeconfig", kubeconfig},
                                 {"bind-address", "127.0.0.1"},
                                 {"kubeconfig", kubeconfig},
                                 {"leader-elect", "true"}},
                       .extraFlags = options.extraArgs,
                       .environment = environment(setup.node.proxyVariables, options.extraEnvs),
                       .probes = boundProbe(self, options.extraArgs),
                       .volumes = mounts.volumes(),
                       .volumeMounts = mounts.volumeMounts()});
}

Value etcdPod(const Setup& setup, const std::string& initialCluster) {
  const Cluster& cluster = setup.cluster;
  const config::LocalEtcd& etcd = cluster.etcd.local;
  const Node& node = setup.node;
  const Component& self = component("etcd");
  auto pki = [&](std::string_view file) { return (cluster.pki.folder / "etcd" / file).string(); };

  std::vector<Arg> flags = {
      {"advertise-client-urls", etcdClientUrl(node)},
      {"cert-file", pki("server.crt")},
      {"client-cert-auth", "true"},
      {"data-dir", etcd.dataDir.string()},
      {"feature-gates", "InitialCorruptCheck=true"},
      {"initial-advertise-peer-urls", etcdPeerUrl(node)},
      {"key-file", pki("server.key")},
      {"listen-client-urls", url("https", loopback(node), etcdClientPort) + "," + etcdClientUrl(node)},
      {"listen-metrics-urls", url("http", loopback(node), self.port)},
      {"listen-peer-urls", etcdPeerUrl(node)},
      {"name", node.name},
      {"peer-cert-file", pki("peer.crt")},
      {"peer-client-cert-auth", "true"},
      {"peer-key-file", pki("peer.key")},
      {"peer-trusted-ca-file", pki("ca.crt")},
      {"snapshot-count", "10000"},
      {"trusted-ca-file", pki("ca.crt")},
      {"watch-progress-notify-interval", "5s"},
  };
  if (initialCluster.empty()) {
    flags.push_back({"initial-cluster", node.name + "=" + etcdPeerUrl(node)});
  } else {
    flags.push_back({"initial-cluster", initialCluster});
    flags.push_back({"initial-cluster-state", "existing"});
  }

  ProbeEndpoint probes{"http", loopback(node), self.port};
  if (const std::string* urls = lastValue(etcd.extraArgs, "listen-metrics-urls"))
    probes = parseMetricsUrl(std::string_view(*urls).substr(0, urls->find(',')), loopback(node));

  Mounts mounts;
  mounts.add("etcd-data", etcd.dataDir, "DirectoryOrCreate", false);
  mounts.add("etcd-certs", cluster.pki.folder / "etcd", "DirectoryOrCreate", false);

  return componentPod(
      self, setup,
      {.flags = std::move(flags),
       .extraFlags = etcd.extraArgs,
       .environment = environment({}, etcd.extraEnvs),
       .probes = std::move(probes),
       .volumes = mounts.volumes(),
       // The one list that kubeadm does not sort; the order is part of the pod's hash.
       .volumeMounts = Value::array({mounts.volumeMount("etcd-data"), mounts.volumeMount("etcd-certs")}),
       .annotations = Value::object({{"kubeadm.kubernetes.io/etcd.advertise-client-urls", etcdClientUrl(node)}})});
}

} // namespace kubestrap::manifests
