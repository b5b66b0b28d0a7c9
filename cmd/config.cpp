#include "cmd/commands.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"

#include "config/defaults.hpp"
#include "config/kinds.hpp"
#include "config/load.hpp"
#include "config/migrate.hpp"
#include "manifests/components.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

struct ConfigOptions {
  std::string oldConfig;
  std::optional<std::string> newConfig;
  bool allowDeprecated = false, allowExperimental = false;
  config::InitFlags flags;
  std::optional<std::string> criSocket;
  std::optional<std::vector<std::string>> componentConfigs;
};

ExitCode print(const std::vector<Value>& documents) {
  printDocuments(documents, format(globals()));
  return ExitCode::done;
}

ExitCode printInitDefaults(const ConfigOptions& options) {
  auto documents = config::initDefaults();
  for (const auto& wanted : options.componentConfigs.value_or(std::vector<std::string>{})) {
    bool known = false;
    for (auto& component : config::componentDefaults()) {
      if (stringAt(component, "kind") != wanted) continue;
      documents.push_back(std::move(component));
      known = true;
    }
    if (!known)
      throw Error(fmt::format("--component-configs: there is no {}", wanted), "KubeletConfiguration, KubeProxyConfiguration", ExitCode::usage);
  }
  return print(documents);
}

config::Experimental experimental(const ConfigOptions& options) {
  return options.allowExperimental ? config::Experimental::accept : config::Experimental::refuse;
}

ExitCode validate(const ConfigOptions& options) {
  if (!options.flags.configFile) throw Error("no file was named", "kubestrap config validate --config FILE", ExitCode::usage);
  Machine machine(globals().rootfs);
  auto documents = machine.readDocuments(*options.flags.configFile);
  std::vector<std::string> warnings;
  std::vector<Problem> problems;
  if (options.allowDeprecated || options.allowExperimental) {
    const auto isOld = [](const Document& document) { return stringAt(document.value, "apiVersion") == config::v1beta3; };
    if (options.allowDeprecated || std::ranges::none_of(documents, isOld))
      documents = config::migrate(documents, experimental(options), problems, warnings);
  }
  for (auto& problem : config::validateDocuments(documents, warnings)) problems.push_back(std::move(problem));
  const auto as = format(globals());
  if (as != Format::text) {
    auto document = result("ConfigValidation");
    document["valid"] = problems.empty();
    document["warnings"] = warnings;
    document["problems"] = Value::array();
    for (const auto& problem : problems)
      document["problems"].push_back({{"where", problem.where}, {"field", problem.field}, {"message", problem.message},
                                      {"expected", problem.expected}});
    printResult(document, as);
    return problems.empty() ? ExitCode::done : ExitCode::usage;
  }
  for (const auto& warning : warnings) log::warn(warning);
  if (!problems.empty()) throw Problems(std::move(problems));
  fmt::print("ok\n");
  return ExitCode::done;
}

/// `config` takes --kubeconfig before and after its commands, as kubeadm does.
std::vector<Flag> configFlags() { return withoutEffect({"kubeconfig"}); }

std::vector<Flag> with(std::vector<Flag> flags, std::vector<Flag> more) {
  for (auto& flag : more) flags.push_back(std::move(flag));
  return flags;
}

std::vector<Flag> fileFlag(ConfigOptions& options) {
  return with(configFlags(), {{.name = "config", .into = &options.flags.configFile, .doc = "The file; - is standard input", .value = "FILE"}});
}

/// What is wrong with converted documents. A Kubernetes version that is not deployed any more does not keep a file from being converted.
std::vector<Problem> migratedProblems(const std::vector<Document>& documents, std::vector<std::string>& warnings) {
  std::vector<std::string> ofDeployment; // of no interest before somebody deploys
  auto problems = config::validateDocuments(documents, config::Foreign::warn, ofDeployment);
  std::erase_if(problems, [&](const Problem& problem) {
    const bool isVersion = problem.field == "kubernetesVersion" && problem.message.ends_with("is not supported");
    if (isVersion) warnings.push_back(describe(problem));
    return isVersion;
  });
  return problems;
}

