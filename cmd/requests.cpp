// What certificates of a cluster are to be signed elsewhere: as cfssl's documents, or as kubeadm's keys with requests.
#include "cmd/commands.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/output.hpp"
#include "cmd/pki_setup.hpp"
#include "cmd/workflow.hpp"

#include "certs/overrides.hpp"
#include "certs/signing_request.hpp"
#include "kube/kubeconfig.hpp"
#include "phases/certificates.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

certs::Request requestFor(const certs::CertSpec& spec) {
  certs::Request request{.subject = {}, .hosts = {.dns = spec.names.dns, .emails = {}, .uris = {}, .ips = spec.names.ips}, .key = certs::keyRequest(spec.algorithm),
                         .authority = {}, .extensions = {}, .revocationList = {}};
  for (const auto& organization : spec.subject.organizations) request.subject.add(certs::attribute::organization, organization);
  request.subject.add(certs::attribute::commonName, spec.subject.commonName);
  for (const auto& other : spec.subject.others) request.subject.parts.push_back(other);
  if (spec.authority) request.authority = certs::AuthorityRequest{.pathLength = {}, .expiry = spec.life, .backdate = {}};
  return request;
}

Value profileFor(const certs::CertSpec& spec) { return {{"expiry", formatDuration(spec.life)}, {"usages", certs::usagesFor(spec.usages)}}; }

/// Nothing that is there is overwritten: it may have been edited, or be a key whose certificate is on its way.
void refuseExisting(const std::vector<plan::File>& files, host::Host& host) {
  std::vector<Problem> problems;
  for (const auto& file : files)
    if (host.status(file.path)) problems.push_back({.where = file.path.string(), .message = "is there already", .remedy = "move it away, or take another folder"});
  if (!problems.empty()) throw Problems(std::move(problems));
}

std::vector<certs::CertSpec> allSpecs(const PkiSetup& pki) {
  const auto& setup = pki.setup;
  std::vector<certs::CertSpec> specs;
  for (const auto& row : certs::catalogue())
    if (row.authority() && phases::isNeeded(row, setup.cluster)) specs.push_back(phases::resolve(row, setup));
  for (auto& leaf : leaves(pki)) specs.push_back(std::move(leaf.spec));
  return specs;
}

ExitCode requests(const PkiOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("one folder is taken", "certs requests DIR", ExitCode::usage);
  Machine machine(globals().rootfs);
  const auto pki = pkiSetup(options, machine);
  const auto folder = std::filesystem::absolute(arguments[0]);
  auto answer = result("CertificateRequests");
  std::vector<std::vector<std::string>> rows{{"REQUEST", "SIGNED BY", "PROFILE"}};
  std::vector<plan::File> files;
  Value profiles = Value::object();
  for (const auto& spec : allSpecs(pki)) {
    const auto file = folder / (spec.name + ".json");
    files.push_back({.path = file, .content = certs::document(requestFor(spec)).dump(2) + "\n"});
    if (!spec.authority) profiles[spec.name] = profileFor(spec);
    rows.push_back({file.string(), spec.authority ? "itself" : spec.issuer, spec.authority ? "-" : spec.name});
    answer["items"].push_back({{"name", spec.name}, {"file", file.string()}, {"issuer", spec.issuer}});
  }
  files.push_back({.path = folder / std::string(certs::policyFile), .content = Value{{"signing", {{"profiles", profiles}}}}.dump(2) + "\n"});
  answer["policy"] = files.back().path.string();
  refuseExisting(files, machine.host());
  for (const auto& file : files) machine.host().write(file.path, file.content, file.mode);
  if (const auto as = format(globals()); as != Format::text) printResult(answer, as);
  else fmt::print("{}\nThe signing policy is {}.\n", table(rows), files.back().path.string());
  return ExitCode::done;
}

