#include "host/facts.hpp"

#include "host/process.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

#include <fmt/format.h>

#include <dirent.h>
#include <fcntl.h>
#include <future>
#include <sys/stat.h>
#include <sys/utsname.h>

extern char** environ;

namespace kubestrap::host {

namespace {

/// kubeadm: constants_unix.go
constexpr const char* knownRuntimeSockets[] = {"/var/run/containerd/containerd.sock", "/var/run/crio/crio.sock",
                                               "/var/run/cri-dockerd.sock"};

/// /etc/ssl/certs may consist of links into these, so they are mounted too (kubeadm: phases/controlplane/volumes.go).
constexpr const char* knownCaFolders[] = {"/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/ca-certificates",
                                          "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"};

struct KubeletVersion {
  std::string version, error;
};

KubeletVersion askKubelet(const Runner& run) {
  if (!findProgram("kubelet")) return {"", "kubelet is not in PATH"};
  try {
    auto result = run({"kubelet", {"--version"}, "", std::chrono::seconds(10)});
    if (result.timedOut) return {"", "`kubelet --version` did not end within 10 seconds"};
    if (result.exitCode != 0)
      return {"", fmt::format("`kubelet --version` ended with code {}: {}", result.exitCode, trim(result.errors))};
    if (auto version = parseKubeletVersion(result.output); !version.empty()) return {version, ""};
    return {"", fmt::format("`kubelet --version` says \"{}\", which is not a version", trim(result.output))};
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    return {"", error.message()};
  }
}

mode_t typeBeneath(const Root& root, const Path& path) {
  Descriptor file = root.open(path, O_PATH);
  struct stat found {};
  return file && fstat(file.get(), &found) == 0 ? found.st_mode & S_IFMT : 0;
}

/// As kubeadm's DirAvailable sees it: what exists and cannot be shown to be empty is not.
bool isEmptyFolder(const Root& root, const Path& path) {
  Descriptor folder = root.open(path, O_RDONLY | O_DIRECTORY);
  std::unique_ptr<DIR, int (*)(DIR*)> entries(folder ? fdopendir(folder.get()) : nullptr, closedir);
  if (!entries) return false;
  folder.release();
  while (auto* entry = readdir(entries.get()))
    if (std::string_view name = entry->d_name; name != "." && name != "..") return false;
  return true;
}

void lookAtFiles(config::Facts& facts, const Host::Questions& questions, const Root& root) {
  for (const auto& path : questions.files) facts.files[path.string()] = typeBeneath(root, path) != 0;
  for (const auto& path : questions.folders)
    if (typeBeneath(root, path) != 0) facts.nonEmptyFolders[path.string()] = !isEmptyFolder(root, path);
  for (const auto* path : knownCaFolders)
    if (typeBeneath(root, path) == S_IFDIR) facts.caFolders[path] = true;
}

void lookAtRuntimes(config::Facts& facts) {
  for (const auto* path : knownRuntimeSockets)
    if (struct stat found{}; stat(path, &found) == 0 && S_ISSOCK(found.st_mode))
      facts.runtimeSockets.push_back(std::string("unix://") + path);
}

void lookAtEnvironment(config::Facts& facts, const std::vector<std::string>& programs) {
  for (const auto& name : programs) facts.programs[name] = findProgram(name).has_value();
  for (char** variable = environ; variable && *variable; ++variable) {
    std::string_view text = *variable;
    auto equals = text.find('=');
    if (equals == std::string_view::npos || equals + 1 == text.size()) continue;
    if (auto name = text.substr(0, equals); lower(name).ends_with("_proxy"))
      facts.proxyVariables[std::string(name)] = text.substr(equals + 1);
  }
}

} // namespace

std::string parseKubeletVersion(std::string_view output) {
  constexpr std::string_view before = "Kubernetes v";
  auto text = trim(output);
  if (!text.starts_with(before)) return "";
  text.remove_prefix(before.size() - 1);
  try {
    parseVersion(text);
    return std::string(text);
  } catch (const Error&) {
    return "";
  }
}

config::Facts gatherFacts(const Host::Questions& questions, const FactSources& sources) {
  config::Facts facts;
  utsname name{};
  uname(&name);
  facts.hostname = name.nodename;
  facts.operatingSystem = name.sysname;
  facts.kernelRelease = name.release;
  facts.uid = geteuid();
  facts.initSystem = sources.initSystem;

  lookAtNetwork(facts);
  lookAtFiles(facts, questions, sources.root);
  lookAtRuntimes(facts);
  lookAtEnvironment(facts, questions.programs);
  if (questions.depth == Host::Questions::Depth::defaults) {
    facts.resolved = sources.services.facts({"systemd-resolved"}).at(0);
    return facts;
  }

  // What other programs have to be asked for takes longest, so they are asked while we look ourselves.
  auto kubelet = std::async(std::launch::async, [&] { return askKubelet(sources.run); });
  auto units = std::async(std::launch::async, [&] {
    return sources.services.facts({"kubelet", "firewalld", "systemd-resolved"});
  });
  auto resolved = std::async(std::launch::async, [&] { return resolves(facts.hostname, sources.run); });
  auto filter = std::async(std::launch::async, [&] { return lookAtPacketFilter(sources.run); });
  auto duplicates = std::async(std::launch::async, [] { return findDuplicates(); });
  auto features = std::async(std::launch::async, [&] { return tryKernelFeatures(sources.run); });
  lookAtKernel(facts, questions.sysctls);
  facts.security = lookAtSecurity();
  facts.clock = lookAtClock();
  facts.nameServers = nameServers();
  facts.machineId = machineId();
  facts.listening = listeners(questions.ports);

  auto version = kubelet.get();
  facts.kubeletVersion = version.version;
  facts.kubeletVersionError = version.error;
  auto seen = units.get();
  facts.kubelet = seen.at(0);
  facts.firewalld = seen.at(1);
  facts.resolved = seen.at(2);
  facts.hostnameResolves = resolved.get();
  facts.packetFilter = filter.get();
  facts.tried = features.get();
  facts.duplicates = duplicates.get();
  return facts;
}

} // namespace kubestrap::host
