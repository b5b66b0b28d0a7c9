// cfssl's commands on cfssl's documents: requests and signing policies in JSON, answers in JSON.
#include "cmd/cfssl.hpp"

#include "cmd/commands.hpp"
#include "cmd/output.hpp"

#include "certs/fields.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>

namespace kubestrap::cmd {

namespace {

using certs::PrivateKey;
using certs::SigningOrder;
using certs::SigningRequest;
using certs::X509Certificate;

struct CfsslOptions {
  std::optional<std::string> ca, caKey, config, profile, hostname, commonName, revocationList, csr, bare, list;
  std::optional<int> logLevel;
  bool initca = false, renewca = false;
};

std::string given(const std::optional<std::string>& flag) { return flag.value_or(""); }

certs::Policy policyOf(const CfsslOptions& options, Machine& machine) {
  return options.config ? certs::parsePolicy(readInput(machine, *options.config), *options.config) : certs::standardPolicy();
}

std::optional<certs::Hosts> hostsOf(const CfsslOptions& options) {
  if (given(options.hostname).empty()) return std::nullopt;
  std::vector<Problem> problems;
  auto hosts = certs::parseHosts(split(*options.hostname, ','), "--hostname", "", problems);
  if (!problems.empty()) throw Problems(std::move(problems));
  return hosts;
}

SigningOrder orderOf(const CfsslOptions& options, Machine& machine) {
  return {.profile = policyOf(options, machine).profile(given(options.profile)), .hosts = hostsOf(options), .subject = {},
          .revocationList = given(options.revocationList)};
}

const std::string& onlyArgument(const std::vector<std::string>& arguments, std::string_view what) {
  if (arguments.size() == 1) return arguments[0];
  throw Error(arguments.empty() ? fmt::format("no {} was given", what) : fmt::format("one {} is taken, but {} were given", what, arguments.size()),
              "a file, or - for standard input", ExitCode::usage);
}

certs::Request readRequest(const CfsslOptions& options, Machine& machine, const std::string& file) {
  auto request = certs::parseRequest(readInput(machine, file), file == "-" ? "standard input" : file);
  if (!given(options.commonName).empty()) {
    certs::DistinguishedName name;
    name.add(certs::attribute::commonName, *options.commonName);
    request.subject = certs::overlaid(std::move(name), request.subject);
  }
  return request;
}

void refuseForLeaf(const certs::Request& request, const std::string& file) {
  std::vector<Problem> problems;
  addLeafProblems(request, file, "--initca, or no ca", problems);
  if (!problems.empty()) throw Problems(std::move(problems));
}

X509Certificate signed_(const SigningRequest& request, const SigningOrder& order, const certs::Issuer& issuer, Machine& machine) {
  auto certificate = certs::sign(request, order, issuer, machine.clock().now(), machine.entropy().bytes(20));
  if (issuer.certificate && issuer.certificate->notBefore() > machine.clock().now())
    log::warn(fmt::format("the authority begins at {} only: until then nobody accepts what it signs", formatRfc3339(issuer.certificate->notBefore())));
  if (issuer.certificate && certificate.notAfter() > issuer.certificate->notAfter())
    log::warn(fmt::format("the certificate is valid until {}, its authority only until {}", formatRfc3339(certificate.notAfter()),
                          formatRfc3339(issuer.certificate->notAfter())));
  return certificate;
}

/// `--initca`: an authority's key and certificate, or a new certificate for the key of --ca-key.
ExitCode makeAuthority(const CfsslOptions& options, Machine& machine, const certs::Request& request, const std::string& file) {
  if (request.subject.empty())
    throw Problems({{.where = file, .field = "CN", .message = "is missing, and so are names: an authority needs a subject"}});
  const auto key = options.caKey ? PrivateKey::parse(Secret(readInput(machine, *options.caKey)), *options.caKey) : PrivateKey::generate(request.key);
  const auto signing = SigningRequest::make(request, key);
  const auto certificate = signed_(signing, certs::authorityOrder(request), certs::Issuer{.key = key}, machine);
  hand({certificate.pem(), signing.pem(), options.caKey ? Secret() : key.pem()}, options.bare, machine);
  return ExitCode::done;
}

/// `--renewca`: the same authority, with as long a life, from now on.
ExitCode renewAuthority(const CfsslOptions& options, Machine& machine) {
  const auto authority = readAuthority(machine, options.ca, options.caKey);
  if (!authority.certificate.isAuthority()) throw Error(fmt::format("{} is no certificate of an authority", given(options.ca)), "look at --ca");
  if (!authority.certificate.belongsTo(authority.key)) throw Error("certificate and key of the authority do not belong together", "look at --ca and --ca-key");
  const auto request = certs::requestOf(authority.certificate);
  const auto signing = SigningRequest::make(request, authority.key);
  hand({signed_(signing, certs::authorityOrder(request), certs::Issuer{.key = authority.key}, machine).pem(), {}, {}}, options.bare, machine);
  return ExitCode::done;
}

ExitCode gencert(const CfsslOptions& options, const std::vector<std::string>& arguments) {
  Machine machine(globals().rootfs);
  if (options.renewca && !options.list) return renewAuthority(options, machine);
  if (options.list) {
    if (!arguments.empty() || options.initca || options.renewca || options.commonName) throw Error("--list stands alone: its lines are the requests", {}, ExitCode::usage);
    return signList(machine, *options.list, readAuthority(machine, options.ca, options.caKey), orderOf(options, machine), options.bare);
  }
  const auto& file = onlyArgument(arguments, "request");
  const auto request = readRequest(options, machine, file);
  if (options.initca) return makeAuthority(options, machine, request, file);
  refuseForLeaf(request, file);
  const auto authority = readAuthority(machine, options.ca, options.caKey);
  const auto order = orderOf(options, machine);
  const auto key = PrivateKey::generate(request.key);
  const auto signing = SigningRequest::make(request, key);
  const auto certificate = signed_(signing, order, certs::Issuer{&authority.certificate, authority.key}, machine);
  if (!order.hosts && request.hosts.empty())
    log::info(1, "the certificate has no names: no server can use it");
  hand({certificate.pem(), signing.pem(), key.pem()}, options.bare, machine);
  return ExitCode::done;
}

ExitCode sign(const CfsslOptions& options, std::vector<std::string> arguments) {
  Machine machine(globals().rootfs);
  if (options.csr) arguments.insert(arguments.begin(), *options.csr);
  if (arguments.empty() || arguments.size() > 2) throw Error("a request and perhaps a subject are taken", "certs sign --ca FILE --ca-key FILE CSR [SUBJECT]", ExitCode::usage);
  const auto request = SigningRequest::parse(readInput(machine, arguments[0]), arguments[0]);
  auto order = orderOf(options, machine);
  if (arguments.size() == 2) order.subject = certs::parseSubject(readInput(machine, arguments[1]), arguments[1]);
  const auto authority = readAuthority(machine, options.ca, options.caKey);
  hand({signed_(request, order, certs::Issuer{&authority.certificate, authority.key}, machine).pem(), request.pem(), {}}, options.bare, machine);
  return ExitCode::done;
}

ExitCode genkey(const CfsslOptions& options, const std::vector<std::string>& arguments) {
  Machine machine(globals().rootfs);
  static_cast<void>(policyOf(options, machine)); // cfssl takes it and reads it, too; nothing is signed here
  const auto& file = onlyArgument(arguments, "request");
  const auto request = readRequest(options, machine, file);
  if (options.initca) return makeAuthority(options, machine, request, file);
  refuseForLeaf(request, file);
  const auto key = PrivateKey::generate(request.key);
  hand({{}, SigningRequest::make(request, key).pem(), key.pem()}, options.bare, machine);
  return ExitCode::done;
}

ExitCode selfsign(const CfsslOptions& options, std::vector<std::string> arguments) {
  Machine machine(globals().rootfs);
  auto hosts = hostsOf(options);
  if (!hosts) {
    if (arguments.size() != 2) throw Error("a host name and a request are taken", "certs selfsign HOSTNAME CSR.json", ExitCode::usage);
    auto named = options;
    named.hostname = arguments[0];
    hosts = hostsOf(named);
    arguments.erase(arguments.begin());
  }
  const auto& file = onlyArgument(arguments, "request");
  auto request = readRequest(options, machine, file);
  refuseForLeaf(request, file);
  for (auto& dns : hosts->dns) // the name that it is for, beside those that the request has
    if (std::ranges::find(request.hosts.dns, dns) == request.hosts.dns.end()) request.hosts.dns.push_back(dns);
  for (auto& ip : hosts->ips)
    if (std::ranges::find(request.hosts.ips, ip) == request.hosts.ips.end()) request.hosts.ips.push_back(ip);
  auto policy = policyOf(options, machine);
  if (!options.config) policy.standard.expiry = std::chrono::hours(2190);
  SigningOrder order{.profile = policy.profile(given(options.profile)), .hosts = request.hosts, .subject = {}, .revocationList = {}, .dates = SigningOrder::Dates::exact};
  const auto key = PrivateKey::generate(request.key);
  const auto signing = SigningRequest::make(request, key);
  log::warn("nobody has reason to trust a certificate that signs itself; use it for tests only");
  hand({signed_(signing, order, certs::Issuer{.key = key}, machine).pem(), signing.pem(), key.pem()}, options.bare, machine);
  return ExitCode::done;
}

constexpr std::string_view standardRequest = R"({
  "CN": "example.org",
  "hosts": [
    "example.org",
    "10.0.0.1"
  ],
  "key": {
    "algo": "ecdsa",
    "size": 256
  },
  "names": [
    {
      "O": "Example"
    }
  ]
}
)";

