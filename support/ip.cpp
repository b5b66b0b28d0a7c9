#include "support/ip.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap {

namespace {
/// All but the last four of the sixteen octets of an IPv4-mapped address.
constexpr std::array<std::uint8_t, 12> mappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int bitsOf(IpAddress::Family family) { return family == IpAddress::Family::v6 ? 128 : 32; }

template <typename Number> std::optional<Number> parseDecimal(std::string_view text) {
  Number number = 0;
  if (text.empty() || text.front() == '-' || (text.size() > 1 && text.front() == '0')) return {};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}
} // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::string terminated(text);
  if (text.find('\0') != text.npos) return {};
  IpAddress address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes_.data()) == 1) return address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) != 1) return {};
  if (std::equal(mappedPrefix.begin(), mappedPrefix.end(), address.bytes_.begin()))
    return v4(address.bytes_[12], address.bytes_[13], address.bytes_[14], address.bytes_[15]);
  address.family_ = Family::v6;
  return address;
}

IpAddress IpAddress::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  IpAddress address;
  address.bytes_ = {a, b, c, d};
  return address;
}

std::string IpAddress::string() const {
  // The C library writes ::1:2 as ::0.1.0.2; RFC 5952 and Go do not.
  auto group = [&](std::size_t i) { return bytes_[2 * i] << 8 | bytes_[2 * i + 1]; };
  bool onlyLastTwoGroups = isV6() && std::all_of(bytes_.begin(), bytes_.begin() + 12, [](auto b) { return b == 0; });
  if (onlyLastTwoGroups && group(6) != 0) return fmt::format("::{:x}:{:x}", group(6), group(7));

  char text[INET6_ADDRSTRLEN];
  return inet_ntop(isV6() ? AF_INET6 : AF_INET, bytes_.data(), text, sizeof text);
}

std::string IpAddress::inUrl() const { return isV6() ? '[' + string() + ']' : string(); }
std::string IpAddress::octets() const { return {bytes_.begin(), bytes_.begin() + (isV6() ? 16 : 4)}; }

bool IpAddress::isUnspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](auto b) { return b == 0; });
}

bool IpAddress::isLoopback() const { return isV6() ? string() == "::1" : bytes_[0] == 127; }

bool IpAddress::isLinkLocal() const {
  return isV6() ? bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80 : bytes_[0] == 169 && bytes_[1] == 254;
}

bool IpAddress::isMulticast() const { return isV6() ? bytes_[0] == 0xff : (bytes_[0] & 0xf0) == 0xe0; }

bool IpAddress::isGlobalUnicast() const {
  bool isBroadcast = *this == v4(255, 255, 255, 255);
  return !isBroadcast && !isUnspecified() && !isLoopback() && !isMulticast() && !isLinkLocal();
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  auto slash = text.find('/');
  if (slash == text.npos) return {};
  auto address = IpAddress::parse(text.substr(0, slash));
  auto prefix = parseDecimal<int>(text.substr(slash + 1));
  if (!address || !prefix || *prefix > bitsOf(address->family())) return {};
  bool isMapped = !address->isV6() && text.find(':') != text.npos; // which family would its prefix count in?
  if (isMapped) return {};

  Cidr cidr;
  cidr.base_ = *address;
  cidr.prefix_ = *prefix;
  for (int i = 0; i < 16; ++i) {
    int kept = std::clamp(*prefix - 8 * i, 0, 8); // of this octet's bits
    cidr.base_.bytes_[static_cast<std::size_t>(i)] &= static_cast<std::uint8_t>(0xff00 >> kept);
  }
  return cidr;
}

int Cidr::hostBits() const { return bitsOf(base_.family()) - prefix_; }
std::uint64_t Cidr::size() const { return std::uint64_t{1} << std::min(hostBits(), 62); }

bool Cidr::contains(const IpAddress& address) const {
  if (address.family() != base_.family()) return false;
  for (int i = 0; i < 16; ++i) {
    int compared = std::clamp(prefix_ - 8 * i, 0, 8);
    auto at = static_cast<std::size_t>(i);
    if ((address.bytes_[at] ^ base_.bytes_[at]) & (0xff00 >> compared) & 0xff) return false;
  }
  return true;
}

bool Cidr::overlaps(const Cidr& other) const { return contains(other.base_) || other.contains(base_); }

std::optional<IpAddress> Cidr::nth(std::uint64_t n) const {
  if (hostBits() < 64 && n >> hostBits() != 0) return {};
  IpAddress address = base_;
  for (auto i = isV6() ? 16U : 4U; i-- > 0 && n > 0;) {
    // The host bits of the base are zero, but its prefix may share an octet with them.
    n += address.bytes_[i];
    address.bytes_[i] = static_cast<std::uint8_t>(n & 0xff);
    n >>= 8;
  }
  return address;
}

std::string Cidr::string() const { return fmt::format("{}/{}", base_.string(), prefix_); }

std::string joinHostPort(std::string_view host, int port) {
  bool needsBrackets = host.find(':') != host.npos && !host.starts_with('[');
  return needsBrackets ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

namespace {
bool isIpv6(std::string_view text) { return text.find(':') != text.npos && IpAddress::parse(text); }

std::optional<HostPort> withPort(std::string_view host, std::string_view port) {
  auto number = parseDecimal<int>(port);
  if (!number || *number < 1 || *number > 65535) return {};
  return HostPort{.host = std::string(host), .port = number};
}
} // namespace

std::optional<HostPort> splitHostPort(std::string_view text) {
  if (text.starts_with('[')) {
    auto close = text.find(']');
    if (close == text.npos || !isIpv6(text.substr(1, close - 1))) return {};
    auto host = text.substr(1, close - 1), rest = text.substr(close + 1);
    if (rest.empty()) return HostPort{.host = std::string(host), .port = {}};
    return rest.starts_with(':') ? withPort(host, rest.substr(1)) : std::nullopt;
  }
  if (isIpv6(text)) return HostPort{.host = std::string(text), .port = {}};

  auto colon = text.find(':');
  auto host = text.substr(0, colon);
  if (host.empty() || host.find_first_of(" \t\r\n/[]") != host.npos) return {};
  if (colon == text.npos) return HostPort{.host = std::string(host), .port = {}};
  return withPort(host, text.substr(colon + 1));
}

} // namespace kubestrap
