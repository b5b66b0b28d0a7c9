#include "phases/preflight_checks.hpp"

#include "config/versions.hpp"
#include "support/text.hpp"
#include "support/value.hpp"
#include "support/version.hpp"

namespace kubestrap::phases {

namespace {

/// A container runtime as its operators know it.
struct Runtime {
  std::string_view name, service, configuration;
  std::string_view upgrade; ///< what tells the kubelet its cgroup driver (KEP-4033)
};

constexpr Runtime containerd{"containerd", "containerd", "/etc/containerd/config.toml", "containerd 2.0 or newer"};
constexpr Runtime crio{"CRI-O", "crio", "/etc/crio/crio.conf", "CRI-O 1.28 or newer"};
constexpr Runtime criDockerd{"cri-dockerd", "cri-docker", "the flags of cri-dockerd", "the newest cri-dockerd"};
constexpr Runtime unknownRuntime{"the container runtime", "", "its configuration", "a release that answers it"};

const Runtime& runtimeBehind(const std::string& socket) {
  if (socket.find("cri-dockerd") != socket.npos) return criDockerd;
  if (socket.find("crio") != socket.npos) return crio;
  if (socket.find("containerd") != socket.npos) return containerd;
  return unknownRuntime;
}

bool mentions(const std::string& text, std::string_view part) { return lower(text).find(lower(part)) != text.npos; }

/// What helps against a runtime that cannot be reached, by what the attempt ended with.
std::string remedyFor(const std::string& failure, const Runtime& runtime, const std::string& socket) {
  if (runtime.service.empty())
    return fmt::format("start the container runtime that listens on {}, or name another with --cri-socket", socket);
  // containerd as Docker's packages configure it serves no CRI.
  if (mentions(failure, "unimplemented") || mentions(failure, "unknown service")) {
    if (&runtime == &containerd)
      return fmt::format("take \"cri\" out of disabled_plugins in {}, then systemctl restart containerd",
                         runtime.configuration);
    return fmt::format("upgrade {} to a version that serves CRI v1", runtime.name);
  }
  if (mentions(failure, "permission denied"))
    return fmt::format("see who may open it: ls -l {}", replaceAll(socket, "unix://", ""));
  return fmt::format(
      "install {0} if it is missing, then systemctl enable --now {1}; if it does not start: journalctl -u {1}; "
      "another runtime is named with --cri-socket",
      runtime.name, runtime.service);
}

std::string describe(const config::RuntimeFacts& runtime) {
  return runtime.name.empty() ? "the container runtime" : fmt::format("{} {}", runtime.name, runtime.version);
}

} // namespace

Observations kubernetesVersion(const Setup& setup, const Facts&) {
  const auto newest = config::supportedMinors().front().minor;
  const auto& version = setup.cluster.version;
  if (version < Version{.major = 1, .minor = newest + 1, .preRelease = "0"}) return {};
  return {warning(
      fmt::format("Kubernetes {} is newer than this kubestrap, which knows 1.{} at most", version.tag(), newest))};
}

Observations kubeletVersion(const Setup& setup, const Facts& facts) {
  if (facts.kubeletVersion.empty())
    return {error(fmt::format("no kubelet answers to kubelet --version{}",
                              facts.kubeletVersionError.empty() ? "" : ": " + facts.kubeletVersionError),
                  fmt::format("install the kubelet {} from pkgs.k8s.io, into a folder of the PATH",
                              setup.cluster.version.tag()))};
  const auto kubelet = parseVersion(facts.kubeletVersion);
  const auto& cluster = setup.cluster.version;
  // kubeadm: constants.MinimumKubeletVersion, three minors below the tool's own.
  const Version oldest{.major = 1, .minor = config::supportedMinors().front().minor - 3};
  if (kubelet < oldest)
    return {error(
        fmt::format("the kubelet is {}, the oldest that can be served is {}", facts.kubeletVersion, oldest.minorTag()),
        fmt::format("upgrade the kubelet to {}", cluster.tag()))};
  if (kubelet.major > cluster.major || kubelet.minor > cluster.minor)
    return {error(fmt::format("the kubelet {} is newer than the control plane {}, which Kubernetes does not support",
                              facts.kubeletVersion, cluster.tag()),
                  fmt::format("install the kubelet {}, or deploy Kubernetes {} (--kubernetes-version)",
                              cluster.minorTag(), kubelet.minorTag()))};
  return {};
}

Observations runtimeAnswers(const Setup& setup, const Facts& facts) {
  const auto& socket = setup.node.criSocket;
  const auto& runtime = runtimeBehind(socket);
  if (!facts.runtime.reachable)
    return {error(fmt::format("{} does not answer at {}{}", runtime.name, socket,
                              facts.runtime.error.empty() ? "" : ": " + facts.runtime.error),
                  remedyFor(facts.runtime.error, runtime, socket))};
  if (!facts.runtime.ready)
    return {error(fmt::format("{} at {} says that it is not ready{}", describe(facts.runtime), socket,
                              facts.runtime.notReadyReason.empty() ? "" : ": " + facts.runtime.notReadyReason),
                  runtime.service.empty()
                      ? "see the log of the container runtime"
                      : fmt::format("see journalctl -u {0}, then systemctl restart {0}", runtime.service))};
  return {};
}

Observations runtimeVersion(const Setup& setup, const Facts& facts) {
  const auto& runtime = runtimeBehind(setup.node.criSocket);
  if (!facts.runtime.reachable)
    return {error(fmt::format("whether {} can tell its cgroup driver is not known: it does not answer at {}",
                              runtime.name, setup.node.criSocket),
                  "see CRI")};
  if (facts.runtime.answersRuntimeConfig) return {};
  return {warning(
      fmt::format("{} does not answer the CRI call RuntimeConfig, so the kubelet takes the cgroup driver from its own "
                  "configuration; from 1.38 on it will not",
                  describe(facts.runtime)),
      fmt::format("upgrade to {}", runtime.upgrade))};
}

Observations cgroupDriver(const Setup& setup, const Facts& facts) {
  const auto wanted = stringAt(setup.cluster.kubelet.document, "cgroupDriver");
  const auto& used = facts.runtime.cgroupDriver;
  if (!used || wanted.empty() || *used == wanted) return {};
  const auto* follows = facts.runtime.answersRuntimeConfig ? "follows the runtime" : "does not start pods then";
  const auto& runtime = runtimeBehind(setup.node.criSocket);
  return {
      warning(fmt::format("the KubeletConfiguration says cgroupDriver: {}, {} uses {}; the kubelet {}",
                          wanted, describe(facts.runtime), *used, follows),
              fmt::format("make the two agree: cgroupDriver: {} in the KubeletConfiguration, or {} in {}", *used,
                          wanted, runtime.configuration))};
}

Observations sandboxImage(const Setup& setup, const Facts& facts) {
  const auto& used = facts.runtime.sandboxImage;
  const auto& wanted = setup.cluster.images.pause;
  if (used.empty() || wanted.empty() || used == wanted) return {};
  return {warning(
      fmt::format("{} uses the sandbox image {}, not {}: it has to be there as well, and is not kept from removal",
                  describe(facts.runtime), used, wanted),
      fmt::format("name {} in {}, then restart the runtime", wanted, runtimeBehind(setup.node.criSocket).configuration))};
}

Observations runtimeConfiguration(const Setup&, const Facts& facts) {
  if (!facts.runtime.outdated) return {};
  return {warning(fmt::format("{} was started before {} was last written", describe(facts.runtime), containerdConfig.string()))};
}

bool isContainerd(const Setup& setup, const Facts& facts) {
  return facts.runtime.name.empty() ? &runtimeBehind(setup.node.criSocket) == &containerd : facts.runtime.name == "containerd";
}

} // namespace kubestrap::phases
