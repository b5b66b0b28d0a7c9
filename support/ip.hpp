#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kubestrap {

/// An IPv4 or IPv6 address (IPv4-mapped IPv6 counts as IPv4, as in Go).
class IpAddress {
public:
  enum class Family { v4, v6 };

  IpAddress() = default; ///< 0.0.0.0
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);

  Family family() const { return family_; }
  bool isV6() const { return family_ == Family::v6; }
  std::string string() const; ///< canonical: "10.0.0.1", "fd00::1"
  std::string inUrl() const;  ///< "10.0.0.1", "[fd00::1]"
  std::string octets() const; ///< 4 or 16 raw octets, as X.509 has them
  bool isUnspecified() const;
  bool isLoopback() const;
  bool isLinkLocal() const;
  bool isMulticast() const;
  bool isGlobalUnicast() const; ///< Go's net.IP.IsGlobalUnicast: private ranges included

  auto operator<=>(const IpAddress&) const = default;

private:
  friend class Cidr;
  Family family_ = Family::v4;
  std::array<std::uint8_t, 16> bytes_{}; ///< IPv4 in the first four
};

/// An address range like 10.96.0.0/12. The base address is masked when parsed.
class Cidr {
public:
  Cidr() = default;
  static std::optional<Cidr> parse(std::string_view text);

  IpAddress base() const { return base_; }
  int prefix() const { return prefix_; }
  bool isV6() const { return base_.isV6(); }
  int hostBits() const;
  /// Number of addresses, capped at 2^62.
  std::uint64_t size() const;
  bool contains(const IpAddress& address) const;
  bool overlaps(const Cidr& other) const;
  /// The n-th address of the range, counted from its base; nothing when the range is too small.
  std::optional<IpAddress> nth(std::uint64_t n) const;
  std::string string() const;

  bool operator==(const Cidr&) const = default;

private:
  IpAddress base_;
  int prefix_ = 0;
};

/// "10.0.0.1:6443", "[fd00::1]:6443", "api.example.org:6443"
std::string joinHostPort(std::string_view host, int port);

struct HostPort {
  std::string host; ///< without brackets
  std::optional<int> port;
};
/// The opposite of joinHostPort, the port may be missing; nothing when it is malformed.
std::optional<HostPort> splitHostPort(std::string_view text);

} // namespace kubestrap
