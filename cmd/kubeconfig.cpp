// Kubeconfigs for people: a client certificate of the cluster's authority, or a token, as a file of its own or among what is in one.
#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "cmd/pki_setup.hpp"

#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"
#include "kube/kubeconfig_merge.hpp"
#include "phases/certificates.hpp"
#include "support/log.hpp"
#include "support/time.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

struct KubeconfigOptions {
  PkiOptions pki;
  std::optional<std::string> user, token, life, nameSpace, file, clusterName;
  std::vector<std::string> groups;
  bool use = false;
};

constexpr auto usualLife = std::chrono::hours(8760);  ///< of kubeadm's command
constexpr auto shortLife = std::chrono::hours(24);    ///< of ours

std::string readFile(host::Host& host, const config::Path& path, const char* hint) {
  auto text = host.read(path);
  if (!text) throw Error(fmt::format("{} is absent", path.string()), hint);
  return std::move(*text);
}

/// A client certificate for `user`, by the authority on this machine.
void certify(kube::Kubeconfig& made, const KubeconfigOptions& options, Duration life, const config::Setup& setup, Machine& machine) {
  const auto keyFile = phases::keyFile(setup.cluster, "ca");
  const auto authority = certs::X509Certificate::parse(made.authorities, phases::certificateFile(setup.cluster, "ca").string());
  const auto authorityKey = certs::PrivateKey::parse(Secret(readFile(machine.host(), keyFile, "run it where the authority's key is, or give a token with kubeconfig user --token")), keyFile.string());
  const certs::CertSpec spec{.name = "the certificate of " + *options.user, .issuer = "ca", .subject = {.commonName = *options.user, .organizations = options.groups},
                             .names = {}, .usages = {certs::ExtendedUsage::clientAuth}};
  const auto now = machine.clock().now();
  const auto key = certs::PrivateKey::generate(setup.cluster.pki.algorithm);
  const auto certificate = certs::issue(spec, key, certs::Issuer{&authority, authorityKey}, {now - std::chrono::minutes(5), now + life, machine.entropy().bytes(8)});
  if (certificate.notAfter() > authority.notAfter()) log::warn(fmt::format("the authority's certificate ends before, at {}", formatRfc3339(authority.notAfter())));
  made.clientCertificate = certificate.pem();
  made.clientKey = key.pem();
}

/// With server and authority, and no credentials yet.
kube::Kubeconfig forUser(const KubeconfigOptions& options, const config::Setup& setup, host::Host& host) {
  if (!options.user || options.user->empty()) throw Error("the user was not named", {}, ExitCode::usage);
  const auto path = phases::certificateFile(setup.cluster, "ca");
  // Of a bundle the first is the authority.
  const auto authority = certs::X509Certificate::parse(readFile(host, path, "run it on a control plane node"), path.string());
  return {.server = setup.outsideEndpoint().url(), .tlsServerName = {}, .clusterName = options.clusterName.value_or(setup.cluster.name), .user = *options.user, .authorities = authority.pem(),
          .clientCertificate = {}, .clientKey = {}};
}

Duration lifeOf(const KubeconfigOptions& options, Duration usual) {
  const auto life = options.life ? parseDuration(*options.life) : usual;
  if (life < Duration::zero()) throw Error(fmt::format("a certificate cannot be valid for {}", *options.life), {}, ExitCode::usage);
  return life == Duration::zero() ? usual : life;
}

/// kubeadm: cmd/kubeconfig.go.
ExitCode user(const KubeconfigOptions& options) {
  Machine machine(globals().rootfs);
  const auto setup = pkiSetup(options.pki, machine).setup;
  auto made = forUser(options, setup, machine.host());
  const auto life = lifeOf(options, usualLife);
  if (life > usualLife) log::warn(fmt::format("a certificate that is valid for {} cannot be taken back for so long", formatDuration(life)));
  if (options.token) made.token = Secret(*options.token);
  else certify(made, options, life, setup, machine);
  if (format(globals()) == Format::json) fmt::print("{}\n", parseYamlValue(kube::emitKubeconfig(made), "the kubeconfig").dump(2));
  else fmt::print("{}\n", kube::emitKubeconfig(made));
  return ExitCode::done;
}

/// With names that stand for this user of this cluster alone, so that files of several can be merged.
Value entriesFor(const kube::Kubeconfig& made, const KubeconfigOptions& options) {
  auto document = parseYamlValue(kube::emitKubeconfig(made), "the kubeconfig");
  const auto name = document.at("current-context");
  document["users"][0]["name"] = name;
  auto& context = document["contexts"][0]["context"];
  context = {{"cluster", made.clusterName}};
  if (options.nameSpace) context["namespace"] = *options.nameSpace;
  context["user"] = name;
  return document;
}

