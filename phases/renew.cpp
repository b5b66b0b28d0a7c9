// Renewal on a control plane: what is named gets a new key and certificate, a component at a time; what cannot take it up by itself is made
// anew; and the next one begins only when this one is well. A phase that fails puts its files back. The import of what was signed elsewhere
// goes the same way; where no control plane is yet, it puts the files in place and nothing more.
#include "phases/workflows.hpp"

#include "manifests/components.hpp"
#include "manifests/hosted.hpp"
#include "phases/certificates.hpp"
#include "phases/node.hpp"
#include "phases/renewal.hpp"

#include <fmt/format.h>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Phase;
using plan::Resources;
namespace paths = config::paths;

const config::Renewal::Kept* kept(const Setup& setup, std::string_view name) {
  const auto found = setup.request.renewal.wanted.find(std::string(name));
  return found == setup.request.renewal.wanted.end() ? nullptr : &found->second;
}

const config::Importing::Pair* brought(const Setup& setup, std::string_view name) {
  const auto found = setup.request.importing.pairs.find(std::string(name));
  return found == setup.request.importing.pairs.end() ? nullptr : &found->second;
}

/// Whether a component that runs has something to take up.
bool changes(const Setup& setup, std::string_view name) {
  return kept(setup, name) || (setup.request.importing.running && brought(setup, name));
}

} // namespace

Resources renewedCertificates(const Setup& setup, std::initializer_list<std::string_view> names) {
  Resources resources;
  for (const auto name : names) {
    const auto* keep = kept(setup, name);
    if (!keep) continue;
    auto spec = resolve(*certs::findRow(name), setup);
    if (keep->subject) spec.subject = *keep->subject;
    if (keep->names) spec.names = *keep->names;
    spec = overlaid(std::move(spec), wishOf(setup, name));
    spec.renewWithin = setup.request.renewal.within;
    resources.push_back(plan::Certificate{std::move(spec)});
  }
  return resources;
}

Resources renewedKubeconfig(const Setup& setup, std::string_view file) {
  const auto* keep = kept(setup, file);
  if (!keep) return {};
  for (const auto& row : kubeconfigRows(setup.cluster)) {
    if (row.file != file) continue;
    auto made = resolve(row, setup);
    made.server = keep->server;
    made.tlsServerName = keep->tlsServerName;
    made.clusterName = keep->clusterName;
    made.user = keep->user;
    auto& spec = std::get<plan::EmbeddedCertificate>(made.credential).spec;
    if (keep->subject) spec.subject = *keep->subject;
    spec = overlaid(std::move(spec), wishOf(setup, file));
    spec.renewWithin = setup.request.renewal.within;
    return {std::move(made)};
  }
  return {};
}

plan::Condition showsItsCertificate(const Setup& setup, std::string_view component, std::string host, int port, std::string_view certificate) {
  return {.what = fmt::format("{} shows its new certificate at {}:{}", component, host, port),
          .probe = plan::ServesCertificate{std::move(host), port, certificateFile(setup.cluster, certificate)},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = fmt::format("look at its log below /var/log/pods/kube-system_{}-{}_*", component, setup.node.name),
          .fatal = staticPodSigns(setup, {component})};
}

Resources renewedAdministrators(const Setup& setup, const Phase&) {
  auto resources = renewedKubeconfig(setup, "admin.conf");
  append(resources, renewedKubeconfig(setup, "super-admin.conf"));
  return resources;
}

