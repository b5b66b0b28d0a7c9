#pragma once
// front/ is what runs beside HAProxy in the pod of a node's balancer: it speaks to HAProxy's runtime socket, and works out what HAProxy
// has to be told when API servers come or go.

#include "config/model.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::front {

/// A server as HAProxy knows it.
struct Server {
  std::string name; ///< "n1", "spare3"
  config::Endpoint endpoint;
  bool inUse = false; ///< not in maintenance
  bool operator==(const Server&) const = default;
};

/// The answer to `show servers state` (HAProxy management guide, version 1 of that format). Throws Error for anything else.
std::vector<Server> parseServersState(std::string_view text);

/// HAProxy's runtime socket; a connection per question. Throws Error when nobody answers.
class RuntimeSocket {
public:
  explicit RuntimeSocket(std::filesystem::path path) : path_(std::move(path)) {}
  std::string ask(const std::string& command) const;
  bool answers() const;

private:
  std::filesystem::path path_;
};

} // namespace kubestrap::front
