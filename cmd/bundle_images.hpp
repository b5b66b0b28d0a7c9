#pragma once

#include "host/host.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// Takes images for one architecture out of containerd, which pulls those that it lacks.
class ImageSource {
public:
  enum class Pulls { no, yes };
  ImageSource(const std::string& socket, std::string architecture, Pulls pulls, host::Host& host);

  /// Writes an image's archive. Throws Error where it cannot be had.
  void write(const std::string& image, const std::filesystem::path& target);

private:
  std::string ctr(std::vector<std::string> arguments, const std::string& image);
  void pull(const std::string& image);
  void exportTo(const std::filesystem::path& target, const std::string& image);
  std::string whyUseless(const std::string& image, const std::filesystem::path& target);

  std::string address_, architecture_;
  Pulls pulls_;
  host::Host& host_;
};

} // namespace kubestrap::cmd
