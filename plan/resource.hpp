#pragma once
// plan/ is the engine: it compares what should be true with what is, shows the difference, and enacts it. This header is the
// part that phases may see: what should be true, as plain data. A closed set: a new kind makes the compiler list the places.

#include "certs/spec.hpp"
#include "support/secret.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kubestrap::plan {

using Path = std::filesystem::path;

/// With which credentials, and at which server if not the kubeconfig's own, the cluster is spoken to.
struct Access {
  Path kubeconfig;
  std::string server; ///< empty: as the kubeconfig says
};

/// How etcd is spoken to: where its members are is known to the cluster (annotations of their pods), the credentials are files here.
struct EtcdAccess {
  Access api;
  Path authority, certificate, key;
};

// ---- on this machine

/// How two versions of a file are compared: byte for byte, or as YAML documents, in which case a difference of layout alone is none
/// (the kubelet hashes the decoded pod: kubelet/config/common.go).
enum class Compare {
  bytes,
  document,
  presence ///< what it says belongs to somebody else, once it is there
};
enum class Secrecy { open, secret };

/// What only etcd's members can say: who they are when a further one begins. The engine puts it in place of the content's text
/// `placeholder`; a file that is there keeps what it says, since etcd reads it in its first start only.
struct InitialCluster {
  EtcdAccess access;
  std::string name, peerUrl; ///< the member itself, which has no name yet
  static constexpr std::string_view placeholder = "initial-cluster-of-etcd";
};

struct File {
  Path path;
  std::string content;
  unsigned mode = 0644;
  Compare compare = Compare::bytes;
  Secrecy secrecy = Secrecy::open;
  unsigned folderMode = 0755; ///< of the parent folders that have to be made
  std::optional<InitialCluster> initialCluster = {};
};

struct Folder {
  Path path;
  unsigned mode = 0755;
  std::optional<unsigned> owner = {}; ///< user and group; nothing: whoever it is
};

/// What must not be there. Only what kubestrap may remove is ever listed.
struct Absent {
  Path path;
  enum class Depth {
    entry,
    whenEmpty, ///< a folder stays while something of others is in it
    tree,      ///< a folder with all that is in it; never anything of another file system
    content    ///< what is in a folder; the folder stays
  } depth = Depth::entry;
  std::set<Path> keep = {}; ///< of a tree or content: what stays, and the folders above it
  std::string reason = "not needed any more";
};

struct Certificate {
  certs::CertSpec spec;
};

/// The service account keys.
struct KeyPair {
  Path privateKey, publicKey;
  certs::KeyAlgorithm algorithm = certs::KeyAlgorithm::ecdsaP256;
};

/// A client certificate made for and embedded in a kubeconfig.
struct EmbeddedCertificate {
  certs::CertSpec spec; ///< its certificate and key paths are empty
};
/// Credentials that lie in a file of their own and are rotated there (the kubelet's).
struct CertificateFile {
  Path path;
};
struct TokenCredential {
  Secret token;
};
/// A client certificate that somebody else made.
struct GivenCertificate {
  std::string certificate; ///< PEM
  Secret key;
};
using Credential = std::variant<EmbeddedCertificate, CertificateFile, TokenCredential, GivenCertificate>;

struct Kubeconfig {
  Path path;
  std::string server;        ///< "https://10.0.0.11:6443"
  std::string tlsServerName; ///< empty: the server's own name
  std::string clusterName, user;
  Path authority;            ///< certificate file whose content is embedded
  Credential credential;
  /// Certificate and key, one after the other, where they are not embedded: a component that is told a file takes up a renewed one by itself
  /// (client-go reads it with every new connection, and looks at it every five minutes).
  Path credentialFile = {};
  /// Servers that one which exists may name as well.
  std::vector<std::string> otherServers = {};
};

/// A component that the kubelet runs by a manifest on this machine.
struct StaticPod {
  std::string component; ///< "kube-apiserver": its container's name, and how its pod's name begins
  std::string image;
  Path manifest;
};

