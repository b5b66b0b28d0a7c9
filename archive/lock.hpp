#pragma once

#include "archive/members.hpp"
#include "support/value.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::archive {

/// A part of a bundle, as the lock file has it.
struct Member {
  std::string path; ///< "bin/kubelet"
  Kind kind = Kind::program;
  std::string version; ///< empty: not known
  std::uint64_t size = 0;
  std::string sha256;  ///< 64 hex digits
  std::string licence; ///< in SPDX's words; NOASSERTION where nobody has said
  bool operator==(const Member&) const = default;
};

/// An image, whose manifest, configuration and layers are members.
struct Image {
  std::string name; ///< "registry.k8s.io/pause:3.10.2"
  std::string version, licence;
  std::string manifest, configuration; ///< "sha256:..."
  std::vector<std::string> layers;
  bool operator==(const Image&) const = default;

  std::vector<std::string> blobs() const; ///< all three, each once
};

/// What is in a bundle: the one document that is signed, so that nothing else has to be.
struct Lock {
  std::string architecture;      ///< "amd64"
  std::string kubernetesVersion; ///< "v1.37.2"; empty: of none
  std::vector<Member> members;   ///< by path
  std::vector<Image> images;     ///< by name
  bool operator==(const Lock&) const = default;

  const Member* find(std::string_view path) const;
  std::uint64_t size() const; ///< of all members
};

/// Such a document is not read beyond this.
inline constexpr std::size_t lockLimit = std::size_t{4} << 20;

Value asValue(const Lock& lock);
std::string emitLock(const Lock& lock); ///< the same bytes for the same lock
/// Throws Error naming what is wrong: a lock that does not say where each part belongs, twice the same, a path that leads elsewhere.
Lock parseLock(std::string_view text, std::string_view source);

} // namespace kubestrap::archive
