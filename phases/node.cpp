#include "phases/node.hpp"

#include "manifests/components.hpp"
#include "manifests/front.hpp"
#include "manifests/hosted.hpp"
#include "manifests/kubelet.hpp"
#include "manifests/static_pods.hpp"
#include "phases/certificates.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases {

using config::Setup;
using plan::Access;
using plan::Resources;
namespace paths = config::paths;

bool isGoverned(const Setup& setup) {
  if (setup.node.hosting.empty()) return false;
  const auto state = parseJson(setup.node.hosting, paths::nodeState.string());
  const auto* held = find(state, "held");
  return held && held->empty();
}

std::string apiServerOf(const Setup& setup) {
  return manifests::frontHasSlots(setup) ? manifests::frontEndpoint(setup).url() : setup.node.localEndpoint().url();
}

Access asAdmin(const Setup& setup) {
  if (setup.request.kubeconfig) return {*setup.request.kubeconfig, {}};
  return {paths::adminConf, apiServerOf(setup)};
}

Resources objects(std::vector<Value> documents, const Access& access) {
  Resources resources;
  for (auto& document : documents) resources.push_back(plan::Object{.document = std::move(document), .access = access});
  return resources;
}

void append(Resources& resources, Resources more) {
  for (auto& each : more) resources.push_back(std::move(each));
}

Resources controlPlaneImages(const Setup& setup) {
  Resources resources;
  if (setup.node.pullPolicy == config::PullPolicy::never) return resources;
  const auto when = setup.node.pullPolicy == config::PullPolicy::always ? plan::PullImage::When::always
                                                                       : plan::PullImage::When::ifNotPresent;
  for (auto& image : manifests::imageList(setup.cluster)) resources.push_back(plan::Task{plan::PullImage{std::move(image), when}});
  return resources;
}

plan::EtcdAccess etcdAccessOf(const config::Cluster& cluster, const Access& api) {
  return {.api = api,
          .authority = certificateFile(cluster, "etcd-ca"),
          .certificate = certificateFile(cluster, "etcd-healthcheck-client"),
          .key = keyFile(cluster, "etcd-healthcheck-client")};
}

plan::EtcdMember etcdMemberOf(const Setup& setup, const Access& api, const std::string& peerUrl, plan::Standing standing) {
  const auto patience = setup.request.timeouts.etcdAPICall;
  return {.access = etcdAccessOf(setup.cluster, api),
          .name = setup.node.name,
          .peerUrl = peerUrl,
          .turn = {.access = api,
                   .lease = "kubestrap-etcd-join",
                   .holder = setup.node.name,
                   .validFor = patience * 2,
                   .patience = patience * 5},
          .standing = standing,
          .patience = patience,
          .fatal = {}};
}

plan::File staticPod(std::string_view component, Value pod) {
  // The kubelet hashes the decoded pod, so a difference of layout alone must not rewrite the file: nothing would restart, and a wait for
  // the new pod would never end.
  return {.path = manifests::manifestPath(manifests::component(component)),
          .content = emitYaml(pod),
          .mode = 0600,
          .compare = plan::Compare::document,
          .folderMode = 0700};
}

namespace {

bool hasSlots(const manifests::Component& component, const Setup& setup) {
  return manifests::isHosted(setup.cluster) && component.name != "etcd";
}

plan::StaticPod podOf(const manifests::Component& component, const Setup& setup) {
  const auto manifest = hasSlots(component, setup) ? manifests::rescueManifest(component, manifests::Slot::rescue) : manifests::manifestPath(component);
  return {std::string(component.name), setup.cluster.images.*component.image, manifest};
}

std::vector<plan::StaticPod> podsOf(std::initializer_list<std::string_view> names, const Setup& setup) {
  std::vector<plan::StaticPod> pods;
  for (const auto name : names)
    if (const auto& component = manifests::component(name);
        manifests::runsOn(component, setup.cluster) && !(hasSlots(component, setup) && isGoverned(setup)))
      pods.push_back(podOf(component, setup));
  return pods;
}

} // namespace