/// Where a link leads to, so that the link stays one.
config::Path targetOf(const std::string& file) {
  const auto path = std::filesystem::absolute(file);
  std::error_code ignored;
  const auto real = std::filesystem::canonical(path, ignored);
  return globals().rootfs == "/" && !ignored ? real : path;
}

void mergeInto(const std::string& file, const Value& document, kube::Current current, host::Host& host) {
  const auto path = targetOf(file);
  const auto status = host.status(path);
  const Secret before(host.read(path).value_or(""));
  const auto merged = kube::mergeKubeconfig(before.reveal(), file, document, current);
  if (merged.reshaped) log::warn(fmt::format("{} was written anew as a whole: its comments and layout could not be kept", file));
  host.write(path, merged.text, 0600, 0700);
  if (status && status->uid != 0) host.setOwner(path, status->uid);
}

ExitCode create(const KubeconfigOptions& options) {
  Machine machine(globals().rootfs);
  const auto setup = pkiSetup(options.pki, machine).setup;
  auto made = forUser(options, setup, machine.host());
  const auto life = lifeOf(options, shortLife);
  for (const auto& group : options.groups)
    if (group == "system:masters") log::warn("system:masters may do everything, and nothing but the end of the certificate takes that back");
  certify(made, options, life, setup, machine);
  const auto document = entriesFor(made, options);
  if (!options.file) {
    printDocuments({document}, format(globals()) == Format::text ? Format::yaml : format(globals()));
    return ExitCode::done;
  }
  mergeInto(*options.file, document, options.use ? kube::Current::yes : kube::Current::whenNone, machine.host());
  const auto context = document.at("current-context").get<std::string>();
  if (const auto as = format(globals()); as != Format::text) {
    auto answer = result("KubeconfigCreated");
    answer.update({{"file", *options.file}, {"context", context}, {"user", made.user}, {"expires", formatRfc3339(machine.clock().now() + life)}});
    printResult(answer, as);
  } else {
    fmt::print("context {} is in {}, good for {}\n", context, *options.file, formatDuration(life));
  }
  return ExitCode::done;
}

Flag configFlag(KubeconfigOptions& options) { return pkiFlags(options.pki).front(); }

std::vector<Flag> userFlags(KubeconfigOptions& options) {
  return {{.name = "client-name", .into = &options.user, .doc = "The user: the common name of the certificate", .value = "NAME"},
          {.name = "org", .into = &options.groups, .doc = "The user's groups: the organizations of the certificate", .value = "NAME,..."},
          {.name = "token", .into = &options.token, .doc = "A token in place of a certificate", .value = "TOKEN"},
          {.name = "validity-period", .into = &options.life, .doc = "How long the certificate is valid from now on", .value = "DURATION", .standard = "8760h"},
          configFlag(options)};
}

std::vector<Flag> createFlags(KubeconfigOptions& options) {
  return {{.name = "user", .into = &options.user, .doc = "The user", .value = "NAME"},
          {.name = "group", .into = &options.groups, .doc = "A group of the user; may be given several times", .value = "NAME,..."},
          {.name = "ttl", .into = &options.life, .doc = "How long the certificate is valid from now on", .value = "DURATION", .standard = "24h"},
          {.name = "namespace", .into = &options.nameSpace, .doc = "The namespace that the context is in", .value = "NAME"},
          {.name = "file", .into = &options.file, .doc = "The file to put it into, beside what is there; made with mode 0600", .value = "FILE", .standard = "standard output"},
          {.name = "use", .into = &options.use, .doc = "Make it the file's current context, also where there is one"},
          {.name = "cluster-name", .into = &options.clusterName, .doc = "What the cluster is called in the file", .value = "NAME", .standard = "the cluster's name"},
          configFlag(options)};
}

} // namespace

Command kubeconfigCommand() {
  const auto options = std::make_shared<KubeconfigOptions>();
  return {.name = "kubeconfig",
          .summary = "Make kubeconfigs for users of the cluster",
          .children = {{.name = "user",
                        .summary = "Print a kubeconfig for a further user, as kubeadm does",
                        .flags = [options] { return userFlags(*options); },
                        .run = [options](const auto&) { return user(*options); }},
                       {.name = "create",
                        .summary = "Make a kubeconfig for a user that is good for a day, or put it into a file beside others",
                        .description = "Makes a client certificate for a user, signed by the cluster's authority on this machine, and a kubeconfig with it. With --file it is put "
                                       "among what the file has: other clusters, users and contexts stay, and comments too. Certificates cannot be taken back, so "
                                       "they are short-lived unless --ttl says otherwise. What the user may do is for RBAC to say.",
                        .flags = [options] { return createFlags(*options); },
                        .run = [options](const auto&) { return create(*options); }}}};
}

} // namespace kubestrap::cmd
