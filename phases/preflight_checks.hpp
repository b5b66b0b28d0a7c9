#pragma once
// The judgements that the rows of preflight.cpp name, by subject. Each looks at facts and says what is wrong, or
// nothing.

#include "phases/preflight.hpp"

#include <fmt/format.h>

namespace kubestrap::phases {

using config::Facts;
using config::Setup;

Observation error(std::string evidence, std::string remedy = {});
Observation warning(std::string evidence, std::string remedy = {});

/// The value of the last flag of this name, as Kubernetes' components take it; "" when there is none.
std::string flag(const std::vector<config::Arg>& args, std::string_view name);

/// Whether kubestrap itself put it there in an earlier run.
bool isRecorded(const Facts& facts, const std::filesystem::path& path);

// ---- preflight_machine.cpp
Observations isRoot(const Setup&, const Facts&);
Observations cpus(const Setup&, const Facts&);
Observations memory(const Setup&, const Facts&);
Observations swap(const Setup&, const Facts&);
Observations firewalld(const Setup&, const Facts&);
Observations kubeletService(const Setup&, const Facts&);
Observations hostname(const Setup&, const Facts&);
Observations program(const Facts&, const std::string& name);
/// Whether a sysctl is 1.
Observations switchedOn(const Facts&, const std::string& sysctl);
Observations systemVerification(const Setup&, const Facts&);

// ---- preflight_software.cpp
Observations kubernetesVersion(const Setup&, const Facts&);
Observations kubeletVersion(const Setup&, const Facts&);
Observations runtimeAnswers(const Setup&, const Facts&);
Observations runtimeVersion(const Setup&, const Facts&);
Observations cgroupDriver(const Setup&, const Facts&);

// ---- preflight_files.cpp
Observations fileAvailable(const Facts&, const std::filesystem::path& file);
Observations etcdFolder(const Setup&, const Facts&);
Observations etcdClientCertificates(const Setup&, const Facts&);

// ---- preflight_network.cpp

/// A port that must be free, with the one process that may hold it when kubestrap started that itself.
struct WantedPort {
  int port = 0;
  std::string address;                    ///< where it will be listened on; "": everywhere
  std::string_view addressFlag;           ///< which flag says so, if its value is judged here
  std::string_view process;               ///< "kube-apiserver"
  const std::filesystem::path& startedBy; ///< the file that made kubestrap start it
  std::string otherwise = {};             ///< another way out than to free the port
};
Observations portFree(const Facts&, const WantedPort&);
/// Where the local etcd listens: the API server's advertise address (kubeadm: preflight/checks.go, InitNodeChecks).
std::string etcdAddress(const Setup&);
Observations proxyToApiServer(const Setup&, const Facts&);
Observations proxyToNetworks(const Setup&, const Facts&);
Observations advertiseAddress(const Setup&, const Facts&);
Observations networkOverlap(const Setup&, const Facts&);
bool usesIpv4(const Setup&);
bool usesIpv6(const Setup&);

} // namespace kubestrap::phases
