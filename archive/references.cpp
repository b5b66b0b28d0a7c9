#include "archive/references.hpp"

#include "archive/image.hpp"

#include <algorithm>
#include <array>

namespace kubestrap::archive {

namespace {

constexpr std::array<std::string_view, 3> containerLists = {"containers", "initContainers", "ephemeralContainers"};

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
  }
}

} // namespace

std::set<std::string> imagesNamed(const std::vector<Value>& documents) {
  std::set<std::string> images;
  for (const auto& document : documents) collect(document, images);
  return images;
}

} // namespace kubestrap::archive
