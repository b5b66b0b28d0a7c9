#include "host/cri_grpc.hpp"

#include "net/http_curl.hpp"
#include "tests/unit/host/fixture.hpp"

#include <containerd_sandbox.pb.h>
#include <runtime_v1.pb.h>

#include <algorithm>
#include <map>

using namespace kubestrap;
using namespace kubestrap::host;
namespace v1 = ::runtime::v1;

namespace {

/// A runtime that gives canned answers by method.
class CannedRuntime : public net::Transport {
public:
  struct Answer {
    std::string message;
    net::GrpcCode code = net::GrpcCode::ok;
    std::string detail = {};
  };
  std::map<std::string, Answer> answers; ///< "RuntimeService/Version" -> ...
  std::vector<std::string> asked;
  std::map<std::string, std::string> questions; ///< the last message of each method
  bool down = false, slow = false;

  net::Response perform(const net::Request& request) override {
    CHECK(request.unixSocket == "/run/test.sock");
    if (down)
      throw net::TransportError(net::TransportError::Kind::refused, "cannot reach /run/test.sock: connection refused");
    if (slow) throw net::TransportError(net::TransportError::Kind::timeout, "no answer from /run/test.sock");
    auto method = request.url.substr(request.url.find(".v1.") + 4);
    CHECK(std::ranges::find(request.headers, std::pair<std::string, std::string>("containerd-namespace", "k8s.io")) != request.headers.end());
    asked.push_back(method);
    questions[method] = request.body.substr(5);
    auto found = answers.find(method);
    auto answer = found == answers.end() ? Answer{"", net::GrpcCode::unimplemented, "unknown method"} : found->second;
    net::Response response{.status = 200, .headers = {{"content-type", "application/grpc"}}, .body = {}};
    response.headers["grpc-status"] = std::to_string(static_cast<int>(answer.code));
    response.headers["grpc-message"] = answer.detail;
    if (answer.code == net::GrpcCode::ok) response.body = net::grpcFrame(answer.message);
    return response;
  }
  net::Response stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) override {
    auto response = perform(request);
    onData(response.body);
    return response;
  }
  void answer(const std::string& method, const google::protobuf::MessageLite& message) {
    answers[method] = {message.SerializeAsString()};
  }
  void fail(const std::string& method, net::GrpcCode code, const std::string& detail) {
    answers[method] = {"", code, detail};
  }
};

struct Runtime {
  CannedRuntime wire;
  GrpcCri cri{wire, "unix:///run/test.sock"};

  void containerd(bool ready = true, const std::string& number = "2.1.4") {
    v1::VersionResponse version;
    version.set_runtime_name("containerd");
    version.set_runtime_version(number);
    wire.answer("RuntimeService/Version", version);
    v1::StatusResponse status;
    auto* condition = status.mutable_status()->add_conditions();
    condition->set_type("RuntimeReady");
    condition->set_status(ready);
    if (!ready) {
      condition->set_reason("Starting");
      condition->set_message("not yet");
    }
    status.mutable_status()->add_conditions()->set_type("NetworkReady"); // false until a CNI is there: no matter
    (*status.mutable_info())["config"] = R"({"sandboxImage": "registry.k8s.io/pause:3.10.1",
      "containerdRootDir": "/srv/containerd", "enableSelinux": true, "containerd": {"defaultRuntimeName": "runc",
      "runtimes": {"runc": {"options": {"SystemdCgroup": true}}}}})";
    wire.answer("RuntimeService/Status", status);
  }
};

} // namespace

TEST_CASE_FIXTURE(Runtime, "the facts of a runtime that knows RuntimeConfig") {
  containerd();
  v1::RuntimeConfigResponse config;
  config.mutable_linux()->set_cgroup_driver(v1::CGROUPFS);
  wire.answer("RuntimeService/RuntimeConfig", config);
  auto facts = cri.facts();
  CHECK(facts.reachable);
  CHECK(facts.name == "containerd");
  CHECK(facts.version == "2.1.4");
  CHECK(facts.ready);
  CHECK(facts.notReadyReason.empty());
  CHECK(facts.answersRuntimeConfig);
  CHECK(facts.cgroupDriver == "cgroupfs"); // what it answers, whatever its configuration says
  CHECK(facts.rootFolder == "/srv/containerd");
  CHECK(facts.selinux == true);
  CHECK(facts.sandboxImage == "registry.k8s.io/pause:3.10.1");
  config.mutable_linux()->set_cgroup_driver(v1::SYSTEMD); // zero on the wire, yet said
  wire.answer("RuntimeService/RuntimeConfig", config);
  CHECK(cri.facts().cgroupDriver == "systemd");
}

TEST_CASE_FIXTURE(Runtime, "an older runtime does not answer RuntimeConfig, which is no failure, but its configuration tells") {
  containerd();
  auto facts = cri.facts();
  CHECK(facts.reachable);
  CHECK(facts.error.empty());
  CHECK_FALSE(facts.answersRuntimeConfig);
  CHECK(facts.cgroupDriver == "systemd");
}

