#pragma once
// config/ turns documents (kubeadm's v1beta4 kinds, component configurations, KubestrapConfiguration) and flags into
// the records below, and back. It is pure: what it needs to know of the machine comes as Facts. Every default is filled
// in here; who reads a Setup never asks "was it set?".

#include "certs/spec.hpp"
#include "config/addon.hpp"
#include "config/bundled.hpp"
#include "config/paths.hpp"
#include "config/reconfiguring.hpp"
#include "config/upgrading.hpp"
#include "support/ip.hpp"
#include "support/secret.hpp"
#include "support/time.hpp"
#include "support/value.hpp"
#include "support/version.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace kubestrap::config {

/// One command-line flag of a component; without leading dashes. The same name may come several times.
struct Arg {
  std::string name, value;
  bool operator==(const Arg&) const = default;
};

struct HostPathMount {
  std::string name, hostPath, mountPath;
  bool readOnly = false;
  std::string pathType; ///< "", "DirectoryOrCreate", "FileOrCreate", "Directory", "File", ...
};

/// What the operator adds to a control plane component.
struct ComponentOptions {
  std::vector<Arg> extraArgs;
  std::vector<HostPathMount> extraVolumes;
  std::vector<Value> extraEnvs; ///< core/v1 EnvVar
};

struct Endpoint {
  std::string host; ///< name or address, without brackets
  int port = 6443;
  std::string string() const { return joinHostPort(host, port); }
  std::string url() const { return "https://" + string(); }
  bool operator==(const Endpoint&) const = default;
};

/// In kube-public/cluster-info, the beginning of the keys that tell of API servers: "api-server.n1" -> "10.0.0.11:6443".
inline constexpr std::string_view apiServerNotice = "api-server.";

struct LocalEtcd {
  std::string imageRepository, imageTag; ///< resolved; the two flags say what the operator pinned
  bool tagGiven = false, repositoryGiven = false;
  Path dataDir = "/var/lib/etcd";
  std::vector<Arg> extraArgs;
  std::vector<Value> extraEnvs;
  std::vector<std::string> serverCertSANs, peerCertSANs;
};

struct ExternalEtcd {
  std::vector<std::string> endpoints, httpEndpoints;
  std::string caFile, certFile, keyFile; ///< may be empty
};

/// Either runs on the control plane nodes (local) or elsewhere (external).
struct Etcd {
  LocalEtcd local;
  std::optional<ExternalEtcd> external;
  bool isLocal() const { return !external; }
};

struct Networks {
  std::vector<Cidr> services;           ///< one, or two of different families
  std::vector<Cidr> pods;               ///< may be empty
  std::string serviceSubnet, podSubnet; ///< as written, handed to components verbatim
  std::string dnsDomain = "cluster.local";
  IpAddress apiServerServiceAddress() const { return *services.front().nth(1); }
  IpAddress dnsServiceAddress() const { return *services.front().nth(10); }
};

struct PkiPolicy {
  Path folder = paths::pki;
  certs::KeyAlgorithm algorithm = certs::KeyAlgorithm::ecdsaP256;
  Duration certificateLife = std::chrono::hours(8760);
  Duration authorityLife = std::chrono::hours(87600);
  std::string requests, policy; ///< KubestrapConfiguration.pki: a folder and a file; empty: none
  std::map<std::string, certs::Override> overrides; ///< what they say, by certificate; read by the caller (certs/overrides.hpp)
};

/// Complete image references, resolved from repository, tag and Kubernetes version (D2).
struct Images {
  std::string apiServer, controllerManager, scheduler, proxy, coreDns, pause, etcd;
};

enum class Layout { plain, hosted };                      ///< decision D6
enum class Hosting { staticPods, self };                  ///< `static` or `self`: who keeps the control plane's pods
enum class EndpointMode { local, vip, external, single }; ///< decision D21

/// Whether every node has a balancer of its own.
constexpr bool balancesOnNodes(EndpointMode mode) { return mode == EndpointMode::local || mode == EndpointMode::vip; }

/// The address that one of the control plane nodes has beside its own.
struct Vip {
  IpAddress address;
  std::string interface; ///< empty: the one with the node's own address
  int router = 0;        ///< VRRP's virtual router id: 1 to 255
  int priority = 100;    ///< VRRP's: 1 to 254
  std::string image;     ///< empty: the shipped one
};

