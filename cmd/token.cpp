#include "cmd/commands.hpp"
#include "cmd/invitation.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"

#include "certs/x509.hpp"
#include "config/assemble.hpp"
#include "config/load.hpp"
#include "config/model.hpp"
#include "config/token.hpp"
#include "kube/bootstrap_token.hpp"
#include "kube/discovery.hpp"
#include "kube/jws.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/messages.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace kubestrap::cmd {

namespace {

struct TokenOptions {
  std::optional<std::string> kubeconfig;
  bool dryRun = false;
  // create
  std::optional<std::string> description, ttl, certificateKey;
  std::optional<std::vector<std::string>> groups, usages;
  bool printJoinCommand = false;
  config::InitFlags flags; ///< only configFile
};

/// --kubeconfig, else $KUBECONFIG, ~/.kube/config, admin.conf: the first that is there (kubeadm: token commands).
kube::Kubeconfig findKubeconfig(Machine& machine, const TokenOptions& options) {
  std::vector<std::string> candidates;
  if (options.kubeconfig) {
    candidates = {*options.kubeconfig};
  } else {
    if (const char* variable = std::getenv("KUBECONFIG"); variable && *variable) candidates = split(variable, ':');
    if (const char* home = std::getenv("HOME"); home && *home) candidates.push_back(std::string(home) + "/.kube/config");
    candidates.push_back(config::paths::adminConf.string());
  }
  for (const auto& path : candidates)
    if (const auto text = machine.host().read(std::filesystem::absolute(path))) return kube::parseKubeconfig(*text, path);
  throw Error(fmt::format("there is no kubeconfig: looked for {}", join(candidates, ", ")),
              "run this on a control plane node, or name one with --kubeconfig");
}

Value tokenAsValue(const kube::StoredToken& token) {
  auto document = result("BootstrapToken");
  document["token"] = token.token().reveal();
  document["id"] = token.id;
  document["description"] = token.description;
  document["expires"] = token.expires ? Value(formatRfc3339(*token.expires)) : Value();
  document["usages"] = token.usages;
  document["groups"] = token.groups;
  return document;
}

std::string orNone(std::string text) { return text.empty() ? "<none>" : text; }

ExitCode listTokens(const TokenOptions& options) {
  Machine machine(globals().rootfs);
  kube::Client client(machine.http(), findKubeconfig(machine, options));
  const auto tokens = kube::listTokens(client);
  const auto now = machine.clock().now();
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("BootstrapTokenList");
    document["items"] = Value::array();
    for (const auto& token : tokens) document["items"].push_back(tokenAsValue(token));
    printResult(document, as);
    return ExitCode::done;
  }
  std::vector<std::vector<std::string>> rows{{"TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"}};
  for (const auto& token : tokens)
    rows.push_back({token.token().reveal(), !token.expires ? "<forever>" : token.expired(now) ? "<invalid>" : humanDuration(*token.expires - now),
                    token.expires ? formatRfc3339(*token.expires) : "<never>", orNone(join(token.usages, ",")), orNone(token.description),
                    orNone(join(token.groups, ","))});
  fmt::print("{}", table(rows));
  return ExitCode::done;
}

