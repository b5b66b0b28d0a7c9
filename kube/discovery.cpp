#include "kube/discovery.hpp"

#include "kube/client.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

namespace kubestrap::kube {

namespace {

constexpr std::string_view clusterInfoPath = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
constexpr std::size_t longestAnswer = 8 << 20; // an object of etcd's has 1.5 MiB at most, and JSON may spell each octet longer
constexpr std::string_view signaturePrefix = "jws-kubeconfig-";

} // namespace

ClusterInfo readClusterInfo(net::Transport& transport, const std::string& server, const std::string& authorities) {
  net::Request request{.url = server + std::string(clusterInfoPath),
                       .headers = {{"Accept", "application/json"}, {"User-Agent", "kubestrap"}},
                       .tls = {.authorities = authorities},
                       .largestAnswer = longestAnswer};
  if (authorities.empty()) request.tls.verify = net::TlsIdentity::Verify::no;
  const auto response = transport.perform(request);
  if (response.status != 200) {
    const Value answer = Value::parse(response.body, nullptr, false);
    const auto reason = answer.is_object() ? stringAt(answer, "reason") : std::string();
    const auto message = answer.is_object() ? stringAt(answer, "message") : std::string();
    throw ApiError(response.status, reason,
                   fmt::format("{} answers {}{}", request.url, response.status, message.empty() ? "" : ": " + message));
  }
  const Value document = parseJson(response.body, request.url);
  ClusterInfo info;
  const auto* data = find(document, "data");
  if (!data || !data->is_object()) return info;
  for (const auto& [key, text] : data->items()) {
    if (!text.is_string()) continue;
    if (key == "kubeconfig") info.kubeconfig = text.get<std::string>();
    else if (key.starts_with(signaturePrefix)) info.signatures[key.substr(signaturePrefix.size())] = text.get<std::string>();
    else info.others[key] = text.get<std::string>();
  }
  if (const auto date = response.headers.find("date"); date != response.headers.end()) info.serverTime = parseHttpDate(date->second);
  return info;
}

} // namespace kubestrap::kube