TEST_CASE_FIXTURE(Runtime, "containerd before 2.0 is not asked for what it does not know") {
  containerd(true, "1.7.28");
  CHECK(cri.facts().cgroupDriver == "systemd");
  CHECK(wire.asked == std::vector<std::string>{"RuntimeService/Version", "RuntimeService/Status"});
}

TEST_CASE_FIXTURE(Runtime, "a runtime that is not ready says why") {
  containerd(false);
  auto facts = cri.facts();
  CHECK_FALSE(facts.ready);
  CHECK(facts.notReadyReason == "Starting: not yet");
}

TEST_CASE_FIXTURE(Runtime, "a runtime that is down is a fact, and is found when it comes up later") {
  containerd();
  wire.down = true;
  auto facts = cri.facts();
  CHECK_FALSE(facts.reachable);
  CHECK(facts.error == "cannot reach /run/test.sock: connection refused");
  CHECK_THROWS_AS(cri.hasImage("a"), Error);
  wire.down = false;
  CHECK(cri.facts().reachable);
}

TEST_CASE_FIXTURE(Runtime, "a pod in the making is in containerd's store and not in the list of pods") {
  CHECK_FALSE(cri.isMakingPods()); // nothing known: a runtime without such a store
  containerd::services::sandbox::v1::StoreListResponse kept;
  for (const auto* id : {"a", "b"}) kept.add_list()->set_sandbox_id(id);
  wire.answer("Store/List", kept);
  v1::ListPodSandboxResponse pods;
  pods.add_items()->set_id("a");
  wire.answer("RuntimeService/ListPodSandbox", pods);
  CHECK(cri.isMakingPods());
  pods.add_items()->set_id("b");
  wire.answer("RuntimeService/ListPodSandbox", pods);
  CHECK_FALSE(cri.isMakingPods());
}

TEST_CASE_FIXTURE(Runtime, "an image is there when the runtime describes it") {
  wire.answer("ImageService/ImageStatus", v1::ImageStatusResponse());
  CHECK_FALSE(cri.hasImage("registry.k8s.io/pause:3.10.1"));
  v1::ImageStatusRequest question;
  REQUIRE(question.ParseFromString(wire.questions["ImageService/ImageStatus"]));
  CHECK(question.image().image() == "registry.k8s.io/pause:3.10.1");
  v1::ImageStatusResponse answer;
  answer.mutable_image()->set_id("sha256:1");
  wire.answer("ImageService/ImageStatus", answer);
  CHECK(cri.hasImage("registry.k8s.io/pause:3.10.1"));
}

TEST_CASE_FIXTURE(Runtime, "a pull that does not end says so, and for how long it was waited for") {
  wire.slow = true;
  CHECK(messageOf([&] { cri.pullImage("registry.k8s.io/slow:1"); }) ==
        "cannot pull registry.k8s.io/slow:1: the runtime is still at it after 15m");
}

TEST_CASE_FIXTURE(Runtime, "a pull that fails tells the runtime's own words") {
  wire.fail("ImageService/PullImage", net::GrpcCode::notFound, "failed to resolve reference: not found");
  CHECK(messageOf([&] { cri.pullImage("registry.k8s.io/nope:1"); }) ==
        "cannot pull registry.k8s.io/nope:1: failed to resolve reference: not found");
}

TEST_CASE_FIXTURE(Runtime, "containers come with their pod, and ended ones with the details of their end") {
  v1::ListContainersResponse list;
  auto* found = list.add_containers();
  found->set_id("c1");
  found->mutable_metadata()->set_name("kube-apiserver");
  found->mutable_metadata()->set_attempt(3);
  found->set_state(v1::CONTAINER_EXITED);
  found->set_created_at(1'795'386'361'000'000'000);
  found->mutable_image()->set_image("sha256:1");
  (*found->mutable_labels())["io.kubernetes.pod.name"] = "kube-apiserver-n1";
  (*found->mutable_labels())["io.kubernetes.pod.namespace"] = "kube-system";
  (*found->mutable_labels())["io.kubernetes.pod.uid"] = "abc";
  wire.answer("RuntimeService/ListContainers", list);
  v1::ContainerStatusResponse status;
  status.mutable_status()->set_state(v1::CONTAINER_EXITED);
  status.mutable_status()->set_exit_code(1);
  status.mutable_status()->set_reason("Error");
  status.mutable_status()->set_message("unknown flag: --nope");
  status.mutable_status()->set_log_path("/var/log/pods/x/kube-apiserver/3.log");
  status.mutable_status()->set_finished_at(1'795'386'362'000'000'000);
  status.mutable_status()->mutable_image()->set_image("sha256:1");
  status.mutable_status()->mutable_image()->set_user_specified_image("registry.k8s.io/kube-apiserver:v1.37.2");
  wire.answer("RuntimeService/ContainerStatus", status);

  auto containers = cri.containers("kube-system");
  v1::ListContainersRequest question;
  REQUIRE(question.ParseFromString(wire.questions["RuntimeService/ListContainers"]));
  CHECK(question.filter().label_selector().at("io.kubernetes.pod.namespace") == "kube-system");
  REQUIRE(containers.size() == 1);
  const auto& one = containers[0];
  CHECK(one.id == "c1");
  CHECK(one.podName == "kube-apiserver-n1");
  CHECK(one.podNamespace == "kube-system");
  CHECK(one.podUid == "abc");
  CHECK(one.name == "kube-apiserver");
  CHECK(one.attempt == 3);
  CHECK(one.image == "registry.k8s.io/kube-apiserver:v1.37.2");
  CHECK(one.state == Container::State::exited);
  CHECK(one.exitCode == 1);
  CHECK(one.reason == "Error");
  CHECK(one.message == "unknown flag: --nope");
  CHECK(one.logPath == "/var/log/pods/x/kube-apiserver/3.log");
  CHECK(one.createdAt == parseRfc3339("2026-11-22T22:26:01Z"));
  CHECK(one.finishedAt == parseRfc3339("2026-11-22T22:26:02Z"));
}

