#pragma once
// A machine in memory that joins a cluster: another control plane's API server and etcd member answer, and this machine's kubelet gets its
// credentials there.

#include "tests/fakes/fake_etcd.hpp"
#include "tests/flow/machine.hpp"

namespace kubestrap::flow {

class Joining {
public:
  enum class Role { worker, controlPlane };
  explicit Joining(Role role);

  Machine machine;
  fakes::FakeEtcd etcd{machine.api};
  std::string token = "abcdef.0123456789abcdef";

  plan::Outcome join();
  /// The message and hint of the Error with which it ends; "" when it does not.
  std::string joinFails();
  /// Runs join until its n-th effect, on this machine or in the cluster, is about to happen; false when it ended before.
  bool joinStoppedAt(std::size_t n);

private:
  config::Setup setup();
  void settle();
  Role role_;
};

} // namespace kubestrap::flow
