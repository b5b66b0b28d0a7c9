#include "phases/kubelet_serving.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kubestrap::phases::kubelet_serving {

namespace {

constexpr std::string_view userPrefix = "system:node:";
constexpr const char* group = "system:nodes";

/// The names or the addresses of a Node.
std::set<std::string> addressesOf(const Value& node, std::initializer_list<std::string_view> types) {
  std::set<std::string> found;
  const auto* addresses = find(node, "status.addresses");
  for (const auto& each : addresses && addresses->is_array() ? *addresses : Value::array())
    if (std::ranges::find(types, stringAt(each, "type")) != types.end()) found.insert(lower(stringAt(each, "address")));
  return found;
}
std::set<std::string> namesOf(const Value& node) { return addressesOf(node, {"Hostname", "InternalDNS", "ExternalDNS"}); }
std::set<std::string> ipsOf(const Value& node) {
  std::set<std::string> found;
  for (const auto& text : addressesOf(node, {"InternalIP", "ExternalIP"}))
    if (const auto ip = IpAddress::parse(text)) found.insert(ip->string());
  return found;
}

/// What is wrong with the request by itself (kubernetes.io/kubelet-serving; certificates/v1: KubeletServingSignerName).
std::optional<std::string> malformed(const Request& request) {
  if (!request.requester.starts_with(userPrefix) || std::ranges::find(request.groups, group) == request.groups.end()) return fmt::format("{} is no kubelet", request.requester);
  if (request.subject.commonName != request.requester) return fmt::format("it is for {}, and {} asks", request.subject.commonName, request.requester);
  if (request.subject.organizations != std::vector<std::string>{group}) return fmt::format("its organization is not {} alone", group);
  if (request.names.empty()) return "it has no names and no addresses";
  if (request.otherNames) return "it has mail addresses or URIs";
  for (const auto& usage : request.usages)
    if (usage != "server auth" && usage != "digital signature" && usage != "key encipherment") return fmt::format("a serving certificate is not for \"{}\"", usage);
  if (std::ranges::find(request.usages, "server auth") == request.usages.end()) return "it is not for \"server auth\"";
  return std::nullopt;
}

} // namespace

Verdict judge(const Request& request, const std::vector<Value>& nodes) {
  if (auto why = malformed(request)) return Deny{std::move(*why)};
  const auto name = request.requester.substr(userPrefix.size());
  const auto node = std::ranges::find_if(nodes, [&](const Value& each) { return stringAt(each, "metadata.name") == name; });
  if (node == nodes.end()) return Wait{fmt::format("there is no Node {}", name)};
  const auto names = namesOf(*node), ips = ipsOf(*node);
  std::vector<std::string> foreign;
  for (const auto& dns : request.names.dns)
    if (!names.contains(lower(dns))) foreign.push_back(dns);
  for (const auto& ip : request.names.ips)
    if (!ips.contains(ip.string())) foreign.push_back(ip.string());
  if (!foreign.empty()) return Deny{fmt::format("Node {} has not: {}", name, join(foreign, ", "))};
  // A kubelet says itself which addresses its Node has; what is another's too, it may have made up.
  for (const auto& other : nodes) {
    if (stringAt(other, "metadata.name") == name) continue;
    const auto otherNames = namesOf(other), otherIps = ipsOf(other);
    for (const auto& dns : request.names.dns)
      if (otherNames.contains(lower(dns))) return Deny{fmt::format("{} is of Node {} as well", dns, stringAt(other, "metadata.name"))};
    for (const auto& ip : request.names.ips)
      if (otherIps.contains(ip.string())) return Deny{fmt::format("{} is of Node {} as well", ip.string(), stringAt(other, "metadata.name"))};
  }
  return Approve{};
}

} // namespace kubestrap::phases::kubelet_serving