enum class Wanted { running, stopped };
struct Service {
  std::string name; ///< "kubelet"
  Wanted wanted = Wanted::running;
  /// A service that was started before one of these files was last written is restarted.
  std::vector<Path> restartWhenChanged;
  /// And so is one that has let one of these pods stand still, since it would try them again only minutes later: its back-off ends with
  /// its process.
  std::vector<StaticPod> restartWhenIdle;
};

// ---- what ends a wait early, since no patience will mend it (decision D16).
/// A unit that fails again and again, or is stopped.
struct UnitFails {
  std::string unit;
};
/// A static pod whose container exits, cannot be made, or whose image cannot be had.
struct StaticPodFails {
  StaticPod pod;
};
using FatalSign = std::variant<UnitFails, StaticPodFails>;

// ---- in the cluster

/// Whether a member counts for etcd's quorum.
enum class Standing {
  learner, ///< it copies, and has no vote yet; a voter is left as it is
  voter,   ///< promoted once it has caught up
  server,  ///< a voter that serves clients
  leader,  ///< a voter that serves clients, to which leadership is moved
  absent
};

/// A Lease in kube-system by which nodes take turns at what only one may do at a time. One that was not given back passes to the next
/// when `validFor` is over.
struct Turn {
  Access access;
  std::string lease, holder;
  Duration validFor{}, patience{};
};

/// The Lease of control planes that are away for a while: their static pods are made anew.
inline constexpr std::string_view controlPlaneTurn = "kubestrap-control-plane";

/// A member of etcd, known by its peer URL.
struct EtcdMember {
  EtcdAccess access;
  std::string name, peerUrl; ///< "n2", "https://10.0.0.12:2380"
  Turn turn;                 ///< held from when it is added until it votes, or is taken out again
  Standing standing = Standing::voter;
  Duration patience{};
  std::vector<FatalSign> fatal; ///< what ends the wait for the promotion early
  std::string pod = {}; ///< in which it runs here, "etcd-n2"; empty: there is but one of etcd
  std::string inPlaceOf = {}; ///< peer URL of one that makes room for it, as long as that one is there: as a server or leader it has to have the same data first
  std::string clientUrl = {}; ///< "https://10.0.0.12:2379", which it tells the others only once they hear it; empty: not known here
};

// What a document cannot say before the world is seen; the engine puts it in at `Fill::at`.
/// The kubeconfig text of cluster-info: server and authority, no user (kubeadm: phases/bootstraptoken/clusterinfo).
struct DiscoveryKubeconfig {
  std::string server;
  Path authority;
};
/// What a token's bearer knows such a text by (kube/jws.hpp). The controller-manager writes the same, once it has been elected.
struct DiscoverySignature {
  DiscoveryKubeconfig kubeconfig;
  std::string tokenId;
  Secret tokenSecret;
};
/// A file, encrypted with the certificate key and in base64, as in the Secret kubeadm-certs; an absent file gives "".
struct SealedFile {
  Path path;
  Secret key; ///< 64 hex digits
};
/// metadata.uid of another object.
struct UidOf {
  std::string apiVersion, kind, nameSpace, name;
};
/// A file, sealed for whoever has the key of a certificate (decision D24), in base64.
struct FileFor {
  Path path;
  std::string certificate; ///< PEM
};
struct Fill {
  Pointer at;
  std::variant<DiscoveryKubeconfig, DiscoverySignature, SealedFile, UidOf, FileFor> with;
};

enum class ApplyMode {
  apply,      ///< server-side apply, field manager kubestrap (D11)
  createOnly, ///< made when absent, never changed
  absent,
  mark        ///< labels, annotations, taints and data merged into an existing object, which is waited for
};

/// Who says whether a live object is as a document wants it.
enum class Judge {
  engine, ///< made for it: every value is written as the server writes it
  server  ///< of other makers: where the engine sees a difference, the server is asked what it would make of the document
};

