#include "phases/front.hpp"

#include "manifests/front.hpp"
#include "manifests/vip.hpp"
#include "phases/node.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Resources;
namespace paths = config::paths;

bool isAsWanted(const std::string& manifest, const Setup& setup, const std::string& slot) {
  try {
    return sameDocument(parseYamlValue(manifest, manifests::frontManifest(slot).string()), manifests::frontPod(setup, slot));
  } catch (const Error&) {
    return false;
  }
}

/// The slot that is right already, else a free one; where both are taken by others, the second gives way.
std::string slotToUse(const Setup& setup) {
  const auto& fronts = setup.node.fronts;
  for (const auto& [slot, manifest] : fronts)
    if (isAsWanted(manifest, setup, slot)) return slot;
  for (const auto slot : manifests::frontSlots)
    if (!fronts.contains(std::string(slot))) return std::string(slot);
  return std::string(manifests::frontSlots[1]);
}

plan::FatalSign podFails(const Setup& setup, std::string_view slot) {
  return plan::StaticPodFails{{"front", manifests::frontImage(setup), manifests::frontManifest(slot)}};
}

} // namespace

Resources frontImage(const Setup& setup) {
  if (!manifests::hasFront(setup.cluster)) return {};
  auto image = manifests::frontImage(setup);
  if (image == setup.request.ownImage)
    return {plan::Task{plan::LoadImage{std::move(image), setup.request.ownImageArchive, setup.node.criSocket}}};
  // Control planes have it among their images.
  if (setup.node.controlPlane || setup.node.pullPolicy == config::PullPolicy::never) return {};
  return {plan::Task{plan::PullImage{std::move(image), plan::PullImage::When::ifNotPresent}}};
}

Resources front(const Setup& setup, const plan::Phase&) {
  if (!manifests::hasFront(setup.cluster)) return {};
  const auto slot = slotToUse(setup);
  // With slots there is no server before the others: its own do not stand among them.
  const auto own = setup.node.controlPlane && !manifests::frontHasSlots(setup) ? setup.node.name : "";
  Resources resources{
      plan::File{.path = paths::hosts, .content = manifests::hostsFile(setup)},
      plan::File{.path = paths::front / "haproxy.cfg", .content = manifests::frontConfiguration(setup)},
      plan::File{.path = paths::front / "closed-when-empty.lua", .content = manifests::frontScript()},
      plan::Folder{.path = paths::frontState, .mode = 0700, .owner = manifests::frontUser},
      plan::File{.path = manifests::frontServersFile(),
                 .content = manifests::frontServers(manifests::apiServers(setup), own),
                 .compare = plan::Compare::presence}};
  if (!setup.node.frontAuthority.empty()) resources.push_back(plan::File{.path = manifests::frontTrustedFile(), .content = setup.node.frontAuthority});
  if (manifests::hasVip(setup))
    resources.push_back(plan::File{.path = manifests::vipManifest(), .content = emitYaml(manifests::vipPod(setup)), .mode = 0600, .compare = plan::Compare::document, .folderMode = 0700});
  else if (setup.node.controlPlane)
    resources.push_back(plan::Absent{.path = manifests::vipManifest(), .reason = "endpoint.mode is not vip"});
  append(resources, frontInSlot(setup, slot, emitYaml(manifests::frontPod(setup, slot)), podFails(setup, slot)));
  return resources;
}

Resources frontInSlot(const Setup& setup, const std::string& slot, std::string manifest, plan::FatalSign sign) {
  const auto& fronts = setup.node.fronts;
  Resources resources;
  const bool takesOver = std::ranges::any_of(fronts, [&](const auto& each) { return each.first != slot; });
  // One that ended long ago has left it.
  if (takesOver && !fronts.contains(slot)) resources.push_back(plan::Absent{.path = manifests::frontMarker(slot), .reason = "of a balancer that is gone"});
  resources.push_back(plan::File{.path = manifests::frontManifest(slot), .content = std::move(manifest), .mode = 0600, .compare = plan::Compare::document, .folderMode = 0700});
  if (!takesOver) return resources;
  resources.push_back(plan::Condition{.what = fmt::format("the balancer of slot {} serves", slot),
                                      .probe = plan::FileExists{manifests::frontMarker(slot)},
                                      .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                                      .hint = fmt::format("look at its log below /var/log/pods/kube-system_kubestrap-front-{}-*", slot),
                                      .fatal = {std::move(sign)}});
  for (const auto& [older, former] : fronts)
    if (older != slot) resources.push_back(plan::Absent{manifests::frontManifest(older)});
  return resources;
}

Resources frontAnswers(const Setup& setup, const config::Path& kubeconfig) {
  if (!manifests::hasFront(setup.cluster)) return {};
  const auto url = manifests::frontEndpoint(setup).url();
  return {plan::Condition{.what = fmt::format("the balancer of this node leads to an API server at {}", url),
                          .probe = plan::ApiServerAnswers{{kubeconfig, url}},
                          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                          .hint = "look at its log below /var/log/pods/kube-system_kubestrap-front-*",
                          .fatal = {plan::UnitFails{"kubelet"}, podFails(setup, slotToUse(setup))}}};
}

Resources vipAnswers(const Setup& setup, const config::Path& kubeconfig) {
  const auto& vip = setup.cluster.kubestrap.vip;
  if (!vip) return {};
  const auto url = setup.outsideEndpoint().url();
  return {plan::Condition{.what = fmt::format("the virtual address leads to an API server at {}", url),
                          .probe = plan::ApiServerAnswers{{kubeconfig, url}},
                          .patience = setup.request.timeouts.controlPlaneComponentHealthCheck,
                          .hint = fmt::format("look at the log below /var/log/pods/kube-system_kubestrap-vip-* on control planes; nothing else on the link may have the "
                                              "virtual router id {}",
                                              vip->router),
                          .fatal = {plan::UnitFails{"kubelet"}}}};
}

Resources apiServerIsTold(const Setup& setup, const plan::Access& access) {
  if (!manifests::hasFront(setup.cluster) || !setup.node.controlPlane) return {};
  return {plan::Object{.document = manifests::apiServerNotice(setup), .mode = plan::ApplyMode::mark, .access = access}};
}

} // namespace kubestrap::phases
