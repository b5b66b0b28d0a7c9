// What a rotation wants of one node: files first, then the components that read them once, then live proof that the new authority is
// believed there.
#include "phases/rotation.hpp"

#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "phases/certificates.hpp"
#include "phases/front.hpp"
#include "phases/node.hpp"
#include "phases/renewal.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases::rotation {

namespace {

using config::Path;
using config::Setup;
using plan::Resources;
namespace paths = config::paths;

/// A component that reads these files once, when it starts, and which of them only say whom it trusts.
struct Reader {
  std::string_view component;
  std::vector<std::string_view> trust, others;
};

struct Row {
  std::string_view name, trust, key; ///< the files below the PKI folder
  std::vector<std::string_view> leaves;
  std::vector<std::string_view> kubeconfigs;
  std::vector<Reader> readers; ///< those that ask others before these
  bool workers = false;
};

const std::vector<Row>& table() {
  static const std::vector<Row> rows{
      {.name = "sa", .trust = "sa.pub", .key = "sa.key", .leaves = {}, .kubeconfigs = {},
       .readers = {{"kube-apiserver", {"sa.pub"}, {"sa.key"}}, {"kube-controller-manager", {}, {"sa.key"}}}},
      // API servers look at these files all the time.
      {.name = "front-proxy-ca", .trust = "front-proxy-ca.crt", .key = "front-proxy-ca.key", .leaves = {"front-proxy-client"}, .kubeconfigs = {}, .readers = {}},
      {.name = "etcd-ca", .trust = "etcd/ca.crt", .key = "etcd/ca.key", .leaves = {"etcd-server", "etcd-peer", "etcd-healthcheck-client", "apiserver-etcd-client"},
       .kubeconfigs = {}, .readers = {{"kube-apiserver", {"etcd/ca.crt"}, {}}, {"etcd", {"etcd/ca.crt"}, {}}}},
      {.name = "ca", .trust = "ca.crt", .key = "ca.key", .leaves = {"apiserver", "apiserver-kubelet-client"},
       .kubeconfigs = {"admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"},
       .readers = {{"kube-controller-manager", {"ca.crt"}, {"../controller-manager.conf"}}, {"kube-scheduler", {}, {"../scheduler.conf"}}}, .workers = true},
  };
  return rows;
}

const Row& rowOf(std::string_view authority) {
  for (const auto& row : table())
    if (row.name == authority) return row;
  throw Error(fmt::format("there is no authority {} to rotate", authority), join(rotatable(), ", "), ExitCode::usage);
}

/// The controller-manager wants one certificate in the file by which it signs, and ends at two (Kubernetes: signer/ca_provider.go).
constexpr std::string_view signerName = "ca-signer.crt";
constexpr std::string_view signerFlag = "--cluster-signing-cert-file=";

bool bothAreTrusted(Stage stage) { return stage == Stage::trusted || stage == Stage::issuing; }
/// In a cluster that hosts its control plane it stays: the standbys on the nodes may name it for long.
bool hasSignerFile(const Setup& setup, const Wish& wish) { return bothAreTrusted(wish.stage) || manifests::isHosted(setup.cluster); }

const Generation& signer(const Wish& wish) {
  return wish.stage == Stage::former || wish.stage == Stage::trusted ? wish.material.former : wish.material.next;
}

plan::File secretFile(Path path, const Secret& content) {
  return {.path = std::move(path), .content = content.reveal(), .mode = 0600, .secrecy = plan::Secrecy::secret, .folderMode = 0700};
}

/// Both generations, so that every control plane can go on and back by itself.
Resources stagedFiles(const Wish& wish) {
  const auto& [former, next, bridge] = wish.material;
  const auto file = [&](std::string_view name) { return staged(wish.authority, name); };
  Resources files{secretFile(file("former.key"), former.key), secretFile(file("next.key"), next.key),
                  plan::File{.path = file("former.crt"), .content = former.certificate, .folderMode = 0700},
                  plan::File{.path = file("next.crt"), .content = next.certificate, .folderMode = 0700}};
  if (!bridge.empty()) files.push_back(plan::File{.path = file("bridge.crt"), .content = bridge, .folderMode = 0700});
  return files;
}

Resources authorityFiles(const Setup& setup, const Wish& wish) {
  const auto& row = rowOf(wish.authority);
  const auto& folder = setup.cluster.pki.folder;
  Resources files;
  if (row.name == "ca" && hasSignerFile(setup, wish)) files.push_back(plan::File{.path = signerFile(setup.cluster), .content = signer(wish).certificate});
  if (!wish.forgotten) files.push_back(secretFile(folder / row.key, signer(wish).key));
  files.push_back(plan::File{.path = folder / row.trust, .content = trusted(wish), .mode = row.name == "sa" ? 0600U : 0644U});
  if (!wish.material.bridge.empty()) {
    const auto bridge = plan::bridgeOf(folder / row.trust);
    if (wish.stage == Stage::issuing) files.push_back(plan::File{.path = bridge, .content = wish.material.bridge});
    else files.push_back(plan::Absent{.path = bridge});
  }
  return files;
}

Resources leaves(const Setup& setup, const Wish& wish) {
  Resources all;
  const auto& row = rowOf(wish.authority);
  for (const auto name : row.leaves) append(all, renewedCertificates(setup, {name}));
  for (const auto file : row.kubeconfigs) append(all, renewedKubeconfig(setup, file));
  if (row.name == "ca" && manifests::isHosted(setup.cluster))
    for (const auto& hosted : certs::hostedKubeconfigs()) append(all, renewedKubeconfig(setup, hosted.file));
  return all;
}

/// The controller-manager's manifest, with the file by which it signs as it is at this stage.
std::string manifestAt(const Setup& setup, const Wish& wish, const std::string& component) {
  const auto found = wish.manifests.find(component);
  if (found == wish.manifests.end()) throw Error(fmt::format("the manifest of {} is absent", component), "this works on control planes that kubestrap or kubeadm has made");
  auto text = found->second;
  const auto at = text.find(signerFlag);
  if (wish.authority != "ca" || component != "kube-controller-manager" || at == std::string::npos) return text;
  const auto begin = at + signerFlag.size(), length = text.find_first_of(" \n\"'", begin) - begin;
  const auto plain = trustFile(setup.cluster, wish.authority), apart = signerFile(setup.cluster);
  const auto named = text.substr(begin, length);
  if (named != plain && named != apart) return text; // the operator's own
  return text.replace(begin, length, (bothAreTrusted(wish.stage) ? apart : plain).string());
}

plan::Condition apiServerIsReady(const Setup& setup) {
  return {.what = fmt::format("the API server is ready at {}", setup.node.localEndpoint().url()),
          .probe = plan::ApiServerAnswers{asAdmin(setup), "/readyz"},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = "look at its log below /var/log/pods/kube-system_kube-apiserver-*",
          .fatal = staticPodSigns(setup, {"kube-apiserver"})};
}

plan::Condition etcdIsHealthy(const Setup& setup, plan::EtcdAccess access) {
  return {.what = fmt::format("etcd knows {}", access.certificate.string()),
          .probe = plan::EtcdHealthy{std::move(access)},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = "look at its log below /var/log/pods/kube-system_etcd-*",
          .fatal = staticPodSigns(setup, {"etcd"})};
}

/// Components that read once what is new to them are made anew, all at once, and are well again.
Resources readers(const Setup& setup, const Wish& wish) {
  const auto& row = rowOf(wish.authority);
  plan::ReplaceStaticPods replace{.pods = {}, .patience = setup.request.timeouts.upgradeManifests};
  Resources well;
  for (const auto& reader : row.readers) {
    const std::string component(reader.component);
    if (component != "etcd" && manifests::isHosted(setup.cluster)) continue; // all nodes' together: rollNow
    plan::ReplaceStaticPods::Pod pod{.pod = staticPodOf(setup, component), .manifest = manifestAt(setup, wish, component)};
    // Who trusts both does not have to be told in which order.
    if (wish.stage != Stage::issuing)
      for (const auto file : reader.trust) pod.files.push_back((setup.cluster.pki.folder / file).lexically_normal());
    for (const auto file : reader.others) pod.files.push_back((setup.cluster.pki.folder / file).lexically_normal());
    replace.pods.push_back(std::move(pod));
    if (component == "etcd") well.insert(well.begin(), etcdIsHealthy(setup, etcdAccessOf(setup.cluster, asAdmin(setup))));
    else well.push_back(component == "kube-apiserver" ? apiServerIsReady(setup) : componentHealthy(setup, component));
  }
  if (replace.pods.empty()) return {};
  Resources all{plan::Task{std::move(replace)}};
  append(all, std::move(well));
  return all;
}

Resources leavesAreShown(const Setup& setup, const Wish& wish) {
  Resources all;
  if (wish.authority == "ca") all.push_back(showsItsCertificate(setup, "kube-apiserver", setup.node.advertiseAddress.string(), setup.node.bindPort, "apiserver"));
  if (wish.authority == "etcd-ca") {
    all.push_back(showsItsCertificate(setup, "etcd", "127.0.0.1", 2379, "etcd-server"));
    all.push_back(showsItsCertificate(setup, "etcd", setup.node.advertiseAddress.string(), 2380, "etcd-peer"));
  }
  return all;
}

certs::CertSpec probeSpec(const Wish& wish, std::string user) {
  return {.name = "probe",
          .issuer = wish.authority,
          .subject = {.commonName = std::move(user)},
          .names = {},
          .usages = {certs::ExtendedUsage::clientAuth},
          .life = std::chrono::hours(24),
          .certificate = staged(wish.authority, "probe.crt"),
          .key = staged(wish.authority, "probe.key"),
          .issuerCertificate = staged(wish.authority, "next.crt"),
          .issuerKey = staged(wish.authority, "next.key")};
}

/// A client of the next authority is let in by this node's API server.
Resources nextIsBelieved(const Setup& setup, const Wish& wish, std::string user, std::string onBehalfOf) {
  auto spec = probeSpec(wish, std::move(user));
  const auto shown = spec.subject.commonName;
  const auto path = staged(wish.authority, "probe.conf");
  spec.certificate.clear();
  spec.key.clear();
  return {plan::Kubeconfig{.path = path,
                           .server = setup.node.localEndpoint().url(),
                           .tlsServerName = {},
                           .clusterName = setup.cluster.name,
                           .user = shown,
                           .authority = certificateFile(setup.cluster, "ca"),
                           .credential = plan::EmbeddedCertificate{std::move(spec)}},
          plan::Condition{.what = fmt::format("the API server believes the next {}", wish.authority),
                          .probe = plan::ApiServerAnswers{{path, {}}, "/livez", std::move(onBehalfOf)},
                          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                          .hint = "look at its log below /var/log/pods/kube-system_kube-apiserver-*",
                          .fatal = staticPodSigns(setup, {"kube-apiserver"})}};
}

Resources proof(const Setup& setup, const Wish& wish) {
  if (wish.stage == Stage::former) return {};
  if (wish.authority == "ca") return nextIsBelieved(setup, wish, "kubestrap-rotation", {});
  // API servers let a proxy speak for others by its authority and its name.
  if (wish.authority == "front-proxy-ca") return nextIsBelieved(setup, wish, "front-proxy-client", "kubestrap-rotation");
  return {};
}

/// A member that trusts its own authority only would be cut off from here on.
Resources everyMemberBelieves(const Setup& setup, const Wish& wish) {
  if (wish.authority != "etcd-ca" || wish.stage != Stage::issuing) return {};
  auto access = etcdAccessOf(setup.cluster, asAdmin(setup));
  const auto spec = probeSpec(wish, "kubestrap-rotation");
  access.certificate = spec.certificate;
  access.key = spec.key;
  return {plan::Certificate{spec}, etcdIsHealthy(setup, std::move(access))};
}

/// The balancer reads whom it trusts once. The one that does so takes the sockets over from the one before, in the other slot.
Resources balancer(const Setup& setup, const Wish& wish) {
  const auto& fronts = setup.node.fronts;
  if (fronts.empty()) return {};
  const auto& [prior, next, bridge] = wish.material; // in which order both are trusted is nothing to it
  const auto mark = sha256Hex(bothAreTrusted(wish.stage) ? prior.certificate + next.certificate : trusted(wish)).substr(0, 16);
  const auto former = std::ranges::find_if(fronts, [&](const auto& each) { return manifests::frontTrusts(each.second) != mark; });
  if (former == fronts.end()) return {};
  const auto& [slot, manifest] = *former;
  const std::string other = slot == "a" ? "b" : "a";
  return frontInSlot(setup, other, manifests::frontInSlot(manifest, slot, other, mark), plan::UnitFails{"kubelet"});
}

/// The kubelet reads kubelet.conf once.
Resources kubelet(const Setup& setup, const Wish& wish) {
  Resources all{plan::File{.path = paths::kubeletConf, .content = wish.kubeletConf, .mode = 0600, .secrecy = plan::Secrecy::secret}};
  if (wish.kubelet == Kubelet::follows)
    all.push_back(plan::Task{plan::KubeletCertificate{.access = {paths::kubeletConf, {}},
                                                      .file = paths::kubeletClientCertificate,
                                                      .authority = trustFile(setup.cluster, wish.authority),
                                                      .patience = setup.request.timeouts.tlsBootstrap}});
  all.push_back(plan::Service{.name = "kubelet", .wanted = plan::Wanted::running, .restartWhenChanged = {paths::kubeletConf, paths::kubeletClientCertificate}, .restartWhenIdle = {}});
  append(all, kubeletIsHealthy(setup));
  all.push_back(plan::Condition{.what = "the API server knows the kubelet",
                                .probe = plan::ApiServerAnswers{{paths::kubeletConf, {}}},
                                .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                                .hint = "look at: journalctl -u kubelet",
                                .fatal = {plan::UnitFails{"kubelet"}}});
  return all;
}

Resources onControlPlane(const Setup& setup, const Wish& wish) {
  auto all = wish.forgotten ? Resources{} : stagedFiles(wish);
  append(all, everyMemberBelieves(setup, wish));
  append(all, authorityFiles(setup, wish));
  append(all, leaves(setup, wish));
  append(all, readers(setup, wish));
  append(all, leavesAreShown(setup, wish));
  if (!wish.forgotten) append(all, proof(setup, wish));
  if (!rowOf(wish.authority).workers) return all;
  if (!hasSignerFile(setup, wish)) all.push_back(plan::Absent{.path = signerFile(setup.cluster)});
  append(all, balancer(setup, wish));
  append(all, kubelet(setup, wish));
  return all;
}

} // namespace

