#include "support/version.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace kubestrap {

std::string Version::string() const {
  auto text = fmt::format("{}.{}.{}", major, minor, patch);
  if (!preRelease.empty()) text += '-' + preRelease;
  if (!build.empty()) text += '+' + build;
  return text;
}

std::string Version::tag() const { return 'v' + string(); }
std::string Version::imageTag() const { return replaceAll(tag(), "+", "_"); }
std::string Version::minorTag() const { return fmt::format("v{}.{}", major, minor); }

namespace {
bool isNumeric(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool hasLeadingZero(std::string_view text) { return text.size() > 1 && text.front() == '0'; }

std::optional<int> parseNumber(std::string_view text) {
  int number = 0;
  if (!isNumeric(text) || hasLeadingZero(text)) return {};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return {};
  return number;
}

enum class Part { preRelease, build };

/// Identifiers with dots between them; a number of a pre-release may not start with a zero.
bool areIdentifiers(std::string_view text, Part part) {
  auto isLetter = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  };
  auto isIdentifier = [&](const std::string& id) {
    if (part == Part::preRelease && isNumeric(id) && hasLeadingZero(id)) return false;
    return !id.empty() && std::all_of(id.begin(), id.end(), isLetter);
  };
  auto identifiers = split(text, '.');
  return !identifiers.empty() && std::all_of(identifiers.begin(), identifiers.end(), isIdentifier);
}

std::optional<Version> tryParse(std::string_view text) {
  Version version;
  if (text.starts_with('v')) text.remove_prefix(1);
  if (auto plus = text.find('+'); plus != text.npos) {
    version.build = text.substr(plus + 1);
    if (!areIdentifiers(version.build, Part::build)) return {};
    text = text.substr(0, plus);
  }
  if (auto dash = text.find('-'); dash != text.npos) {
    version.preRelease = text.substr(dash + 1);
    if (!areIdentifiers(version.preRelease, Part::preRelease)) return {};
    text = text.substr(0, dash);
  }
  auto numbers = split(text, '.');
  if (numbers.size() != 2 && numbers.size() != 3) return {};
  if (numbers.size() == 2 && !(version.preRelease.empty() && version.build.empty())) return {};
  if (numbers.size() == 2) numbers.emplace_back("0");
  auto major = parseNumber(numbers[0]), minor = parseNumber(numbers[1]), patch = parseNumber(numbers[2]);
  if (!major || !minor || !patch) return {};
  version.major = *major, version.minor = *minor, version.patch = *patch;
  return version;
}

std::strong_ordering compareIdentifiers(const std::string& a, const std::string& b) {
  bool aIsNumeric = isNumeric(a), bIsNumeric = isNumeric(b);
  if (aIsNumeric != bIsNumeric) return aIsNumeric ? std::strong_ordering::less : std::strong_ordering::greater;
  if (aIsNumeric && a.size() != b.size()) return a.size() <=> b.size(); // no leading zeros: longer is larger
  return a <=> b;
}

std::strong_ordering comparePreReleases(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.empty() <=> b.empty(); // a release comes after its pre-releases
  auto as = split(a, '.'), bs = split(b, '.');
  for (std::size_t i = 0; i < std::min(as.size(), bs.size()); ++i)
    if (auto order = compareIdentifiers(as[i], bs[i]); order != 0) return order;
  return as.size() <=> bs.size();
}
} // namespace

Version parseVersion(std::string_view text) {
  if (auto version = tryParse(text)) return *version;
  throw Error(fmt::format("\"{}\" is not a version", text), "versions look like v1.37.2, 1.37 or v1.38.0-rc.1");
}

std::optional<Version> readVersion(std::string_view text) {
  try {
    return parseVersion(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::strong_ordering operator<=>(const Version& a, const Version& b) {
  if (auto order = a.major <=> b.major; order != 0) return order;
  if (auto order = a.minor <=> b.minor; order != 0) return order;
  if (auto order = a.patch <=> b.patch; order != 0) return order;
  return comparePreReleases(a.preRelease, b.preRelease);
}

bool operator==(const Version& a, const Version& b) { return (a <=> b) == 0; }

} // namespace kubestrap