/// What the arguments and flags of `token create` mean; throws Problems with all that is wrong.
config::BootstrapToken wantedToken(Machine& machine, const TokenOptions& options, const std::vector<std::string>& arguments) {
  std::vector<Problem> problems;
  auto parts = arguments.empty() ? config::generateToken(machine.random()) : config::parseToken(arguments[0]).value_or(config::TokenParts{});
  if (parts.id.empty())
    problems.push_back({.field = "token", .message = "is malformed", .expected = "six characters, a dot, sixteen characters of a-z and 0-9"});
  auto token = config::defaultBootstrapToken(std::move(parts));
  if (options.description) token.description = *options.description;
  if (options.usages) token.usages = *options.usages;
  if (options.groups) token.groups = *options.groups;
  for (const auto& usage : token.usages)
    if (usage != "signing" && usage != "authentication")
      problems.push_back({.where = "--usages", .message = fmt::format("\"{}\" is not known", usage), .expected = "signing, authentication"});
  for (const auto& group : token.groups)
    if (!config::isTokenGroup(group))
      problems.push_back({.where = "--groups", .message = fmt::format("\"{}\" is not allowed", group), .expected = "system:bootstrappers:NAME"});
  try {
    if (options.ttl) token.ttl = *options.ttl == "0" ? Duration::zero() : parseDuration(*options.ttl);
  } catch (const Error& error) {
    problems.push_back({.where = "--ttl", .message = error.message(), .expected = "a duration like 24h, or 0 for ever"});
  }
  if (!problems.empty()) throw Problems(std::move(problems));
  if (token.ttl && *token.ttl > Duration::zero()) token.expires = machine.clock().now() + *token.ttl;
  return token;
}

std::vector<std::string> pinsOf(const kube::Kubeconfig& kubeconfig) {
  std::vector<std::string> pins;
  for (const auto& authority : certs::X509Certificate::parseAll(kubeconfig.authorities, "kubeconfig")) pins.push_back(authority.publicKeyPin());
  return pins;
}

config::Endpoint endpointOf(const std::string& url) {
  const auto mark = url.find("://");
  const auto parsed = splitHostPort(mark == std::string::npos ? url : url.substr(mark + 3));
  if (!parsed) throw Error(fmt::format("the kubeconfig's server {} is malformed", url));
  return {parsed->host, parsed->port.value_or(443)};
}

/// Where a machine that joins is to ask. The control plane's name may stand for each node on that node, and says nothing to a machine that
/// is none yet: then it is the virtual address, which cluster-info tells of, or that of an API server, of this machine's own if there is one.
config::Endpoint endpointToJoin(Machine& machine, const kube::Kubeconfig& kubeconfig) {
  std::map<std::string, config::Endpoint> servers;
  try {
    const auto info = kube::readClusterInfo(machine.http(), kubeconfig.server, kubeconfig.authorities);
    servers = config::apiServersIn(info.others);
    if (!servers.empty() && !info.kubeconfig.empty())
      if (auto told = endpointOf(kube::parseKubeconfig(info.kubeconfig, "cluster-info").server); IpAddress::parse(told.host)) return told;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "cluster-info does not tell of API servers: {}", error.message());
  }
  if (servers.empty()) return endpointOf(kubeconfig.server);
  const auto own = machine.host().facts({.depth = host::Host::Questions::Depth::defaults}).addresses;
  for (const auto& [node, endpoint] : servers)
    if (const auto address = IpAddress::parse(endpoint.host); address && std::ranges::find(own, *address) != own.end()) return endpoint;
  return servers.begin()->second;
}

/// The tokens of an InitConfiguration; what a token is like is said there, not by flags beside it.
std::vector<config::BootstrapToken> tokensOfFile(Machine& machine, const TokenOptions& options, const std::vector<std::string>& arguments) {
  if (!arguments.empty() || options.description || options.ttl || options.groups || options.usages)
    throw Error("a token, --description, --groups, --ttl and --usages cannot be given together with --config", "bootstrapTokens in the file",
                ExitCode::usage);
  config::Facts facts;
  facts.hostname = "node";
  facts.defaultAddress = IpAddress::v4(1, 2, 3, 4);
  std::vector<std::string> warnings;
  auto tokens = config::loadInit(machine.readDocuments(*options.flags.configFile), options.flags, facts, machine.random(), warnings).request.tokens;
  for (auto& token : tokens)
    if (!token.expires && token.ttl && *token.ttl > Duration::zero()) token.expires = machine.clock().now() + *token.ttl;
  return tokens;
}

