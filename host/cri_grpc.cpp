#include "host/cri_grpc.hpp"

#include "support/value.hpp"

#include <fmt/format.h>
#include <containerd_sandbox.pb.h>
#include <runtime_v1.pb.h>

#include <algorithm>

namespace kubestrap::host {

namespace {

namespace v1 = ::runtime::v1;

constexpr auto namespaceLabel = "io.kubernetes.pod.namespace";
/// A pod's containers get their grace period from the kubelet's last word, at most the runtime's own limit; kubeadm
/// waits as long for the stop of one pod (util/runtime/runtime.go tries five times).
constexpr auto stopPatience = std::chrono::minutes(2);

template <typename Answer, typename Question>
Answer ask(net::GrpcClient& client, std::string_view method, const Question& question,
           Duration patience = std::chrono::seconds(10)) {
  Answer answer;
  if (auto bytes = client.unary(method, question.SerializeAsString(), patience); !answer.ParseFromString(bytes))
    throw Error(fmt::format("the container runtime's answer to {} is not one of CRI v1", method));
  return answer;
}

TimePoint timeOf(std::int64_t nanoseconds) { return TimePoint(std::chrono::nanoseconds(nanoseconds)); }

std::string labelOf(const v1::Container& container, const std::string& name) {
  auto found = container.labels().find("io.kubernetes.pod." + name);
  return found == container.labels().end() ? "" : found->second;
}

std::string nameOf(const v1::ImageSpec& image) {
  return image.user_specified_image().empty() ? image.image() : image.user_specified_image();
}

Container::State stateOf(v1::ContainerState state) {
  switch (state) {
  case v1::CONTAINER_CREATED: return Container::State::created;
  case v1::CONTAINER_RUNNING: return Container::State::running;
  case v1::CONTAINER_EXITED: return Container::State::exited;
  default: return Container::State::unknown;
  }
}

Container listed(const v1::Container& found) {
  return {.id = found.id(),
          .podUid = labelOf(found, "uid"),
          .podName = labelOf(found, "name"),
          .podNamespace = labelOf(found, "namespace"),
          .name = found.metadata().name(),
          .image = nameOf(found.image()),
          .state = stateOf(found.state()),
          .attempt = found.metadata().attempt(),
          .createdAt = timeOf(found.created_at())};
}

void addStatus(Container& container, const v1::ContainerStatus& status) {
  container.state = stateOf(status.state());
  container.exitCode = status.exit_code();
  container.reason = status.reason();
  container.message = status.message();
  container.logPath = status.log_path();
  container.finishedAt = timeOf(status.finished_at());
  if (auto name = nameOf(status.image()); !name.empty()) container.image = name;
}

/// containerd and CRI-O put their configuration as JSON into the verbose status (kubeadm reads the same:
/// util/runtime/runtime.go).
void addConfiguration(config::RuntimeFacts& facts, const v1::StatusResponse& status) {
  auto config = status.info().find("config");
  if (config == status.info().end()) return;
  auto document = Value::parse(config->second, nullptr, false);
  if (!document.is_object()) return;
  facts.sandboxImage = stringAt(document, "sandboxImage");
  facts.rootFolder = stringAt(document, "containerdRootDir");
  if (const auto* labels = find(document, "enableSelinux"); labels && labels->is_boolean()) facts.selinux = *labels == true;
  // Until containerd 2.0 there is no RuntimeConfig to ask; what it will do stands in its configuration all the same.
  const auto* containerd = find(document, "containerd");
  if (facts.name != "containerd" || !containerd) return;
  const auto* runtime = find(*containerd, "runtimes." + stringAt(*containerd, "defaultRuntimeName", "runc"));
  if (!runtime) return;
  const auto* driver = find(*runtime, "options.SystemdCgroup");
  facts.cgroupDriver = driver && *driver == true ? "systemd" : "cgroupfs";
}

/// Whether the runtime is known to lack RuntimeConfig. It is then not asked: a server of grpc-go resets the stream of
/// an unknown method while the question is still on its way, and libcurl 7.88 may lose the answer over it (seen in 4 of
/// 10 calls).
bool lacksRuntimeConfig(const v1::VersionResponse& version) {
  const auto& number = version.runtime_version();
  return version.runtime_name() == "containerd" && (number.starts_with("1.") || number.starts_with("v1."));
}

/// Nothing when the runtime does not know the call.
std::optional<std::string> cgroupDriverOf(net::GrpcClient& client) {
  try {
    auto answer =
        ask<v1::RuntimeConfigResponse>(client, "/runtime.v1.RuntimeService/RuntimeConfig", v1::RuntimeConfigRequest());
    if (!answer.has_linux()) return {};
    return answer.linux().cgroup_driver() == v1::CGROUPFS ? "cgroupfs" : "systemd";
  } catch (const net::GrpcError& error) {
    if (error.code() == net::GrpcCode::unimplemented) return {};
    throw;
  }
}

} // namespace

std::string socketPath(const std::string& endpoint) {
  constexpr std::string_view scheme = "unix://";
  auto path = endpoint.starts_with(scheme) ? endpoint.substr(scheme.size()) : endpoint;
  if (!path.starts_with('/'))
    throw Error(fmt::format("\"{}\" is not a socket of a container runtime", endpoint),
                "give it as unix:///var/run/containerd/containerd.sock", ExitCode::usage);
  return path;
}

GrpcCri::GrpcCri(net::Transport& transport, const std::string& endpoint)
    : socket_(socketPath(endpoint)), client_(transport, {.url = "http://localhost", .unixSocket = socket_, .tls = {}, .metadata = {{"containerd-namespace", "k8s.io"}}}) {
}

config::RuntimeFacts GrpcCri::facts() {
  config::RuntimeFacts facts;
  try {
    auto version = ask<v1::VersionResponse>(client_, "/runtime.v1.RuntimeService/Version", v1::VersionRequest());
    facts.name = version.runtime_name();
    facts.version = version.runtime_version();
    v1::StatusRequest verbosely;
    verbosely.set_verbose(true);
    auto status = ask<v1::StatusResponse>(client_, "/runtime.v1.RuntimeService/Status", verbosely);
    facts.reachable = true;
    facts.notReadyReason = "it does not say whether it is ready";
    for (const auto& condition : status.status().conditions()) {
      if (condition.type() != "RuntimeReady") continue;
      facts.ready = condition.status();
      facts.notReadyReason = facts.ready ? "" : fmt::format("{}: {}", condition.reason(), condition.message());
    }
    addConfiguration(facts, status);
    if (lacksRuntimeConfig(version)) return facts;
    if (auto driver = cgroupDriverOf(client_)) {
      facts.cgroupDriver = std::move(driver);
      facts.answersRuntimeConfig = true;
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    facts.error = error.message();
  }
  return facts;
}

bool GrpcCri::hasImage(const std::string& reference) {
  v1::ImageStatusRequest question;
  question.mutable_image()->set_image(reference);
  return ask<v1::ImageStatusResponse>(client_, "/runtime.v1.ImageService/ImageStatus", question).has_image();
}

void GrpcCri::pullImage(const std::string& reference) {
  constexpr auto* remedy = "check the image's name and the way to its registry, or import it into the runtime beforehand";
  v1::PullImageRequest question;
  question.mutable_image()->set_image(reference);
  try {
    ask<v1::PullImageResponse>(client_, "/runtime.v1.ImageService/PullImage", question, pullPatience);
  } catch (const net::GrpcError& error) {
    throw Error(fmt::format("cannot pull {}: {}", reference, error.detail()), remedy);
  } catch (const net::TransportError& error) {
    if (error.kind() != net::TransportError::Kind::timeout) throw;
    throw Error(fmt::format("cannot pull {}: the runtime is still at it after {}", reference, humanDuration(pullPatience)), remedy);
  }
}

std::vector<Container> GrpcCri::containers(const std::string& podNamespace) {
  v1::ListContainersRequest question;
  (*question.mutable_filter()->mutable_label_selector())[namespaceLabel] = podNamespace;
  auto list = ask<v1::ListContainersResponse>(client_, "/runtime.v1.RuntimeService/ListContainers", question);
  std::vector<Container> result;
  for (const auto& found : list.containers()) {
    auto container = listed(found);
    v1::ContainerStatusRequest details;
    details.set_container_id(found.id());
    try {
      auto answer = ask<v1::ContainerStatusResponse>(client_, "/runtime.v1.RuntimeService/ContainerStatus", details);
      addStatus(container, answer.status());
    } catch (const net::GrpcError& error) {
      if (error.code() == net::GrpcCode::notFound) continue; // removed since it was listed
      throw;
    }
    result.push_back(std::move(container));
  }
  return result;
}

std::vector<PodSandbox> GrpcCri::podSandboxes(const std::string& podNamespace) {
  v1::ListPodSandboxRequest question;
  if (!podNamespace.empty()) (*question.mutable_filter()->mutable_label_selector())[namespaceLabel] = podNamespace;
  auto list = ask<v1::ListPodSandboxResponse>(client_, "/runtime.v1.RuntimeService/ListPodSandbox", question);
  std::vector<PodSandbox> result;
  for (const auto& found : list.items())
    result.push_back({.id = found.id(),
                      .uid = found.metadata().uid(),
                      .name = found.metadata().name(),
                      .podNamespace = found.metadata().namespace_(),
                      .ready = found.state() == v1::SANDBOX_READY,
                      .attempt = found.metadata().attempt(),
                      .createdAt = timeOf(found.created_at()),
                      .ofKubelet = found.labels().contains("io.kubernetes.pod.uid")});
  return result;
}

/// containerd keeps an entry in its own store from the beginning of RunPodSandbox, and lists the pod when that has ended; also when who asked
/// is gone, as a pod of unknown state (containerd: internal/cri/server/sandbox_run.go). CRI-O and containerd before 1.7 have no such store.
bool GrpcCri::isMakingPods() {
  namespace store = containerd::services::sandbox::v1;
  try {
    const auto kept = ask<store::StoreListResponse>(client_, "/containerd.services.sandbox.v1.Store/List", store::StoreListRequest());
    const auto pods = podSandboxes("");
    return std::ranges::any_of(kept.list(), [&](const auto& each) { return std::ranges::find(pods, each.sandbox_id(), &PodSandbox::id) == pods.end(); });
  } catch (const net::GrpcError&) {
    return false;
  }
}

void GrpcCri::stopContainer(const std::string& id, Duration grace) {
  v1::StopContainerRequest stop;
  stop.set_container_id(id);
  stop.set_timeout(std::chrono::ceil<std::chrono::seconds>(grace).count());
  try {
    ask<v1::StopContainerResponse>(client_, "/runtime.v1.RuntimeService/StopContainer", stop, grace + stopPatience);
  } catch (const net::GrpcError& error) {
    if (error.code() != net::GrpcCode::notFound) throw;
  }
}

void GrpcCri::stopAndRemovePod(const std::string& id) {
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(id);
  v1::RemovePodSandboxRequest removal;
  removal.set_pod_sandbox_id(id);
  try {
    ask<v1::StopPodSandboxResponse>(client_, "/runtime.v1.RuntimeService/StopPodSandbox", stop, stopPatience);
    ask<v1::RemovePodSandboxResponse>(client_, "/runtime.v1.RuntimeService/RemovePodSandbox", removal, stopPatience);
  } catch (const net::GrpcError& error) {
    if (error.code() != net::GrpcCode::notFound) throw;
  }
}

} // namespace kubestrap::host
