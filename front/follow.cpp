#include "front/follow.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::front {

namespace {

/// As apiservers.cfg calls the backend.
constexpr std::string_view backend = "apiservers";

bool isWanted(const Server& server, const std::map<std::string, config::Endpoint>& wanted) {
  return std::ranges::any_of(wanted, [&](const auto& each) { return each.second == server.endpoint; });
}

} // namespace

std::vector<std::string> commands(const std::map<std::string, config::Endpoint>& wanted, const std::vector<Server>& servers) {
  std::vector<std::string> result;
  if (wanted.empty()) return result;
  auto free = servers.begin();
  for (const auto& [node, endpoint] : wanted) {
    const auto known = std::ranges::find(servers, endpoint, &Server::endpoint);
    if (known != servers.end()) {
      if (!known->inUse) result.push_back(fmt::format("set server {}/{} state ready", backend, known->name));
      continue;
    }
    free = std::find_if(free, servers.end(), [&](const Server& each) { return !each.inUse && !isWanted(each, wanted); });
    if (free == servers.end()) break; // a restart reads all of them from the file
    result.push_back(fmt::format("set server {}/{} addr {} port {}", backend, free->name, endpoint.host, endpoint.port));
    result.push_back(fmt::format("set server {}/{} state ready", backend, free->name));
    ++free;
  }
  for (const auto& server : servers)
    if (server.inUse && !isWanted(server, wanted)) result.push_back(fmt::format("set server {}/{} state maint", backend, server.name));
  return result;
}

} // namespace kubestrap::front