constexpr std::string_view standardConfig = R"({
  "signing": {
    "default": {
      "expiry": "8760h",
      "usages": ["signing", "key encipherment", "server auth", "client auth"]
    },
    "profiles": {
      "server": {
        "expiry": "8760h",
        "usages": ["signing", "key encipherment", "server auth"]
      },
      "client": {
        "expiry": "8760h",
        "usages": ["signing", "key encipherment", "client auth"]
      },
      "kubernetes": {
        "expiry": "8760h",
        "usages": ["signing", "key encipherment", "server auth", "client auth"]
      },
      "intermediate": {
        "expiry": "43800h",
        "usages": ["cert sign", "crl sign"],
        "ca_constraint": {"is_ca": true, "max_path_len": 0, "max_path_len_zero": true}
      }
    }
  }
}
)";

ExitCode printDefaults(const std::vector<std::string>& arguments) {
  const auto what = arguments.empty() ? "list" : arguments[0];
  if (what == "list") fmt::print("csr\nconfig\n");
  else if (what == "csr") fmt::print("{}", standardRequest);
  else if (what == "config") fmt::print("{}", standardConfig);
  else throw Error(fmt::format("there are no defaults of {}", what), "csr or config", ExitCode::usage);
  return ExitCode::done;
}

struct CfssljsonOptions {
  bool bare = false, toOutput = false;
  std::string file = "-";
};

