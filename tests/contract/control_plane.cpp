#include "tests/contract/control_plane.hpp"

#include "kube/client.hpp"
#include "net/http_curl.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace kubestrap::contract {

using certs::ExtendedUsage;
using net::tests::Pair;
namespace fs = std::filesystem;

namespace {

int freePort() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  if (bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0) throw Error("no free port");
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  close(socket);
  return ntohs(address.sin_port);
}

std::string lastLines(const fs::path& file) {
  std::ifstream stream(file);
  std::ostringstream all;
  all << stream.rdbuf();
  const std::string text = all.str();
  return text.size() > 1500 ? text.substr(text.size() - 1500) : text;
}

} // namespace

ControlPlane::ControlPlane(const fs::path& components)
    : etcdPort_(freePort()), peerPort_(freePort()), apiPort_(freePort()) {
  std::string pattern = (fs::temp_directory_path() / "kubestrap-contract-XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
  admin_ = authority_.issue({"kubernetes-admin", {"system:masters"}}, ExtendedUsage::clientAuth);
  const certs::AlternativeNames names{.dns = {"kubernetes"}};
  const Pair server = authority_.issue({"kube-apiserver", {}}, ExtendedUsage::serverAuth, names);
  const Pair etcd = authority_.issueForBoth({"etcd", {}}, {.ips = {*IpAddress::parse("127.0.0.1")}});
  const auto accounts = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  const std::string ca = save("ca.crt", authority_.pair().certificate);
  const std::string etcdCertificate = save("etcd.crt", etcd.certificate), etcdKey = save("etcd.key", etcd.key.reveal());
  const std::string serverCertificate = save("server.crt", server.certificate);
  const std::string serverKey = save("server.key", server.key.reveal());
  const std::string accountsKey = save("sa.key", accounts.pem().reveal());
  const std::string accountsPublic = save("sa.pub", accounts.publicPem());

  const std::string peerUrl = fmt::format("http://127.0.0.1:{}", peerPort_);
  start(components / "etcd",
        {"--name=contract", "--data-dir=" + (folder_ / "data").string(), "--listen-client-urls=" + etcdUrl(),
         "--advertise-client-urls=" + etcdUrl(), "--listen-peer-urls=" + peerUrl,
         "--initial-advertise-peer-urls=" + peerUrl, "--initial-cluster=contract=" + peerUrl, "--client-cert-auth",
         "--trusted-ca-file=" + ca, "--cert-file=" + etcdCertificate, "--key-file=" + etcdKey, "--unsafe-no-fsync"});
  start(components / "kube-apiserver",
        {"--etcd-servers=" + etcdUrl(), "--etcd-cafile=" + ca, "--etcd-certfile=" + etcdCertificate,
         "--etcd-keyfile=" + etcdKey, "--bind-address=127.0.0.1", fmt::format("--secure-port={}", apiPort_),
         "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--client-ca-file=" + ca,
         "--tls-cert-file=" + serverCertificate, "--tls-private-key-file=" + serverKey,
         "--service-account-key-file=" + accountsPublic, "--service-account-signing-key-file=" + accountsKey,
         "--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--authorization-mode=Node,RBAC",
         "--service-cluster-ip-range=10.96.0.0/12", "--enable-bootstrap-token-auth=true",
         "--cert-dir=" + (folder_ / "certs").string()});
  try {
    waitUntilReady();
  } catch (const Error& error) {
    const std::string logs = fmt::format("etcd: {}\nkube-apiserver: {}", lastLines(folder_ / "etcd.log"),
                                         lastLines(folder_ / "kube-apiserver.log"));
    stop();
    throw Error(error.message() + "\n" + logs);
  }
}

ControlPlane::~ControlPlane() { stop(); }

void ControlPlane::stop() {
  for (auto process = processes_.rbegin(); process != processes_.rend(); ++process) {
    kill(*process, SIGKILL);
    waitpid(*process, nullptr, 0);
  }
  fs::remove_all(folder_);
}

std::string ControlPlane::save(const std::string& name, const std::string& text) const {
  std::ofstream(folder_ / name) << text;
  return (folder_ / name).string();
}

void ControlPlane::start(const fs::path& program, const std::vector<std::string>& arguments) {
  const std::string path = program.string(), log = (folder_ / program.filename()).string() + ".log";
  std::vector<char*> words{const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t process = fork();
  if (process == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int file = open(log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    dup2(file, 1);
    dup2(file, 2);
    execv(path.c_str(), words.data());
    _exit(127);
  }
  processes_.push_back(process);
}

void ControlPlane::waitUntilReady() {
  net::CurlTransport transport;
  kube::Client client(transport, admin());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(4);
  std::string last;
  while (std::chrono::steady_clock::now() < deadline) {
    for (const pid_t process : processes_)
      if (waitpid(process, nullptr, WNOHANG) == process) throw Error("a component ended");
    try {
      const net::Response response = client.raw("GET", "/readyz");
      if (response.status == 200) return;
      last = response.body;
    } catch (const net::TransportError& error) {
      last = error.message();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw Error("the API server was not ready in four minutes: " + last);
}

std::string ControlPlane::etcdUrl() const { return fmt::format("https://127.0.0.1:{}", etcdPort_); }
std::string ControlPlane::apiUrl() const { return fmt::format("https://127.0.0.1:{}", apiPort_); }

kube::Kubeconfig ControlPlane::as(const Pair& pair) const {
  return {.server = apiUrl(),
          .tlsServerName = "kubernetes",
          .clusterName = "kubernetes",
          .user = "contract",
          .authorities = authority_.pair().certificate,
          .clientCertificate = pair.certificate,
          .clientKey = pair.key};
}

kube::Kubeconfig ControlPlane::admin() const { return as(admin_); }

net::TlsIdentity ControlPlane::etcdIdentity() const {
  return {.authorities = authority_.pair().certificate, .certificate = admin_.certificate, .key = admin_.key};
}

ControlPlane* controlPlane() {
  static std::unique_ptr<ControlPlane> running;
  const char* components = std::getenv("KUBESTRAP_COMPONENTS");
  if (!components || !*components) {
    MESSAGE("skipped: KUBESTRAP_COMPONENTS names no folder with etcd and kube-apiserver");
    return nullptr;
  }
  if (!running) running = std::make_unique<ControlPlane>(components);
  return running.get();
}

} // namespace kubestrap::contract
