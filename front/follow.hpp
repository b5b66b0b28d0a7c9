#pragma once

#include "front/haproxy.hpp"

#include <map>
#include <string>
#include <vector>

namespace kubestrap::front {

/// The commands by which HAProxy goes over from the servers that it has to those that are wanted: a server that is new takes a spare
/// place, one that is gone goes into maintenance, and its connections end by themselves. Nothing for an empty list, since no cluster is
/// without API servers: whoever says so knows nothing.
std::vector<std::string> commands(const std::map<std::string, config::Endpoint>& wanted, const std::vector<Server>& servers);

} // namespace kubestrap::front
