#include "net/http.hpp"

namespace kubestrap::net {

TransportError::TransportError(Kind kind, std::string message, std::string hint)
    : Error(std::move(message), std::move(hint)), kind_(kind) {}

} // namespace kubestrap::net
