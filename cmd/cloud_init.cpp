#include "cmd/cluster_fleet.hpp"
#include "cmd/commands.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/secret_file.hpp"
#include "config/cloud_init.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

struct CloudInitOptions {
  std::optional<std::string> file, tokenFile, certificateKeyFile;
  std::vector<std::string> caCertHashes;
};

ExitCode run(const CloudInitOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1 || !options.file) throw Error("say for which machine of which file", "kubestrap cluster cloud-init HOST -f cluster.yaml", ExitCode::usage);
  const auto file = readClusterFile(*options.file);
  const auto* host = file.find(arguments.front());
  if (!host) {
    std::vector<std::string> names;
    for (const auto& each : file.inventory.hosts) names.push_back(each.name);
    throw Error(fmt::format("the file has no host {}", arguments.front()), "one of " + join(names, ", "), ExitCode::usage);
  }
  Machine machine(globals().rootfs);
  config::CloudInitWords words{.caCertHashes = options.caCertHashes};
  if (options.tokenFile) words.token = secretFrom(*options.tokenFile, machine);
  if (options.certificateKeyFile) words.certificateKey = secretFrom(*options.certificateKeyFile, machine);
  if (!words.token.empty() && words.caCertHashes.empty())
    throw Error("with a token alone the machine would believe whoever answers", "--discovery-token-ca-cert-hash, as kubestrap token create --print-join-command tells it", ExitCode::usage);
  const auto text = config::cloudInit(file, *host, words);
  if (format(globals()) == Format::text) fmt::print("{}", text);
  else printWord("CloudInit", "userData", text);
  return ExitCode::done;
}

} // namespace

Command cloudInitCommand() {
  const auto options = std::make_shared<CloudInitOptions>();
  return {.name = "cloud-init",
          .summary = "Print cloud-init's user data, with which a machine of the file becomes a node by itself",
          .description = "The user data has the configuration of init or join, and runs it when the machine starts for the first time. kubestrap, the container runtime and the kubelet have to be in "
                         "the machine's image. There are no secrets in it but those that are given here; without a token a machine that joins goes by a kubeconfig /etc/kubestrap/discovery.conf, "
                         "which has to be there.",
          .flags = [options] {
            return std::vector<Flag>{
                {.name = "certificate-key-file", .into = &options->certificateKeyFile, .doc = "Control planes that join: a file with the key of the uploaded certificates", .value = "FILE"},
                {.name = "discovery-token-ca-cert-hash", .into = &options->caCertHashes, .doc = "With a token: the hash of the public key of the cluster's authority", .value = "sha256:HEX"},
                {.name = "file", .into = &options->file, .doc = "The cluster.yaml; - is standard input", .letter = 'f', .value = "FILE"},
                {.name = "token-file", .into = &options->tokenFile, .doc = "A file with the bootstrap token that is put in", .value = "FILE"}};
          },
          .arguments = "HOST",
          .run = [options](const auto& given) { return run(*options, given); }};
}

} // namespace kubestrap::cmd
