// backup: one encrypted archive with all that a control plane is made of, which is known to be good.
#include "cmd/archive.hpp"
#include "cmd/commands.hpp"
#include "cmd/etcd_access.hpp"
#include "cmd/etcd_snapshot.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/secret_file.hpp"

#include "config/store.hpp"
#include "etcd/health.hpp"
#include "manifests/components.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace fs = std::filesystem;
namespace paths = config::paths;

struct BackupOptions {
  std::optional<std::string> passphraseFile, kubeconfig;
  std::vector<std::string> recipients;
};

certs::Recipients recipientsOf(const BackupOptions& options, Machine& machine) {
  certs::Recipients recipients;
  if (options.passphraseFile) {
    recipients.passphrase = secretFrom(*options.passphraseFile, machine);
    if (recipients.passphrase->reveal().size() < 12) throw Error("the passphrase is too short to guard every Secret of the cluster", "twelve characters at least", ExitCode::usage);
  }
  for (const auto& file : options.recipients) {
    const auto pem = machine.host().read(fs::absolute(file));
    if (!pem) throw Error(fmt::format("there is no file {}", file), {}, ExitCode::usage);
    recipients.certificates.push_back(*pem);
  }
  if (!recipients.passphrase && recipients.certificates.empty())
    throw Error("say who shall be able to open the backup", "--passphrase-file FILE, or --recipient CERTIFICATE", ExitCode::usage);
  return recipients;
}

/// All files below a folder, by the name that they get in the archive; links are not followed.
void collect(host::Host& host, const fs::path& folder, const std::string& prefix, std::map<std::string, fs::path>& files) {
  for (const auto& name : host.list(folder)) {
    const auto status = host.status(folder / name);
    if (!status) continue;
    if (status->type == host::FileStatus::Type::folder) collect(host, folder / name, prefix + name + "/", files);
    if (status->type == host::FileStatus::Type::file) files[prefix + name] = folder / name;
  }
}

std::vector<Value> documentsOf(const config::Cluster& cluster) {
  auto documents = config::storedDocuments(cluster);
  for (const auto& component : {config::kubeletConfigDocument(cluster), config::kubeProxyDocument(cluster)}) documents.push_back(sorted(component));
  return documents;
}

ExitCode runBackup(const BackupOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("say where the backup shall be", "kubestrap backup FILE --passphrase-file ...", ExitCode::usage);
  const auto& target = arguments.front();
  Machine machine(globals().rootfs);
  const auto recipients = recipientsOf(options, machine);
  const auto lock = machine.host().lock("backup");
  const auto own = ownCluster({}, options.kubeconfig, machine);
  if (!own.known) throw Error("the cluster's configuration cannot be read", "kubestrap status says what is wrong");
  if (!own.cluster.etcd.isLocal()) throw Error("etcd is kept elsewhere: it has to be backed up there", {}, ExitCode::refused);
  const auto local = localEtcd(machine);
  auto etcd = connectEtcd(machine, own.cluster, nullptr);

  machine.host().makeFolder(paths::state, 0700);
  const ScratchSnapshot snapshot{paths::state / "backup-snapshot.db"};
  saveSnapshot(etcd, etcd.endpoints().front(), snapshot.path);
  const auto facts = checkSnapshot(snapshot.path, local, machine);
  const auto keys = proveSnapshot(snapshot.path, local, machine);

  std::map<std::string, fs::path> files{{std::string(snapshotInArchive), snapshot.path}};
  collect(machine.host(), own.cluster.pki.folder, std::string(pkiInArchive), files);
  collect(machine.host(), paths::manifests, "manifests/", files);
  collect(machine.host(), paths::nodeState.parent_path(), "node/", files);
  const std::map<std::string, std::string> texts{
      {std::string(configurationInArchive), emitYamlStream(documentsOf(own.cluster))}};
  auto manifest = result("Backup");
  manifest["cluster"] = own.cluster.name;
  manifest["version"] = own.cluster.version.tag();
  manifest["node"] = local.name;
  manifest["time"] = formatRfc3339(machine.clock().now());
  manifest["etcd"] = {{"revision", facts.revision}, {"keys", facts.keys}, {"kubernetesKeys", keys}, {"size", facts.size}, {"image", local.image}};
  writeArchive(target, recipients, manifest, files, texts, machine);

  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("BackupResult");
    document["file"] = target;
    document["manifest"] = manifest;
    printResult(document, as);
  } else {
    fmt::print(stderr, "{}: revision {}, {} keys of Kubernetes, seen in an etcd that began with them; {} files besides\n", target, facts.revision, keys, files.size() - 1);
  }
  return ExitCode::done;
}

} // namespace

Command backupCommand() {
  const auto options = std::make_shared<BackupOptions>();
  return {.name = "backup",
          .summary = "Write all that the control plane is made of into one encrypted archive",
          .description = "Writes a snapshot of etcd, the PKI, the cluster's configuration, the static pods and what stands by into one archive, encrypted as a whole "
                         "for a passphrase or for certificates: CMS with AES-256-GCM around tar, which openssl cms -decrypt opens. It ends well only when an etcd "
                         "has begun with the snapshot in a scratch folder. kubestrap recover cluster makes a cluster of it.",
          .flags = [options] {
            return std::vector<Flag>{
                kubeconfigFlag(options->kubeconfig),
                {.name = "passphrase-file", .into = &options->passphraseFile, .doc = "A file with a passphrase that opens it; - is standard input", .value = "FILE"},
                {.name = "recipient", .into = &options->recipients, .doc = "A certificate (RSA or ECDSA, in PEM) whose key opens it; several may be given", .value = "FILE"}};
          },
          .arguments = "FILE",
          .run = [options](const auto& given) { return runBackup(*options, given); }};
}

} // namespace kubestrap::cmd