/// Machines may join with it at once. Else the controller-manager does it within some seconds.
void sign(kube::Client& client, const config::BootstrapToken& token) {
  const kube::ObjectKey key{"v1", "ConfigMap", "kube-public", "cluster-info"};
  try {
    const auto info = client.get(key);
    const auto kubeconfig = info ? stringAt(*info, "data.kubeconfig") : "";
    if (kubeconfig.empty()) return;
    auto patch = Value::object();
    patch[manifests::clusterInfoSignatureAt(token.id)] = kube::signDetached(kubeconfig, token.id, token.secret);
    client.mergePatch(key, patch);
  } catch (const kube::ApiError& error) {
    log::info(1, "cluster-info is not signed from here: {}", error.message()); // who may keep tokens need not have the right
  }
}

void store(kube::Client& client, const config::BootstrapToken& token) {
  const auto secret = manifests::bootstrapTokenSecret(token);
  if (client.get(kube::keyOf(secret)))
    throw Error(fmt::format("a token with the id {} exists", token.id), fmt::format("kubestrap token delete {}", token.id));
  client.create(secret);
  if (manifests::isForSigning(token)) sign(client, token);
}

ExitCode createToken(const TokenOptions& options, const std::vector<std::string>& arguments) {
  Machine machine(globals().rootfs);
  const auto tokens = options.flags.configFile ? tokensOfFile(machine, options, arguments)
                                               : std::vector{wantedToken(machine, options, arguments)};
  const auto& token = tokens.front(); // shown; kubeadm shows only the first, too
  if (options.certificateKey && !options.printJoinCommand)
    throw Error("--certificate-key says nothing without --print-join-command", "add --print-join-command", ExitCode::usage);
  const auto kubeconfig = findKubeconfig(machine, options);
  if (!options.dryRun) {
    kube::Client client(machine.http(), kubeconfig);
    for (const auto& each : tokens) store(client, each);
  }
  const auto as = format(globals());
  if (as == Format::text && !options.printJoinCommand) {
    fmt::print("{}\n", token.token().reveal());
    return ExitCode::done;
  }
  manifests::JoinCommand join{.endpoint = endpointToJoin(machine, kubeconfig), .token = token.token(), .pins = pinsOf(kubeconfig)};
  if (options.certificateKey) join.controlPlane = true, join.certificateKey = Secret(*options.certificateKey);
  const auto command = manifests::onOneLine(manifests::text(join));
  if (as == Format::text) {
    fmt::print("{}\n", command);
  } else {
    auto document = result("BootstrapToken");
    document["token"] = token.token().reveal();
    document["expires"] = token.expires ? Value(formatRfc3339(*token.expires)) : Value();
    document["apiServerEndpoint"] = join.endpoint.string();
    document["caCertHashes"] = join.pins;
    if (options.printJoinCommand) document["joinCommand"] = command;
    printResult(document, as);
  }
  return ExitCode::done;
}

ExitCode deleteTokens(const TokenOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw Error("no token was named", "see: kubestrap token list", ExitCode::usage);
  std::vector<std::string> ids;
  for (const auto& argument : arguments) {
    const auto parts = config::parseToken(argument);
    if (!parts && !config::isTokenId(argument))
      throw Error(fmt::format("\"{}\" is neither a token nor a token's id", argument), "six characters of a-z and 0-9", ExitCode::usage);
    ids.push_back(parts ? parts->id : argument);
  }
  Machine machine(globals().rootfs);
  kube::Client client(machine.http(), findKubeconfig(machine, options));
  auto document = result("BootstrapTokenDeletion");
  document["items"] = Value::array();
  const auto as = format(globals());
  for (const auto& id : ids) {
    const bool there = options.dryRun ? true : kube::deleteToken(client, id);
    document["items"].push_back({{"id", id}, {"deleted", there && !options.dryRun}});
    if (as == Format::text)
      fmt::print("bootstrap token \"{}\" {}\n", id, options.dryRun ? "would be deleted" : there ? "deleted" : "was not there");
  }
  if (as != Format::text) printResult(document, as);
  return ExitCode::done;
}

