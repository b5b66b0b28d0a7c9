#include "tests/fakes/fake_host.hpp"

#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <set>

namespace kubestrap::fakes {

namespace {

using host::FileStatus;
using ServiceAction = host::Host::ServiceAction;

std::string keyOf(const host::Path& path) { return (path.has_filename() ? path : path.parent_path()).string(); }

std::string beneath(const std::string& folder) { return folder == "/" ? "/" : folder + "/"; }

std::string_view verb(ServiceAction action) {
  switch (action) {
  case ServiceAction::start: return "start";
  case ServiceAction::stop: return "stop";
  case ServiceAction::restart: return "restart";
  case ServiceAction::enable: return "enable";
  case ServiceAction::disable: return "disable";
  case ServiceAction::reload: return "reload";
  }
  return "";
}

class FakeLock : public host::Host::Lock {
public:
  explicit FakeLock(std::string& holder) : holder_(holder) {}
  ~FakeLock() override { holder_.clear(); }

private:
  std::string& holder_;
};

config::Facts soundMachine() {
  config::Facts facts;
  facts.hostname = "n1";
  facts.hostnameResolves = true;
  facts.defaultAddress = IpAddress::v4(10, 0, 0, 11);
  facts.addresses = {IpAddress::v4(127, 0, 0, 1), IpAddress::v4(10, 0, 0, 11)};
  facts.runtimeSockets = {"unix:///var/run/containerd/containerd.sock"};
  facts.cpus = 4;
  facts.memoryBytes = std::uint64_t{8} << 30;
  facts.sysctls = {{"net.ipv4.ip_forward", "1"},
                   {"net.ipv6.conf.default.forwarding", "1"},
                   {"net.bridge.bridge-nf-call-iptables", "1"},
                   {"net.bridge.bridge-nf-call-ip6tables", "1"}};
  facts.machineId = "8d3f0a4f0bd14ab0b7b8b5f4b3c1f0aa";
  facts.initSystem = "systemd";
  facts.kubelet = {.exists = true, .enabled = true, .active = false};
  facts.kubeletVersion = "v1.37.2";
  facts.cgroup = {.unified = true,
                  .controllers = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "devices", "freezer"}};
  facts.operatingSystem = "Linux";
  facts.kernelRelease = "6.1.0-30-amd64";
  return facts;
}

} // namespace

FakeHost::FakeHost() : now(parseRfc3339("2026-11-22T12:00:00Z")), machine(soundMachine()) {
  services["kubelet"] = {.exists = true, .enabled = true, .active = "inactive", .sub = "dead", .result = "success"};
}

void FakeHost::effect(const std::string& what) {
  if (stopAtEffect && effects.size() + 1 >= *stopAtEffect) {
    stopAtEffect.reset();
    throw Killed{};
  }
  if (onEffect) onEffect(what);
  effects.push_back(what);
  now += tick;
}

void FakeHost::put(const std::string& path, std::string content, unsigned mode) {
  files[path] = {.content = std::move(content), .mode = mode, .modified = now};
}

std::string FakeHost::text(const std::string& path) const {
  auto found = files.find(path);
  return found == files.end() ? "" : found->second.content;
}

bool FakeHost::isFolder(const std::string& path) const {
  if (auto found = files.find(path); found != files.end()) return found->second.type == FileStatus::Type::folder;
  auto prefix = beneath(path);
  auto next = files.lower_bound(prefix);
  return path == "/" || (next != files.end() && next->first.starts_with(prefix));
}

void FakeHost::makeParents(const std::string& path, unsigned mode) {
  auto parent = host::Path(path).parent_path().string();
  if (files.contains(parent) && !isFolder(parent))
    throw Error(fmt::format("cannot open folder {}: Not a directory", parent));
  if (parent == path || isFolder(parent)) return;
  makeParents(parent, mode);
  effect("make folder " + parent);
  files[parent] = {.content = "", .mode = mode, .modified = now, .type = FileStatus::Type::folder};
}

std::optional<FileStatus> FakeHost::status(const host::Path& path) {
  auto key = keyOf(path);
  if (auto found = files.find(key); found != files.end())
    return FileStatus{.type = found->second.type,
                      .mode = found->second.mode,
                      .uid = found->second.owner,
                      .gid = found->second.owner,
                      .modified = found->second.modified,
                      .size = found->second.content.size()};
  if (isFolder(key)) return FileStatus{.type = FileStatus::Type::folder, .mode = 0755, .modified = now};
  return {};
}

std::optional<std::string> FakeHost::read(const host::Path& path) {
  auto key = keyOf(path);
  reads.push_back(key);
  if (isFolder(key)) throw Error(fmt::format("cannot read {}: Is a directory", key));
  auto found = files.find(key);
  if (found == files.end()) return {};
  return found->second.content;
}

