// What certificates say: of files, kubeconfigs, requests and servers; and whether a verifier would take them.
#include "cmd/cfssl.hpp"
#include "cmd/commands.hpp"
#include "cmd/output.hpp"

#include "certs/describe.hpp"
#include "certs/verify.hpp"
#include "kube/kubeconfig.hpp"
#include "net/peer.hpp"
#include "support/ip.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

using certs::Purpose;
using certs::X509Certificate;

struct CertinfoOptions {
  std::optional<std::string> certificate, request, domain, remote;
  std::optional<std::string> authority, purpose, hostname, intermediates;
};

bool isKubeconfig(std::string_view text) { return text.find("-----BEGIN") == std::string_view::npos && text.find("clusters") != std::string_view::npos; }

/// A kubeconfig's client certificate, or the file that it names.
std::vector<X509Certificate> certificatesOf(Machine& machine, const std::string& file) {
  auto text = readInput(machine, file);
  if (!isKubeconfig(text)) return X509Certificate::parseAll(text, file);
  const auto kubeconfig = kube::parseKubeconfig(text, file);
  if (!kubeconfig.clientCertificateFile.empty()) {
    const auto beside = (std::filesystem::path(file).parent_path() / kubeconfig.clientCertificateFile).string(); // as client-go finds it
    return X509Certificate::parseAll(readInput(machine, beside), beside);
  }
  if (kubeconfig.clientCertificate.empty())
    throw Error(fmt::format("{} has no client certificate", file), kubeconfig.token.empty() ? "" : "its user has a token");
  return X509Certificate::parseAll(kubeconfig.clientCertificate, file);
}

std::vector<X509Certificate> certificatesOfServer(const std::string& address) {
  const auto parsed = splitHostPort(address);
  if (!parsed) throw Error(fmt::format("\"{}\" is no host with a port", address), "HOST:PORT, like 10.0.0.11:6443", ExitCode::usage);
  std::vector<X509Certificate> found;
  for (const auto& pem : net::peerCertificates(parsed->host, parsed->port.value_or(443), std::chrono::seconds(10)))
    found.push_back(X509Certificate::parse(pem, address));
  return found;
}

/// cfssl's record of the first certificate; those that come with it are below "chain".
Value asValue(const std::vector<X509Certificate>& certificates, TimePoint now) {
  auto value = certs::describe(certificates.front());
  value["days_left"] = std::chrono::floor<std::chrono::days>(certificates.front().notAfter() - now).count();
  if (certificates.size() < 2) return value;
  value["chain"] = Value::array();
  for (std::size_t i = 1; i < certificates.size(); ++i) value["chain"].push_back(certs::describe(certificates[i]));
  return value;
}

ExitCode certinfo(const CertinfoOptions& options, const std::vector<std::string>& arguments) {
  Machine machine(globals().rootfs);
  const auto sources = arguments.size() + (options.certificate ? 1 : 0) + (options.request ? 1 : 0) + (options.domain ? 1 : 0) + (options.remote ? 1 : 0);
  if (sources != 1) throw Error("one certificate, request or server is looked at", "certs certinfo FILE, --csr FILE or --remote HOST:PORT", ExitCode::usage);
  Value value;
  if (options.request) {
    value = certs::describe(certs::SigningRequest::parse(readInput(machine, *options.request), *options.request));
  } else {
    const auto server = options.remote ? options.remote : options.domain;
    value = asValue(server ? certificatesOfServer(*server) : certificatesOf(machine, options.certificate.value_or(arguments.empty() ? "" : arguments[0])),
                    machine.clock().now());
  }
  if (format(globals()) == Format::yaml) printResult(value, Format::yaml);
  else fmt::print("{}\n", value.dump(2));
  return ExitCode::done;
}

Purpose purposeOf(const CertinfoOptions& options) {
  const auto name = options.purpose.value_or("any");
  if (name == "any") return Purpose::any;
  if (name == "server") return Purpose::server;
  if (name == "client") return Purpose::client;
  throw Error(fmt::format("there is no purpose {}", name), "any, server or client", ExitCode::usage);
}

