#include "host/local_host.hpp"

#include "host/facts.hpp"
#include "host/inventory.hpp"
#include "host/lock.hpp"
#include "host/system_error.hpp"
#include "support/encoding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <utility>

namespace kubestrap::host {

namespace {

const Path lockPath = "/run/lock/kubestrap.lock";

FileStatus::Type typeOf(mode_t mode) {
  if (S_ISREG(mode)) return FileStatus::Type::file;
  if (S_ISDIR(mode)) return FileStatus::Type::folder;
  if (S_ISLNK(mode)) return FileStatus::Type::symlink;
  return FileStatus::Type::other;
}

TimePoint timeOf(const timespec& time) {
  return TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

bool isAbsence(int number) { return number == ENOENT || number == ENOTDIR; }

/// The path without a "/" at its end; the last name must be a real one.
Path namedPath(const Path& path) {
  Path result = path.has_filename() ? path : path.parent_path();
  auto name = result.filename();
  if (!result.is_absolute() || name.empty() || name == "." || name == "..")
    throw Error(fmt::format("\"{}\" is not a path of a file: it must be absolute and end with a name", path.string()));
  return result;
}

void writeAll(const Descriptor& file, std::string_view content, const std::string& shown) {
  while (!content.empty()) {
    auto count = ::write(file.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw systemError("write", shown);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
}

void sync(const Descriptor& file, const std::string& shown) {
  // EINVAL: a file system that has nothing to sync to.
  if (fsync(file.get()) != 0 && errno != EINVAL) throw systemError("sync to disk", shown);
}

std::vector<std::string> namesIn(Descriptor folder, const std::string& shown) {
  std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(folder.get()), closedir);
  if (!entries) throw systemError("list", shown);
  folder.release();
  std::vector<std::string> names;
  errno = 0;
  while (auto* entry = readdir(entries.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
    errno = 0;
  }
  if (errno != 0) throw systemError("list", shown);
  std::ranges::sort(names);
  return names;
}

/// A new empty file beside the one to be written. It is locked while it is ours, and removed unless it was renamed.
class Neighbour {
public:
  Neighbour(const Descriptor& folder, const std::string& name, const std::string& shown) : folder_(folder.get()) {
    std::array<char, 4> chance{};
    if (getrandom(chance.data(), chance.size(), 0) != static_cast<ssize_t>(chance.size()))
      throw systemError("name", "a temporary file");
    name_ = leftoverPrefix(name) + hex({chance.data(), chance.size()});
    file = Descriptor(openat(folder_, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw systemError("create a file beside", shown);
    flock(file.get(), LOCK_EX | LOCK_NB);
  }
  ~Neighbour() {
    if (!name_.empty()) unlinkat(folder_, name_.c_str(), 0);
  }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;

  void renameTo(const std::string& name, const std::string& shown) {
    if (renameat(folder_, name_.c_str(), folder_, name.c_str()) != 0) throw systemError("replace", shown);
    name_.clear();
  }

  Descriptor file;

private:
  int folder_;
  std::string name_;
};

/// Removes what a killed run has left beside `name`. A neighbour that is locked is being written by somebody who is
/// alive.
void removeLeftovers(const Descriptor& folder, const std::string& name, const std::string& shown) {
  Descriptor again(openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) throw systemError("list", shown);
  auto prefix = leftoverPrefix(name);
  for (const auto& left : namesIn(std::move(again), shown)) {
    if (!left.starts_with(prefix) || left.size() != prefix.size() + 8) continue;
    Descriptor file(openat(folder.get(), left.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file && flock(file.get(), LOCK_EX | LOCK_NB) == 0) unlinkat(folder.get(), left.c_str(), 0);
  }
}

std::unique_ptr<Services> servicesOf(const std::string& system, Runner run) {
  if (system == "systemd") return systemdServices(std::move(run));
  if (system == "openrc") return openrcServices(std::move(run));
  return noServices();
}

} // namespace

LocalHost::LocalHost(Path root, std::stop_token stop)
    : root_(std::move(root)), stop_(std::move(stop)), initSystem_(initSystem()),
      services_(
          servicesOf(initSystem_, [token = stop_](const Command& command) { return runProcess(command, token); })) {}

/// The folder that holds `path`; empty, with errno, when it cannot be opened.
Descriptor LocalHost::folderOf(const Path& path) const {
  return root_.open(path.parent_path(), O_RDONLY | O_DIRECTORY);
}

/// Opens a folder, after making it and its parents where they are missing.
Descriptor LocalHost::ensureFolder(const Path& path, unsigned mode) const {
  Descriptor found = root_.open(path, O_RDONLY | O_DIRECTORY);
  if (found) return found;
  auto shown = root_.outside(path);
  if (errno != ENOENT || path == path.parent_path()) throw systemError("open folder", shown);
  Descriptor parent = ensureFolder(path.parent_path(), mode);
  auto name = path.filename().string();
  if (mkdirat(parent.get(), name.c_str(), 0700) != 0 && errno != EEXIST) throw systemError("make folder", shown);
  Descriptor made = root_.open(path, O_RDONLY | O_DIRECTORY);
  if (!made) throw systemError("open folder", shown);
  if (fchmod(made.get(), mode) != 0) throw systemError("set the mode of", shown);
  sync(parent, root_.outside(path.parent_path()));
  return made;
}

std::optional<FileStatus> LocalHost::status(const Path& path) {
  Descriptor file = root_.open(path, O_PATH | O_NOFOLLOW);
  struct stat found {};
  if (!file || fstat(file.get(), &found) != 0) {
    if (isAbsence(errno)) return {};
    throw systemError("look at", root_.outside(path));
  }
  return FileStatus{.type = typeOf(found.st_mode),
                    .mode = found.st_mode & 07777,
                    .uid = found.st_uid,
                    .gid = found.st_gid,
                    .modified = timeOf(found.st_mtim),
                    .size = static_cast<std::uint64_t>(found.st_size)};
}

std::optional<std::string> LocalHost::read(const Path& path) {
  Descriptor file = root_.open(path, O_RDONLY | O_NOCTTY);
  if (!file) {
    if (isAbsence(errno)) return {};
    throw systemError("read", root_.outside(path));
  }
  std::string content;
  std::array<char, 65536> buffer;
  while (true) {
    auto count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw systemError("read", root_.outside(path));
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::vector<std::string> LocalHost::list(const Path& folder) {
  Descriptor opened = root_.open(folder, O_RDONLY | O_DIRECTORY);
  if (opened) return namesIn(std::move(opened), root_.outside(folder));
  if (errno == ENOENT) return {};
  throw systemError("list", root_.outside(folder));
}

void LocalHost::namesChanged(Descriptor folder, const Path& path) {
  if (names_ == Durable::now) sync(folder, root_.outside(path));
  else unsynced_.insert_or_assign(path, std::move(folder));
}

void LocalHost::syncFolders() {
  for (const auto& [path, folder] : std::exchange(unsynced_, {})) sync(folder, root_.outside(path));
}

void LocalHost::write(const Path& path, std::string_view content, unsigned mode, unsigned folderMode) {
  Path target = namedPath(path);
  auto name = target.filename().string(), shown = root_.outside(target);
  Descriptor folder = ensureFolder(target.parent_path(), folderMode);
  removeLeftovers(folder, name, root_.outside(target.parent_path()));
  Neighbour neighbour(folder, name, shown);
  writeAll(neighbour.file, content, shown);
  if (fchmod(neighbour.file.get(), mode) != 0) throw systemError("set the mode of", shown);
  sync(neighbour.file, shown);
  neighbour.renameTo(name, shown);
  namesChanged(std::move(folder), target.parent_path());
}

void LocalHost::append(const Path& path, std::string_view content, unsigned mode, Durable durable) {
  Path target = namedPath(path);
  auto shown = root_.outside(target);
  Descriptor file = root_.open(target, O_WRONLY | O_APPEND | O_NOCTTY);
  bool made = !file && errno == ENOENT;
  Descriptor folder;
  if (made) {
    folder = ensureFolder(target.parent_path(), 0755);
    file = root_.open(target, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0600);
  }
  if (!file) throw systemError("append to", shown);
  if (made && fchmod(file.get(), mode) != 0) throw systemError("set the mode of", shown);
  writeAll(file, content, shown);
  if (durable == Durable::now) sync(file, shown);
  if (made) sync(folder, root_.outside(target.parent_path()));
}

void LocalHost::makeFolder(const Path& path, unsigned mode) {
  ensureFolder(path.has_filename() ? path : path.parent_path(), mode);
}

void LocalHost::setMode(const Path& path, unsigned mode) {
  auto shown = root_.outside(path);
  Descriptor file = root_.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file || fchmod(file.get(), mode) != 0) throw systemError("set the mode of", shown);
  sync(file, shown);
}

void LocalHost::setOwner(const Path& path, unsigned owner) {
  auto shown = root_.outside(path);
  Descriptor file = root_.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file || fchown(file.get(), owner, owner) != 0) throw systemError("set the owner of", shown);
  sync(file, shown);
}

void LocalHost::remove(const Path& path) {
  Path target = namedPath(path);
  auto name = target.filename().string(), shown = root_.outside(target);
  Descriptor folder = folderOf(target);
  if (!folder) {
    if (isAbsence(errno)) return;
    throw systemError("remove", shown);
  }
  removeLeftovers(folder, name, root_.outside(target.parent_path()));
  struct stat found {};
  if (fstatat(folder.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return;
    throw systemError("remove", shown);
  }
  if (unlinkat(folder.get(), name.c_str(), S_ISDIR(found.st_mode) ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT)
    throw systemError("remove", shown);
  namesChanged(std::move(folder), target.parent_path());
}

void LocalHost::rename(const Path& from, const Path& to) {
  Path source = namedPath(from), target = namedPath(to);
  auto what = fmt::format("rename {} to", root_.outside(source));
  Descriptor sourceFolder = folderOf(source);
  if (!sourceFolder) throw systemError(what, root_.outside(target));
  Descriptor targetFolder = folderOf(target);
  if (!targetFolder ||
      renameat(sourceFolder.get(), source.filename().c_str(), targetFolder.get(), target.filename().c_str()) != 0)
    throw systemError(what, root_.outside(target));
  namesChanged(std::move(targetFolder), target.parent_path());
  namesChanged(std::move(sourceFolder), source.parent_path());
}

namespace {

/// Empties a folder and closes it. What is mounted in it makes unlinkat fail with EBUSY, or is on another device.
void emptyFolder(Descriptor folder, dev_t device, const std::string& shown) {
  Descriptor again(openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) throw systemError("list", shown);
  for (const auto& name : namesIn(std::move(again), shown)) {
    const auto path = shown + "/" + name;
    struct stat found {};
    if (fstatat(folder.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      throw systemError("look at", path);
    }
    if (found.st_dev != device) throw Error(fmt::format("{} is mounted: what is in it was left alone", path), "unmount it first");
    const bool isFolder = S_ISDIR(found.st_mode);
    if (isFolder) {
      Descriptor below(openat(folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below) throw systemError("open folder", path);
      emptyFolder(std::move(below), device, path);
    }
    if (unlinkat(folder.get(), name.c_str(), isFolder ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT) throw systemError("remove", path);
  }
}

} // namespace

std::string leftoverPrefix(const std::string& name) { return "." + name + ".kubestrap-"; }

void LocalHost::removeTree(const Path& path) {
  const auto found = status(path);
  if (found && found->type == FileStatus::Type::folder) {
    Descriptor folder = root_.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    Descriptor above = folderOf(path);
    struct stat own {
    }, parent{};
    if (!folder || !above || fstat(folder.get(), &own) != 0 || fstat(above.get(), &parent) != 0)
      throw systemError("look at", root_.outside(path));
    if (own.st_dev != parent.st_dev)
      throw Error(fmt::format("{} is mounted: what is in it was left alone", root_.outside(path)), "unmount it first");
    emptyFolder(std::move(folder), own.st_dev, root_.outside(path));
  }
  remove(path);
}

void LocalHost::endProcess(int pid) {
  if (::kill(pid, SIGKILL) != 0 && errno != ESRCH) throw systemError("end process", std::to_string(pid));
}

void LocalHost::unmount(const Path& path, int flags) {
  if (umount2(root_.outside(path).c_str(), flags) != 0 && errno != EINVAL && errno != ENOENT)
    throw systemError("unmount", root_.outside(path));
}

CommandResult LocalHost::run(const Command& command) { return runProcess(command, stop_); }

ServiceState LocalHost::service(const std::string& name) { return services_->state(name); }

void LocalHost::service(const std::string& name, ServiceAction action) { services_->act(name, action); }

std::vector<std::string> LocalHost::unitLog(const std::string& name, TimePoint since, std::size_t lines) {
  return services_->log(name, since, lines);
}

config::Facts LocalHost::facts(const Questions& questions) {
  return gatherFacts(questions,
                     {root_, *services_, initSystem_, [this](const Command& command) { return run(command); }});
}

Value LocalHost::inventory() {
  return takeInventory({*this, [this](const Command& command) { return run(command); }});
}

std::unique_ptr<Host::Lock> LocalHost::lock(const std::string& command) {
  ensureFolder(lockPath.parent_path(), 0755);
  return takeLock(root_, lockPath, command);
}

} // namespace kubestrap::host