struct Object {
  Value document;
  ApplyMode mode = ApplyMode::apply;
  Access access;
  std::vector<Fill> fills;
  Secrecy secrecy = Secrecy::open;
  /// Members that are only set when the object is made: afterwards they are the operator's (replicas, Corefile).
  std::vector<Pointer> initialOnly;
  Judge judge = Judge::engine;
  bool awaited = false; ///< one that is to be absent, until it is: others may have to tidy up behind it first
};

// ---- waiting

struct KubeletHealthy {
  std::string url; ///< "http://127.0.0.1:10248/healthz"
};
/// The API server answers /livez (or another path), asked with a kubeconfig's authority and credentials.
struct ApiServerAnswers {
  Access access;
  std::string path = "/livez";
  std::string onBehalfOf = {}; ///< a user, as a proxy in front of it says whom it speaks for; empty: the credentials' own
};
/// A component's own health port on this machine; its certificate is self-signed and not verified.
struct ComponentHealthy {
  std::string component, url;
};
struct FileExists {
  Path path;
};
/// A ServiceAccount, Node or other object exists.
struct ObjectExists {
  Access access;
  std::string apiVersion, kind, nameSpace, name;
};
/// The container runtime answers, and says that it is ready.
struct RuntimeReady {};
/// A TLS server shows the first certificate of this file: it has taken it up.
struct ServesCertificate {
  std::string host;
  int port = 0;
  Path certificate;
};
/// No container of a static pod runs any more.
struct StaticPodGone {
  std::string pod; ///< "etcd-n1"
  /// As far as it answers, it has no mirror pod either: the kubelet lets it go when it is through with the pod. Another pod of this name that comes sooner waits for ten to fifteen
  /// seconds (kubelet: pod_workers.go, allowPodStart).
  std::optional<Access> mirror = {};
};
/// More than half of etcd's members answer, and see a leader.
struct EtcdHealthy {
  EtcdAccess access;
};
/// The processes of a program on this machine have as many connections to one address as to another: each of its clients knows both, and has got
/// through to it.
struct ConnectedAsWell {
  std::string program;   ///< "kube-apiserver"
  std::string from, to;  ///< "127.0.0.1:2379", "127.0.0.1:2383"
};
/// The API server serves the kinds of these CustomResourceDefinitions.
struct KindsServed {
  Access access;
  std::vector<std::string> definitions; ///< "ipaddresspools.metallb.io"
};
/// All pods of these are of their present template, and ready.
struct RolledOut {
  struct Workload {
    std::string kind, nameSpace, name; ///< a Deployment, DaemonSet or StatefulSet
  };
  Access access;
  std::vector<Workload> workloads;
};
/// An API server encrypts what it stores by this file as it is (Kubernetes: encryptionconfig/controller, which looks once a minute).
struct EncryptsBy {
  Access access;
  Path file;
};
using Probe = std::variant<KubeletHealthy, ApiServerAnswers, ComponentHealthy, FileExists, ObjectExists, RuntimeReady, ServesCertificate, StaticPodGone,
                           EtcdHealthy, ConnectedAsWell, KindsServed, RolledOut, EncryptsBy>;

/// Waits until the probe holds.
struct Condition {
  std::string what; ///< "the API server answers at https://10.0.0.11:6443/livez"
  Probe probe;
  Duration patience{};
  std::string hint; ///< "look at journalctl -u kubelet"
  std::vector<FatalSign> fatal;
};

// ---- verbs by nature; each says whether it is still needed (plan/tasks.cpp)

