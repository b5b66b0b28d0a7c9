#include "host/root.hpp"

#include "host/system_error.hpp"

#include <climits>
#include <deque>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <vector>

namespace kubestrap::host {

namespace {

constexpr int mostLinks = 40; // as the kernel: path_resolution(7)

std::deque<std::string> partsOf(const std::filesystem::path& path) {
  std::deque<std::string> parts;
  for (const auto& part : path.relative_path())
    if (!part.empty() && part != ".") parts.push_back(part.string());
  return parts;
}

/// What the symbolic link `name` says; empty when it is something else or absent.
std::string linkText(int folder, const std::string& name) {
  char text[PATH_MAX];
  auto length = readlinkat(folder, name.c_str(), text, sizeof text);
  return length > 0 ? std::string(text, static_cast<std::size_t>(length)) : std::string();
}

Descriptor failed(int number) {
  errno = number;
  return {};
}

} // namespace

Root::Root(std::filesystem::path root, Resolve resolve) : root_(std::move(root)), resolve_(resolve) {
  if (root_.empty() || root_ == "/") {
    root_ = "/";
    return;
  }
  folder_ = Descriptor(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder_) throw systemError("use as root folder", root_.string());
}

std::string Root::outside(const std::filesystem::path& path) const { return (root_ / path.relative_path()).string(); }

Descriptor Root::open(const std::filesystem::path& path, int flags, mode_t mode) const {
  if (!path.is_absolute()) return failed(EINVAL);
  if (!folder_) return Descriptor(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (resolve_ == Resolve::kernel) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    // EAGAIN: something was renamed meanwhile, and the kernel cannot be sure that it stayed inside.
    for (int attempt = 0; attempt < 16; ++attempt) {
      auto number = syscall(SYS_openat2, folder_.get(), path.c_str(), &how, sizeof how);
      if (number >= 0) return Descriptor(static_cast<int>(number));
      if (errno != EAGAIN) break;
    }
    if (errno != ENOSYS && errno != EPERM) return {};
  }
  return openBySteps(path, flags, mode);
}

Descriptor Root::openBySteps(const std::filesystem::path& path, int flags, mode_t mode) const {
  auto parts = partsOf(path);
  std::vector<Descriptor> walked; // the folders below the root in which we stand, innermost last
  auto here = [&] { return walked.empty() ? folder_.get() : walked.back().get(); };
  int links = 0;
  while (!parts.empty()) {
    auto name = parts.front();
    parts.pop_front();
    if (name == "..") {
      if (!walked.empty()) walked.pop_back();
      continue;
    }
    bool last = parts.empty();
    bool mayFollow = !last || (!(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL));
    if (auto target = mayFollow ? linkText(here(), name) : std::string(); !target.empty()) {
      if (++links > mostLinks) return failed(ELOOP);
      if (target.front() == '/') walked.clear();
      auto inserted = partsOf(target);
      parts.insert(parts.begin(), inserted.begin(), inserted.end());
      continue;
    }
    if (last) return Descriptor(openat(here(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode));
    Descriptor next(openat(here(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return {};
    walked.push_back(std::move(next));
  }
  return Descriptor(openat(here(), ".", flags | O_CLOEXEC, mode)); // the path ended with ".." or was "/"
}

} // namespace kubestrap::host