/// Why a chain is not good for what it is asked for; nothing when it is.
std::optional<std::string> flaw(const CertinfoOptions& options, Machine& machine, std::vector<X509Certificate> chain) {
  const auto roots = X509Certificate::parseAll(readInput(machine, *options.authority), *options.authority);
  const auto leaf = chain.front();
  chain.erase(chain.begin());
  if (options.intermediates)
    for (auto& each : X509Certificate::parseAll(readInput(machine, *options.intermediates), *options.intermediates)) chain.push_back(each);
  if (auto why = certs::whyUntrusted(leaf, chain, roots, purposeOf(options), machine.clock().now())) return why;
  if (!options.hostname) return std::nullopt;
  certs::AlternativeNames wanted;
  if (const auto ip = IpAddress::parse(*options.hostname)) wanted.ips = {*ip};
  else wanted.dns = {*options.hostname};
  return leaf.coversNames(wanted) ? std::nullopt : std::optional(fmt::format("it is not for {}", *options.hostname));
}

ExitCode bundleVerify(const CertinfoOptions& options, const std::vector<std::string>& arguments) {
  Machine machine(globals().rootfs);
  if (!options.authority) throw Error("the authority that is trusted was not named", "--ca FILE", ExitCode::usage);
  if (arguments.empty()) throw Error("no certificate was given", "a file with the certificate, then those between it and the authority", ExitCode::usage);
  auto document = result("BundleVerification");
  document["items"] = Value::array();
  bool good = true;
  for (const auto& file : arguments) {
    const auto why = flaw(options, machine, certificatesOf(machine, file));
    good = good && !why;
    Value item{{"file", file}, {"valid", !why}};
    if (why) item["reason"] = *why;
    document["items"].push_back(std::move(item));
    if (format(globals()) == Format::text) fmt::print("{}: {}\n", file, why ? *why : "good");
  }
  if (const auto as = format(globals()); as != Format::text) printResult(document, as);
  return good ? ExitCode::done : ExitCode::failed;
}

std::vector<Flag> certinfoFlags(CertinfoOptions& options) {
  return {{.name = "cert", .into = &options.certificate, .doc = "A certificate or a kubeconfig, in place of an argument", .value = "FILE"},
          {.name = "csr", .into = &options.request, .doc = "A request", .value = "FILE"},
          {.name = "domain", .into = &options.domain, .doc = "A server; port 443 if none is named", .value = "HOST[:PORT]"},
          {.name = "remote", .into = &options.remote, .doc = "A server", .value = "HOST:PORT"}};
}

std::vector<Flag> verifyFlags(CertinfoOptions& options) {
  return {{.name = "ca", .into = &options.authority, .doc = "The authorities that are trusted", .value = "FILE"},
          {.name = "intermediates", .into = &options.intermediates, .doc = "Authorities between, which are not trusted of themselves", .value = "FILE"},
          {.name = "purpose", .into = &options.purpose, .doc = "What it shall be good for", .value = "any|server|client", .standard = "any", .choices = {"any", "server", "client"}},
          {.name = "hostname", .into = &options.hostname, .doc = "For which name or address a server shall be good", .value = "NAME"}};
}

} // namespace

std::vector<Command> certinfoCommands() {
  const auto options = std::make_shared<CertinfoOptions>();
  return {{.name = "certinfo",
           .summary = "Show what a certificate, a kubeconfig's certificate, a request or a server's certificate says",
           .flags = [options] { return certinfoFlags(*options); },
           .arguments = "[FILE|-]",
           .run = [options](const auto& given) { return certinfo(*options, given); },
           .dashes = Command::Dashes::oneOrTwo},
          {.name = "bundle-verify",
           .summary = "Say whether certificates lead to an authority, and are good for a purpose",
           .flags = [options] { return verifyFlags(*options); },
           .arguments = "FILE...",
           .run = [options](const auto& given) { return bundleVerify(*options, given); },
           .dashes = Command::Dashes::oneOrTwo}};
}

} // namespace kubestrap::cmd