namespace {

/// A key that is brought goes first: beside an old certificate it is seen and mended by the next run.
void place(Resources& resources, const config::Importing::Pair& pair, const config::Path& certificate, const config::Path& key, unsigned mode = 0644) {
  if (!pair.key.empty()) resources.push_back(plan::File{.path = key, .content = pair.key.reveal(), .mode = 0600, .secrecy = plan::Secrecy::secret});
  resources.push_back(plan::File{.path = certificate, .content = pair.certificate, .mode = mode});
}

Resources certificatesOf(const Setup& setup, std::initializer_list<std::string_view> names) {
  auto resources = renewedCertificates(setup, names);
  for (const auto name : names)
    if (const auto* pair = brought(setup, name)) place(resources, *pair, certificateFile(setup.cluster, name), keyFile(setup.cluster, name));
  return resources;
}

Resources kubeconfigOf(const Setup& setup, std::string_view file) {
  auto resources = renewedKubeconfig(setup, file);
  const auto* pair = brought(setup, file);
  for (const auto& row : kubeconfigRows(setup.cluster)) {
    if (!pair || row.file != file) continue;
    auto made = resolve(row, setup);
    made.credential = plan::GivenCertificate{pair->certificate, pair->key};
    resources.push_back(std::move(made));
  }
  return resources;
}

Resources etcd(const Setup& setup, const Phase&) {
  if (!setup.cluster.etcd.isLocal()) return {};
  auto resources = certificatesOf(setup, {"etcd-server", "etcd-peer", "etcd-healthcheck-client"});
  if (changes(setup, "etcd-server")) resources.push_back(showsItsCertificate(setup, "etcd", "127.0.0.1", 2379, "etcd-server"));
  if (changes(setup, "etcd-peer")) resources.push_back(showsItsCertificate(setup, "etcd", setup.node.advertiseAddress.string(), 2380, "etcd-peer"));
  return resources;
}

Resources apiServer(const Setup& setup, const Phase&) {
  auto resources = certificatesOf(setup, {"apiserver", "apiserver-kubelet-client", "front-proxy-client"});
  if (setup.cluster.etcd.isLocal()) append(resources, certificatesOf(setup, {"apiserver-etcd-client"}));
  if (changes(setup, "apiserver"))
    resources.push_back(showsItsCertificate(setup, "kube-apiserver", setup.node.advertiseAddress.string(), setup.node.bindPort, "apiserver"));
  return resources;
}

/// The API server knows who comes with it.
plan::Condition isKnown(const Setup& setup, const plan::Kubeconfig& kubeconfig) {
  return {.what = fmt::format("the API server knows {}", kubeconfig.user),
          .probe = plan::ApiServerAnswers{.access = {.kubeconfig = kubeconfig.path}, .path = "/livez"},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = "look at the API server's log: why it does not accept this certificate"};
}

/// A component reads its kubeconfig once, when it starts; one that is told a file of credentials goes by the new one by itself.
Resources component(const Setup& setup, std::string_view name, const config::Path& file) {
  auto resources = kubeconfigOf(setup, file.filename().string());
  if (!changes(setup, file.filename().string())) return resources;
  if (manifests::isHosted(setup.cluster)) {
    resources.push_back(isKnown(setup, std::get<plan::Kubeconfig>(resources.front())));
    return resources;
  }
  resources.push_back(plan::Task{plan::RestartStaticPod{staticPodOf(setup, name), {file}}});
  resources.push_back(componentHealthy(setup, name));
  return resources;
}

Resources controllerManager(const Setup& setup, const Phase&) {
  return component(setup, "kube-controller-manager", paths::controllerManagerConf);
}

Resources scheduler(const Setup& setup, const Phase&) {
  return component(setup, "kube-scheduler", paths::schedulerConf);
}

Resources guard(const Setup& setup, const Phase&) {
  if (!manifests::isHosted(setup.cluster)) return {};
  return component(setup, "kubestrap-guard", certs::hostedKubeconfigs().front().file);
}

// ---- of import only

Resources authorities(const Setup& setup, const Phase&) {
  Resources resources;
  for (const auto& row : certs::catalogue())
    if (row.authority()) append(resources, certificatesOf(setup, {row.name}));
  const auto& folder = setup.cluster.pki.folder;
  if (const auto* pair = brought(setup, "sa")) place(resources, *pair, folder / "sa.pub", folder / "sa.key", 0600);
  return resources;
}

Resources administrators(const Setup& setup, const Phase&) {
  auto resources = kubeconfigOf(setup, "admin.conf");
  append(resources, kubeconfigOf(setup, "super-admin.conf"));
  return resources;
}

Resources kubelet(const Setup& setup, const Phase&) { return kubeconfigOf(setup, "kubelet.conf"); }

} // namespace

const plan::Workflow& importWorkflow() {
  using plan::OnFailure;
  static const Phase phases[] = {
      {.name = "authorities", .summary = "Put the authorities' certificates and the service account keys in place", .desired = authorities, .onFailure = OnFailure::restoreFiles},
      {.name = "etcd", .summary = "Put etcd's certificates in place", .desired = etcd, .onFailure = OnFailure::restoreFiles},
      {.name = "apiserver", .summary = "Put the API server's certificates in place", .desired = apiServer, .onFailure = OnFailure::restoreFiles},
      {.name = "controller-manager", .summary = "Put the controller-manager's certificate in place", .desired = controllerManager, .onFailure = OnFailure::restoreFiles},
      {.name = "scheduler", .summary = "Put the scheduler's certificate in place", .desired = scheduler, .onFailure = OnFailure::restoreFiles},
      {.name = "guard", .summary = "Put the guard's certificate in place, in the layout hosted", .desired = guard, .onFailure = OnFailure::restoreFiles},
      {.name = "administrators", .summary = "Put the administrators' certificates in place", .desired = administrators, .onFailure = OnFailure::restoreFiles},
      {.name = "kubelet", .summary = "Put the kubelet's first certificate in place", .desired = kubelet, .onFailure = OnFailure::restoreFiles},
  };
  static const plan::Workflow workflow{"certs import", "Put certificates in place that were signed elsewhere", phases};
  return workflow;
}

const plan::Workflow& renewWorkflow() {
  using plan::OnFailure;
  static const Phase phases[] = {
      {.name = "etcd", .summary = "Renew etcd's certificates", .desired = etcd, .onFailure = OnFailure::restoreFiles},
      {.name = "apiserver", .summary = "Renew the API server's certificates", .desired = apiServer, .onFailure = OnFailure::restoreFiles},
      {.name = "controller-manager", .summary = "Renew the controller-manager's certificate", .desired = controllerManager, .onFailure = OnFailure::restoreFiles},
      {.name = "scheduler", .summary = "Renew the scheduler's certificate", .desired = scheduler, .onFailure = OnFailure::restoreFiles},
      {.name = "guard", .summary = "Renew the guard's certificate, in the layout hosted", .desired = guard, .onFailure = OnFailure::restoreFiles},
      {.name = "administrators", .summary = "Renew the administrators' certificates", .desired = renewedAdministrators, .onFailure = OnFailure::restoreFiles},
  };
  static const plan::Workflow workflow{"certs renew", "Renew certificates of this control plane", phases};
  return workflow;
}

} // namespace kubestrap::phases
