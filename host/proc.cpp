#include "host/proc.hpp"

#include "host/descriptor.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>

namespace kubestrap::host {

std::string readProc(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string content;
  std::array<char, 16384> buffer;
  while (file) {
    auto count = read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return content;
}

} // namespace kubestrap::host