/// What the API servers' audit log holds.
struct Audit {
  std::string policyFile; ///< as asked for, until it was read; empty: the policy came as a document
  int maxSize = 100;      ///< of a file, in MiB
  int maxBackups = 10;    ///< files that are kept beside the present one; 0: all
  Value policy;           ///< Policy of audit.k8s.io/v1; null: nobody has read it
};

/// How API servers encrypt what they store.
struct EncryptionAtRest {
  std::string provider;               ///< "secretbox"
  std::vector<std::string> resources; ///< "secrets", "deployments.apps"
  bool operator==(const EncryptionAtRest&) const = default;
};

/// KubestrapConfiguration (kubestrap.io/v1alpha1): what kubeadm has no field for.
struct KubestrapOptions {
  Layout layout = Layout::plain;
  Hosting hosting = Hosting::staticPods;
  EndpointMode endpointMode = EndpointMode::single;
  std::string frontImage; ///< of the balancer on every node; empty: the shipped one
  std::optional<Vip> vip; ///< of endpointMode vip
  std::optional<std::vector<std::string>> preflightFix; ///< findings that --fix may put right; nothing: all it can
  std::vector<Addon> addons;
  std::optional<Audit> audit;                           ///< nothing: no audit log
  std::optional<EncryptionAtRest> encryption;           ///< nothing: as it is
};

/// A component configuration (KubeletConfiguration, KubeProxyConfiguration) with kubestrap's defaults filled in.
struct ComponentConfig {
  Value document;
  bool userSupplied = false; ///< false: generated, so its ConfigMap carries kubeadm's hash annotation
};

/// What is the same for all nodes: ClusterConfiguration and the component configurations.
struct Cluster {
  std::string name = "kubernetes";
  Version version;
  std::optional<Endpoint> controlPlaneEndpoint; ///< with its port resolved
  Networks networks;
  Etcd etcd;
  PkiPolicy pki;
  std::string imageRepository = "registry.k8s.io";
  Images images;
  ComponentOptions apiServer, controllerManager, scheduler;
  std::vector<std::string> apiServerCertSANs;
  bool dnsDisabled = false, proxyDisabled = false;
  std::string dnsImageRepository, dnsImageTag; ///< as given; empty: default
  std::map<std::string, bool> featureGates;
  ComponentConfig kubelet, proxy;
  KubestrapOptions kubestrap;
};

enum class PullPolicy { always, ifNotPresent, never };

/// What is particular to this node.
struct Node {
  std::string name;     ///< resolved: hostname < nodeRegistration.name < kubeletExtraArgs hostname-override
  std::string hostname; ///< of the machine, lower-cased
  bool controlPlane = true;
  IpAddress advertiseAddress;
  int bindPort = 6443;
  std::string criSocket;     ///< "unix:///var/run/containerd/containerd.sock"
  std::vector<Value> taints; ///< core/v1 Taint
  std::vector<Arg> kubeletExtraArgs;
  PullPolicy pullPolicy = PullPolicy::ifNotPresent;
  bool pullSerial = true;
  std::string resolvConf; ///< "/run/systemd/resolve/resolv.conf" when systemd-resolved is active, else empty
  std::map<std::string, std::string> proxyVariables; ///< handed to the control plane pods and kube-proxy
  /// The kubelet's program where its unit does not hand it our settings, so that a drop-in of ours has to.
  std::optional<Path> kubeletWithoutSettings;
  bool hasSystemd = false;
  std::vector<std::string> caFolders;                ///< optional CA folders of the host that exist
  /// ca.crt is here and ca.key is not: certificates are signed elsewhere, and the controller-manager must not try.
  bool externalAuthority = false;
  std::string hostsFile; ///< what /etc/hosts says
  /// The static pods of the balancer that are here, by slot ("a", "b"), as their files say.
  std::map<std::string, std::string> fronts;
  /// Where the cluster's authority is no root: by whom the balancer verifies API servers (PEM, X509Certificate::trustedPem).
  std::string frontAuthority;
  std::string hosting; ///< what node.json says; empty: it is not there
  /// The API server of this node itself, without balancer: what init and the node's own components use. In the hosted layout it is the
  /// balancer's, which has no other before the node's own.
  Endpoint localEndpoint() const { return {advertiseAddress.string(), bindPort}; }
};

struct BootstrapToken {
  std::string id;
  Secret secret;
  std::string description;
  std::optional<Duration> ttl; ///< nothing or zero: never expires
  std::optional<TimePoint> expires;
  std::vector<std::string> usages, groups;
  Secret token() const { return Secret(id + "." + secret.reveal()); }
};

