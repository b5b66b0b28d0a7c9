#include "config/versions.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::config {

namespace {

constexpr SupportedMinor minors[] = {
    {.minor = 37, .defaultPatch = "v1.37.2", .etcdTag = "3.7.0-0", .coreDnsTag = "v1.14.6", .pauseTag = "3.10.2"},
    {.minor = 36, .defaultPatch = "v1.36.3", .etcdTag = "3.6.8-0", .coreDnsTag = "v1.14.2", .pauseTag = "3.10.2"},
};

/// "stable", "stable-1", "stable-1.36" and the same with "latest", also after "release/".
std::optional<std::string> labelOf(std::string_view text) {
  if (text.starts_with("release/")) text.remove_prefix(8);
  for (std::string_view word : {"stable", "latest"}) {
    if (text == word) return "1";
    if (text.starts_with(word) && text.substr(word.size()).starts_with('-'))
      return std::string(text.substr(word.size() + 1));
  }
  return {};
}

Version resolveLabel(std::string_view text, std::string_view series) {
  if (series == "1") return defaultVersion();
  for (const auto& row : minors)
    if (series == fmt::format("1.{}", row.minor)) return parseVersion(row.defaultPatch);
  throw Error(fmt::format("\"{}\" is not a version that can be deployed", text), "give " + supportedVersions(),
              ExitCode::usage);
}

/// Whether all of major, minor and patch are there, as kubeadm wants it: "1.37" is none.
bool hasThreeParts(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  return std::ranges::count(text.substr(0, text.find_first_of("-+")), '.') == 2;
}

} // namespace

std::span<const SupportedMinor> supportedMinors() { return minors; }

const SupportedMinor* findMinor(const Version& version) {
  auto row = std::ranges::find(minors, version.minor, &SupportedMinor::minor);
  return version.major == 1 && row != std::end(minors) ? &*row : nullptr;
}

std::string supportedVersions() {
  return fmt::format("a version of 1.{} or 1.{}, like {}", minors[0].minor, minors[1].minor, minors[0].defaultPatch);
}

Version defaultVersion() { return parseVersion(minors[0].defaultPatch); }

Version resolveVersion(std::string_view text, std::vector<std::string>& warnings) {
  if (auto series = labelOf(text)) {
    Version version = resolveLabel(text, *series);
    warnings.push_back(
        fmt::format("kubernetesVersion \"{}\" is taken as {}; no release server is asked", text, version.tag()));
    return version;
  }
  if (text.starts_with("ci/"))
    throw Error(fmt::format("\"{}\" is a build of Kubernetes' own CI, which cannot be looked up", text),
                "give " + supportedVersions(), ExitCode::usage);
  std::optional<Version> version;
  try {
    if (hasThreeParts(text)) version = parseVersion(text);
  } catch (const Error&) {
  }
  if (!version)
    throw Error(fmt::format("\"{}\" is not a version", text), "give " + supportedVersions(), ExitCode::usage);
  if (!findMinor(*version))
    throw Error(fmt::format("Kubernetes {} is not supported", version->tag()), "give " + supportedVersions(),
                ExitCode::usage);
  return *version;
}

} // namespace kubestrap::config
