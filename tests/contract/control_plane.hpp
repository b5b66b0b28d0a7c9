#pragma once

#include "kube/kubeconfig.hpp"
#include "net/http.hpp"
#include "tests/unit/net/authority.hpp"

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kubestrap::contract {

/// A real etcd and kube-apiserver on loopback, running as long as this lives. The API server's certificate has no name
/// but "kubernetes", so each connection shows that tls-server-name is heeded.
class ControlPlane {
public:
  /// `components` holds the two binaries. Returns when /readyz answers; throws Error with the last lines of the logs.
  explicit ControlPlane(const std::filesystem::path& components);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  kube::Kubeconfig admin() const;
  kube::Kubeconfig as(const net::tests::Pair& pair) const;
  net::TlsIdentity etcdIdentity() const;
  std::string etcdUrl() const;
  std::string apiUrl() const;
  const net::tests::Authority& authority() const { return authority_; }

private:
  void start(const std::filesystem::path& program, const std::vector<std::string>& arguments);
  void stop();
  void waitUntilReady();
  std::string save(const std::string& name, const std::string& text) const;

  std::filesystem::path folder_;
  net::tests::Authority authority_{"kubernetes"};
  net::tests::Pair admin_;
  int etcdPort_, peerPort_, apiPort_;
  std::vector<pid_t> processes_;
};

/// The one of this program, or nullptr (with a message) where KUBESTRAP_COMPONENTS names no folder of binaries.
ControlPlane* controlPlane();

} // namespace kubestrap::contract
