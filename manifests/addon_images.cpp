#include "manifests/addon_images.hpp"

#include "manifests/addon_objects.hpp"

#include <algorithm>
#include <initializer_list>

namespace kubestrap::manifests {

namespace {

/// "quay.io/metallb/speaker" of "quay.io/metallb/speaker:v0.16.2" or "...@sha256:...".
std::string withoutVersion(const std::string& image) {
  const auto digest = image.find('@');
  const auto name = image.substr(0, digest);
  const auto colon = name.rfind(':'), slash = name.rfind('/');
  return colon != std::string::npos && (slash == std::string::npos || colon > slash) ? name.substr(0, colon) : name;
}

/// What follows the registry; an image without one is Docker's, and without a folder one of its library.
std::string withoutRegistry(const std::string& image) {
  const auto slash = image.find('/');
  if (slash == std::string::npos) return "library/" + image;
  const auto first = image.substr(0, slash);
  const bool isRegistry = first.find_first_of(".:") != std::string::npos || first == "localhost";
  return isRegistry ? image.substr(slash + 1) : image;
}

/// The pod of an object that is one, or makes some; nullptr: it has nothing to do with pods.
Value* podSpecOf(Value& object) {
  const auto kind = stringAt(object, "kind");
  const auto at = [&](std::initializer_list<const char*> way) -> Value* {
    auto* place = &object;
    for (const auto* member : way) {
      if (!place->is_object() || !place->contains(member)) return nullptr;
      place = &(*place)[member];
    }
    return place;
  };
  if (kind == "Pod") return at({"spec"});
  if (kind == "CronJob") return at({"spec", "jobTemplate", "spec", "template", "spec"});
  for (const auto* each : {"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job"})
    if (kind == each) return at({"spec", "template", "spec"});
  return nullptr;
}

template <class Do> void forEachImage(Value& object, const Do& task) {
  auto* pod = podSpecOf(object);
  if (!pod) return;
  for (const auto* member : {"initContainers", "containers"})
    if (pod->contains(member) && (*pod)[member].is_array())
      for (auto& container : (*pod)[member])
        if (container.contains("image") && container["image"].is_string()) task(container["image"].template get_ref<std::string&>());
}

} // namespace

std::string imageInstead(const std::string& image, const config::AddonValues& values) {
  if (const auto whole = values.images.find(image); whole != values.images.end()) return whole->second;
  const auto name = withoutVersion(image);
  if (const auto named = values.images.find(name); named != values.images.end())
    return withoutVersion(named->second) == named->second ? named->second + image.substr(name.size()) : named->second;
  return values.imageRegistry.empty() ? image : values.imageRegistry + "/" + withoutRegistry(image);
}

bool replaceImages(Value& object, const config::AddonValues& values) {
  bool changed = false;
  forEachImage(object, [&](std::string& image) {
    auto instead = imageInstead(image, values);
    changed = changed || instead != image;
    image = std::move(instead);
  });
  return changed;
}

std::vector<std::string> imagesIn(const std::vector<Value>& objects) {
  std::vector<std::string> images;
  const auto add = [&](const std::string& image) {
    if (std::find(images.begin(), images.end(), image) == images.end()) images.push_back(image);
  };
  for (auto object : objects) {
    forEachImage(object, add);
    for (auto& document : config::documentsWithin(object)) forEachImage(document, add);
  }
  return images;
}

} // namespace kubestrap::manifests