std::string member(const Value& document, std::string_view name, std::string_view otherName) {
  const auto text = stringAt(document, name);
  return text.empty() ? stringAt(document, otherName) : text;
}

ExitCode cfssljson(const CfssljsonOptions& options, const std::vector<std::string>& arguments) {
  Machine machine(globals().rootfs);
  // "-" after the name stands in many scripts; cfssljson passes over it, and reads standard input all the same.
  if (arguments.size() > 2 || (arguments.size() == 2 && arguments[1] != "-")) throw Error("one name is taken", "certs cfssljson -bare NAME", ExitCode::usage);
  auto document = certs::parseStrictJson(readInput(machine, options.file), options.file == "-" ? "standard input" : options.file);
  if (!options.bare && document.is_object() && document.contains("success")) {
    if (!document["success"].is_boolean() || !document["success"].get<bool>()) throw Error("the answer tells of a failed request");
    document = document.value("result", Value::object());
  }
  const Issued issued{member(document, "cert", "certificate"), member(document, "csr", "certificate_request"), Secret(member(document, "key", "private_key"))};
  if (issued.certificate.empty() && issued.request.empty() && issued.key.empty())
    throw Error("the input has no certificate, no request and no key", "the output of gencert, sign, selfsign or genkey is expected");
  if (options.toOutput) {
    for (const auto& text : {issued.certificate, issued.key.reveal(), issued.request})
      if (!text.empty()) fmt::print("{}\n", text);
  } else {
    write(issued, arguments.empty() ? "cert" : arguments[0], machine.host());
  }
  return ExitCode::done;
}

