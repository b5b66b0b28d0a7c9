#include "phases/preflight_proxy.hpp"

#include "support/ip.hpp"
#include "support/text.hpp"

#include <utility>

namespace kubestrap::phases {

namespace {

std::string variable(const std::map<std::string, std::string>& environment, const std::string& name) {
  for (const auto& each : {name, lower(name)})
    if (const auto found = environment.find(each); found != environment.end() && !found->second.empty())
      return found->second;
  return "";
}

/// "host:port" and "[address]:port" in two; what has no port, or is a bare IPv6 address, stays whole.
std::pair<std::string_view, std::string_view> splitPort(std::string_view entry) {
  if (entry.starts_with('[')) {
    const auto close = entry.find("]:");
    if (close == entry.npos) return {entry, ""};
    return {entry.substr(1, close - 1), entry.substr(close + 2)};
  }
  const auto colon = entry.find(':');
  if (colon == entry.npos || entry.find(':', colon + 1) != entry.npos) return {entry, ""};
  return {entry.substr(0, colon), entry.substr(colon + 1)};
}

/// "foo.com" stands for itself and all below it, ".foo.com" and "*.foo.com" only for what is below.
bool domainCovers(std::string_view domain, std::string_view host) {
  if (domain.starts_with("*.")) domain.remove_prefix(1);
  if (domain.starts_with('.')) return host.ends_with(domain);
  return host == domain || (host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.');
}

/// Whether an entry of NO_PROXY, trimmed and in lower case, exempts the host.
bool exempts(std::string_view entry, std::string_view host, const std::optional<IpAddress>& address, int port) {
  if (entry.empty()) return false;
  if (const auto range = Cidr::parse(entry)) return address && range->contains(*address);
  const auto [name, onlyPort] = splitPort(entry);
  if (name.empty() || (!onlyPort.empty() && onlyPort != std::to_string(port))) return false;
  if (const auto wanted = IpAddress::parse(name)) return address == wanted;
  return !address && domainCovers(name, host);
}

} // namespace

std::optional<std::string> httpsProxyFor(const std::map<std::string, std::string>& environment, std::string_view host,
                                         int port) {
  auto proxy = variable(environment, "HTTPS_PROXY");
  if (proxy.empty() || host == "localhost") return std::nullopt;
  const auto address = IpAddress::parse(host);
  if (address && address->isLoopback()) return std::nullopt;
  const auto name = lower(host);
  for (const auto& part : split(variable(environment, "NO_PROXY"), ',')) {
    const auto entry = lower(trim(part));
    if (entry == "*" || exempts(entry, name, address, port)) return std::nullopt;
  }
  return proxy;
}

std::string withoutCredentials(std::string_view url) {
  // The last "@" ends them even where a password was not escaped: rather too little shown than too much.
  const auto scheme = url.find("://");
  const auto begin = scheme == url.npos ? 0 : scheme + 3;
  const auto at = url.rfind('@');
  if (at == url.npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + "xxxxx" + std::string(url.substr(at));
}

} // namespace kubestrap::phases
