#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace kubestrap {

/// A semantic version as Kubernetes writes it: "v1.37.2", "1.37.0-rc.1", "v1.38.0-alpha.1+0a1b2c".
struct Version {
  int major = 0, minor = 0, patch = 0;
  std::string preRelease, build;

  std::string string() const;   ///< "1.37.2-rc.1+build"
  std::string tag() const;      ///< "v1.37.2"
  std::string imageTag() const; ///< as tag(), with "+" turned to "_"
  std::string minorTag() const; ///< "v1.37"
};

/// Throws Error; a leading "v" is optional, "1.37" counts as 1.37.0.
Version parseVersion(std::string_view text);
/// Nothing for what is no version: a tag of somebody's own.
std::optional<Version> readVersion(std::string_view text);
/// Semantic order; the build part does not count.
std::strong_ordering operator<=>(const Version& a, const Version& b);
bool operator==(const Version& a, const Version& b);

} // namespace kubestrap
