#include "host/lock.hpp"

#include "host/proc.hpp"
#include "host/system_error.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace kubestrap::host {

namespace {

class FileLock : public Host::Lock {
public:
  FileLock(Descriptor folder, Descriptor file, std::string name)
      : folder_(std::move(folder)), file_(std::move(file)), name_(std::move(name)) {}
  ~FileLock() override { unlinkat(folder_.get(), name_.c_str(), 0); }

private:
  Descriptor folder_, file_;
  std::string name_;
};

/// Whether the locked file is still the one that has the name: the last holder removes it when it ends.
bool stillNamed(int folder, const std::string& name, int file) {
  struct stat named {
  }, opened{};
  return fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(file, &opened) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

Error heldBy(const std::string& path, std::string_view content) {
  auto holder = Value::parse(content, nullptr, false);
  if (!holder.is_object() || !holder.contains("pid") || !holder["pid"].is_number_integer())
    return Error(fmt::format("another kubestrap is at work on this machine: it holds {}", path),
                 "wait until it has ended");
  return Error(fmt::format("another kubestrap is at work on this machine: `{}`, process {}, since {}",
                           stringAt(holder, "command", "kubestrap"), holder["pid"].get<long>(),
                           stringAt(holder, "since", "?")),
               fmt::format("wait until it has ended; `ps -fp {}` shows it", holder["pid"].get<long>()));
}

} // namespace

std::unique_ptr<Host::Lock> takeLock(const Root& root, const Path& path, const std::string& command) {
  auto name = path.filename().string(), shown = root.outside(path);
  Descriptor folder = root.open(path.parent_path(), O_RDONLY | O_DIRECTORY);
  if (!folder) throw systemError("open", root.outside(path.parent_path()));
  while (true) {
    Descriptor file(openat(folder.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!file) throw systemError("open the lock", shown);
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) throw systemError("lock", shown);
      throw heldBy(shown, readProc(fmt::format("/proc/self/fd/{}", file.get())));
    }
    if (!stillNamed(folder.get(), name, file.get())) continue;
    auto holder =
        Value{{"command", command}, {"pid", getpid()}, {"since", formatRfc3339(std::chrono::system_clock::now())}}
            .dump();
    if (ftruncate(file.get(), 0) != 0 || pwrite(file.get(), holder.data(), holder.size(), 0) < 0)
      throw systemError("write", shown);
    return std::make_unique<FileLock>(std::move(folder), std::move(file), name);
  }
}

} // namespace kubestrap::host
