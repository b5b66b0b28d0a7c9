#pragma once

#include "config/addon.hpp"

#include <string>

namespace kubestrap::manifests {

/// The image that takes an image's place: the one that `images` names for it, or else the same of `imageRegistry`.
std::string imageInstead(const std::string& image, const config::AddonValues& values);
/// Does that with all images of an object that is a pod or makes pods; whether any became another.
bool replaceImages(Value& object, const config::AddonValues& values);

} // namespace kubestrap::manifests
