// GrpcCri against a real container runtime: KUBESTRAP_CRI_SOCKET is its socket
// ("unix:///run/containerd/containerd.sock"). KUBESTRAP_CRI_IMAGE may name an image that it has. Nothing is changed in
// the runtime.

#include "host/cri_grpc.hpp"
#include "net/http_curl.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace kubestrap;
using namespace kubestrap::host;

namespace {

struct RealRuntime {
  const char* socket = std::getenv("KUBESTRAP_CRI_SOCKET");
  net::CurlTransport transport;

  /// Says that the case is skipped when there is no runtime.
  bool absent() const {
    if (!socket) MESSAGE("skipped: KUBESTRAP_CRI_SOCKET names no container runtime");
    return !socket;
  }
};

} // namespace

TEST_CASE_FIXTURE(RealRuntime, "a real runtime tells its name, that it is ready, and its sandbox image") {
  if (absent()) return;
  GrpcCri cri(transport, socket);
  auto facts = cri.facts();
  CHECK(facts.error == "");
  CHECK(facts.reachable);
  CHECK(facts.ready);
  CHECK(facts.notReadyReason == "");
  CHECK_FALSE(facts.name.empty());
  CHECK_FALSE(facts.version.empty());
  if (facts.name == "containerd" && facts.version.starts_with("1.")) {
    CHECK_FALSE(facts.answersRuntimeConfig); // it came with 2.0
    CHECK(facts.cgroupDriver);
    CHECK(facts.sandboxImage.find("pause") != std::string::npos);
  } else {
    CHECK(facts.answersRuntimeConfig);
    CHECK(facts.cgroupDriver);
  }
  MESSAGE(facts.name << " " << facts.version << ", cgroup driver " << facts.cgroupDriver.value_or("unknown")
                     << ", sandbox " << facts.sandboxImage);
}

TEST_CASE_FIXTURE(RealRuntime, "a real runtime has the image that it has, and no other") {
  if (absent()) return;
  GrpcCri cri(transport, socket);
  CHECK_FALSE(cri.hasImage("registry.invalid/kubestrap/none:1"));
  if (const char* image = std::getenv("KUBESTRAP_CRI_IMAGE")) CHECK(cri.hasImage(image));
}

TEST_CASE_FIXTURE(RealRuntime, "a pull that cannot succeed fails in the real runtime's words") {
  if (absent()) return;
  GrpcCri cri(transport, socket);
  try {
    cri.pullImage("registry.invalid/kubestrap/none:1");
    FAIL("no Error was thrown");
  } catch (const Error& error) {
    CHECK(error.message().starts_with("cannot pull registry.invalid/kubestrap/none:1: "));
    CHECK(error.message().find("registry.invalid", 40) != std::string::npos);
  }
}

TEST_CASE_FIXTURE(RealRuntime, "a real runtime lists containers and pods, of a namespace that has none too") {
  if (absent()) return;
  GrpcCri cri(transport, socket);
  CHECK(cri.containers("kubestrap-has-no-such-namespace").empty());
  CHECK(cri.podSandboxes("kubestrap-has-no-such-namespace").empty());
  for (const auto& container : cri.containers("kube-system")) {
    CAPTURE(container.id);
    CHECK(container.podNamespace == "kube-system");
    CHECK_FALSE(container.podName.empty());
    CHECK_FALSE(container.name.empty());
    CHECK(container.createdAt > TimePoint());
  }
}

TEST_CASE_FIXTURE(RealRuntime, "removing a pod that a real runtime does not have is no error") {
  if (absent()) return;
  GrpcCri cri(transport, socket);
  CHECK_NOTHROW(cri.stopAndRemovePod("0123456789abcdef"));
}
