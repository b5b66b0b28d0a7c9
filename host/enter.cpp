#include "host/enter.hpp"

#include "host/system_error.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace kubestrap::host {

namespace {

constexpr std::array<std::pair<const char*, int>, 4> namespaces{{{"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET}, {"mnt", CLONE_NEWNS}}};

int opened(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw systemError("cannot open", path);
  return descriptor;
}

} // namespace

void becomeOnMachine(const std::vector<std::string>& command) {
  std::array<int, namespaces.size()> descriptors{};
  for (std::size_t i = 0; i < namespaces.size(); ++i) descriptors[i] = opened(fmt::format("/proc/1/ns/{}", namespaces[i].first));
  const int root = opened("/proc/1/root");
  for (std::size_t i = 0; i < namespaces.size(); ++i)
    if (::setns(descriptors[i], namespaces[i].second) != 0) throw systemError("cannot enter", fmt::format("/proc/1/ns/{}", namespaces[i].first));
  if (::fchdir(root) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0) throw systemError("cannot enter", "/proc/1/root");
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  throw systemError("cannot run", command.front());
}

} // namespace kubestrap::host
