#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace kubestrap::phases {

/// The proxy over which a Go program with this environment would make an https connection, as the variable names it;
/// nothing: it connects directly. The rules are Go's (golang.org/x/net/http/httpproxy): HTTPS_PROXY before https_proxy,
/// NO_PROXY before no_proxy with addresses, ranges, domains, ports and "*", never a proxy to this machine itself.
std::optional<std::string> httpsProxyFor(const std::map<std::string, std::string>& environment, std::string_view host,
                                         int port);

/// The address of a proxy with user and password, if any, made unreadable.
std::string withoutCredentials(std::string_view url);

} // namespace kubestrap::phases