std::vector<std::string> FakeHost::list(const host::Path& folder) {
  auto key = keyOf(folder), prefix = beneath(key);
  if (files.contains(key) && !isFolder(key)) throw Error(fmt::format("cannot list {}: Not a directory", key));
  std::set<std::string> names;
  for (auto at = files.lower_bound(prefix); at != files.end() && at->first.starts_with(prefix); ++at)
    if (auto name = at->first.substr(prefix.size()); !name.empty()) names.insert(name.substr(0, name.find('/')));
  return {names.begin(), names.end()};
}

void FakeHost::write(const host::Path& path, std::string_view content, unsigned mode, unsigned folderMode) {
  auto key = keyOf(path);
  if (isFolder(key)) throw Error(fmt::format("cannot replace {}: Is a directory", key));
  makeParents(key, folderMode);
  effect("write " + key);
  put(key, std::string(content), mode);
  namesAtRisk |= names_ == Durable::later;
}

void FakeHost::append(const host::Path& path, std::string_view content, unsigned mode, Durable) {
  auto key = keyOf(path);
  makeParents(key, 0755);
  effect("append " + key);
  auto [file, made] = files.try_emplace(key);
  if (made) file->second.mode = mode;
  file->second.content += content;
  file->second.modified = now;
}

void FakeHost::makeFolder(const host::Path& path, unsigned mode) {
  auto key = keyOf(path);
  if (isFolder(key)) return;
  if (files.contains(key)) throw Error(fmt::format("cannot make folder {}: File exists", key));
  makeParents(key, mode);
  effect("make folder " + key);
  files[key] = {.content = "", .mode = mode, .modified = now, .type = FileStatus::Type::folder};
}

void FakeHost::setMode(const host::Path& path, unsigned mode) {
  auto key = keyOf(path);
  auto found = files.find(key);
  if (found == files.end()) throw Error(fmt::format("cannot set the mode of {}: No such file or directory", key));
  effect(fmt::format("mode {:04o} {}", mode, key));
  found->second.mode = mode;
}

void FakeHost::setOwner(const host::Path& path, unsigned owner) {
  auto key = keyOf(path);
  auto found = files.find(key);
  if (found == files.end()) throw Error(fmt::format("cannot set the owner of {}: No such file or directory", key));
  effect(fmt::format("owner {} {}", owner, key));
  found->second.owner = owner;
}

void FakeHost::remove(const host::Path& path) {
  auto key = keyOf(path);
  if (isFolder(key) && !list(key).empty()) throw Error(fmt::format("cannot remove {}: Directory not empty", key));
  if (!files.contains(key)) return;
  effect("remove " + key);
  // The folder stays when its last entry goes, as on a disk.
  makeParents(key, 0755);
  files.erase(key);
  namesAtRisk |= names_ == Durable::later;
  if (auto parent = host::Path(key).parent_path().string(); parent != "/" && !files.contains(parent))
    files[parent] = {.content = "", .mode = 0755, .modified = now, .type = FileStatus::Type::folder};
}

void FakeHost::rename(const host::Path& from, const host::Path& to) {
  auto source = keyOf(from), target = keyOf(to), prefix = beneath(source);
  if (!files.contains(source) && !isFolder(source))
    throw Error(fmt::format("cannot rename {} to {}: No such file or directory", source, target));
  if (!isFolder(host::Path(target).parent_path().string()))
    throw Error(fmt::format("cannot rename {} to {}: No such file or directory", source, target));
  effect(fmt::format("rename {} {}", source, target));
  std::map<std::string, File> moved;
  for (auto at = files.begin(); at != files.end();) {
    if (at->first == source || at->first.starts_with(prefix)) {
      moved[target + at->first.substr(source.size())] = std::move(at->second);
      at = files.erase(at);
    } else {
      ++at;
    }
  }
  for (auto& [path, file] : moved) files[path] = std::move(file);
  namesAtRisk |= names_ == Durable::later;
}

void FakeHost::removeTree(const host::Path& path) {
  auto key = keyOf(path), prefix = beneath(key);
  if (!files.contains(key) && !isFolder(key)) return;
  for (const auto& line : split(text("/proc/self/mounts"), '\n'))
    for (const auto& word : split(line, ' '))
      if (word == key || word.starts_with(prefix)) throw Error(fmt::format("{} is mounted: what is in it was left alone", word));
  effect("remove tree " + key);
  makeParents(key, 0755);
  std::erase_if(files, [&](const auto& each) { return each.first == key || each.first.starts_with(prefix); });
  if (auto parent = host::Path(key).parent_path().string(); parent != "/" && !files.contains(parent))
    files[parent] = {.content = "", .mode = 0755, .modified = now, .type = FileStatus::Type::folder};
}

