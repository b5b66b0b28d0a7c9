#pragma once

#include "archive/lock.hpp"

#include <map>

namespace kubestrap::archive {

/// What the manifest or the configuration of an image says, as far as it matters here.
struct ImageDocument {
  std::string configuration;       ///< of a manifest: "sha256:..."
  std::vector<std::string> layers; ///< of a manifest
  std::string architecture;        ///< of a configuration
  std::string licence;             ///< of a configuration, by its label; empty: it does not say
};
/// Throws Error naming `source` for what is neither.
ImageDocument described(std::string_view text, std::string_view source);

/// Files by their digests, in a folder: what images are made of, each once, however many use it.
class Blobs {
public:
  explicit Blobs(fs::path folder) : folder_(std::move(folder)) {}
  fs::path file(std::string_view digest) const; ///< of "sha256:..."
  std::string add(std::string_view content);    ///< gives its digest, "sha256:..."
  const std::map<std::string, std::uint64_t>& sizes() const { return sizes_; }

  /// All that comes, with what it begins with.
  struct Added {
    std::string digest;
    std::uint64_t size = 0;
    std::string text; ///< the whole, where it may be JSON, and is small
    std::string head; ///< its first octets
  };
  template <class Pieces> Added addPieces(Pieces next);

private:
  fs::path folder_;
  std::map<std::string, std::uint64_t> sizes_; ///< by digest
};

/// The images for that architecture in an archive: an OCI layout, or what `docker save` writes, packed with gzip or zstd or not at all.
/// Their parts go to `blobs`. Throws Error where one is of another architecture, has no name, or lacks a part.
std::vector<Image> readImages(const fs::path& archive, std::string_view architecture, Blobs& blobs);

/// As the runtime calls an image: "docker.io/library/nginx:1.25" of "nginx:1.25".
std::string fullName(std::string name);
/// "v1.37.2" of "registry.k8s.io/kube-apiserver:v1.37.2"; empty where there is no tag.
std::string tagOf(std::string_view name);

/// An OCI archive of one image, made of blobs that lie in a folder by their digests; sizes are those of the lock file.
void writeImage(const Image& image, const Lock& lock, const fs::path& blobs, const fs::path& target);

} // namespace kubestrap::archive
