#pragma once

#include "host/cri.hpp"
#include "tests/fakes/fake_host.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace kubestrap::fakes {

/// A container runtime in memory: containerd, ready, with no image and no pod. Pulls are effects of the host that it
/// runs on.
class FakeCri : public host::Cri {
public:
  explicit FakeCri(FakeHost* host = nullptr);

  config::RuntimeFacts runtime;
  std::set<std::string> images;
  std::map<std::string, std::string> pullFailures; ///< reference -> the runtime's words
  std::vector<host::Container> found;              ///< what `containers` chooses from
  std::vector<host::PodSandbox> pods;              ///< what `podSandboxes` chooses from
  std::vector<std::pair<int, host::PodSandbox>> inTheMaking; ///< such a pod is there after as many questions for it
  std::vector<std::string> effects;                ///< "pull IMAGE", "stop container ID", "remove pod ID"

  config::RuntimeFacts facts() override { return runtime; }
  bool hasImage(const std::string& reference) override;
  void pullImage(const std::string& reference) override;
  std::vector<host::Container> containers(const std::string& podNamespace) override;
  std::vector<host::PodSandbox> podSandboxes(const std::string& podNamespace) override;
  bool isMakingPods() override;
  void stopContainer(const std::string& id, Duration grace) override;
  void stopAndRemovePod(const std::string& id) override;

private:
  void needRuntime() const;
  void effect(const std::string& what);
  FakeHost* host_;
};

} // namespace kubestrap::fakes
