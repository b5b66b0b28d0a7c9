#pragma once

#include "host/host.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::fakes {

/// What `stopAtEffect` throws: the program is gone. It is no exception of ours, so nothing between catches it by
/// mistake.
struct Killed {};

/// A machine in memory: a sound one with systemd, a kubelet that is enabled but not running, and no file.
class FakeHost : public host::Host {
public:
  struct File {
    std::string content;
    unsigned mode = 0644;
    TimePoint modified{};
    host::FileStatus::Type type = host::FileStatus::Type::file;
    unsigned owner = 0;
  };

  FakeHost();

  // ---- the machine, to be set and looked at
  TimePoint now;                                ///< the machine's clock
  Duration tick = std::chrono::milliseconds(1); ///< by which each effect moves it
  std::map<std::string, File> files;            ///< by absolute path, folders too; parents that are not listed exist
  std::map<std::string, host::ServiceState> services; ///< the others do not exist
  std::map<std::string, std::vector<std::string>> unitLogs;
  std::map<std::string, host::CommandResult> commands; ///< "kubelet --version" -> its result; others are not in PATH
  std::function<host::CommandResult(const host::Command&)> onRun; ///< asked first when set
  /// Called after an action has had its usual outcome (running, stopped, ...): to let a kubelet write files, fail,
  /// throw.
  std::function<void(const std::string& name, ServiceAction)> onServiceAction;
  config::Facts
      machine; ///< what `facts` answers; files and folders are those of `files`, programs are there unless said here
  std::string lockedBy; ///< a command: `lock` throws

  // ---- what was done
  std::vector<std::string>
      effects; ///< "write /a", "start kubelet", "run iptables -F", in order; what changed nothing is not listed
  std::vector<std::string> reads; ///< paths, in order
  bool namesAtRisk = false;       ///< a power loss now would take files away that were written
  /// The n-th effect from the beginning (counted from 1) is not done: Killed is thrown, once.
  std::optional<std::size_t> stopAtEffect;
  std::function<void(const std::string& effect)> onEffect; ///< called when an effect is about to happen
  /// Counts and records an effect; for other fakes whose effects shall stand in the same list.
  void effect(const std::string& what);

  /// Lays a file without an effect, last written now.
  void put(const std::string& path, std::string content, unsigned mode = 0644);
  /// Content of a file, "" when absent; not a read.
  std::string text(const std::string& path) const;

  // ---- Host
  std::optional<host::FileStatus> status(const host::Path& path) override;
  std::optional<std::string> read(const host::Path& path) override;
  std::vector<std::string> list(const host::Path& folder) override;
  void write(const host::Path& path, std::string_view content, unsigned mode, unsigned folderMode = 0755) override;
  void append(const host::Path& path, std::string_view content, unsigned mode, Durable durable = Durable::now) override;
  void setNamesDurable(Durable durable) override { names_ = durable; }
  void syncFolders() override { namesAtRisk = false; }
  void makeFolder(const host::Path& path, unsigned mode) override;
  void setOwner(const host::Path& path, unsigned owner) override;
  void setMode(const host::Path& path, unsigned mode) override;
  void remove(const host::Path& path) override;
  void rename(const host::Path& from, const host::Path& to) override;
  void removeTree(const host::Path& path) override;
  void endProcess(int pid) override; ///< takes it out of /proc
  void unmount(const host::Path& path, int flags) override; ///< takes its line out of /proc/self/mounts
  host::CommandResult run(const host::Command& command) override;
  host::ServiceState service(const std::string& name) override;
  void service(const std::string& name, ServiceAction action) override;
  std::vector<std::string> unitLog(const std::string& name, TimePoint since, std::size_t lines) override;
  config::Facts facts(const Questions& questions) override;
  Value inventory() override; ///< files by digest, units
  std::unique_ptr<Lock> lock(const std::string& command) override;

private:
  Durable names_ = Durable::now;
  bool isFolder(const std::string& path) const;
  void makeParents(const std::string& path, unsigned mode);
};

} // namespace kubestrap::fakes
