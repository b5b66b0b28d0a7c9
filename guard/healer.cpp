#include "guard/healer.hpp"

#include "guard/watcher.hpp"
#include "support/ip.hpp"
#include "support/log.hpp"
#include "support/sleep.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::guard {

namespace {

const kube::ObjectKey endpointsKey{"v1", "Endpoints", "default", "kubernetes"};
const kube::ObjectKey sliceKey{"discovery.k8s.io/v1", "EndpointSlice", "default", "kubernetes"};
/// One object, named so that a right to this one is enough. It ends after half a minute, and the next begins with the object as it is.
constexpr std::string_view slicePath =
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?fieldSelector=metadata.name%3Dkubernetes&timeoutSeconds=30";
/// Others heal as well, and an API server of this node comes back to it every ten seconds by itself.
constexpr Duration whileOthersServe = std::chrono::seconds(1), afterFailure = std::chrono::milliseconds(500);

/// The lists of addresses, wherever the object keeps them, as one.
std::vector<std::string> addressesOf(const Value& object) {
  std::vector<std::string> addresses;
  for (const auto& endpoint : object.value("endpoints", Value::array()))
    for (const auto& address : endpoint.value("addresses", Value::array())) addresses.push_back(address.get<std::string>());
  for (const auto& subset : object.value("subsets", Value::array()))
    for (const auto& address : subset.value("addresses", Value::array())) addresses.push_back(stringAt(address, "ip"));
  return addresses;
}

Value ports(int port) { return Value::array({Value::object({{"name", "https"}, {"port", port}, {"protocol", "TCP"}})}); }

Value moreEndpoints(const Value& slice, const std::string& address, int port) {
  auto endpoints = slice.value("endpoints", Value::array());
  endpoints.push_back(Value::object({{"addresses", Value::array({address})}, {"conditions", Value::object({{"ready", true}})}}));
  auto patch = Value::object({{"endpoints", std::move(endpoints)}});
  if (slice.value("ports", Value::array()).empty()) patch["ports"] = ports(port);
  return patch;
}

Value moreSubsets(const Value& endpoints, const std::string& address, int port) {
  auto subsets = endpoints.value("subsets", Value::array());
  if (subsets.empty()) subsets.push_back(Value::object({{"addresses", Value::array()}, {"ports", ports(port)}}));
  auto addresses = subsets[0].value("addresses", Value::array());
  addresses.push_back(Value::object({{"ip", address}}));
  subsets[0]["addresses"] = std::move(addresses);
  return Value::object({{"subsets", std::move(subsets)}});
}

} // namespace

bool namesNobody(const Value& object) { return addressesOf(object).empty(); }

Value missingAddress(const Value& object, const std::string& address, int port) {
  const auto addresses = addressesOf(object);
  if (std::ranges::find(addresses, address) != addresses.end()) return {};
  auto patch = stringAt(object, "kind") == "Endpoints" ? moreSubsets(object, address, port) : moreEndpoints(object, address, port);
  patch["metadata"] = Value::object({{"resourceVersion", stringAt(object, "metadata.resourceVersion")}});
  return patch;
}

std::vector<std::string> heal(kube::Client& client, const std::string& address, int port) {
  std::vector<std::string> healed;
  // kube-proxy goes by the slice, so it comes first.
  for (const auto& key : {sliceKey, endpointsKey}) {
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto object = client.get(key);
      const auto patch = object ? missingAddress(*object, address, port) : Value();
      if (patch.is_null()) break;
      try {
        client.mergePatch(key, patch);
        healed.push_back(key.string());
        break;
      } catch (const Conflict&) {
        continue; // another guard, or the API server itself
      }
    }
  }
  return healed;
}

Healer::Healer(kube::Kubeconfig identity, std::string server, std::string address, int port, std::stop_token stop)
    : identity_(std::move(identity)), server_(std::move(server)), address_(std::move(address)), port_(port), transport_(stop),
      thread_([this, stop] { run(stop); }) {}

void Healer::mend(const Value& slice, const std::stop_token& stop) {
  if (!ready_ || missingAddress(slice, address_, port_).is_null()) return;
  if (!alone_ && !namesNobody(slice)) {
    sleepFor(whileOthersServe, stop);
    if (!ready_ || stop.stop_requested()) return;
  }
  Limited limited(transport_, Watcher::limit);
  kube::Client client(limited, identity_, server_);
  if (const auto healed = heal(client, address_, port_); !healed.empty()) log::info(0, "put {} back into {}", address_, join(healed, " and "));
}

void Healer::watchOnce(const std::stop_token& stop) {
  kube::Client client(transport_, identity_, server_);
  client.watch(std::string(slicePath), {}, [&](const std::string& type, const Value& object) {
    if (type == "ADDED" || type == "MODIFIED") mend(object, stop);
    return !stop.stop_requested();
  });
}

void Healer::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      watchOnce(stop);
    } catch (const Interrupted&) {
      return;
    } catch (const std::exception& error) {
      log::info(1, "{}", error.what());
      sleepFor(afterFailure, stop);
    }
  }
}

} // namespace kubestrap::guard
