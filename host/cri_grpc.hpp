#pragma once

#include "host/cri.hpp"
#include "net/grpc.hpp"

namespace kubestrap::host {

/// A container runtime on a unix socket of this machine.
class GrpcCri : public Cri {
public:
  /// `endpoint` as in criSocket: "unix:///var/run/containerd/containerd.sock", or the path alone. Throws Error for any
  /// other kind. Nothing is connected before the first call.
  GrpcCri(net::Transport& transport, const std::string& endpoint);

  config::RuntimeFacts facts() override;
  bool hasImage(const std::string& reference) override;
  void pullImage(const std::string& reference) override;
  std::vector<Container> containers(const std::string& podNamespace) override;
  std::vector<PodSandbox> podSandboxes(const std::string& podNamespace) override;
  bool isMakingPods() override;
  void stopContainer(const std::string& id, Duration grace) override;
  void stopAndRemovePod(const std::string& id) override;

private:
  std::string socket_;
  net::GrpcClient client_;
};

/// The path of a "unix://" endpoint. Throws Error.
std::string socketPath(const std::string& endpoint);

} // namespace kubestrap::host
