#pragma once

#include "host/host.hpp"
#include "host/process.hpp"
#include "host/root.hpp"
#include "host/services.hpp"

#include <map>

namespace kubestrap::host {

/// The machine that we run on.
///
/// With a root other than "/" (--rootfs) files, folders and the lock lie beneath it, and no symbolic link leads out of
/// it. Everything else stays this machine's: programs, services, processes, the kernel, the network and the runtime's
/// socket. (kubeadm changes its root and runs the programs that it finds there. We run no program of another root: its
/// libraries, or even its processor, may be foreign to us.)
///
/// `run`, `service` and `facts` may be called from several threads.
class LocalHost : public Host {
public:
  /// A stop request ends the programs that are running and lets `run` throw Interrupted. Throws Error when `root` is no
  /// folder.
  explicit LocalHost(Path root = "/", std::stop_token stop = {});

  std::optional<FileStatus> status(const Path& path) override;
  std::optional<std::string> read(const Path& path) override;
  std::vector<std::string> list(const Path& folder) override;
  /// A symbolic link at `path` is replaced, not followed; links among its folders are followed. The temporary neighbour
  /// is called
  /// ".NAME.kubestrap-" and eight digits (the kubelet passes over names that begin with a dot). Those that a run which
  /// was killed has left of the same file go with the next write or remove.
  void write(const Path& path, std::string_view content, unsigned mode, unsigned folderMode = 0755) override;
  void append(const Path& path, std::string_view content, unsigned mode, Durable durable = Durable::now) override;
  void setNamesDurable(Durable durable) override { names_ = durable; }
  void syncFolders() override;
  void makeFolder(const Path& path, unsigned mode) override;
  void setOwner(const Path& path, unsigned owner) override;
  void setMode(const Path& path, unsigned mode) override;
  void remove(const Path& path) override;
  void rename(const Path& from, const Path& to) override;
  void removeTree(const Path& path) override;
  void unmount(const Path& path, int flags) override;
  void endProcess(int pid) override;

  CommandResult run(const Command& command) override;
  using Host::service;
  ServiceState service(const std::string& name) override;
  void service(const std::string& name, ServiceAction action) override;
  std::vector<std::string> unitLog(const std::string& name, TimePoint since, std::size_t lines) override;

  config::Facts facts(const Questions& questions) override;
  Value inventory() override;
  std::unique_ptr<Lock> lock(const std::string& command) override;

private:
  Descriptor folderOf(const Path& path) const;
  Descriptor ensureFolder(const Path& path, unsigned mode) const;
  void namesChanged(Descriptor folder, const Path& path);

  Root root_;
  std::stop_token stop_;
  std::string initSystem_;
  std::unique_ptr<Services> services_;
  Durable names_ = Durable::now;
  std::map<Path, Descriptor> unsynced_; ///< folders in which names have changed
};

} // namespace kubestrap::host
