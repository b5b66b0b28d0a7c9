#include "config/layout.hpp"

#include "config/v1alpha1.hpp"
#include "support/ip.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <string>

namespace kubestrap::config {

namespace {

/// A member of the document of that kind; empty when there is none.
std::string said(const std::vector<Document>& documents, std::string_view kind, std::string_view member) {
  for (const auto& document : documents)
    if (stringAt(document.value, "kind") == kind) return stringAt(document.value, member);
  return {};
}

bool isAddress(const std::string& endpoint) {
  const auto parts = splitHostPort(endpoint);
  return IpAddress::parse(parts ? parts->host : endpoint).has_value();
}

bool hasExternalEtcd(const std::vector<Document>& documents) {
  return std::ranges::any_of(documents, [](const Document& document) { return find(document.value, "etcd.external") != nullptr; });
}

} // namespace

void chooseLayout(const std::vector<Document>& documents, InitFlags& flags, bool plainHere) {
  constexpr std::string_view cluster = "ClusterConfiguration";
  const auto mode = said(documents, v1alpha1::kind, "endpoint.mode");
  const auto endpoint = flags.controlPlaneEndpoint.value_or(said(documents, cluster, "controlPlaneEndpoint"));
  const auto services = flags.serviceCidr.value_or(said(documents, cluster, "networking.serviceSubnet"));
  const bool decided = flags.layout || !said(documents, v1alpha1::kind, "layout").empty();
  const bool ofTheOperator = mode == "single" || mode == "external" || isAddress(endpoint);
  const bool ofIPv6 = services.substr(0, services.find(',')).find(':') != std::string::npos;
  if (!decided && !plainHere && !ofTheOperator && !ofIPv6 && !hasExternalEtcd(documents)) flags.layout = "hosted";
}

} // namespace kubestrap::config
