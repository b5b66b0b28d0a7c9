// recover: back from what the cluster cannot come back from by itself. Every step can be taken again.
#include "cmd/archive.hpp"
#include "cmd/commands.hpp"
#include "cmd/confirm.hpp"
#include "cmd/etcd_access.hpp"
#include "cmd/etcd_snapshot.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/secret_file.hpp"
#include "cmd/workflow.hpp"

#include "certs/catalogue.hpp"
#include "config/load.hpp"
#include "config/rolling.hpp"
#include "etcd/health.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "phases/node.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace fs = std::filesystem;
namespace paths = config::paths;

struct RecoverOptions {
  std::optional<std::string> snapshot, bundle, passphraseFile, key, certificate, config;
  bool fromMember = false, yes = false;
};

constexpr std::string_view forceNewCluster = "--force-new-cluster=true";
constexpr auto forEtcd = std::chrono::minutes(3), forApi = std::chrono::minutes(5);

void say(const std::string& sentence) { fmt::print(stderr, "{}\n", sentence); }

/// What cannot be taken back is asked for.
void confirm(const std::string& question, const RecoverOptions& options) {
  if (options.yes) return;
  say(question);
  confirmOrEnd();
}

/// etcd's manifest with the flag by which it forgets all other members, or without it.
enum class Alone { yes, no };
Value manifestWith(Value pod, Alone alone) {
  for (auto& container : pod.at("spec").at("containers")) {
    if (stringAt(container, "name") != "etcd") continue;
    Value kept = Value::array();
    for (auto& word : container.at("command"))
      if (!word.get<std::string>().starts_with("--force-new-cluster")) kept.push_back(word);
    if (alone == Alone::yes) kept.push_back(forceNewCluster);
    container["command"] = std::move(kept);
  }
  return pod;
}

/// The one control plane node that there is left.
class Survivor {
public:
  explicit Survivor(Machine& machine) : machine_(machine), local_(localEtcd(machine)), cri_(machine.useRuntime(local_.socket)), reporter_(reporterFor(plan::Mode::apply)) {
    cluster_.pki.folder = local_.authority.parent_path().parent_path();
  }

  const LocalEtcd& local() const { return local_; }

  std::vector<etcd::MemberHealth> members() {
    auto client = connectEtcd(machine_, cluster_, nullptr);
    return etcd::look(client);
  }

  /// Who else there is, where somebody can say.
  std::vector<std::string> others() {
    std::vector<std::string> names;
    try {
      for (const auto& each : members())
        if (each.member.name != local_.name) names.push_back(each.member.name.empty() ? each.member.hexId() : each.member.name);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log::info(1, "{}", error.message());
    }
    return names;
  }

  bool hasQuorum() {
    try {
      const auto found = members();
      const auto voters = std::ranges::count_if(found, [](const auto& each) { return !each.member.learner; });
      const auto well = std::ranges::count_if(found, [](const auto& each) { return !each.member.learner && each.status && each.status->leaderId != 0; });
      return well * 2 > voters;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      return false;
    }
  }

  bool isMarkedAlone() { return machine_.host().read(manifest()).value_or("").find("--force-new-cluster") != std::string::npos; }

  void stop(std::initializer_list<std::string_view> components) {
    enact({plan::Service{.name = "kubelet", .wanted = plan::Wanted::stopped, .restartWhenChanged = {}, .restartWhenIdle = {}}}, "the kubelet is stopped");
    for (const auto& container : cri_.containers("kube-system")) {
      if (std::ranges::find(components, container.name) == components.end()) continue;
      for (const auto& sandbox : cri_.podSandboxes("kube-system"))
        if (sandbox.uid == container.podUid) cri_.stopAndRemovePod(sandbox.id);
    }
  }

  void start() { enact({plan::Service{.name = "kubelet", .restartWhenChanged = {}, .restartWhenIdle = {}}}, "the kubelet is started"); }

  void writeManifest(Alone alone) {
    const auto pod = parseYamlValue(machine_.host().read(manifest()).value_or(""), manifest().string());
    enact({plan::File{.path = manifest(), .content = emitYaml(manifestWith(pod, alone)), .mode = 0600, .folderMode = 0700}},
          alone == Alone::yes ? "etcd begins as the only member" : "etcd's manifest is as it was");
  }

  void putInPlace(const fs::path& restored) {
    auto& host = machine_.host();
    const auto before = local_.dataDir / fmt::format("before-{}", formatRfc3339(machine_.clock().now()));
    if (host.status(local_.dataDir / "member")) {
      host.makeFolder(before, 0700);
      host.rename(local_.dataDir / "member", before / "member");
      say(fmt::format("what etcd had before lies in {}: remove it when all is well", before.string()));
    }
    host.rename(restored / "member", local_.dataDir / "member");
    host.removeTree(restored);
  }