/// An image is in the runtime.
struct PullImage {
  std::string image;
  enum class When { always, ifNotPresent } when = When::ifNotPresent;
};
/// An image that is shipped as an archive is in the runtime, put there by the runtime's own loader (decision D22).
struct LoadImage {
  std::string image;
  Path archive;       ///< empty: there is none
  std::string socket; ///< of the runtime: "unix:///run/containerd/containerd.sock"
  Path layout = {};   ///< of a bundle that was unpacked: the archive is made of what lies there, and gone afterwards
};
/// A part of a bundle is in its place.
struct InstallPart {
  std::string part; ///< "bin/kubelet"
  Path from, to;    ///< `from`: where it is unpacked
  std::string sha256;
  unsigned mode = 0755;
};
/// What this machine lacks of a bundle lies in a folder.
struct UnpackBundle {
  Path file;
  std::optional<Path> base; ///< the older bundle that a delta goes by
  std::string lockDigest;   ///< another one is not unpacked
  Path folder;
  std::vector<InstallPart> parts;
  std::vector<std::string> images;
};
/// Packages of the distribution are installed, from files: "conntrack_1.4.7-1_amd64.deb".
struct InstallPackages {
  std::vector<Path> files;
};
struct RemovePackages {
  std::vector<std::string> names;
};
/// A setting of the running kernel. What shall hold after a reboot too is a File below /etc/sysctl.d beside it.
struct SetSysctl {
  std::string name, value; ///< "net.ipv4.ip_forward", "1"
};
/// A module is in the running kernel, or built into it. For a reboot: a File below /etc/modules-load.d.
struct LoadModule {
  std::string name; ///< "br_netfilter"
};
/// Nothing is swapped. For a reboot: /etc/fstab.
struct TurnSwapOff {};
/// A static pod runs with these files as they are: one whose container was made before one of them was written is made anew by the kubelet.
struct RestartStaticPod {
  StaticPod pod;
  std::vector<Path> files;
};
/// Static pods of one node are as their manifests say. Where one is not, all of them are made anew at once: they need each other, and are
/// away once, and not one after the other.
struct ReplaceStaticPods {
  struct Pod {
    StaticPod pod;
    std::string manifest;      ///< as a document
    std::string unlessHealthy = {}; ///< a URL: one that answers there with 200 is left as it is, and so is one whose data has served another version
    std::vector<Path> files = {};   ///< that it reads once: one that was made before one of them was written is made anew
  };
  /// What one of them has stored, while none of them runs.
  struct Data {
    std::string component;
    Path folder, copy;
    std::string health; ///< a URL: one that answers there with 200 is well
    enum class Does {
      keep,   ///< it is copied, unless a whole copy is there of a time since which it has not been well
      putBack ///< the copy takes its place, if there is a whole one
    } does = Does::keep;
    TimePoint began{}; ///< of this run
  };
  /// Of several control planes: it is this node's turn before anything ends, and the other members of etcd can do without this one.
  struct Among {
    Turn turn; ///< which GiveTurnBack ends
    EtcdAccess etcd;
    std::string member; ///< "https://10.0.0.11:2379", which ends with the pods; empty: none does
    Duration patience{}; ///< with the other members
    enum class Takes {
      always,
      whereItServes ///< an API server of this node that is away already is missed by nobody
    } takes = Takes::always;
  };
  std::vector<Pod> pods; ///< those that ask others come before these: they end in this order
  Duration patience{};   ///< until all of them have been made anew
  std::optional<Data> data = {};
  std::optional<Among> among = {};
  std::optional<Kubeconfig> kubelet = {}; ///< by which the kubelet goes from before they end
};
/// Others may have a turn that this node has, if it has.
struct GiveTurnBack {
  Turn turn;
};
/// What an etcd member has stored lies in a file of this machine, whole.
struct SaveEtcdSnapshot {
  EtcdAccess access;
  std::string endpoint; ///< "https://10.0.0.11:2379"
  Path file;
  Path newerThan; ///< one that is older than this file is taken anew
};
/// A member of etcd, known by its name, is reached by the others at another peer URL.
struct MoveEtcdMember {
  EtcdAccess access;
  std::string name, peerUrl; ///< "n2", "https://10.0.0.22:2380"
  Duration patience{};
};
struct TurnSwapOn {
  std::string area; ///< "/dev/sda2"
};
/// A unit is as it was found once.
struct RestoreUnit {
  std::string name;
  bool enabled = false, active = false;
};
/// No pod that a kubelet made is in the runtime.
struct RemovePods {
  enum class When { first, late } when = When::first; ///< late: those that were not there yet the first time, which no plan can know of
  std::vector<std::string> gently = {}; ///< "kubestrap-vip": containers of pods whose names begin so are asked to end before, since they undo something then
};
/// Nothing is mounted below a folder; what `keep` names stays.
struct Unmount {
  Path below;
  std::vector<std::string> flags; ///< "MNT_DETACH": kubeadm's names
  std::set<Path> keep;
};
/// The chains, tables and rules of kubelet, kube-proxy and CNI plugins are gone; all others are as they were.
struct RemoveClusterRules {
  std::set<std::string> keep;  ///< chains that were there before
  bool ofPodNetwork = false;   ///< those of CNI plugins as well, which others may use too
};
/// A network interface is gone.
struct RemoveLink {
  std::string name;
};
/// A node takes no new pods, and those that may move have left it.
struct Drain {
  Access access;
  std::string node;
  Duration patience{};
  enum class Alone {
    ended,
    refused ///< it does not begin while there are pods that nobody makes anew elsewhere
  } alone = Alone::ended;
  enum class Node {
    leaves,
    returns ///< Uncordon opens it later; where pods do not leave it in time, it takes pods again at once
  } then = Node::leaves;
};
/// A node that Drain has closed may take new pods again; one that somebody else had closed before stays closed.
struct Uncordon {
  Access access;
  std::string node;
  /// After a failure: it stays closed, and that is an error, where this file is in the place of that one already.
  struct Unless {
    Path from, to;
  };
  std::optional<Unless> unlessInstalled = {};
};
/// A program of this machine is as the file of another name, which has been put there by the operator.
struct InstallProgram {
  Path from, to;
};
/// The kubelet's client certificate is of the first authority in a file. Where it is not, a new one is asked for in the cluster, as the
/// kubelet does, which has to be started anew then.
struct KubeletCertificate {
  Access access; ///< with the kubelet's own credentials
  Path file, authority;
  Duration patience{};
};
/// A pod that runs a command on a node's machine has done so (manifests/node_op.hpp). It is deleted afterwards.
struct RunOnNode {
  Access access;
  Value pod;
  std::string what; ///< "n2: both authorities are trusted"
  Duration patience{};
};
/// Every object of these resources has been written anew, so that it lies in etcd as API servers encrypt it now.
struct StoreAnew {
  Access access;
  std::vector<std::string> resources; ///< "secrets", "deployments.apps"
};
using Task = std::variant<PullImage, LoadImage, SetSysctl, LoadModule, TurnSwapOff, RestartStaticPod, TurnSwapOn, RestoreUnit, RemovePods,
                          Unmount, RemoveClusterRules, RemoveLink, Drain, ReplaceStaticPods, GiveTurnBack, SaveEtcdSnapshot, MoveEtcdMember, Uncordon, InstallProgram,
                          KubeletCertificate, RunOnNode, StoreAnew, UnpackBundle, InstallPart, InstallPackages, RemovePackages>;

using Resource =
    std::variant<File, Folder, Absent, Certificate, KeyPair, Kubeconfig, Service, Object, EtcdMember, Condition, Task>;
using Resources = std::vector<Resource>;

/// Beside an authority that takes another's place: its key, certified by that one. "/etc/kubernetes/pki/ca-bridge.crt"
Path bridgeOf(const Path& authority);

/// "file /etc/kubernetes/manifests/etcd.yaml", "ConfigMap kube-system/kubeadm-config": how a resource is called in output.
std::string subject(const Resource& resource);

} // namespace kubestrap::plan