/// Those of a command, by their names; two are of all.
std::vector<Flag> flagsOf(CfsslOptions& options, const std::vector<std::string_view>& names) {
  const std::vector<Flag> all{
      {.name = "initca", .into = &options.initca, .doc = "Make an authority: its certificate is signed by its own key"},
      {.name = "renewca", .into = &options.renewca, .doc = "Sign the certificate of --ca anew with the key of --ca-key, for as long as it was valid before"},
      {.name = "ca", .into = &options.ca, .doc = "The authority's certificate; env:NAME takes what the environment holds", .value = "FILE"},
      {.name = "ca-key", .into = &options.caKey, .doc = "The authority's key, likewise", .value = "FILE"},
      {.name = "config", .into = &options.config, .doc = "The signing policy", .value = "FILE", .standard = "a year, for servers and clients"},
      {.name = "profile", .into = &options.profile, .doc = "The profile of the policy", .value = "NAME", .standard = "the policy's default"},
      {.name = "hostname", .into = &options.hostname, .doc = "Names and addresses, in place of the request's", .value = "NAME,..."},
      {.name = "cn", .into = &options.commonName, .doc = "The common name, in place of the request's", .value = "NAME"},
      {.name = "crl", .into = &options.revocationList, .doc = "The URL of the revocation list, in place of the policy's", .value = "URL"},
      {.name = "csr", .into = &options.csr, .doc = "The request, in place of an argument", .value = "FILE"},
      {.name = "list", .into = &options.list, .doc = "Sign many requests: a file with a JSON object a line, each with a \"name\" of its own", .value = "FILE"},
      {.name = "bare", .into = &options.bare, .doc = "Write NAME.pem, NAME-key.pem and NAME.csr in place of JSON on standard output", .value = "NAME"},
      {.name = "loglevel", .into = &options.logLevel, .doc = "Taken, and of no effect; see --v", .value = "N", .shown = Flag::Shown::hidden}};
  std::vector<Flag> chosen;
  for (const auto& flag : all)
    if (std::ranges::find(names, flag.name) != names.end() || flag.name == "bare" || flag.name == "loglevel") chosen.push_back(flag);
  return chosen;
}

} // namespace

std::string readInput(Machine& machine, const std::string& name) {
  if (name == "-") return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  auto text = machine.host().read(std::filesystem::absolute(name));
  if (!text) throw Error(fmt::format("there is no file {}", name), {}, ExitCode::usage);
  return std::move(*text);
}

void addLeafProblems(const certs::Request& request, const std::string& where, std::string inPlaceOfAuthority, std::vector<Problem>& problems) {
  if (request.authority)
    problems.push_back({.where = where, .field = "ca", .message = "is for an authority's own certificate only", .expected = std::move(inPlaceOfAuthority)});
  if (!request.revocationList.empty())
    problems.push_back({.where = where, .field = "crl_url", .message = "is for an authority's own certificate only", .expected = "crl_url in the signing policy"});
}

namespace {

struct NamedFile {
  config::Path path;
  std::string content;
  unsigned mode;
};

/// What is to be replaced by an authority with another key: nobody has that one a second time. A pair that does not belong together was left by a run that was killed
/// between the two, and is beside the one before it already.
std::vector<NamedFile> formerAuthority(const Issued& issued, const config::Path& certificate, const config::Path& key, host::Host& host) {
  const auto oldKey = host.read(key), oldCertificate = host.read(certificate);
  if (issued.key.empty() || !oldKey || !oldCertificate || *oldKey == issued.key.reveal()) return {};
  try {
    const auto former = X509Certificate::parse(*oldCertificate, certificate.string());
    if (!former.isAuthority() || !former.belongsTo(PrivateKey::parse(Secret(*oldKey), key.string()))) return {};
  } catch (const Error&) {
    return {};
  }
  return {{key.string() + ".old", *oldKey, 0600}, {certificate.string() + ".old", *oldCertificate, 0644}};
}

} // namespace

void write(const Issued& issued, const std::string& bare, host::Host& host) {
  const auto path = [&](const char* ending) { return std::filesystem::absolute(bare + ending); };
  std::vector<NamedFile> files;
  if (!issued.certificate.empty()) files = formerAuthority(issued, path(".pem"), path("-key.pem"), host);
  if (!issued.key.empty()) files.push_back({path("-key.pem"), issued.key.reveal(), 0600});
  if (!issued.request.empty()) files.push_back({path(".csr"), issued.request, 0644});
  if (!issued.certificate.empty()) files.push_back({path(".pem"), issued.certificate, 0644});
  // All of it lies on the disk before the first of them has its name: a disk that is full leaves what was there.
  const auto staged = [](const NamedFile& file) { return config::Path(file.path.string() + ".new"); };
  try {
    for (const auto& file : files) host.write(staged(file), file.content, file.mode);
  } catch (const Error&) {
    for (const auto& file : files) host.remove(staged(file));
    throw;
  }
  for (const auto& file : files) host.rename(staged(file), file.path);
  for (const auto& file : files)
    if (file.path.extension() == ".old") log::warn(fmt::format("another authority was here: it is kept in {}", file.path.string()));
}