  void awaitEtcd() {
    await("etcd serves with this member alone", forEtcd, [&]() -> std::string {
      const auto found = members();
      if (found.size() != 1) return fmt::format("it has {} members", found.size());
      return found.front().status && found.front().status->leaderId != 0 ? "" : "it sees no leader";
    });
  }

  /// Nodes whose members are gone are no nodes of the cluster any more, an operation that was under way is not, and their API servers are
  /// not led to. `gone`: control plane nodes; nothing: all but this one.
  void cleanUp(const std::optional<std::vector<std::string>>& gone) {
    auto client = awaitApi();
    std::vector<std::string> removed;
    for (const auto& node : client.list("v1", "Node", "", std::string(kube::controlPlaneLabel))) {
      const auto name = stringAt(node, "metadata.name");
      if (name == local_.name || (gone && std::ranges::find(*gone, name) == gone->end())) continue;
      client.mergePatch({"v1", "Node", "", name}, Value::object({{"metadata", {{"annotations", {{manifests::allowUnlabelAnnotation, "true"}}}}}}));
      client.remove({"v1", "Node", "", name});
      removed.push_back(name);
    }
    forget(client, removed);
    abortPlan(client);
    for (const auto& name : removed) say(fmt::format("{} is no node of the cluster any more; on it: kubestrap reset --force, then let it join anew", name));
  }

private:
  config::Path manifest() const { return manifests::manifestPath(manifests::component("etcd")); }

  void enact(const plan::Resources& resources, const std::string& step) {
    auto world = machine_.world();
    plan::enactAll(resources, step, "recover", world, *reporter_);
  }

  template <typename Lack> void await(const std::string& what, Duration patience, Lack lack) {
    const auto began = machine_.clock().now();
    for (std::string missing;;) {
      try {
        missing = lack();
      } catch (const Interrupted&) {
        throw;
      } catch (const Error& error) {
        missing = error.message();
      }
      if (missing.empty()) return say(fmt::format("{} ({})", what, humanDuration(machine_.clock().now() - began)));
      if (machine_.clock().now() - began > patience)
        throw Error(fmt::format("still not after {}: {}: {}", humanDuration(patience), what, missing), "look below /var/log/pods, and at kubestrap status; this command can be run again");
      machine_.clock().sleep(std::chrono::milliseconds(500));
    }
  }

  kube::Client awaitApi() {
    const auto text = machine_.host().read(paths::adminConf);
    if (!text) throw Error(fmt::format("{} is absent", paths::adminConf.string()));
    const auto kubeconfig = kube::parseKubeconfig(*text, paths::adminConf.string());
    kube::Client client(machine_.http(), kubeconfig);
    await("an API server answers", forApi, [&]() -> std::string {
      const auto answer = client.raw("GET", "/readyz");
      return answer.status == 200 ? "" : fmt::format("/readyz says {}", answer.status);
    });
    return client;
  }

  void forget(kube::Client& client, const std::vector<std::string>& nodes) {
    const kube::ObjectKey key{"v1", "ConfigMap", "kube-public", "cluster-info"};
    if (nodes.empty() || !client.get(key)) return;
    Value data = Value::object();
    for (const auto& name : nodes) data[fmt::format("{}{}", config::apiServerNotice, name)] = nullptr;
    client.mergePatch(key, Value::object({{"data", std::move(data)}}));
  }

  void abortPlan(kube::Client& client) {
    const kube::ObjectKey key{"v1", "ConfigMap", "kube-system", std::string(config::planName)};
    const auto plan = client.get(key);
    if (!plan) return;
    const auto state = stringAt(*plan, "data.state");
    if (state != "done" && state != "aborted") client.mergePatch(key, Value::object({{"data", {{"state", "aborted"}}}}));
  }

  Machine& machine_;
  LocalEtcd local_;
  host::Cri& cri_;
  config::Cluster cluster_;
  std::unique_ptr<plan::Reporter> reporter_;
};

ExitCode fromMember(const RecoverOptions& options) {
  Machine machine(globals().rootfs);
  const auto lock = machine.host().lock("recover");
  Survivor node(machine);
  const bool resumed = node.isMarkedAlone();
  if (!resumed && node.hasQuorum()) throw Error("etcd has its quorum: there is nothing to recover", "kubestrap etcd status", ExitCode::refused);
  const auto others = node.others();
  if (!resumed)
    confirm(fmt::format("etcd goes on with the data of {} alone. Its other members ({}) are forgotten: their machines have to be off, or reset, and may "
                        "not come back as they were. What they had and this one had not is lost.",
                        node.local().name, others.empty() ? "not known" : join(others, ", ")),
            options);
  // An API server whose etcd is away lets requests hang, the kubelet's too, which is better refused: then it starts static pods at once.
  node.stop({"etcd", "kube-apiserver"});
  node.writeManifest(Alone::yes);
  node.start();
  node.awaitEtcd();
  // With the flag it would forget every member that joins later, at each of its starts.
  node.stop({"etcd", "kube-apiserver"});
  node.writeManifest(Alone::no);
  node.start();
  node.awaitEtcd();
  node.cleanUp(resumed ? std::nullopt : std::optional(others));
  return ExitCode::done;
}

