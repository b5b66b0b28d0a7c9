#pragma once
// host/ is this machine: files, processes, services, the container runtime, facts. Every path goes through Host, which
// has a root, so that --rootfs, a dry run and the tests are one thing. It knows nothing of clusters.

#include "config/facts.hpp"
#include "support/error.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::host {

using Path = std::filesystem::path;

struct FileStatus {
  enum class Type { file, folder, symlink, other } type = Type::file;
  unsigned mode = 0; ///< permission bits
  unsigned uid = 0, gid = 0;
  TimePoint modified;
  std::uint64_t size = 0;
};

/// A program to run; arguments without the program's name.
struct Command {
  std::string program;
  std::vector<std::string> arguments;
  std::string input;
  Duration timeout = std::chrono::seconds(30);
};

struct CommandResult {
  int exitCode = 0; ///< 128 + n when ended by signal n
  std::string output, errors;
  bool timedOut = false;
};

struct ServiceState {
  bool exists = false, enabled = false;
  std::string active;    ///< systemd's ActiveState: "active", "activating", "failed", "inactive"
  std::string sub;       ///< "running", "auto-restart"
  std::string result;    ///< "success", "exit-code", "signal"
  int exitStatus = 0;    ///< of the main process that ended last
  unsigned restarts = 0; ///< automatic ones since it was started by hand
  int mainPid = 0;
  std::optional<TimePoint> startedAt; ///< of the present main process
};

/// This machine. Paths are absolute as the node sees them ("/etc/kubernetes/pki/ca.crt").
class Host {
public:
  virtual ~Host() = default;

  // files
  virtual std::optional<FileStatus> status(const Path& path) = 0; ///< does not follow a last symlink
  virtual std::optional<std::string> read(const Path& path) = 0;  ///< nothing when absent; throws otherwise
  virtual std::vector<std::string> list(const Path& folder) = 0;  ///< names, sorted; empty when absent
  /// Writes beside, syncs, renames over; missing parent folders are made with `folderMode`.
  virtual void write(const Path& path, std::string_view content, unsigned mode, unsigned folderMode = 0755) = 0;
  /// Whether what was written outlives a power loss from the moment the call returns, or from some later one.
  enum class Durable { now, later };
  virtual void append(const Path& path, std::string_view content, unsigned mode, Durable durable = Durable::now) = 0; ///< the journal's way
  /// With `later`, the names that `write`, `remove` and `rename` give and take are durable with the next syncFolders only; what is in files
  /// is so at once in any case. One sync for each folder, where there would be one for each file.
  virtual void setNamesDurable(Durable durable) = 0;
  virtual void syncFolders() = 0;
  virtual void makeFolder(const Path& path, unsigned mode) = 0; ///< and its parents; fine when it exists
  virtual void setMode(const Path& path, unsigned mode) = 0;
  virtual void setOwner(const Path& path, unsigned owner) = 0; ///< user and group
  virtual void remove(const Path& path) = 0; ///< a file, link or empty folder; fine when absent
  virtual void rename(const Path& from, const Path& to) = 0;
  /// A folder with all that is in it, or a file; fine when absent. Throws Error, with that part left, at what lies on another file
  /// system than `path` itself or is a mount point, and where `path` is one.
  virtual void removeTree(const Path& path) = 0;
  /// `flags` as umount2(2) has them. Fine when nothing is mounted there.
  virtual void unmount(const Path& path, int flags) = 0;

  // processes and services
  virtual CommandResult run(const Command& command) = 0;
  /// By SIGKILL. Fine when it has ended already.
  virtual void endProcess(int pid) = 0;
  virtual ServiceState service(const std::string& name) = 0;
  enum class ServiceAction { start, stop, restart, enable, disable, reload };
  virtual void service(const std::string& name, ServiceAction action) = 0;
  /// The last lines that a unit wrote to the journal since `since`, oldest first.
  virtual std::vector<std::string> unitLog(const std::string& name, TimePoint since, std::size_t lines) = 0;

  // the machine as a whole
  /// What `facts` shall look at besides the machine itself.
  struct Questions {
    /// `defaults`: only what a configuration's defaults depend on (name, addresses, sockets, environment, folders), in a few
    /// milliseconds; what it takes to judge the machine as well asks other programs and walks over processes.
    enum class Depth { defaults, everything } depth = Depth::everything;
    std::vector<Path> files, folders;
    std::vector<std::string> programs, sysctls;
    std::vector<int> ports; ///< whose owners shall be named; all listeners are listed in any case, without owners
  };
  virtual config::Facts facts(const Questions& questions) = 0;
  /// What a node's components may change: files by digest, links, routes, packet filter, mounts, processes, units, settings. Equal
  /// machines give equal documents; what cannot be looked at is left out.
  virtual Value inventory() = 0;

  /// Holds the machine's lock as long as it lives.
  class Lock {
  public:
    virtual ~Lock() = default;
  };
  /// Throws Error naming command, pid and start of the holder when somebody has it.
  virtual std::unique_ptr<Lock> lock(const std::string& command) = 0;
};

/// How the name of what `write` leaves beside a file begins when it is killed: ".ca.key.kubestrap-".
std::string leftoverPrefix(const std::string& name);

} // namespace kubestrap::host