/// The key and its request as files; in a kubeconfig the key is where its certificate will be.
void addKeyAndRequest(const Leaf& leaf, std::vector<plan::File>& files) {
  const auto key = certs::PrivateKey::generate(leaf.spec.algorithm);
  const auto add = [&](config::Path path, std::string content, plan::Secrecy secrecy) {
    files.push_back({.path = std::move(path), .content = std::move(content), .mode = 0600, .secrecy = secrecy});
  };
  auto request = leaf.spec.certificate;
  request.replace_extension(".csr");
  if (const auto& made = leaf.kubeconfig) {
    const kube::Kubeconfig unfinished{.server = made->server, .tlsServerName = made->tlsServerName, .clusterName = made->clusterName, .user = made->user, .authorities = {},
                                      .clientCertificate = {}, .clientKey = key.pem()};
    add(made->path, kube::emitKubeconfig(unfinished), plan::Secrecy::secret);
    request = made->path.string() + ".csr";
  } else {
    add(leaf.spec.key, key.pem().reveal(), plan::Secrecy::secret);
  }
  add(request, certs::SigningRequest::make(requestFor(leaf.spec), key).pem(), plan::Secrecy::open);
}

bool isBelow(const config::Path& path, const config::Path& folder) {
  return std::ranges::mismatch(folder, path).in1 == folder.end();
}

/// What lies where a node has its files is made by the engine, so that it is on the record; elsewhere the files are the operator's.
void writeAll(const std::vector<plan::File>& files, Machine& machine) {
  plan::Resources ofNode;
  for (const auto& file : files) {
    if (isBelow(file.path, config::paths::kubernetes)) ofNode.push_back(file);
    else machine.host().write(file.path, file.content, file.mode);
  }
  if (ofNode.empty()) return;
  const auto lock = machine.host().lock("certs generate-csr");
  machine.useRuntime(foundSocket(machine.host().facts({.depth = host::Host::Questions::Depth::defaults})));
  auto world = machine.world();
  plan::enactAll(ofNode, "generate-csr", "certs generate-csr", world, *reporterFor(plan::Mode::apply));
}

ExitCode generateCsr(const PkiOptions& options) {
  Machine machine(globals().rootfs);
  const auto pki = pkiSetup(options, machine);
  std::vector<plan::File> files;
  for (const auto& leaf : leaves(pki)) addKeyAndRequest(leaf, files);
  refuseExisting(files, machine.host());
  writeAll(files, machine);
  auto answer = result("CertificateSigningRequests");
  for (const auto& file : files) answer["files"].push_back(file.path.string());
  if (const auto as = format(globals()); as != Format::text) printResult(answer, as);
  else
    for (const auto& file : files) fmt::print("{}\n", file.path.string());
  return ExitCode::done;
}

} // namespace

std::vector<Flag> pkiFlags(PkiOptions& options) {
  return {{.name = "config", .into = &options.flags.configFile, .doc = "The configuration that init is to have, in place of the cluster's or of the defaults", .value = "FILE"},
          {.name = "cert-dir", .into = &options.certDir, .doc = "The folder of the certificates", .value = "DIR", .standard = "/etc/kubernetes/pki"},
          {.name = "kubeconfig-dir", .into = &options.kubeconfigDir, .doc = "The folder of the kubeconfigs", .value = "DIR", .standard = "/etc/kubernetes"}};
}

std::vector<Command> requestCommands() {
  const auto options = std::make_shared<PkiOptions>();
  return {{.name = "requests",
           .summary = "Write a request for every certificate of the cluster, and a signing policy for them",
           .description = "Writes cfssl's CSR JSON for every certificate and authority of this control plane, NAME.json, and policy.json with a profile for each, to be "
                          "edited and signed here, with cfssl or by others; certs import puts the result in place. As KubestrapConfiguration.pki they say what init "
                          "and join make otherwise. Nothing that is there is overwritten.",
           .flags = [options] { return std::vector<Flag>{pkiFlags(*options).front()}; },
           .arguments = "DIR",
           .run = [options](const auto& given) { return requests(*options, given); }},
          {.name = "generate-csr",
           .summary = "Make keys and certificate requests for all that an external authority has to sign",
           .description = "Makes a key and a PKCS#10 request for every certificate of a control plane but authorities, and kubeconfigs that have a key and no "
                          "certificate yet, each with a request beside it. Nothing that is there is overwritten. certs import puts what comes back in place.",
           .flags = [options] { return pkiFlags(*options); },
           .run = [options](const auto&) { return generateCsr(*options); }}};
}

} // namespace kubestrap::cmd