Resources kubeletIsStarted(const Setup& setup, std::initializer_list<std::string_view> components) {
  std::vector<config::Path> read{paths::kubeletFlags, paths::kubeletInstanceConfig, paths::kubeletConfig};
  // A kubelet that runs takes up a static pod in place of one that fails only when it can tell an API server about the old one (seen
  // with 1.37.2), which would wait for ever for the pod that is to bring that API server. One that starts anew runs what it finds.
  auto pods = podsOf(components, setup);
  for (const auto& pod : pods) read.push_back(pod.manifest);
  Resources resources;
  // The package kubelet alone brings a unit without any setting; the drop-in that has them is of the package kubeadm, which nobody needs.
  if (const auto& program = setup.node.kubeletWithoutSettings) {
    read.push_back(paths::kubeletDropIn);
    resources.push_back(plan::File{.path = paths::kubeletDropIn, .content = manifests::kubeletDropIn(*program)});
  }
  // Else it starts before the runtime does, ends, and lets ten seconds of a cold start go by.
  if (manifests::frontHasSlots(setup) && setup.node.hasSystemd) {
    read.push_back(paths::kubeletOrder);
    resources.push_back(plan::File{.path = paths::kubeletOrder, .content = manifests::kubeletOrder()});
  }
  append(resources, {plan::File{.path = paths::kubeletFlags, .content = manifests::kubeletFlagsEnv(setup)},
                     plan::File{.path = paths::kubeletInstanceConfig, .content = emitYaml(manifests::kubeletInstanceConfig(setup)),
                                .compare = plan::Compare::document},
                     plan::File{.path = paths::kubeletConfig, .content = emitYaml(manifests::kubeletConfig(setup)),
                                .compare = plan::Compare::document},
                     plan::Service{.name = "kubelet", .restartWhenChanged = std::move(read), .restartWhenIdle = std::move(pods)}});
  return resources;
}

plan::Kubeconfig rotatedKubeletConf(const Setup& setup) {
  const auto rows = certs::kubeconfigs();
  const auto row = std::find_if(rows.begin(), rows.end(), [](const auto& each) { return each.name == "kubelet"; });
  auto kubeconfig = resolve(*row, setup);
  kubeconfig.credential = plan::CertificateFile{paths::kubeletClientCertificate};
  // The kubelet keeps its node alive, whichever API server there still is. It begins without a balancer, which it has to start itself.
  if (manifests::hasFront(setup.cluster)) kubeconfig.server = manifests::frontEndpoint(setup).url();
  if (!setup.node.controlPlane) kubeconfig.authority = setup.request.joining.authorityFile;
  return kubeconfig;
}

std::vector<plan::FatalSign> staticPodSigns(const Setup& setup, std::initializer_list<std::string_view> names) {
  std::vector<plan::FatalSign> signs{plan::UnitFails{"kubelet"}};
  for (auto& pod : podsOf(names, setup)) signs.push_back(plan::StaticPodFails{std::move(pod)});
  return signs;
}

namespace {

std::string kubeletHealthUrl(const Setup& setup) {
  const auto document = manifests::kubeletConfig(setup);
  const auto* port = find(document, "healthzPort");
  return fmt::format("http://{}/healthz", joinHostPort(stringAt(document, "healthzBindAddress", "127.0.0.1"),
                                                      port && port->is_number() ? port->get<int>() : 10248));
}

} // namespace

plan::StaticPod staticPodOf(const Setup& setup, std::string_view component) { return podOf(manifests::component(component), setup); }

plan::Condition componentHealthy(const Setup& setup, std::string_view name) {
  const auto& component = manifests::component(name);
  const auto url = manifests::livenessUrl(component, hasSlots(component, setup) ? manifests::rescuePod(component, setup) : component.pod(setup));
  return {.what = fmt::format("the {} is healthy at {}", name, url),
          .probe = plan::ComponentHealthy{std::string(name), url},
          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
          .hint = fmt::format("look at its log below /var/log/pods/kube-system_{}-{}_*", name, setup.node.name),
          .fatal = staticPodSigns(setup, {name})};
}

Resources kubeletIsHealthy(const Setup& setup) {
  const auto url = kubeletHealthUrl(setup);
  return {plan::Condition{.what = fmt::format("the kubelet is healthy at {}", url),
                          .probe = plan::KubeletHealthy{url},
                          .patience = setup.request.timeouts.kubeletHealthCheck,
                          .hint = "look at: journalctl -u kubelet",
                          .fatal = {plan::UnitFails{"kubelet"}}}};
}

Resources kubeletTakesUpItsKubeconfig(const Setup& setup) {
  Resources resources{plan::Service{.name = "kubelet", .restartWhenChanged = {paths::kubeletConf}}};
  append(resources, kubeletIsHealthy(setup));
  return resources;
}

Resources controlPlaneAnswers(const Setup& setup, const Access& asked) {
  auto access = asked;
  if (manifests::frontHasSlots(setup)) access.server = manifests::ownApiServers(setup).url(); // and no other's
  Resources resources{plan::Condition{.what = fmt::format("the API server answers at {}/livez", access.server),
                          .probe = plan::ApiServerAnswers{access},
                          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                          .hint = "look at its log below /var/log/pods, and at: journalctl -u kubelet",
                          .fatal = staticPodSigns(setup, {"etcd", "kube-apiserver"})}};
  if (isGoverned(setup)) return resources; // where the others run is the guard's business
  resources.push_back(componentHealthy(setup, "kube-controller-manager"));
  resources.push_back(componentHealthy(setup, "kube-scheduler"));
  return resources;
}

} // namespace kubestrap::phases
