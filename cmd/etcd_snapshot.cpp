// Snapshots of etcd. They are made by etcd's API, and read by etcd's own tool, which is in etcd's image: the format of its write-ahead log is
// its own affair, and changes with its versions.
#include "cmd/etcd_snapshot.hpp"

#include "cmd/own_cluster.hpp"
#include "host/file_writer.hpp"
#include "manifests/components.hpp"
#include "manifests/flags.hpp"
#include "support/digest.hpp"
#include "support/log.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

namespace fs = std::filesystem;
using host::ImageProgram;
using Access = ImageProgram::Mount::Access;

constexpr std::size_t digestSize = 32;
constexpr auto scratchClient = "https://127.0.0.1:23790", scratchPeer = "http://127.0.0.1:23800";
const fs::path tools = "/usr/local/bin"; ///< of etcd's image
const fs::path in = "/snapshot", out = "/restored", pki = "/pki";

ImageProgram etcdutl(const LocalEtcd& etcd, const fs::path& snapshot, std::vector<std::string> words) {
  ImageProgram program{.socket = etcd.socket, .image = etcd.image, .name = "kubestrap-etcdutl", .mounts = {{.from = fs::absolute(snapshot).parent_path(), .to = in}}, .command = {tools / "etcdutl"}};
  for (auto& word : words) program.command.push_back(std::move(word));
  return program;
}

std::string inside(const fs::path& snapshot) { return in / snapshot.filename(); }

/// Passes bytes on, but for the last ones, which are etcd's digest of all before.
class DigestAtEnd {
public:
  void add(std::string_view bytes, host::FileWriter& file) {
    file.write(bytes);
    size_ += bytes.size();
    tail_ += bytes;
    if (tail_.size() <= digestSize) return;
    sha_.add(std::string_view(tail_).substr(0, tail_.size() - digestSize));
    tail_.erase(0, tail_.size() - digestSize);
  }
  bool fits() { return size_ > digestSize && sha_.digest() == tail_; }

private:
  Sha256 sha_;
  std::string tail_;
  std::uint64_t size_ = 0;
};

/// An etcd of its own beside the one that serves, with the same certificates, until it goes.
class ScratchEtcd {
public:
  ScratchEtcd(const fs::path& folder, const LocalEtcd& etcd, Machine& machine) : machine_(machine) {
    program_ = {.socket = etcd.socket, .image = etcd.image, .name = "kubestrap-scratch-etcd",
                .mounts = {{.from = folder, .to = out, .access = Access::write}, {.from = etcd.authority.parent_path(), .to = pki}},
                .command = {tools / "etcd", "--name=" + etcd.name, fmt::format("--data-dir={}", (out / "data").string()), fmt::format("--listen-client-urls={}", scratchClient),
                            fmt::format("--advertise-client-urls={}", scratchClient), fmt::format("--listen-peer-urls={}", scratchPeer), "--client-cert-auth=true",
                            "--trusted-ca-file=/pki/ca.crt", "--cert-file=/pki/server.crt", "--key-file=/pki/server.key", "--log-level=error"},
                .network = ImageProgram::Network::machine};
    host::startInImage(program_, machine.host());
  }
  ScratchEtcd(const ScratchEtcd&) = delete;
  ~ScratchEtcd() {
    try {
      host::endInImage(program_, machine_.host());
    } catch (const Error& error) {
      log::warn(error.message());
    }
  }

private:
  Machine& machine_;
  ImageProgram program_;
};

etcd::Identity identityOf(const LocalEtcd& etcd, host::Host& host) {
  const auto folder = etcd.authority.parent_path();
  const auto content = [&](const char* name) { return host.read(folder / name).value_or(""); };
  return {.authorities = content("ca.crt"), .certificate = content("healthcheck-client.crt"), .key = Secret(content("healthcheck-client.key"))};
}

std::int64_t countWhenItAnswers(const LocalEtcd& etcd, Machine& machine) {
  constexpr auto patience = std::chrono::seconds(60);
  etcd::Client client(machine.http(), {scratchClient}, identityOf(etcd, machine.host()));
  const auto began = machine.clock().now();
  for (;;) {
    try {
      return client.count("/registry/");
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (machine.clock().now() - began > patience) throw Error(fmt::format("an etcd that begins with the snapshot does not answer: {}", error.message()));
      machine.clock().sleep(std::chrono::milliseconds(300));
    }
  }
}

} // namespace