TEST_CASE_FIXTURE(Runtime, "a container that goes between list and question is left out, other failures are told") {
  v1::ListContainersResponse list;
  list.add_containers()->set_id("c1");
  wire.answer("RuntimeService/ListContainers", list);
  wire.fail("RuntimeService/ContainerStatus", net::GrpcCode::notFound, "no such container");
  CHECK(cri.containers("kube-system").empty());
  wire.fail("RuntimeService/ContainerStatus", net::GrpcCode::internal, "broken");
  CHECK_THROWS_AS(cri.containers("kube-system"), net::GrpcError);
}

TEST_CASE_FIXTURE(Runtime, "pods are listed, of one namespace or of all") {
  v1::ListPodSandboxResponse list;
  auto* pod = list.add_items();
  pod->set_id("p1");
  pod->mutable_metadata()->set_name("etcd-n1");
  pod->mutable_metadata()->set_namespace_("kube-system");
  pod->mutable_metadata()->set_uid("u1");
  pod->set_state(v1::SANDBOX_NOTREADY);
  wire.answer("RuntimeService/ListPodSandbox", list);
  auto pods = cri.podSandboxes("");
  CHECK(wire.questions["RuntimeService/ListPodSandbox"].empty());
  REQUIRE(pods.size() == 1);
  CHECK(pods[0].name == "etcd-n1");
  CHECK(pods[0].uid == "u1");
  CHECK_FALSE(pods[0].ready);
  cri.podSandboxes("kube-system");
  v1::ListPodSandboxRequest question;
  REQUIRE(question.ParseFromString(wire.questions["RuntimeService/ListPodSandbox"]));
  CHECK(question.filter().label_selector().at("io.kubernetes.pod.namespace") == "kube-system");
}

TEST_CASE_FIXTURE(Runtime, "a pod is stopped and then removed, and one that is gone is no error") {
  wire.answer("RuntimeService/StopPodSandbox", v1::StopPodSandboxResponse());
  wire.answer("RuntimeService/RemovePodSandbox", v1::RemovePodSandboxResponse());
  cri.stopAndRemovePod("p1");
  CHECK(wire.asked == std::vector<std::string>{"RuntimeService/StopPodSandbox", "RuntimeService/RemovePodSandbox"});
  wire.fail("RuntimeService/RemovePodSandbox", net::GrpcCode::notFound, "gone");
  CHECK_NOTHROW(cri.stopAndRemovePod("p1"));
  wire.fail("RuntimeService/StopPodSandbox", net::GrpcCode::internal, "failed to tear down the network");
  CHECK_THROWS_AS(cri.stopAndRemovePod("p1"), net::GrpcError);
}

TEST_CASE_FIXTURE(Runtime, "an answer that is no message of CRI v1 is an error, not a wrong fact") {
  wire.answers["ImageService/ImageStatus"] = {"\xff\xff\xff"};
  CHECK(messageOf([&] { cri.hasImage("a"); }) ==
        "the container runtime's answer to /runtime.v1.ImageService/ImageStatus is not one of CRI v1");
}

TEST_CASE("a socket is named by URL or path, and nothing else is taken") {
  CHECK(socketPath("unix:///var/run/crio/crio.sock") == "/var/run/crio/crio.sock");
  CHECK(socketPath("/var/run/crio/crio.sock") == "/var/run/crio/crio.sock");
  CHECK(messageOf([] { socketPath("tcp://127.0.0.1:1"); }) ==
        "\"tcp://127.0.0.1:1\" is not a socket of a container runtime");
  CHECK_THROWS_AS(socketPath("unix://relative"), Error);
}

TEST_CASE("a socket where nobody listens is a fact with a reason") {
  net::CurlTransport transport;
  auto facts = GrpcCri(transport, "unix:///nonexistent/kubestrap.sock").facts();
  CHECK_FALSE(facts.reachable);
  CHECK(facts.error.find("/nonexistent/kubestrap.sock") != std::string::npos);
}
