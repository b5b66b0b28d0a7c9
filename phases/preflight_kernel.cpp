#include "phases/preflight_checks.hpp"

#include "support/text.hpp"
#include "support/value.hpp"

#include <algorithm>

namespace kubestrap::phases {

namespace {

constexpr KernelSetting bridge[] = {{"net.bridge.bridge-nf-call-iptables", "1"},
                                    {"net.bridge.bridge-nf-call-ip6tables", "1"}};
/// kubelet: container_manager_linux.go, setupKernelTunables.
constexpr KernelSetting defaults[] = {{"vm.overcommit_memory", "1"},
                                      {"vm.panic_on_oom", "0"},
                                      {"kernel.panic", "10"},
                                      {"kernel.panic_on_oops", "1"},
                                      {"kernel.keys.root_maxkeys", "1000000"},
                                      {"kernel.keys.root_maxbytes", "25000000"}};

/// "name is 0, not 1" for each setting that is known and another.
std::vector<std::string> deviations(std::span<const KernelSetting> settings, const Facts& facts) {
  std::vector<std::string> texts;
  for (const auto& each : settings) {
    const auto found = facts.sysctls.find(std::string(each.name));
    if (found != facts.sysctls.end() && found->second != each.value)
      texts.push_back(fmt::format("{} is {}, not {}", each.name, found->second, each.value));
  }
  return texts;
}

bool knowsAny(std::span<const KernelSetting> settings, const Facts& facts) {
  return std::ranges::any_of(settings, [&](const auto& each) { return facts.sysctls.contains(std::string(each.name)); });
}

void judgeMixture(const config::PacketFilterFacts& filter, Observations& seen) {
  if (filter.backend != "nf_tables" || filter.legacyTables.empty() || filter.legacyRules == 0U) return;
  const auto rules =
      filter.legacyRules ? fmt::format("{} rules", *filter.legacyRules) : std::string("tables, which nobody here can list");
  seen.push_back(warning(
      fmt::format("iptables {} of this machine works on nft, but the kernel's older iptables has {} as well ({}): each "
                  "packet passes both, and neither program shows what the other did",
                  filter.version, rules, join(filter.legacyTables, ", ")),
      "see iptables-legacy-save, move what is needed to the newer kind, then reboot or flush the older one's tables; or "
      "stay with it: update-alternatives --set iptables /usr/sbin/iptables-legacy"));
}

void judgeTrials(const config::PacketFilterFacts& filter, Observations& seen) {
  std::vector<std::string> failed;
  for (const auto& [what, works] : filter.tried)
    if (!works) failed.push_back(what);
  if (failed.empty()) return;
  if (failed.size() == 1 && failed.front() == randomFully) {
    seen.push_back(warning(fmt::format("iptables {} cannot do {}: connections out of pods to one target may get the same "
                                       "port and lose their first packet",
                                       filter.version, randomFully),
                           "upgrade iptables to 1.6.2 or newer, and the kernel to one with it"));
    return;
  }
  seen.push_back(error(fmt::format("iptables {} ({}) cannot do what kube-proxy needs: {}", filter.version, filter.backend,
                                   join(failed, "; ")),
                       "load or install the kernel's netfilter modules (on some distributions the package "
                       "kernel-modules-extra), or use a kernel that has them"));
}

} // namespace

std::span<const KernelSetting> bridgeSettings() { return bridge; }
std::span<const KernelSetting> kernelDefaults() { return defaults; }

Observations bridgeFilter(const Setup& setup, const Facts& facts) {
  if (!knowsAny(bridge, facts))
    return {warning("packets over a bridge do not pass iptables: the kernel has no br_netfilter")};
  const auto wanted = std::span(bridge).subspan(usesIpv4(setup) ? 0 : 1, usesIpv4(setup) && usesIpv6(setup) ? 2 : 1);
  const auto off = deviations(wanted, facts);
  if (off.empty()) return {};
  return {warning("packets over a bridge do not pass iptables: " + join(off, ", "))};
}

bool protectsKernelDefaults(const Setup& setup, Purpose) {
  const auto* given = find(setup.cluster.kubelet.document, "protectKernelDefaults");
  return given && *given == true;
}

Observations kernelDefaultsHold(const Setup&, const Facts& facts) {
  const auto off = deviations(defaults, facts);
  if (off.empty()) return {};
  return {error("with protectKernelDefaults the kubelet does not start: " + join(off, ", "))};
}

Observations kernelFeatures(const Setup&, const Facts& facts) {
  std::vector<std::string> failed;
  for (const auto& [what, works] : facts.tried)
    if (!works) failed.push_back(what);
  if (failed.empty()) return {};
  return {warning(fmt::format("tried on kernel {}, and did not work: {}", facts.kernelRelease, join(failed, "; ")))};
}

Observations packetFilter(const Setup&, const Facts& facts) {
  Observations seen;
  judgeMixture(facts.packetFilter, seen);
  judgeTrials(facts.packetFilter, seen);
  return seen;
}

Observations securityModules(const Setup&, const Facts& facts) {
  Observations seen;
  const auto& security = facts.security;
  if (security.selinux == "enforcing" && facts.runtime.selinux == false)
    seen.push_back(warning("SELinux is enforcing, and the container runtime does not label its containers: they are kept "
                           "from files that they need",
                           "install container-selinux and set enable_selinux = true in the runtime's configuration; or "
                           "setenforce 0, and SELINUX=permissive in /etc/selinux/config"));
  if (security.appArmor && !security.appArmorParser)
    seen.push_back(warning("AppArmor is on, but its program apparmor_parser is not there: the runtime cannot load the "
                           "profile of containers",
                           "install the package apparmor, then restart the container runtime"));
  return seen;
}

} // namespace kubestrap::phases
