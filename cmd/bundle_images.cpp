#include "cmd/bundle_images.hpp"

#include "archive/image.hpp"
#include "archive/scratch.hpp"
#include "host/cri_grpc.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

const host::Path registryHosts = "/etc/containerd/certs.d"; ///< mirrors and authorities, as the runtime's own pulls go by them

} // namespace

ImageSource::ImageSource(const std::string& socket, std::string architecture, Pulls pulls, host::Host& host)
    : address_(host::socketPath(socket)), architecture_(std::move(architecture)), pulls_(pulls), host_(host) {}

std::string ImageSource::ctr(std::vector<std::string> arguments, const std::string& image) {
  arguments.insert(arguments.begin(), {"--address", address_, "--namespace", "k8s.io"});
  const auto result = host_.run({.program = "ctr", .arguments = std::move(arguments), .input = {}, .timeout = std::chrono::minutes(15)});
  if (result.timedOut || result.exitCode != 0)
    throw Error(fmt::format("containerd cannot give the image {}: {}", image, result.timedOut ? "it did not answer in time" : trim(result.errors)),
                "is it running, and is ctr in the PATH? An OCI archive in images/ will do as well");
  return result.output;
}

void ImageSource::pull(const std::string& image) {
  fmt::print(stderr, "the runtime pulls {} for {}\n", image, architecture_);
  std::vector<std::string> arguments{"images", "pull", "--platform", "linux/" + architecture_};
  if (const auto status = host_.status(registryHosts); status && status->type == host::FileStatus::Type::folder) arguments.insert(arguments.end(), {"--hosts-dir", registryHosts.string()});
  arguments.push_back(image);
  ctr(std::move(arguments), image);
}

void ImageSource::exportTo(const std::filesystem::path& target, const std::string& image) {
  ctr({"images", "export", "--platform", "linux/" + architecture_, target.string(), image}, image);
}

/// Of an image whose name is there: why it does not do; empty: it does, and is written. What containerd lists is what the image's index names,
/// not what it has of it, and it exports an image without an index for any platform: so what it exports is read.
std::string ImageSource::whyUseless(const std::string& image, const std::filesystem::path& target) {
  try {
    exportTo(target, image);
    const archive::Scratch parts(target, "parts");
    archive::Blobs blobs(parts.folder());
    archive::readImages(target, architecture_, blobs);
    return {};
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    return error.message();
  }
}

void ImageSource::write(const std::string& image, const std::filesystem::path& target) {
  std::string why;
  if (!trim(ctr({"images", "ls", "-q", fmt::format("name=={}", image)}, image)).empty()) {
    why = whyUseless(image, target);
    if (why.empty()) return;
  }
  if (pulls_ == Pulls::no)
    throw Error(fmt::format("bundle create wanted to pull {} for {}, and --offline forbids it{}", image, architecture_, why.empty() ? "" : fmt::format("; the one that is there does not do: {}", why)),
                "import it into the runtime, or give its archive in images/", ExitCode::refused);
  pull(image);
  exportTo(target, image);
}

} // namespace kubestrap::cmd
