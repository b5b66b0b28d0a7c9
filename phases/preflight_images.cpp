#include "phases/addons.hpp"
#include "phases/preflight_checks.hpp"

#include "support/text.hpp"

#include <map>

namespace kubestrap::phases {

namespace {

std::vector<std::string> missingImages(const Facts& facts) {
  std::vector<std::string> missing;
  for (const auto& [image, present] : facts.images)
    if (!present) missing.push_back(image);
  return missing;
}

} // namespace

bool pullsNever(const Setup& setup, Purpose) { return setup.node.pullPolicy == config::PullPolicy::never; }
bool pulls(const Setup& setup, Purpose) { return setup.node.pullPolicy != config::PullPolicy::never; }

Observations imagesPresent(const Setup& setup, const Facts& facts) {
  const auto missing = missingImages(facts);
  if (missing.empty()) return {};
  if (setup.request.offline)
    return {error(forbiddenPulls(missing, setup), forbiddenPullsRemedy)};
  return {error(fmt::format("imagePullPolicy is Never, and the runtime has not: {}", join(missing, ", ")),
                "import them (containerd: ctr -n k8s.io images import FILE), or say imagePullPolicy: IfNotPresent")};
}

Observations registryAnswers(const Setup&, const Facts& facts) {
  std::map<std::string, std::vector<std::string>> wanted;
  for (const auto& image : missingImages(facts)) wanted[registryOf(image)].push_back(image);
  Observations seen;
  for (const auto& [registry, images] : wanted) {
    const auto answer = facts.registries.find(registry);
    if (answer == facts.registries.end() || answer->second.error.empty()) continue;
    // A warning only: the runtime may have a mirror or a proxy of its own, of which nothing is known here.
    seen.push_back(warning(fmt::format("{} does not answer ({}, after {}), and these images have to come from there: {}",
                                       registry, answer->second.error, humanDuration(answer->second.took),
                                       join(images, ", "))));
  }
  return seen;
}

} // namespace kubestrap::phases