/// kubeadm's old documents in the form that is read today; what the file did not say is not said by the new one either.
ExitCode migrate(const ConfigOptions& options) {
  if (options.oldConfig.empty()) throw Error("no file was named", "kubestrap config migrate --old-config FILE [--new-config FILE]", ExitCode::usage);
  Machine machine(globals().rootfs);
  std::vector<std::string> warnings;
  std::vector<Problem> problems;
  const auto documents = config::migrate(machine.readDocuments(options.oldConfig), experimental(options), problems, warnings);
  if (problems.empty()) problems = migratedProblems(documents, warnings);
  for (const auto& warning : warnings) log::warn(warning);
  if (!problems.empty()) throw Problems(std::move(problems));
  std::vector<Value> values;
  for (const auto& document : documents) values.push_back(document.value);
  if (!options.newConfig) return print(values);
  // It may hold tokens and keys, as the old one may.
  machine.host().write(std::filesystem::absolute(*options.newConfig), emitYamlStream(values), 0600);
  return ExitCode::done;
}

std::vector<Flag> migrateFlags(ConfigOptions& options) {
  return with(configFlags(), {{.name = "old-config", .into = &options.oldConfig, .doc = "The file to convert; - is standard input", .value = "FILE"},
                              {.name = "new-config", .into = &options.newConfig, .doc = "The file to write", .value = "FILE",
                               .standard = "standard output"},
                              {.name = "allow-experimental-api", .into = &options.allowExperimental,
                               .doc = "Convert kubeadm.k8s.io/v1 too, which kubeadm does not take yet"}});
}

std::vector<Flag> validateFlags(ConfigOptions& options) {
  return with(fileFlag(options), {{.name = "allow-deprecated-api", .into = &options.allowDeprecated,
                                   .doc = "Accept kubeadm.k8s.io/v1beta3, as config migrate would convert it"},
                                  {.name = "allow-experimental-api", .into = &options.allowExperimental,
                                   .doc = "Accept kubeadm.k8s.io/v1, which kubeadm does not take yet"}});
}

/// A Setup for questions to which of the machine at most the sockets of its runtimes matter: its place is taken by kubeadm's placeholders.
config::Setup setupOf(const ConfigOptions& options, Machine& machine, std::vector<std::string> sockets = {}) {
  config::Facts facts;
  facts.hostname = "node";
  facts.defaultAddress = IpAddress::v4(1, 2, 3, 4);
  facts.addresses = {*facts.defaultAddress};
  facts.runtimeSockets = std::move(sockets);
  std::vector<std::string> warnings;
  const auto documents = options.flags.configFile ? machine.readDocuments(*options.flags.configFile) : std::vector<Document>{};
  auto setup = config::loadInit(documents, options.flags, facts, machine.random(), warnings);
  for (const auto& warning : warnings) log::warn(warning);
  return setup;
}

ExitCode listImages(const ConfigOptions& options) {
  Machine machine(globals().rootfs);
  const auto images = manifests::imageList(setupOf(options, machine).cluster);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = kubeadmResult("Images");
    document["images"] = images;
    printResult(document, as);
    return ExitCode::done;
  }
  for (const auto& image : images) fmt::print("{}\n", image);
  return ExitCode::done;
}

ExitCode pullImages(const ConfigOptions& options) {
  Machine machine(globals().rootfs);
  using Depth = host::Host::Questions::Depth;
  auto setup = setupOf(options, machine, options.criSocket ? std::vector{*options.criSocket} : machine.host().facts({.depth = Depth::defaults}).runtimeSockets);
  if (options.criSocket) setup.node.criSocket = *options.criSocket; // also where the file names another
  auto& runtime = machine.useRuntime(setup.node.criSocket);
  auto document = kubeadmResult("Images");
  document["images"] = Value::array();
  for (const auto& image : manifests::imageList(setup.cluster)) {
    fmt::print(stderr, "pulling {}\n", image);
    while_("pulling " + image, [&] { runtime.pullImage(image); });
    document["images"].push_back(image);
    if (format(globals()) == Format::text) fmt::print("{}\n", image);
  }
  if (format(globals()) != Format::text) printResult(document, format(globals()));
  return ExitCode::done;
}

