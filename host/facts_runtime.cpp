#include "host/facts.hpp"

#include "support/toml.hpp"

namespace kubestrap::host {

std::string parseContainerdDump(std::string_view toml) {
  const auto document = parseToml(toml);
  if (!document) return "";
  // Version 3 (containerd 2), then 2 (containerd 1).
  for (const auto* at : {"/plugins/io.containerd.cri.v1.images/pinned_images/sandbox",
                         "/plugins/io.containerd.grpc.v1.cri/sandbox_image"})
    if (const auto path = Pointer(at); document->contains(path) && (*document)[path].is_string())
      return (*document)[path].get<std::string>();
  return "";
}

} // namespace kubestrap::host