ExitCode generate() {
  SystemEntropy entropy;
  const auto parts = config::generateToken([&](std::size_t count) { return entropy.bytes(count); });
  printWord("BootstrapToken", "token", parts.id + "." + parts.secret.reveal());
  return ExitCode::done;
}

} // namespace

manifests::JoinCommand newInvitation(Machine& machine, const kube::Kubeconfig& kubeconfig, Duration life, const std::string& description) {
  auto token = config::defaultBootstrapToken(config::generateToken(machine.random()));
  token.description = description;
  token.ttl = life;
  token.expires = machine.clock().now() + life;
  kube::Client client(machine.http(), kubeconfig);
  store(client, token);
  return {.endpoint = endpointToJoin(machine, kubeconfig), .token = token.token(), .pins = pinsOf(kubeconfig)};
}

namespace {

std::vector<Flag> commonFlags(TokenOptions& options) {
  return {{.name = "kubeconfig", .into = &options.kubeconfig, .doc = "The kubeconfig to speak to the cluster with", .value = "FILE",
           .standard = "$KUBECONFIG, ~/.kube/config or /etc/kubernetes/admin.conf"},
          {.name = "dry-run", .into = &options.dryRun, .doc = "Change nothing"}};
}

std::vector<Flag> listFlags(TokenOptions& options) {
  auto flags = commonFlags(options);
  for (auto& flag : withoutEffect({"show-managed-fields", "allow-missing-template-keys"})) flags.push_back(std::move(flag));
  return flags;
}

std::vector<Flag> createFlags(TokenOptions& options) {
  auto flags = commonFlags(options);
  flags.insert(flags.end(),
               {{.name = "certificate-key", .into = &options.certificateKey,
                 .doc = "With --print-join-command: print the command for a control plane, with this key of the uploaded certificates",
                 .value = "KEY"},
                {.name = "config", .into = &options.flags.configFile, .doc = "A file whose InitConfiguration says which tokens", .value = "FILE"},
                {.name = "description", .into = &options.description, .doc = "What the token is for", .value = "TEXT"},
                {.name = "groups", .into = &options.groups, .doc = "Groups that its user is in", .value = "GROUP,...",
                 .standard = std::string(config::defaultTokenGroup)},
                {.name = "print-join-command", .into = &options.printJoinCommand, .doc = "Print the whole command that joins a machine"},
                {.name = "ttl", .into = &options.ttl, .doc = "How long it is valid; 0 for ever", .value = "DURATION", .standard = "24h"},
                {.name = "usages", .into = &options.usages, .doc = "What it may be used for", .value = "USAGE,...",
                 .standard = "signing,authentication", .choices = {"signing", "authentication"}}});
  return flags;
}

} // namespace

Command tokenCommand() {
  const auto options = std::make_shared<TokenOptions>();
  const Flags common = [options] { return commonFlags(*options); };
  return {.name = "token",
          .summary = "Keep the bootstrap tokens with which machines join",
          .flags = common,
          .children = {{.name = "create", .summary = "Make a token known to the cluster",
                        .flags = [options] { return createFlags(*options); }, .arguments = "[TOKEN]",
                        .run = [options](const auto& arguments) { return createToken(*options, arguments); }},
                       {.name = "list", .summary = "List the tokens of the cluster", .flags = [options] { return listFlags(*options); },
                        .run = [options](const auto&) { return listTokens(*options); }},
                       {.name = "delete", .summary = "Make tokens invalid", .flags = common, .arguments = "TOKEN|ID...",
                        .run = [options](const auto& arguments) { return deleteTokens(*options, arguments); }},
                       {.name = "generate", .summary = "Print a random token, without making it known",
                        .flags = [] { return withoutEffect({"kubeconfig", "dry-run"}); }, .run = [](const auto&) { return generate(); }}}};
}

} // namespace kubestrap::cmd
