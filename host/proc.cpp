#include "host/proc.hpp"

#include "host/descriptor.hpp"

#include <algorithm>
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

std::vector<std::string> words(std::string_view line) {
  constexpr std::string_view space = " \t\r\n\v\f";
  std::vector<std::string> result;
  for (auto begin = line.find_first_not_of(space); begin != std::string_view::npos;) {
    auto end = std::min(line.find_first_of(space, begin), line.size());
    result.emplace_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(space, end);
  }
  return result;
}

} // namespace kubestrap::host
