// What this machine shows of itself, with or without a cluster that answers.
#include "cmd/convert_look.hpp"
#include "cmd/expiries.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/status_look.hpp"

#include "certs/x509.hpp"
#include "config/rolling.hpp"
#include "guard/disk.hpp"
#include "host/facts.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using namespace phases::status;
namespace paths = config::paths;

std::string endOf(const host::Container& container) {
  auto text = fmt::format("exit code {}", container.exitCode);
  if (!container.reason.empty()) text += fmt::format(" ({})", container.reason);
  if (const auto words = trim(container.message); !words.empty()) text += fmt::format(": {}", words.substr(0, 200));
  return text;
}

/// Of each component the container that runs, else the one that was made last.
void lookAtContainers(host::Cri& cri, MachineSeen& seen) {
  using State = host::Container::State;
  auto containers = cri.containers("kube-system");
  std::ranges::stable_sort(containers, {}, [](const auto& each) { return std::pair(each.state != State::running, -each.createdAt.time_since_epoch().count()); });
  seen.guardRuns = std::ranges::any_of(containers, [](const auto& each) { return each.podName.starts_with("kubestrap-guard") && each.state == State::running; });
  for (const auto& component : manifests::components()) {
    const auto found = std::ranges::find(containers, component.name, &host::Container::name);
    if (found == containers.end()) continue;
    const bool runs = found->state == State::running || found->state == State::created;
    seen.containers.push_back({.component = found->name, .version = manifests::tagOf(found->image), .pod = found->podName, .running = runs, .ended = runs ? "" : endOf(*found)});
  }
}

void lookAtGuard(host::Host& host, MachineSeen& seen) {
  if (const auto text = host.read(config::Path(manifests::guardStatusFolder) / "guard.json")) seen.guard = phases::pivot::parseGuardReport(*text);
  if (const auto text = host.read(paths::nodeState)) seen.selfHosted = guard::parseNodeState(*text).mode == "selfhosted";
}

void lookAtConversion(host::Host& host, MachineSeen& seen) {
  if (const auto cluster = stoppedHere(host)) seen.convertsTo = phases::conversion::name(cluster->kubestrap.layout);
}

StandbySeen standbySeen(guard::Component component, manifests::Slot slot, const std::string& text, host::Cri& cri) {
  StandbySeen seen{.component = std::string(phases::guard::nameOf(component)), .slot = std::string(manifests::slotName(slot)), .revision = {}, .image = {}, .unfit = {}, .imageThere = {}};
  try {
    const auto pod = parseYamlValue(text, seen.component);
    seen.unfit = guard::unfitStandby(component, slot, pod);
    if (!seen.unfit.empty()) return seen;
    seen.revision = kube::annotationOf(pod, config::revisionAnnotation).value_or("");
    if (const auto* container = manifests::containerOf(pod, seen.component)) seen.image = stringAt(*container, "image");
    whatCanBe("images", [&] { seen.imageThere = cri.hasImage(seen.image); });
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    seen.unfit = error.message();
  }
  return seen;
}

/// The standby before it may be missing, and is no more than a second chance.
void lookAtStandbys(host::Host& host, host::Cri& cri, MachineSeen& seen) {
  for (guard::Component component = 0; component < phases::guard::count; ++component) {
    const auto& row = manifests::component(phases::guard::nameOf(component));
    if (const auto text = host.read(manifests::standby(row, manifests::Slot::rescue)))
      seen.standbys.push_back(standbySeen(component, manifests::Slot::rescue, *text, cri));
  }
}

void lookAtOwnCertificates(host::Host& host, MachineSeen& seen) {
  const auto found = lookAtCertificates(host, {}, paths::pki);
  for (const auto* list : {&found.certificates, &found.authorities})
    for (const auto& each : *list)
      if (each.ends) seen.certificates.push_back({.name = each.name, .begins = *each.begins, .ends = *each.ends, .authority = each.issuer.empty()});
}

void lookAtKubeletCertificate(host::Host& host, MachineSeen& seen) {
  const auto pem = host.read(paths::kubeletClientCertificate);
  if (!pem) return;
  const auto certificate = certs::X509Certificate::parse(*pem, paths::kubeletClientCertificate.string());
  seen.certificates.push_back({.name = "kubelet", .begins = certificate.notBefore(), .ends = certificate.notAfter()});
}

void lookAtUnits(host::Host& host, MachineSeen& seen) {
  for (const auto* name : {"containerd", "kubelet"}) {
    const auto state = host.service(name);
    if (!state.exists) continue;
    seen.units.push_back({.name = name,
                          .active = state.active == "active",
                          .words = fmt::format("{} ({}), started again {} times", state.active, state.result.empty() ? state.sub : state.result, state.restarts)});
  }
}

struct Use {
  const char *folder, *holds;
};
constexpr Use uses[] = {{"/var/lib/etcd", "etcd's data"}, {"/var/lib/containerd", "images and containers"}, {"/var/lib/kubelet", "pods' volumes"}, {"/var/log", "logs"}};

/// Folders on one file system are one finding.
void lookAtDisks(host::Host& host, MachineSeen& seen) {
  std::vector<std::string> mounts;
  for (const auto& use : uses) {
    if (!host.status(use.folder)) continue;
    const auto disk = host::diskOf(use.folder);
    if (!disk || disk->bytes == 0 || std::ranges::find(mounts, disk->mountPoint) != mounts.end()) continue;
    mounts.push_back(disk->mountPoint);
    seen.disks.push_back({.folder = use.folder, .holds = use.holds, .bytes = disk->bytes, .free = disk->freeBytes});
  }
}

} // namespace

void lookAtMachine(Machine& machine, Depth depth, Seen& seen) {
  auto& host = machine.host();
  auto& own = seen.machine;
  whatCanBe("the node's name", [&] { own.name = nameOfNode(host).value_or(""); });
  const auto facts = host.facts({.depth = host::Host::Questions::Depth::defaults});
  if (own.name.empty()) own.name = lower(facts.hostname);
  own.isNode = host.status(paths::kubeletConf).has_value();
  own.controlPlane = host.status(paths::adminConf) || host.status(manifests::guardManifest()) || host.status(paths::manifests / "kube-apiserver.yaml");
  if (!own.isNode && !own.controlPlane) return;
  auto& cri = machine.useRuntime(foundSocket(facts));
  whatCanBe("units", [&] { lookAtUnits(host, own); });
  whatCanBe("the kubelet's certificate", [&] { lookAtKubeletCertificate(host, own); });
  try {
    lookAtContainers(cri, own);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    own.runtime = error.message();
  }
  if (own.controlPlane) {
    whatCanBe("the guard", [&] { lookAtGuard(host, own); });
    whatCanBe("the conversion", [&] { lookAtConversion(host, own); });
    whatCanBe("certificates", [&] { lookAtOwnCertificates(host, own); });
  }
  if (depth == Depth::glance) return;
  if (own.controlPlane) lookAtStandbys(host, cri, own);
  whatCanBe("disks", [&] { lookAtDisks(host, own); });
  whatCanBe("the clock", [&] { own.clockKept = host::lookAtClock().synchronised; });
}

} // namespace kubestrap::cmd