ExitCode fromSnapshot(const RecoverOptions& options) {
  Machine machine(globals().rootfs);
  const auto lock = machine.host().lock("recover");
  Survivor node(machine);
  const auto facts = checkSnapshot(*options.snapshot, node.local(), machine);
  confirm(fmt::format("etcd begins anew on {} with {} (revision {}, {} keys), and is its only member. All that was written since is lost. All other "
                      "control plane machines have to be off, or reset, and may not come back as they were.",
                      node.local().name, *options.snapshot, facts.revision, facts.keys),
          options);
  const auto restored = node.local().dataDir / "kubestrap-restored";
  machine.host().removeTree(restored);
  restoreSnapshot(*options.snapshot, restored, Revisions::raised, node.local(), machine);
  // No API server may keep a cache of revisions that are no more.
  node.stop({"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"});
  node.putInPlace(restored);
  node.writeManifest(Alone::no);
  node.start();
  node.awaitEtcd();
  node.cleanUp(std::nullopt);
  say("kubelets of workers may have seen more than the cluster knows now: systemctl restart kubelet on each");
  return ExitCode::done;
}

ExitCode recoverEtcd(const RecoverOptions& options) {
  if (options.fromMember == options.snapshot.has_value())
    throw Error("say what etcd shall begin with", "--from-member: this machine's own data; --snapshot FILE: a snapshot", ExitCode::usage);
  return options.fromMember ? fromMember(options) : fromSnapshot(options);
}

// ---- all control planes are lost

certs::Opener openerOf(const RecoverOptions& options, Machine& machine) {
  certs::Opener opener;
  if (options.passphraseFile) {
    opener.passphrase = secretFrom(*options.passphraseFile, machine);
    return opener;
  }
  if (!options.key || !options.certificate) throw Error("say what opens the backup", "--passphrase-file FILE, or --key FILE with --certificate FILE", ExitCode::usage);
  const auto content = [&](const std::string& file) {
    auto text = machine.host().read(fs::absolute(file));
    if (!text) throw Error(fmt::format("there is no file {}", file), {}, ExitCode::usage);
    return *std::move(text);
  };
  opener.certificate = content(*options.certificate);
  opener.key = Secret(content(*options.key));
  return opener;
}

/// What every control plane shares, and what the operator has put beside it. A node's own certificates are made anew.
bool isOfOneNode(const std::string& file) {
  return std::ranges::any_of(certs::catalogue(), [&](const auto& row) {
    return !row.authority() && (file == fmt::format("{}.crt", row.file) || file == fmt::format("{}.key", row.file));
  });
}

void writePki(const Archive& archive, const config::Path& folder, host::Host& host) {
  for (const auto& [name, content] : archive.files) {
    if (!name.starts_with(pkiInArchive)) continue;
    const auto file = name.substr(pkiInArchive.size());
    if (!isOfOneNode(file)) host.write(folder / file, content.reveal(), file.ends_with(".crt") || file.ends_with(".pub") ? 0644 : 0600, 0755);
  }
}

/// The cluster's configuration, with what the operator says of this machine. It begins with static pods: kubestrap pivot goes on from there.
std::vector<Value> documentsOf(const Archive& archive, const RecoverOptions& options, Machine& machine) {
  std::vector<Value> all;
  for (auto& document : parseYaml(archive.files.at(std::string(configurationInArchive)).reveal(), "the backup")) {
    document.value.erase("hosting");
    all.push_back(std::move(document.value));
  }
  if (options.config)
    for (auto& document : machine.readDocuments(*options.config)) all.push_back(std::move(document.value));
  return all;
}