void FakeHost::endProcess(int pid) {
  effect(fmt::format("end process {}", pid));
  std::erase_if(files, [folder = fmt::format("/proc/{}/", pid)](const auto& each) { return each.first.starts_with(folder); });
}

void FakeHost::unmount(const host::Path& path, int) {
  auto& mounts = files["/proc/self/mounts"];
  std::string left;
  for (const auto& line : split(mounts.content, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() > 1 && words[1] == path.string()) continue;
    if (!line.empty()) left += line + "\n";
  }
  if (left == mounts.content) return;
  effect("unmount " + path.string());
  mounts.content = std::move(left);
}

Value FakeHost::inventory() {
  Value list = Value::object();
  for (const auto& [path, file] : files) {
    if (path.starts_with("/proc/") || path.starts_with("/var/lib/kubestrap/") || path == "/var/lib/kubestrap") continue;
    const bool folder = file.type == FileStatus::Type::folder;
    for (auto above = host::Path(path).parent_path(); above.has_relative_path(); above = above.parent_path())
      if (!files.contains(above.string())) list[above.string()] = "folder 0755"; // not listed, and there all the same
    list[path] = folder ? fmt::format("folder {:04o}", file.mode) : fmt::format("file {:04o} {}", file.mode, sha256Hex(file.content));
  }
  Value units = Value::object();
  for (const auto& [name, state] : services)
    if (state.exists) units[name] = fmt::format("{}, {}", state.active == "active" || state.active == "activating" ? "active" : "inactive", state.enabled ? "enabled" : "disabled");
  return {{"files", list}, {"units", units}};
}

host::CommandResult FakeHost::run(const host::Command& command) {
  std::vector<std::string> words{command.program};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  auto line = join(words, " ");
  effect("run " + line);
  if (onRun) return onRun(command);
  if (auto found = commands.find(line); found != commands.end()) return found->second;
  throw Error(fmt::format("cannot run {}: it is not in PATH", command.program));
}

host::ServiceState FakeHost::service(const std::string& name) {
  auto found = services.find(name);
  return found == services.end() ? host::ServiceState{} : found->second;
}

void FakeHost::service(const std::string& name, ServiceAction action) {
  auto found = services.find(name);
  if (found == services.end() || !found->second.exists)
    throw Error(
        fmt::format("systemctl {0} {1}.service ended with code 5: Unit {1}.service not found.", verb(action), name));
  effect(fmt::format("{} {}", verb(action), name));
  auto& state = found->second;
  bool alreadyRuns = action == ServiceAction::start && state.active == "active";
  switch (action) {
  case ServiceAction::start:
  case ServiceAction::restart:
    if (alreadyRuns) break;
    state.active = "active";
    state.sub = "running";
    state.result = "success";
    state.mainPid = 100 + static_cast<int>(effects.size());
    state.startedAt = now;
    state.restarts = 0;
    break;
  case ServiceAction::stop:
    state.active = "inactive";
    state.sub = "dead";
    state.mainPid = 0;
    state.startedAt.reset();
    break;
  case ServiceAction::enable: state.enabled = true; break;
  case ServiceAction::disable: state.enabled = false; break;
  case ServiceAction::reload: break;
  }
  if (onServiceAction) onServiceAction(name, action);
}

std::vector<std::string> FakeHost::unitLog(const std::string& name, TimePoint, std::size_t lines) {
  auto log = unitLogs[name];
  if (log.size() > lines) log.erase(log.begin(), log.end() - static_cast<std::ptrdiff_t>(lines));
  return log;
}

config::Facts FakeHost::facts(const Questions& questions) {
  config::Facts facts = machine;
  for (const auto& path : questions.files) facts.files[path.string()] = status(path).has_value();
  for (const auto& path : questions.folders)
    if (auto found = status(path))
      facts.nonEmptyFolders[path.string()] = found->type != FileStatus::Type::folder || !list(path).empty();
  for (const auto& name : questions.programs) facts.programs.try_emplace(name, true);
  return facts;
}

std::unique_ptr<host::Host::Lock> FakeHost::lock(const std::string& command) {
  if (!lockedBy.empty())
    throw Error(fmt::format("another kubestrap is at work on this machine: `{}`, process 4711, since {}", lockedBy,
                            formatRfc3339(now)),
                "wait until it has ended");
  lockedBy = command;
  return std::make_unique<FakeLock>(lockedBy);
}

} // namespace kubestrap::fakes