void hand(const Issued& issued, const std::optional<std::string>& bare, Machine& machine) {
  if (bare) return write(issued, *bare, machine.host());
  Value document = Value::object();
  if (!issued.certificate.empty()) document["cert"] = issued.certificate;
  if (!issued.request.empty()) document["csr"] = issued.request;
  if (!issued.key.empty()) document["key"] = issued.key.reveal();
  if (format(globals()) == Format::yaml) printResult(document, Format::yaml);
  else fmt::print("{}\n", document.dump());
}

namespace {

constexpr std::string_view inEnvironment = "env:", inFile = "file:";

/// As cfssl reads authorities (helpers.ReadBytes): "env:NAME" is what a variable of the environment holds, "file:NAME" is a file.
std::string readSource(Machine& machine, const std::string& name) {
  if (!name.starts_with(inEnvironment)) return readInput(machine, name.starts_with(inFile) ? name.substr(inFile.size()) : name);
  const auto variable = name.substr(inEnvironment.size());
  const auto* content = std::getenv(variable.c_str());
  if (!content) throw Error(fmt::format("the environment has no {}", variable), {}, ExitCode::usage);
  return content;
}

void warnOfReaders(Machine& machine, const std::string& key) {
  if (key == "-" || key.starts_with(inEnvironment)) return;
  const auto file = key.starts_with(inFile) ? key.substr(inFile.size()) : key;
  if (const auto status = machine.host().status(std::filesystem::absolute(file)); status && (status->mode & 07U) != 0)
    log::warn(fmt::format("everybody on this machine may read the key {0} (mode {1:04o}): chmod 600 {0}", file, status->mode));
}

} // namespace

Authority readAuthority(Machine& machine, const std::optional<std::string>& certificate, const std::optional<std::string>& key) {
  if (!certificate || certificate->empty()) throw Error("the authority's certificate was not named", "--ca FILE", ExitCode::usage);
  if (!key || key->empty()) throw Error("the authority's key was not named", "--ca-key FILE", ExitCode::usage);
  warnOfReaders(machine, *key);
  return {X509Certificate::parse(readSource(machine, *certificate), *certificate), PrivateKey::parse(Secret(readSource(machine, *key)), *key)};
}

std::vector<Command> cfsslCommands() {
  const auto options = std::make_shared<CfsslOptions>();
  const auto json = std::make_shared<CfssljsonOptions>();
  const auto command = [options](std::string name, std::string summary, std::string arguments, std::vector<std::string_view> flags, auto run) {
    return Command{.name = std::move(name),
                   .summary = std::move(summary),
                   .flags = [options, flags] { return flagsOf(*options, flags); },
                   .arguments = std::move(arguments),
                   .run = [options, run](const auto& given) { return run(*options, given); },
                   .dashes = Command::Dashes::oneOrTwo};
  };
  return {command("gencert", "Make a key and have it signed, or make an authority", "CSR.json|-", {"initca", "renewca", "ca", "ca-key", "config", "profile", "hostname", "cn", "crl", "list"}, gencert),
          command("sign", "Sign a request", "CSR [SUBJECT.json]", {"ca", "ca-key", "config", "profile", "hostname", "csr", "crl"}, sign),
          command("selfsign", "Make a key and a certificate that it signs itself, for tests", "HOSTNAME CSR.json|-", {"config", "profile", "hostname"}, selfsign),
          command("genkey", "Make a key and a request for it", "CSR.json|-", {"initca", "ca-key", "config"}, genkey),
          {.name = "print-defaults", .summary = "Print a request or a signing policy to begin with", .arguments = "csr|config|list",
           .run = [](const auto& given) { return printDefaults(given); }, .choices = {"csr", "config", "list"}, .dashes = Command::Dashes::oneOrTwo},
          {.name = "cfssljson", .summary = "Write certificate, key and request of such an answer to files",
           .flags = [json] { return std::vector<Flag>{{.name = "bare", .into = &json->bare, .doc = "The input is a bare answer, not wrapped as cfssl's server does"},
                                                      {.name = "f", .into = &json->file, .doc = "The input", .letter = 'f', .value = "FILE", .standard = "standard input"},
                                                      {.name = "stdout", .into = &json->toOutput, .doc = "Print in place of writing files"}}; },
           .arguments = "[NAME]", .run = [json](const auto& given) { return cfssljson(*json, given); }, .dashes = Command::Dashes::oneOrTwo}};
}

} // namespace kubestrap::cmd
