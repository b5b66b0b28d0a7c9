// The first phase of init, join and upgrade, and all of bundle load.
#include "phases/bundle.hpp"

#include <algorithm>

namespace kubestrap::phases {

namespace {

namespace paths = config::paths;
using config::Setup;
using plan::Resources;

const config::Path folder = paths::state / "bundle"; ///< where it is unpacked
const config::Path containerd = "/usr/bin/containerd", containerdUnit = "/etc/systemd/system/containerd.service";

bool brings(const config::Bundled& bundle, const config::Path& file) {
  return std::ranges::any_of(bundle.programs, [&](const auto& each) { return each.to == file; }) || std::ranges::any_of(bundle.texts, [&](const auto& each) { return each.to == file; });
}

std::vector<plan::InstallPart> partsOf(const config::Bundled& bundle) {
  std::vector<plan::InstallPart> parts;
  for (const auto& each : bundle.programs)
    parts.push_back({.part = each.part, .from = folder / each.part, .to = each.to, .sha256 = each.sha256, .mode = each.mode});
  return parts;
}

/// A runtime that the bundle brings runs, as it is now.
Resources runtime(const config::Bundled& bundle) {
  if (!brings(bundle, containerd)) return {};
  return {plan::Service{.name = "containerd", .restartWhenChanged = {containerd, containerdUnit}, .restartWhenIdle = {}},
          plan::Condition{.what = "the container runtime answers",
                          .probe = plan::RuntimeReady{},
                          .patience = std::chrono::seconds(60),
                          .hint = "look at: journalctl -u containerd",
                          .fatal = {plan::UnitFails{"containerd"}}}};
}

} // namespace

Resources bundle(const Setup& setup, const plan::Phase&) {
  if (!setup.request.bundled) return {};
  const auto& bundle = *setup.request.bundled;
  const auto parts = partsOf(bundle);
  Resources resources{plan::Task{plan::UnpackBundle{.file = bundle.file, .base = bundle.base, .lockDigest = bundle.lockDigest, .folder = folder, .parts = parts, .images = bundle.images}}};
  plan::InstallPackages packages;
  for (const auto& part : parts) {
    resources.push_back(plan::Task{part});
    if (part.part.starts_with("packages/")) packages.files.push_back(part.to);
  }
  for (const auto& text : bundle.texts) resources.push_back(plan::File{.path = text.to, .content = text.content});
  if (!packages.files.empty()) resources.push_back(plan::Task{std::move(packages)});
  // From here on the programs are there; images need a runtime.
  for (auto& each : runtime(bundle)) resources.push_back(std::move(each));
  for (const auto& image : bundle.images)
    resources.push_back(plan::Task{plan::LoadImage{.image = image, .archive = {}, .socket = setup.node.criSocket, .layout = folder}});
  resources.push_back(plan::Absent{.path = folder, .depth = plan::Absent::Depth::tree, .keep = {}, .reason = "all of it is in its place"});
  return resources;
}

const plan::Workflow& bundleWorkflow() {
  static const plan::Phase phases[] = {{.name = "bundle", .summary = "Put what the bundle has in its places", .desired = bundle}};
  static const plan::Workflow workflow{"bundle load", "Put what a bundle has on this machine", phases};
  return workflow;
}

} // namespace kubestrap::phases