std::string trusted(const Wish& wish) {
  const auto& [former, next, bridge] = wish.material;
  switch (wish.stage) {
  case Stage::former: return former.certificate;
  case Stage::trusted: return former.certificate + next.certificate;
  case Stage::issuing: return next.certificate + former.certificate;
  case Stage::dropped: return next.certificate;
  }
  return {};
}

namespace {

/// A digest of what a component reads once at a stage. Their kubeconfigs have the authority, too, and credentials in a file of its own, which
/// they look at all the time.
std::string signOf(const Wish& wish, const Reader& reader) {
  const auto& row = rowOf(wish.authority);
  const auto& [former, next, bridge] = wish.material;
  std::string read;
  if (!reader.trust.empty() || row.name == "ca") read += bothAreTrusted(wish.stage) ? former.certificate + next.certificate : trusted(wish);
  if (std::ranges::find(reader.others, row.key) != reader.others.end()) read += signer(wish).certificate;
  return fmt::format("{}:{}", row.name, sha256Hex(read).substr(0, 16));
}

} // namespace

std::map<std::string, manifests::Reading> readings(const Wish& wish, const config::Cluster& cluster) {
  auto atFirst = wish;
  atFirst.stage = Stage::former;
  std::map<std::string, manifests::Reading> all;
  for (const auto& reader : rowOf(wish.authority).readers) {
    if (reader.component == "etcd") continue;
    manifests::Reading reading{.sign = signOf(wish, reader), .before = signOf(atFirst, reader)};
    if (wish.authority == "ca" && reader.component == "kube-controller-manager")
      reading.signer = (bothAreTrusted(wish.stage) ? signerFile(cluster) : trustFile(cluster, wish.authority)).string();
    all[std::string(reader.component)] = std::move(reading);
  }
  return all;
}