ExitCode recoverCluster(const RecoverOptions& options) {
  if (!options.bundle) throw Error("say which backup the cluster shall be made of", "--bundle FILE", ExitCode::usage);
  Machine machine(globals().rootfs);
  auto& host = machine.host();
  if (host.status(paths::kubeletConf) || host.status(manifests::manifestPath(manifests::component("etcd"))))
    throw Error("this machine is a node already", "kubestrap reset makes it a bare machine; if etcd alone is the trouble: kubestrap recover etcd", ExitCode::refused);
  const auto archive = openArchive(*options.bundle, openerOf(options, machine));
  const auto& manifest = archive.manifest;
  confirm(fmt::format("{} {} of {} is made anew on this machine, as it was at {}. All that was written since is lost. All former control plane machines "
                      "have to be off, or reset, and may not come back as they were.",
                      stringAt(manifest, "cluster"), stringAt(manifest, "version"), stringAt(manifest, "node"), stringAt(manifest, "time")),
          options);
  const auto configuration = paths::state / "recovered.yaml";
  host.write(configuration, emitYamlStream(documentsOf(archive, options, machine)), 0600, 0700);
  const auto facts = host.facts({.depth = host::Host::Questions::Depth::defaults});
  std::vector<std::string> warnings;
  const auto setup = config::loadInit(machine.readDocuments(configuration.string()), {}, facts, machine.random(), warnings);
  writePki(archive, setup.cluster.pki.folder, host);
  auto& cri = machine.useRuntime(setup.node.criSocket);
  if (!cri.hasImage(setup.cluster.images.etcd)) cri.pullImage(setup.cluster.images.etcd);
  const LocalEtcd etcd{.name = setup.node.name,
                       .peerUrl = fmt::format("https://{}:2380", setup.node.advertiseAddress.inUrl()),
                       .image = setup.cluster.images.etcd,
                       .dataDir = setup.cluster.etcd.local.dataDir,
                       .authority = setup.cluster.pki.folder / "etcd/ca.crt",
                       .socket = setup.node.criSocket};
  const ScratchSnapshot snapshot{paths::state / "recovered-snapshot.db"};
  host.write(snapshot.path, archive.files.at(std::string(snapshotInArchive)).reveal(), 0600, 0700);
  host.removeTree(etcd.dataDir / "member");
  const auto restored = etcd.dataDir / "kubestrap-restored";
  host.removeTree(restored);
  restoreSnapshot(snapshot.path, restored, Revisions::raised, etcd, machine);
  host.rename(restored / "member", etcd.dataDir / "member");
  host.removeTree(restored);
  if (const auto ended = initFrom(configuration.string(), {"DirAvailable--var-lib-etcd"}); ended != ExitCode::done) return ended;
  const auto lock = host.lock("recover");
  Survivor(machine).cleanUp(std::nullopt);
  if (setup.cluster.kubestrap.layout == config::Layout::hosted) say("when all nodes are back: kubestrap pivot");
  return ExitCode::done;
}

} // namespace

Command recoverCommand() {
  const auto options = std::make_shared<RecoverOptions>();
  const auto etcdFlags = [options] {
    return std::vector<Flag>{{.name = "from-member", .into = &options->fromMember, .doc = "Go on with the data of this machine's member alone: the quorum is lost for good"},
                             {.name = "snapshot", .into = &options->snapshot, .doc = "Begin with a snapshot: the data is lost or wrong", .value = "FILE"},
                             {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
  };
  const auto clusterFlags = [options] {
    return std::vector<Flag>{{.name = "bundle", .into = &options->bundle, .doc = "What kubestrap backup has written", .value = "FILE"},
                             {.name = "certificate", .into = &options->certificate, .doc = "With --key: the certificate that it was encrypted for", .value = "FILE"},
                             {.name = "config", .into = &options->config, .doc = "An InitConfiguration for this machine: its name, its address", .value = "FILE"},
                             {.name = "key", .into = &options->key, .doc = "The key that opens it", .value = "FILE"},
                             {.name = "passphrase-file", .into = &options->passphraseFile, .doc = "A file with the passphrase that opens it; - is standard input", .value = "FILE"},
                             {.name = "yes", .into = &options->yes, .doc = "Do not ask", .letter = 'y'}};
  };
  return {.name = "recover",
          .summary = "Bring back what the cluster cannot bring back by itself",
          .children = {{.name = "etcd",
                        .summary = "Let etcd go on with one member, or begin with a snapshot",
                        .description = "Lets etcd go on with this machine's member alone, when more than half of its members are lost for good, or begin anew with a "
                                       "snapshot. It stops the kubelet of this machine for a moment, waits until etcd and an API server serve, and takes the other control "
                                       "plane nodes out of the cluster, which join anew afterwards. It asks first, and can be run again wherever it was stopped.",
                        .flags = etcdFlags,
                        .run = [options](const auto&) { return recoverEtcd(*options); }},
                       {.name = "cluster",
                        .summary = "Make the cluster anew of a backup, on a bare machine",
                        .description = "Makes this bare machine the first control plane of the cluster that a backup was made of: with its authorities, its configuration and "
                                       "its data. The other nodes' objects of control planes are removed; workers whose control planes are reached under the same name come back "
                                       "by themselves, others join anew.",
                        .flags = clusterFlags,
                        .run = [options](const auto&) { return recoverCluster(*options); }}}};
}

} // namespace kubestrap::cmd
