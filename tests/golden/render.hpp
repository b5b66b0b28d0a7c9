#pragma once

#include "config/facts.hpp"
#include "config/model.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace kubestrap::golden {

/// A machine that is the same in every run: Debian-like, containerd, default route to 10.0.0.11.
config::Facts machine();

/// Bytes that look random and are the same in every run.
std::string steadyBytes(std::size_t count);

struct Loaded {
  config::Setup setup;
  std::vector<std::string> warnings;
};
/// The Setup of the documents on that machine; what `init` takes from the clock is a fixed moment.
Loaded load(const std::string& documents, const std::string& source, const config::Facts& facts);

/// All that the Setup means, as text by file name. Secret values are replaced by their fingerprints.
std::map<std::string, std::string> render(const Loaded& loaded);

std::string readFile(const std::filesystem::path& path);

} // namespace kubestrap::golden
