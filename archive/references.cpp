#include "archive/references.hpp"

#include "archive/image.hpp"
#include "config/addons.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kubestrap::archive {

namespace {

constexpr std::array<std::string_view, 3> containerLists = {"containers", "initContainers", "ephemeralContainers"};
constexpr std::string_view ownProgram = "bin/kubestrap", ownRepository = "kubestrap.io/kubestrap"; // whose balancers and guards run from it

void collect(const Value& value, std::set<std::string>& images) {
  if (value.is_array()) {
    for (const auto& each : value) collect(each, images);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      if (std::ranges::find(containerLists, key) != containerLists.end() && member.is_array()) {
        for (const auto& container : member)
          if (const auto image = stringAt(container, "image"); !image.empty()) images.insert(fullName(image));
      }
      if (key == "volumes" && member.is_array())
        for (const auto& volume : member)
          if (const auto image = stringAt(volume, "image.reference"); !image.empty()) images.insert(fullName(image));
      collect(member, images);
    }
    for (const auto& document : config::documentsWithin(value)) collect(document, images);
  }
}

std::string_view withoutDigest(std::string_view image) { return image.substr(0, image.find('@')); }

/// By digest or by name, it is there under the other one as well.
bool has(const Lock& lock, const std::string& image) {
  const auto name = withoutDigest(image);
  return std::ranges::any_of(lock.images, [&](const Image& each) { return each.name == image || (image != name && withoutDigest(each.name) == name); });
}

bool hasRepository(const Lock& lock, std::string_view repository) {
  return std::ranges::any_of(lock.images, [&](const Image& each) { return each.name.starts_with(repository) && each.name.substr(repository.size()).find_first_of(":@") == 0; });
}

} // namespace

std::set<std::string> imagesNamed(const std::vector<Value>& documents) {
  std::set<std::string> images;
  for (const auto& document : documents) collect(document, images);
  return images;
}

Missing missingImages(const Lock& lock, const std::map<std::string, std::string>& addons) {
  Missing missing;
  for (const auto& [path, text] : addons) {
    std::vector<Value> documents;
    for (auto& document : parseYaml(text, path)) documents.push_back(std::move(document.value));
    for (const auto& image : imagesNamed(documents))
      if (!has(lock, image)) missing[image].push_back(path);
  }
  if (const auto* own = lock.find(ownProgram)) {
    // Program and image are of one version; where nobody has said which one, any will do here.
    const auto& version = own->version;
    const auto image = version.empty() ? std::string(ownRepository) : fmt::format("{}:{}{}", ownRepository, version.starts_with('v') ? "" : "v", version);
    if (version.empty() ? !hasRepository(lock, ownRepository) : !has(lock, image)) missing[image].emplace_back(ownProgram);
  }
  return missing;
}

} // namespace kubestrap::archive