struct Timeouts {
  Duration controlPlaneComponentHealthCheck = std::chrono::minutes(4);
  Duration kubeletHealthCheck = std::chrono::minutes(4);
  Duration kubernetesAPICall = std::chrono::minutes(1);
  Duration etcdAPICall = std::chrono::minutes(2);
  Duration tlsBootstrap = std::chrono::minutes(5);
  Duration discovery = std::chrono::minutes(5);
  Duration upgradeManifests = std::chrono::minutes(5);
};

/// A patch file of `--patches`, read by the caller: "kube-apiserver0+merge.yaml".
struct Patch {
  std::string fileName;
  enum class Target {
    etcd,
    apiServer,
    controllerManager,
    scheduler,
    kubeletConfiguration,
    coreDnsDeployment,
    kubeProxyDaemonSet
  } target;
  enum class Kind { strategic, merge, json } kind;
  Value document;
};

/// How a machine that joins finds the cluster and comes to trust it.
struct TokenDiscovery {
  Endpoint server;
  std::string tokenId;
  Secret tokenSecret;
  /// "sha256:..." of authorities that may be behind it; empty: the cluster's own word is believed, as
  /// unsafeSkipCAVerification asks for.
  std::vector<std::string> pins;
};
struct FileDiscovery {
  std::string path; ///< of a kubeconfig on this machine, or its https URL
  bool isUrl() const { return path.starts_with("https://"); }
};
struct Discovery {
  std::variant<TokenDiscovery, FileDiscovery> how;
  Secret tlsBootstrapToken; ///< "id.secret"; empty: the file has credentials
};

/// What a machine that joins has learned from the cluster, before anything was changed.
struct Joining {
  std::string server;      ///< "https://api.example.org:6443": where the cluster says that its API is
  std::string authorities; ///< PEM
  Path authorityFile = "/etc/kubernetes/pki/ca.crt"; ///< caCertPath
  /// With what the kubelet asks for its certificate: a token, or else a client certificate.
  Secret token;
  std::string clientCertificate;
  Secret clientKey;
  std::string user; ///< how bootstrap-kubelet.conf calls that identity
  /// The shared files of the control plane, by their key in kubeadm-certs ("ca.key"), where they were downloaded.
  std::map<std::string, Secret> sharedFiles;
  bool kubeletHasCredentials = false; ///< kubelet.conf is there: the TLS bootstrap is done
};

/// What `certs renew` is to do.
struct Renewal {
  /// What a certificate or kubeconfig that is there says, and keeps.
  struct Kept {
    std::optional<certs::Subject> subject;
    std::optional<certs::AlternativeNames> names; ///< nothing: as the configuration says
    std::string server, tlsServerName, clusterName, user; ///< of a kubeconfig
  };
  std::map<std::string, Kept> wanted; ///< by name of the catalogue, or file of a kubeconfig
  Duration within = Duration::max();  ///< only those that end within it
};

/// What `certs import` has found to be good, and shall be put in place.
struct Importing {
  struct Pair {
    std::string certificate; ///< PEM; of "sa" the public key
    Secret key;              ///< empty: it is not brought
  };
  std::map<std::string, Pair> pairs; ///< by name of the catalogue, or file of a kubeconfig; "sa"
  bool running = false;              ///< a control plane is here, which takes them up
};

/// One thing of this machine that was made or changed, with what was there before.
struct Recorded {
  enum class Kind {
    file,
    folder, ///< made on the way to something: goes once it is empty
    data,   ///< a folder whose whole content is the cluster's
    unit,
    sysctl,
    swap,
    program, ///< of another content than was there; `value` is where that is kept
    package
  } kind = Kind::file;
  std::string name;              ///< a path, a unit, a setting, an area of swap
  bool existed = false;
  std::optional<Secret> content; ///< of a file that was replaced
  unsigned mode = 0;
  std::string value;             ///< of a setting; where a program is kept
  bool enabled = false, active = false; ///< of a unit
};

/// What `reset` has learned of this machine and its cluster, before anything was changed.
struct Resetting {
  // asked for
  bool force = false, cleanupTmpDir = false;
  Path certificatesDir = paths::pki;
  std::vector<std::string> unmountFlags; ///< "MNT_DETACH"
  std::optional<Duration> drain;         ///< pods are moved away first, for as long as this

