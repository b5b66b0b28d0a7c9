// Renewal on a control plane: what is named gets a new key and certificate, a component at a time; what cannot take it up by itself is made
// anew; and the next one begins only when this one is well. A phase that fails puts its files back.
#include "phases/workflows.hpp"

#include "manifests/components.hpp"
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

} // namespace

Resources renewedCertificates(const Setup& setup, std::initializer_list<std::string_view> names) {
  Resources resources;
  for (const auto name : names) {
    const auto* keep = kept(setup, name);
    if (!keep) continue;
    auto spec = resolve(*certs::findRow(name), setup);
    if (keep->subject) spec.subject = *keep->subject;
    if (keep->names) spec.names = *keep->names;
    spec.renewWithin = setup.request.renewal.within;
    resources.push_back(plan::Certificate{std::move(spec)});
  }
  return resources;
}

Resources renewedKubeconfig(const Setup& setup, std::string_view file) {
  const auto* keep = kept(setup, file);
  if (!keep) return {};
  for (const auto& row : certs::kubeconfigs()) {
    if (row.file != file) continue;
    auto made = resolve(row, setup);
    made.server = keep->server;
    made.tlsServerName = keep->tlsServerName;
    made.clusterName = keep->clusterName;
    made.user = keep->user;
    auto& spec = std::get<plan::EmbeddedCertificate>(made.credential).spec;
    if (keep->subject) spec.subject = *keep->subject;
    spec.renewWithin = setup.request.renewal.within;
    return {std::move(made)};
  }
  return {};
}

Resources renewedAdministrators(const Setup& setup, const Phase&) {
  auto resources = renewedKubeconfig(setup, "admin.conf");
  append(resources, renewedKubeconfig(setup, "super-admin.conf"));
  return resources;
}

namespace {

/// Servers of Kubernetes and etcd look at their files with every handshake, or once a minute.
plan::Condition serves(const Setup& setup, std::string_view component, std::string host, int port, std::string_view certificate) {
  return {.what = fmt::format("{} shows its new certificate at {}:{}", component, host, port),
          .probe = plan::ServesCertificate{std::move(host), port, certificateFile(setup.cluster, certificate)},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = fmt::format("look at its log below /var/log/pods/kube-system_{}-{}_*", component, setup.node.name),
          .fatal = staticPodSigns(setup, {component})};
}

Resources etcd(const Setup& setup, const Phase&) {
  if (!setup.cluster.etcd.isLocal()) return {};
  auto resources = renewedCertificates(setup, {"etcd-server", "etcd-peer", "etcd-healthcheck-client"});
  if (kept(setup, "etcd-server")) resources.push_back(serves(setup, "etcd", "127.0.0.1", 2379, "etcd-server"));
  if (kept(setup, "etcd-peer")) resources.push_back(serves(setup, "etcd", setup.node.advertiseAddress.string(), 2380, "etcd-peer"));
  return resources;
}

Resources apiServer(const Setup& setup, const Phase&) {
  auto resources = renewedCertificates(setup, {"apiserver", "apiserver-kubelet-client", "front-proxy-client"});
  if (setup.cluster.etcd.isLocal()) append(resources, renewedCertificates(setup, {"apiserver-etcd-client"}));
  if (kept(setup, "apiserver"))
    resources.push_back(serves(setup, "kube-apiserver", setup.node.advertiseAddress.string(), setup.node.bindPort, "apiserver"));
  return resources;
}

/// A component reads its kubeconfig once, when it starts.
Resources component(const Setup& setup, std::string_view name, const config::Path& file) {
  auto resources = renewedKubeconfig(setup, file.filename().string());
  if (resources.empty()) return resources;
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

} // namespace

const plan::Workflow& renewWorkflow() {
  using plan::OnFailure;
  static const Phase phases[] = {
      {.name = "etcd", .summary = "Renew etcd's certificates", .desired = etcd, .onFailure = OnFailure::restoreFiles},
      {.name = "apiserver", .summary = "Renew the API server's certificates", .desired = apiServer, .onFailure = OnFailure::restoreFiles},
      {.name = "controller-manager", .summary = "Renew the controller-manager's certificate", .desired = controllerManager, .onFailure = OnFailure::restoreFiles},
      {.name = "scheduler", .summary = "Renew the scheduler's certificate", .desired = scheduler, .onFailure = OnFailure::restoreFiles},
      {.name = "administrators", .summary = "Renew the administrators' certificates", .desired = renewedAdministrators, .onFailure = OnFailure::restoreFiles},
  };
  static const plan::Workflow workflow{"certs renew", "Renew certificates of this control plane", phases};
  return workflow;
}

} // namespace kubestrap::phases