LocalEtcd localEtcd(Machine& machine) {
  const auto& component = manifests::component("etcd");
  const auto path = manifests::manifestPath(component);
  const auto text = machine.host().read(path);
  if (!text) throw Error(fmt::format("{} is absent: this machine has no member of etcd", path.string()), "run this on a control plane node that has one");
  const auto pod = parseYamlValue(*text, path.string());
  LocalEtcd etcd;
  if (const auto* container = manifests::containerOf(pod, component.name)) {
    const auto command = container->at("command").get<std::vector<std::string>>();
    etcd = {.name = manifests::flagOf(command, "name"), .peerUrl = manifests::flagOf(command, "initial-advertise-peer-urls"), .image = stringAt(*container, "image"),
            .dataDir = manifests::flagOf(command, "data-dir"), .authority = manifests::flagOf(command, "trusted-ca-file"), .socket = {}};
  }
  if (etcd.name.empty() || etcd.peerUrl.empty() || etcd.dataDir.empty()) throw Error(fmt::format("{} does not say name, address and folder of the member", path.string()));
  const auto facts = machine.host().facts({.depth = host::Host::Questions::Depth::defaults});
  etcd.socket = foundSocket(facts);
  return etcd;
}

void saveSnapshot(etcd::Client& client, const std::string& endpoint, const fs::path& file) {
  host::FileWriter writer(fs::absolute(file));
  DigestAtEnd digest;
  client.snapshot(endpoint, [&](std::string_view bytes, std::uint64_t) { digest.add(bytes, writer); });
  if (!digest.fits()) throw Error(fmt::format("what {} sent as a snapshot is cut off or damaged", endpoint), "try again, or ask another member");
  writer.commit();
}

SnapshotFacts checkSnapshot(const fs::path& file, const LocalEtcd& etcd, Machine& machine) {
  if (!fs::exists(file)) throw Error(fmt::format("there is no file {}", file.string()), {}, ExitCode::usage);
  const auto said = host::runInImage(etcdutl(etcd, file, {"snapshot", "status", inside(file), "--write-out=json"}), machine.host());
  const auto status = parseJson(said, "etcdutl");
  return {.revision = status.value("revision", std::int64_t{0}), .keys = status.value("totalKey", std::int64_t{0}), .size = status.value("totalSize", std::int64_t{0})};
}

void restoreSnapshot(const fs::path& file, const fs::path& folder, Revisions revisions, const LocalEtcd& etcd, Machine& machine) {
  const auto target = fs::absolute(folder);
  std::error_code none;
  if (fs::exists(target, none) && !fs::is_empty(target, none))
    throw Error(fmt::format("{} is there, and not empty", target.string()), "name a folder that is not there yet", ExitCode::usage);
  machine.host().makeFolder(target.parent_path(), 0700);
  std::vector<std::string> words{"snapshot", "restore", inside(file), fmt::format("--data-dir={}", (out / target.filename()).string()), "--name=" + etcd.name,
                                 fmt::format("--initial-cluster={}={}", etcd.name, etcd.peerUrl), "--initial-advertise-peer-urls=" + etcd.peerUrl,
                                 fmt::format("--initial-cluster-token=kubestrap-{}", formatRfc3339(machine.clock().now()))};
  if (revisions == Revisions::raised) words.insert(words.end(), {"--bump-revision=1000000000", "--mark-compacted"});
  auto program = etcdutl(etcd, file, std::move(words));
  program.mounts.push_back({.from = target.parent_path(), .to = out, .access = Access::write});
  host::runInImage(program, machine.host());
}

std::int64_t proveSnapshot(const fs::path& file, const LocalEtcd& etcd, Machine& machine) {
  const auto scratch = config::paths::state / "scratch-etcd";
  auto& host = machine.host();
  host.removeTree(scratch);
  host.makeFolder(scratch, 0700);
  auto own = etcd;
  own.peerUrl = scratchPeer;
  restoreSnapshot(file, scratch / "data", Revisions::asTheyWere, own, machine);
  std::int64_t keys = 0;
  {
    const ScratchEtcd running(scratch, own, machine);
    keys = countWhenItAnswers(own, machine);
  }
  host.removeTree(scratch);
  if (keys == 0) throw Error("the snapshot was restored, and holds nothing of Kubernetes");
  return keys;
}

} // namespace kubestrap::cmd
