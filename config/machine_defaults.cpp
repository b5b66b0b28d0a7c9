#include "config/machine_defaults.hpp"

#include "config/validate.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <set>

namespace kubestrap::config {

namespace {

using schema::Place;
using schema::Report;

constexpr std::string_view defaultCriSocket = "unix:///var/run/containerd/containerd.sock";
constexpr std::string_view systemdResolvConf = "/run/systemd/resolve/resolv.conf";

} // namespace

IpAddress advertiseAddress(const v1beta4::ApiEndpoint& given, const Place& place, const Facts& facts, const Report& report) {
  const std::string& text = given.advertiseAddress;
  auto address = IpAddress::parse(text);
  if (!text.empty() && !address) return {}; // the schema has complained
  if (!address || address->isUnspecified()) {
    if (facts.defaultAddress) return *facts.defaultAddress;
    report.add(place, "this machine has no default route that would tell its address",
               "the address for the API server, with --apiserver-advertise-address or in the file");
    return {};
  }
  if (address->isLoopback()) {
    // Loopback asks for a global address of the loopback interface (networks as in RFC 5549).
    if (!facts.loopbackAddresses.empty()) return facts.loopbackAddresses.front();
    report.add(place, fmt::format("{} is a loopback address, and the loopback interface has no global one", text),
               "an address that other machines reach");
  } else if (!address->isGlobalUnicast()) {
    report.add(place, fmt::format("{} cannot be the API server's address", text),
               "a unicast address that other machines reach");
  }
  return *address;
}

std::string criSocket(const v1beta4::NodeRegistrationOptions& registration, const Facts& facts, const Report& report,
                      std::vector<std::string>& warnings) {
  const std::string& given = registration.criSocket;
  if (!given.empty()) {
    if (given.find("://") != std::string::npos) return given;
    warnings.push_back(
        fmt::format("nodeRegistration.criSocket: \"{}\" has no scheme and is taken as unix://{}", given, given));
    return "unix://" + given;
  }
  if (facts.runtimeSockets.size() > 1)
    report.add(Place{}.member("nodeRegistration").member("criSocket"),
               fmt::format("this machine has several container runtimes: {}", fmt::join(facts.runtimeSockets, ", ")),
               "one of them, with --cri-socket or in the file");
  return facts.runtimeSockets.empty() ? std::string(defaultCriSocket) : facts.runtimeSockets.front();
}

std::string nodeName(const v1beta4::NodeRegistrationOptions& registration, const Facts& facts, const Report& report) {
  const Place place = Place{}.member("nodeRegistration").member("name");
  const auto overridden = lastArgument(registration.kubeletExtraArgs, "hostname-override");
  const std::string name = lower(trim(overridden                   ? *overridden
                                      : !registration.name.empty() ? registration.name
                                                                   : facts.hostname));
  if (name.empty())
    report.add(place, "this machine's host name is not known", "the Node's name, with --node-name or in the file");
  else if (!isDns1123Subdomain(name) && (overridden || registration.name.empty())) // else the schema has complained
    report.add(place,
               fmt::format("\"{}\", {}, is not a node name", name,
                           overridden ? "of the kubelet's hostname-override" : "this machine's host name"),
               "a DNS name of letters, digits, dashes and dots, with --node-name or in the file");
  return name;
}

std::string resolvConf(const Facts& facts) { return facts.resolved.active ? std::string(systemdResolvConf) : ""; }

std::optional<Path> kubeletWithoutSettings(const Facts& facts) {
  if (!facts.kubeletUnit.exists || facts.kubeletUnit.readsSettings) return {};
  return facts.kubeletUnit.program;
}

std::vector<std::string> ignoredPreflightErrors(const std::optional<std::vector<std::string>>& flag,
                                                const v1beta4::NodeRegistrationOptions& registration, const Report& report) {
  std::set<std::string> names;
  for (const auto& name : registration.ignorePreflightErrors) names.insert(lower(name));
  for (const auto& name : flag.value_or(std::vector<std::string>{})) names.insert(lower(name));
  if (names.contains("all") && names.size() > 1)
    report.problems.push_back({.where = flag ? "--ignore-preflight-errors"
                                             : report.where("/nodeRegistration/ignorePreflightErrors"),
                               .field = "nodeRegistration.ignorePreflightErrors",
                               .message = "\"all\" stands beside single checks",
                               .expected = "all alone, or names of checks"});
  return {names.begin(), names.end()};
}

std::vector<Value> defaultControlPlaneTaints() {
  return {Value{{"effect", "NoSchedule"}, {"key", "node-role.kubernetes.io/control-plane"}}};
}

std::vector<std::string> existingCaFolders(const Facts& facts) {
  std::vector<std::string> names;
  for (const auto& [name, exists] : facts.caFolders)
    if (exists) names.push_back(name);
  return names;
}

} // namespace kubestrap::config
