#pragma once

#include "archive/lock.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace kubestrap::archive {

/// The images that pods of these documents run, as the runtime calls them: of Pods, of whatever has a template of them, of lists, and of
/// ConfigMaps whose files are such documents.
std::set<std::string> imagesNamed(const std::vector<Value>& documents);

/// Images, each with those that want it.
using Missing = std::map<std::string, std::vector<std::string>>;
/// What these add-ons (texts by their paths in the bundle) and the programs of a bundle run, and it lacks. Throws Error for a text that is no YAML.
Missing missingImages(const Lock& lock, const std::map<std::string, std::string>& addons);

} // namespace kubestrap::archive
