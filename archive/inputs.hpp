#pragma once

#include "archive/lock.hpp"
#include "config/bundle.hpp"

namespace kubestrap::archive {

/// What a bundle is made from: files of this machine, each with what is to be said of it. Sizes and digests are found out later.
struct Input {
  fs::path file;
  Member member;
};
struct Inputs {
  config::BundleConfiguration configuration; ///< with its gaps filled
  std::vector<Input> files;
  std::vector<fs::path> archives; ///< of images
};

/// A folder with bin/, cni/, units/, packages/, manifests/, images/ and bundle.yaml, each of which may be missing. Throws Problems for all
/// that is none of these.
Inputs inputsIn(const fs::path& folder);

/// The licence of a part or an image by what is known of its maker; NOASSERTION otherwise.
std::string usualLicence(std::string_view name);

} // namespace kubestrap::archive