  // this machine
  std::vector<Recorded> recorded; ///< what was made last comes first
  bool journal = false;           ///< false: nobody of ours made it a node, so the well-known paths hold
  bool isNode = false;            ///< something of a node is on it
  std::set<Path> before;          ///< what was there before, of what lies where components write
  std::map<std::string, std::string> sysctlsBefore; ///< of those that components change; only where they differ now
  std::optional<Path> etcdData;   ///< of the etcd whose manifest is here
  std::vector<std::string> links; ///< network interfaces that the pod network has made
  std::set<std::string> chainsBefore; ///< of packet filters

  // the cluster
  std::string unreachable;            ///< why it could not be asked; empty: it answered
  std::optional<Path> kubeconfig;     ///< with which it is asked; nothing: there is none
  std::string server;                 ///< of another control plane; empty: as the kubeconfig says
  bool mayDeleteNode = false;
  unsigned otherControlPlanes = 0;
  std::string etcdPeerUrl;            ///< of this node's member; empty: it has none, or is the last
  std::string quorumLoss;             ///< why etcd would stop without this member; empty: it goes on
};

/// What was asked for in this run only.
/// What `node readdress` is to do. Nothing, where there is no `from`.
struct Readdressing {
  struct Text {
    std::string content;
    unsigned mode = 0600;
  };
  std::string from, to;        ///< addresses
  std::map<Path, Text> files;  ///< those of this machine that name `from`
  bool own = false;            ///< it is this node's own address, and not that of another one
  bool othersVote = false;     ///< etcd has further members, which have to be told first
  std::vector<Value> objects;  ///< of the cluster, that name `from`
};

struct Request {
  std::vector<BootstrapToken> tokens;
  bool tokensGiven = false; ///< false: the one token was made up
  bool uploadCerts = false;
  Secret certificateKey;   ///< 64 hex digits; empty: none yet
  TimePoint certsExpire{}; ///< when the uploaded certificates go
  Secret encryptionKey; ///< in base64: the first key of API servers that encrypt, where there is none yet; empty: none may be made
  std::vector<std::string> ignorePreflightErrors;
  std::vector<std::string> skipPhases;
  Path kubeconfigDir = paths::kubernetes; ///< --kubeconfig-dir of the kubeconfig phases
  std::optional<Path> kubeconfig; ///< to speak to the cluster with, at its own server; nothing: admin.conf
  std::string patchesDirectory; ///< as asked for; its files are read by the caller into `patches` (patches.hpp)
  std::vector<Patch> patches;   ///< in order of application
  bool dryRun = false;          ///< as the file says; --dry-run is the caller's
  Timeouts timeouts;
  /// The API servers of other nodes, by node, as far as they are known.
  std::map<std::string, Endpoint> apiServers;
  std::string ownImage; ///< kubestrap's own, of this version: "kubestrap.io/kubestrap:v0.1.0"
  Path ownImageArchive; ///< where it is shipped; empty: nowhere
  std::optional<Bundled> bundled; ///< what --bundle names
  bool offline = false;           ///< nothing may be fetched
  std::map<std::string, AddonSeen> addons; ///< by name: those whose manifests were read, or that are to be removed
  std::optional<Duration> addonPatience;   ///< how long their pods are waited for; nothing: not at all
  Joining joining;      ///< of `join` only
  Renewal renewal;      ///< of `certs renew` only
  Importing importing;  ///< of `certs import` only
  Resetting resetting;  ///< of `reset` only
  Upgrading upgrading;  ///< of `upgrade`, and of `reconfigure` on a plain control plane
  Reconfiguring reconfiguring; ///< of `reconfigure` on a plain control plane only
  Readdressing readdressing; ///< of `node readdress` only
};

/// All that a workflow needs to know: the input of every phase.
struct Setup {
  Cluster cluster;
  Node node;
  Request request;
  /// The endpoint that clients on the cluster's nodes use: controlPlaneEndpoint, else this node's own API server.
  Endpoint publicEndpoint() const {
    return cluster.controlPlaneEndpoint ? *cluster.controlPlaneEndpoint : node.localEndpoint();
  }
  /// The one for machines that are no nodes, or not yet: the virtual address where there is one.
  Endpoint outsideEndpoint() const {
    const auto& vip = cluster.kubestrap.vip;
    return vip ? Endpoint{vip->address.string(), publicEndpoint().port} : publicEndpoint();
  }
};

} // namespace kubestrap::config