std::vector<std::string> rotatable() {
  std::vector<std::string> names;
  for (const auto& row : table()) names.emplace_back(row.name);
  return names;
}

bool isKnownToWorkers(std::string_view authority) { return rowOf(authority).workers; }

Path staged(std::string_view authority, std::string_view file) { return paths::state / "rotation" / authority / file; }
Path trustFile(const config::Cluster& cluster, std::string_view authority) { return cluster.pki.folder / rowOf(authority).trust; }
Path signerFile(const config::Cluster& cluster) { return cluster.pki.folder / signerName; }
Path keyFileOf(const config::Cluster& cluster, std::string_view authority) { return cluster.pki.folder / rowOf(authority).key; }

Resources forgotten(const std::string& authority) { return {plan::Absent{.path = staged(authority, {}).parent_path(), .depth = plan::Absent::Depth::tree}}; }

Resources prepared(const Setup& setup, const std::string& authority) {
  const auto file = [&](std::string_view name) { return staged(authority, name); };
  if (authority == "sa") return {plan::KeyPair{.privateKey = file("next.key"), .publicKey = file("next.crt"), .algorithm = setup.cluster.pki.algorithm}};
  auto next = resolve(*certs::findRow(authority), setup);
  next.certificate = next.issuerCertificate = file("next.crt");
  next.key = next.issuerKey = file("next.key");
  Resources all{plan::Folder{.path = staged(authority, {}).parent_path(), .mode = 0700}, plan::Certificate{next}};
  if (authority != "ca") return all;
  auto bridge = next;
  bridge.name = "ca-bridge";
  bridge.certificate = file("bridge.crt");
  bridge.issuerCertificate = trustFile(setup.cluster, authority);
  bridge.issuerKey = keyFileOf(setup.cluster, authority);
  all.push_back(plan::Certificate{std::move(bridge)});
  return all;
}

Resources onNode(const Setup& setup, const Wish& wish) {
  if (setup.node.controlPlane) return onControlPlane(setup, wish);
  Resources all{plan::File{.path = trustFile(setup.cluster, wish.authority), .content = trusted(wish)}};
  append(all, balancer(setup, wish));
  append(all, kubelet(setup, wish));
  return all;
}

} // namespace kubestrap::phases::rotation