ExitCode explain(const std::vector<std::string>& arguments) {
  if (arguments.empty())
    throw Error("no field was named", "kubestrap config explain ClusterConfiguration.networking.podSubnet", ExitCode::usage);
  fmt::print("{}", config::explain(arguments[0]));
  return ExitCode::done;
}

std::vector<Flag> imageFlags(ConfigOptions& options) {
  auto flags = fileFlag(options);
  flags.push_back({.name = "image-repository", .into = &options.flags.imageRepository, .doc = "Where images come from", .value = "REPOSITORY",
                   .standard = "registry.k8s.io"});
  flags.push_back({.name = "kubernetes-version", .into = &options.flags.kubernetesVersion, .doc = "The version of Kubernetes", .value = "VERSION"});
  flags.push_back({.name = "feature-gates", .into = &options.flags.featureGates, .doc = "Feature gates", .value = "NAME=BOOL,..."});
  return flags;
}

std::vector<Flag> listFlags(ConfigOptions& options) {
  return with(imageFlags(options), withoutEffect({"show-managed-fields", "allow-missing-template-keys"}));
}

std::vector<Flag> pullFlags(ConfigOptions& options) {
  auto flags = imageFlags(options);
  flags.push_back({.name = "cri-socket", .into = &options.criSocket, .doc = "The socket of the container runtime", .value = "URL"});
  return flags;
}

Command printCommand(const std::shared_ptr<ConfigOptions>& options) {
  return {.name = "print",
          .summary = "Print documents with every default in its place",
          .flags = configFlags,
          .children = {{.name = "init-defaults", .summary = "InitConfiguration and ClusterConfiguration",
                        .flags =
                            [options] {
                              return with(configFlags(), {{.name = "component-configs", .into = &options->componentConfigs,
                                                           .doc = "Also KubeletConfiguration, KubeProxyConfiguration", .value = "KIND,...",
                                                           .choices = {"KubeletConfiguration", "KubeProxyConfiguration"}}});
                            },
                        .run = [options](const auto&) { return printInitDefaults(*options); }},
                       {.name = "join-defaults", .summary = "JoinConfiguration", .flags = configFlags,
                        .run = [](const auto&) { return print({config::joinDefaults("node")}); }},
                       {.name = "reset-defaults", .summary = "ResetConfiguration", .flags = configFlags,
                        .run = [](const auto&) { return print({config::resetDefaults()}); }},
                       {.name = "upgrade-defaults", .summary = "UpgradeConfiguration", .flags = configFlags,
                        .run = [](const auto&) { return print({config::upgradeDefaults()}); }}}};
}

} // namespace

Command configCommand() {
  const auto options = std::make_shared<ConfigOptions>();
  return {.name = "config",
          .summary = "Print, check and explain configurations",
          .flags = configFlags,
          .children = {printCommand(options),
                       {.name = "validate", .summary = "Say all that is wrong with a configuration file",
                        .flags = [options] { return validateFlags(*options); }, .run = [options](const auto&) { return validate(*options); }},
                       {.name = "migrate", .summary = "Convert a file of kubeadm's older format",
                        .description = "Converts a file with kubeadm.k8s.io/v1beta3 documents to kubeadm.k8s.io/v1beta4, and adds nothing: what the file "
                                       "left to defaults stays left to them. Other documents of the file are carried over. Comments are lost.",
                        .flags = [options] { return migrateFlags(*options); }, .run = [options](const auto&) { return migrate(*options); }},
                       {.name = "explain", .summary = "Say what a field means: type, default, since when", .arguments = "FIELD.PATH", .run = explain},
                       {.name = "images",
                        .summary = "The images that a control plane node needs",
                        .flags = configFlags,
                        .children = {{.name = "list", .summary = "List them", .flags = [options] { return listFlags(*options); },
                                      .run = [options](const auto&) { return listImages(*options); }},
                                     {.name = "pull", .summary = "Let the container runtime pull them",
                                      .flags = [options] { return pullFlags(*options); },
                                      .run = [options](const auto&) { return pullImages(*options); }}}}}};
}

} // namespace kubestrap::cmd
