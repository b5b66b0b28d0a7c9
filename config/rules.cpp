#include "config/rules.hpp"

#include "config/token.hpp"
#include "support/encoding.hpp"
#include "support/ip.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <charconv>

namespace kubestrap::config::rules {

using schema::Rule;

namespace {

constexpr std::size_t certificateKeyBytes = 32;

bool lowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool letterOrDigit(char c) { return lowerOrDigit(c) || (c >= 'A' && c <= 'Z'); }

/// A rule's function for text, from a function of text.
template <bool (*holds)(std::string_view)> bool text(const Value& value) {
  return value.is_string() && holds(value.get_ref<const std::string&>());
}

bool isIpAddress(std::string_view text) { return IpAddress::parse(text).has_value(); }
bool isAbsolute(std::string_view text) { return text.starts_with('/'); }
bool isCertificatePath(std::string_view text) { return isAbsolute(text) && text.ends_with(".crt"); }
bool isNodeName(std::string_view text) { return isDns1123Subdomain(lower(trim(text))); }
bool isPort(const Value& value) {
  return value.is_number_integer() && value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() <= 65535;
}

template <int lowest, int highest> bool isWithin(const Value& value) {
  return value.is_number_integer() && value.get<std::int64_t>() >= lowest && value.get<std::int64_t>() <= highest;
}

bool isAddressRange(std::string_view text) { return parseAddressRange(text).has_value(); }

bool isProxyMode(std::string_view text) { return text.empty() || text == "iptables" || text == "nftables" || text == "ipvs"; }

bool isHostAndPort(std::string_view text) {
  auto parts = splitHostPort(text);
  if (!parts && IpAddress::parse(text)) return true; // a bare IPv6 address
  if (!parts || (parts->port && (*parts->port < 1 || *parts->port > 65535))) return false;
  return IpAddress::parse(parts->host) || isDns1123Subdomain(parts->host);
}

bool isCertificateKey(std::string_view text) {
  auto bytes = fromHex(text);
  return bytes && bytes->size() == certificateKeyBytes;
}

bool isToken(std::string_view text) { return parseToken(text).has_value(); }
bool isUsage(std::string_view text) { return text == "signing" || text == "authentication"; }
bool isArgumentName(std::string_view text) { return !text.empty() && !text.starts_with('-'); }

/// A missing scheme is put in front later, with a warning; another one than unix is wrong.
bool isCriSocket(std::string_view text) {
  return text.starts_with("unix://") || text.find("://") == std::string_view::npos;
}
bool isUrl(std::string_view text) {
  auto scheme = schemeOf(text);
  return !scheme.empty() && text.size() > scheme.size() + 3 && text.find(' ') == std::string_view::npos;
}
bool isPinnedHash(std::string_view text) {
  auto colon = text.find(':');
  if (colon == std::string_view::npos || lower(text.substr(0, colon)) != "sha256") return false;
  auto bytes = fromHex(text.substr(colon + 1));
  return bytes && bytes->size() == 32;
}
bool isFileOrHttps(std::string_view text) {
  auto scheme = schemeOf(text);
  return scheme.empty() || scheme == "https" || scheme == "file";
}

/// A path component of an image reference: [a-z0-9]+ joined by one of . _ __ or dashes (distribution/reference).
bool isImageComponent(std::string_view part) {
  if (part.empty() || !lowerOrDigit(part.front()) || !lowerOrDigit(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (lowerOrDigit(part[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < part.size() && part[end] == part[i]) ++end;
    const std::size_t run = end - i;
    if (part[i] == '.' ? run != 1 : part[i] == '_' ? run > 2 : part[i] != '-') return false;
    if (end < part.size() && !lowerOrDigit(part[end])) return false;
    i = end;
  }
  return true;
}

/// The registry of an image reference: host names of any case, or a bracketed IPv6 address, with an optional port.
bool isRegistry(std::string_view part) {
  if (part.starts_with('[')) {
    auto parts = splitHostPort(part);
    return parts && IpAddress::parse(parts->host);
  }
  std::string_view host = part;
  if (auto colon = part.find(':'); colon != std::string_view::npos) {
    auto digits = part.substr(colon + 1);
    if (digits.empty() || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return false;
    host = part.substr(0, colon);
  }
  for (const auto& label : split(host, '.'))
    if (label.empty() || !letterOrDigit(label.front()) || !letterOrDigit(label.back()) ||
        !std::ranges::all_of(label, [](char c) { return letterOrDigit(c) || c == '-'; }))
      return false;
  return !host.empty();
}

constexpr std::string_view algorithms[] = {"RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"};
constexpr std::string_view pullPolicies[] = {"Always", "IfNotPresent", "Never"};
constexpr std::string_view unmountFlags[] = {"MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"};
constexpr std::string_view hostPathTypes[] = {"DirectoryOrCreate", "Directory",  "FileOrCreate", "File", "Socket",
                                              "CharDevice",        "BlockDevice"};
constexpr std::string_view taintEffects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};
constexpr std::string_view layouts[] = {"plain", "hosted"};
constexpr std::string_view hostings[] = {"static", "self"};
constexpr std::string_view addonNames[] = {"flannel", "calico", "cilium", "metallb", "traefik", "ingress-nginx", "metrics-server", "local-path"};
constexpr std::string_view flannelBackends[] = {"vxlan", "host-gw", "wireguard", "ipip", "udp"};
constexpr std::string_view calicoEncapsulations[] = {"vxlan", "ipip", "none"};
constexpr std::string_view metallbModes[] = {"l2"};
constexpr std::string_view ingressExposures[] = {"loadBalancer", "nodePort", "hostNetwork", "externalIPs"};
bool isMebibytes(std::string_view text) { return parseMebibytes(text).has_value(); }
bool isEncryptedResource(std::string_view text) { return isDns1123Subdomain(text) && text != "events" && text != "events.events.k8s.io"; }
constexpr std::string_view encryptionProviders[] = {"secretbox", "aescbc", "aesgcm"};
constexpr std::string_view endpointModes[] = {"local", "vip", "external", "single"};

} // namespace

std::string_view schemeOf(std::string_view text) {
  auto end = text.find("://");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

std::optional<std::pair<IpAddress, IpAddress>> parseAddressRange(std::string_view text) {
  if (const auto range = Cidr::parse(text)) {
    const auto last = range->nth(range->size() - 1);
    return std::pair{range->base(), last.value_or(range->base())};
  }
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = IpAddress::parse(trim(text.substr(0, dash))), last = IpAddress::parse(trim(text.substr(dash + 1)));
  if (!first || !last || first->family() != last->family() || *last < *first) return std::nullopt;
  return std::pair{*first, *last};
}

std::optional<int> parseMebibytes(std::string_view text) {
  const bool gibi = text.ends_with("Gi");
  if (!gibi && !text.ends_with("Mi")) return std::nullopt;
  text.remove_suffix(2);
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > 1024 * 1024) return std::nullopt;
  return gibi ? number * 1024 : number;
}

bool isAlternativeName(std::string_view text) {
  const std::string name = lower(text);
  return isDns1123Subdomain(name) || isWildcardDns1123Subdomain(name) || isIpAddress(name);
}

bool isImageRepository(std::string_view text) {
  auto parts = split(text, '/');
  if (parts.empty()) return false;
  const bool firstMayBeRegistry = isRegistry(parts.front());
  return (firstMayBeRegistry || isImageComponent(parts.front())) &&
         std::all_of(parts.begin() + 1, parts.end(), [](const auto& part) { return isImageComponent(part); });
}

bool isImageReference(std::string_view text) {
  constexpr std::string_view digestMark = "@sha256:";
  if (const auto at = text.find(digestMark); at != std::string_view::npos) {
    if (const auto digits = fromHex(text.substr(at + digestMark.size())); !digits || digits->size() != 32) return false;
    text = text.substr(0, at);
  }
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos) {
    const auto tag = text.substr(colon + 1);
    if (tag.empty() || tag.size() > 128 || tag.front() == '.' || tag.front() == '-' ||
        !std::ranges::all_of(tag, [](char c) { return letterOrDigit(c) || c == '_' || c == '.' || c == '-'; }))
      return false;
    text = text.substr(0, colon);
  }
  return isImageRepository(text);
}

const Rule ipAddress{"is not an IP address", "an address like 10.0.0.11 or fd00::11", text<isIpAddress>};
const Rule port{"is not a port", "a number from 1 to 65535", isPort};
const Rule virtualRouter{"is not a virtual router id", "a number from 1 to 255", isWithin<1, 255>};
const Rule virtualRouterPriority{"is not a priority of VRRP", "a number from 1 to 254", isWithin<1, 254>};
const Rule absolutePath{"is not an absolute path", "a path that begins with /", text<isAbsolute>};
const Rule certificatePath{"is not the absolute path of a certificate", "a path that begins with / and ends with .crt",
                           text<isCertificatePath>};
const Rule dnsSubdomain{"is not a DNS name", "lower-case letters, digits, dashes and dots, like example.org",
                        text<isDns1123Subdomain>};
const Rule nodeName{"is not a node name", "a DNS name of letters, digits, dashes and dots, like worker-1",
                    text<isNodeName>};
const Rule alternativeName{"is neither an IP address nor a DNS name",
                           "a name like api.example.org, *.example.org or 10.0.0.11", text<isAlternativeName>};
const Rule hostAndPort{"is not an address with an optional port",
                       "like api.example.org:6443, 10.0.0.11 or [fd00::11]:6443", text<isHostAndPort>};
const Rule imageRepository{"is not an image repository", "like registry.example.org:5000/kubernetes",
                           text<isImageRepository>};
const Rule certificateKey{"is not a certificate key", "64 hexadecimal digits (32 bytes)", text<isCertificateKey>};
const Rule token{"is not a bootstrap token",
                 "six and sixteen of a-z and 0-9 with a dot between, like abcdef.0123456789abcdef", text<isToken>};
const Rule tokenUsage{"is not a usage of a token", "signing or authentication", text<isUsage>};
const Rule tokenGroup{"is not a group of bootstrap tokens",
                      "system:bootstrappers: followed by a-z, 0-9, colons and dashes", text<isTokenGroup>};
const Rule argumentName{"is not the name of a flag", "a name without leading dashes, like feature-gates",
                        text<isArgumentName>};
const Rule criSocket{"is not a socket of a container runtime", "like unix:///run/containerd/containerd.sock",
                     text<isCriSocket>};
const Rule url{"is not a URL", "like https://10.0.0.21:2379", text<isUrl>};
const Rule imageReference{"is not an image reference", "like registry.example.org/kubestrap:v1", text<isImageReference>};
const Rule pinnedHash{"is not the hash of a CA's public key", "sha256: and 64 hexadecimal digits", text<isPinnedHash>};
const Rule fileOrHttps{"is neither a file nor an https URL", "a path or https://...", text<isFileOrHttps>};
const Rule encryptionAlgorithm{.choices = algorithms};
const Rule pullPolicy{.choices = pullPolicies};
const Rule unmountFlag{.choices = unmountFlags};
const Rule hostPathType{.choices = hostPathTypes};
const Rule taintEffect{.choices = taintEffects};
const Rule layout{.choices = layouts};
const Rule hosting{.choices = hostings};
const Rule addonName{.choices = addonNames};
const Rule addressRange{"is no range of addresses", "a range like 10.0.0.240/28 or 10.0.0.240-10.0.0.250", text<isAddressRange>};
const Rule nodePort{"is no port that services may have on nodes", "a number from 1 to 65535, within the API server's --service-node-port-range", isWithin<1, 65535>};
const Rule flannelBackend{.choices = flannelBackends};
const Rule calicoEncapsulation{.choices = calicoEncapsulations};
const Rule metallbMode{.choices = metallbModes};
const Rule ingressExposure{.choices = ingressExposures};
const Rule proxyMode{"is no mode of kube-proxy", "iptables, nftables or ipvs", text<isProxyMode>};
const Rule endpointMode{.choices = endpointModes};
const Rule mebibytes{"is not a whole number of Mi or Gi", "like 100Mi", text<isMebibytes>};
const Rule count{"is not a count", "a whole number from 0", isWithin<0, 1000000>};
const Rule encryptionProvider{.choices = encryptionProviders};
const Rule encryptedResource{"is not a resource that can be encrypted", "a plural, outside the core group with its group, like secrets or deployments.apps",
                             text<isEncryptedResource>};

} // namespace kubestrap::config::rules
