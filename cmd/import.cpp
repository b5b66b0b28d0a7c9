// Certificates that were signed elsewhere: found in a folder under the names that cfssl, openssl and kubeadm's users give them, judged all
// at once, and put in place by the engine.
#include "cmd/commands.hpp"
#include "cmd/globals.hpp"
#include "cmd/pki_setup.hpp"

#include "certs/fitness.hpp"
#include "kube/kubeconfig.hpp"
#include "phases/certificates.hpp"
#include "phases/workflows.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

namespace kubestrap::cmd {

namespace {

using certs::PrivateKey;
using certs::X509Certificate;
using Pair = config::Importing::Pair;

struct ImportOptions {
  PkiOptions pki;
  bool dryRun = false, exitCode = false;
};

struct Text {
  config::Path path;
  std::string content;
};

/// What lies in the folder.
class Brought {
public:
  Brought(config::Path folder, host::Host& host) : folder_(std::move(folder)), host_(host) {
    const auto status = host_.status(folder_);
    if (!status || status->type != host::FileStatus::Type::folder) throw Error(fmt::format("there is no folder {}", folder_.string()), {}, ExitCode::usage);
  }

  /// The one of these files that is there; two are a problem, since nobody knows which is meant.
  std::optional<Text> one(const std::vector<std::string>& names, std::vector<Problem>& problems) {
    std::optional<Text> found;
    for (const auto& name : std::set<std::string>(names.begin(), names.end())) {
      auto content = host_.read(folder_ / name);
      if (!content) continue;
      taken_.insert(folder_ / name);
      if (found) problems.push_back({.where = (folder_ / name).string(), .message = fmt::format("is there beside {}", found->path.string()), .remedy = "keep one of them"});
      else found = {folder_ / name, std::move(*content)};
    }
    return found;
  }

  std::optional<Text> certificate(const std::string& name, const std::string& file, std::vector<Problem>& problems) {
    return one({name + ".pem", name + ".crt", file + ".pem", file + ".crt"}, problems);
  }

  std::optional<Text> key(const std::string& name, const std::string& file, std::vector<Problem>& problems) {
    auto found = one({name + "-key.pem", name + ".key", file + "-key.pem", file + ".key"}, problems);
    if (!found) return found;
    if (const auto status = host_.status(found->path); status && (status->mode & 077) != 0)
      log::warn(fmt::format("{} can be read by others than its owner (mode {:04o})", found->path.string(), status->mode));
    return found;
  }

  /// Files that look like certificates or keys and that nobody has asked for.
  std::vector<std::string> others() const {
    std::vector<std::string> found;
    for (const auto& folder : {folder_, folder_ / "etcd"})
      for (const auto& name : host_.list(folder))
        if ((name.ends_with(".pem") || name.ends_with(".crt") || name.ends_with(".key")) && !taken_.contains(folder / name)) found.push_back((folder / name).string());
    return found;
  }

private:
  config::Path folder_;
  host::Host& host_;
  std::set<config::Path> taken_;
};

/// Certificates by what they are for, judged one after the other; what was found wrong is gathered.
class Judge {
public:
  Judge(const PkiSetup& pki, Brought& brought, host::Host& host, TimePoint now) : pki_(pki), brought_(brought), host_(host), now_(now) {}

  std::map<std::string, Pair> all() {
    for (const auto& row : certs::catalogue())
      if (row.authority() && phases::isNeeded(row, pki_.setup.cluster)) authority(row);
    serviceAccount();
    for (const auto& leaf : leaves(pki_)) judge(leaf);
    for (const auto& name : brought_.others()) log::warn(fmt::format("{} is of no certificate that this cluster has, and is left", name));
    if (!problems_.empty()) throw Problems(std::move(problems_), ExitCode::refused);
    return std::move(pairs_);
  }

private:
  struct Authority {
    std::vector<X509Certificate> roots; ///< empty: there is none
    bool hasKey = false;
    std::vector<std::string> lacking; ///< what it would have to sign
  };

  void problem(const config::Path& where, std::string message, std::string remedy = {}) {
    problems_.push_back({.where = where.string(), .message = std::move(message), .remedy = std::move(remedy)});
  }

  /// The value, or nothing and a problem.
  template <typename Read> auto tried(const Text& text, Read read) -> std::optional<decltype(read(text))> {
    try {
      return read(text);
    } catch (const Error& error) {
      auto message = error.message();
      if (const auto beginning = text.path.string() + " "; message.starts_with(beginning)) message = message.substr(beginning.size());
      problem(text.path, std::move(message), error.hint());
    }
    return std::nullopt;
  }
  std::optional<std::vector<X509Certificate>> chainOf(const Text& text) {
    return tried(text, [](const Text& each) { return X509Certificate::parseAll(each.content, each.path.string()); });
  }
  std::optional<PrivateKey> keyOf(const Text& text) {
    return tried(text, [](const Text& each) { return PrivateKey::parse(Secret(each.content), each.path.string()); });
  }

  void judgeKey(const Text& certificate, const X509Certificate& parsed, const Text& key) {
    const auto parsedKey = keyOf(key);
    if (parsedKey && !parsed.belongsTo(*parsedKey)) problem(certificate.path, fmt::format("does not belong to the key {}", key.path.string()));
  }

  /// What is in place already.
  std::optional<Text> inPlace(const config::Path& path) {
    auto content = host_.read(path);
    return content ? std::optional(Text{path, std::move(*content)}) : std::nullopt;
  }

  /// A control plane that runs hangs on it: it goes over to another step by step only.
  bool mayReplace(const config::Path& path, const Text& with) {
    const auto present = host_.read(path);
    if (!pki_.running || !present || trim(*present) == trim(with.content)) return true;
    problem(with.path, fmt::format("is another than {}, on which the running control plane hangs", path.string()), "take it out of the folder; authorities and service account keys are not exchanged by import");
    return false;
  }

  void authority(const certs::CertificateRow& row) {
    const auto spec = phases::resolve(row, pki_.setup);
    auto& found = authorities_[std::string(row.name)];
    const auto certificate = brought_.certificate(spec.name, std::string(row.file), problems_);
    const auto key = brought_.key(spec.name, std::string(row.file), problems_);
    const auto present = certificate ? certificate : inPlace(spec.certificate);
    const auto itsKey = key ? key : inPlace(spec.key);
    found.hasKey = itsKey || !present; // what is not there at all, init makes
    const auto chain = present ? chainOf(*present) : std::nullopt;
    if (chain) found.roots = {chain->front()};
    if (key && !present) problem(key->path, "is there without its certificate");
    if (!chain || (!certificate && !key)) return;
    for (auto& flaw : certs::flaws(spec, certs::KnownBy::names, *chain, {}, now_)) problem(present->path, std::move(flaw));
    if (itsKey) judgeKey(*present, chain->front(), *itsKey);
    if ((!certificate || mayReplace(spec.certificate, *certificate)) && (!key || mayReplace(spec.key, *key)))
      pairs_[spec.name] = {.certificate = present->content, .key = Secret(key ? key->content : "")};
  }

  void serviceAccount() {
    const auto& folder = pki_.setup.cluster.pki.folder;
    const auto key = brought_.key("sa", "sa", problems_);
    const auto publicKey = brought_.one({"sa.pub"}, problems_);
    if (!key && publicKey) problem(publicKey->path, "is there without its private key sa.key");
    const auto parsed = key ? keyOf(*key) : std::nullopt;
    if (!parsed || !mayReplace(folder / "sa.key", *key)) return;
    if (publicKey && trim(publicKey->content) != trim(parsed->publicPem())) problem(publicKey->path, fmt::format("does not belong to {}", key->path.string()));
    pairs_["sa"] = {.certificate = parsed->publicPem(), .key = Secret(key->content)};
  }

  /// Certificate and key of a kubeconfig that was completed by hand, or has its key only.
  void fromKubeconfig(const std::string& name, const config::Path& inPlaceOf, std::optional<Text>& certificate, std::optional<Text>& key) {
    auto text = brought_.one({name}, problems_);
    if (!text && (!key || !certificate)) text = inPlace(inPlaceOf);
    auto found = text ? tried(*text, [](const Text& each) { return kube::parseKubeconfig(each.content, each.path.string()); }) : std::nullopt;
    if (!found) return;
    if (text->path == inPlaceOf) kube::readCredentials(*found, [&](const auto& file) { return host_.read(file); });
    if (!certificate && !found->clientCertificate.empty() && text->path != inPlaceOf) certificate = {text->path, found->clientCertificate};
    if (!key && !found->clientKey.empty()) key = {text->path, found->clientKey.reveal()};
  }

  void judge(const Leaf& leaf) {
    const auto* row = certs::findRow(leaf.name);
    const std::string file(row ? std::string(row->file) : leaf.name);
    auto certificate = brought_.certificate(leaf.name, file, problems_);
    auto key = brought_.key(leaf.name, file, problems_);
    const auto place = leaf.kubeconfig ? leaf.kubeconfig->path : leaf.spec.certificate;
    if (leaf.kubeconfig) fromKubeconfig(leaf.name, place, certificate, key);
    const bool brought = certificate.has_value();
    if (!brought) {
      if (key && !leaf.kubeconfig) problem(key->path, "is there without its certificate");
      return lacks(leaf, place);
    }
    const bool ownKey = key.has_value();
    if (!key && !leaf.kubeconfig) key = inPlace(leaf.spec.key);
    const auto& roots = authorities_[leaf.spec.issuer].roots;
    if (roots.empty()) return problem(certificate->path, fmt::format("cannot be judged: the certificate of its authority {} is neither here nor in place", leaf.spec.issuer));
    const auto chain = chainOf(*certificate);
    if (!key) problem(certificate->path, "has no key, neither here nor in place");
    if (!chain) return;
    if (key) judgeKey(*certificate, chain->front(), *key);
    const auto knownBy = !row || row->isUser() ? certs::KnownBy::subject : certs::KnownBy::names;
    for (auto& flaw : certs::flaws(leaf.spec, knownBy, *chain, roots, now_)) problem(certificate->path, std::move(flaw));
    pairs_[leaf.name] = {.certificate = certificate->content, .key = Secret(ownKey ? key->content : "")};
  }

  /// Neither brought nor in place, it has to be made here, which takes its authority's key.
  void lacks(const Leaf& leaf, const config::Path& place) {
    const auto& authority = authorities_[leaf.spec.issuer];
    const bool there = leaf.kubeconfig ? hasCertificate(place) : host_.status(place).has_value();
    if (there || authority.hasKey || authority.roots.empty()) return;
    if (pki_.running && leaf.kubeconfig && leaf.name == "super-admin.conf") return; // it may have been put away
    problem(place, fmt::format("is lacking, and cannot be signed here: the key of {} is kept elsewhere", leaf.spec.issuer), fmt::format("have {} signed, and put {}.pem into the folder", leaf.name, leaf.name));
  }

  bool hasCertificate(const config::Path& path) {
    const auto text = inPlace(path);
    const auto found = text ? tried(*text, [](const Text& each) { return kube::parseKubeconfig(each.content, each.path.string()); }) : std::nullopt;
    return found && (!found->clientCertificate.empty() || !found->clientCertificateFile.empty());
  }

  const PkiSetup& pki_;
  Brought& brought_;
  host::Host& host_;
  TimePoint now_;
  std::map<std::string, Authority> authorities_;
  std::map<std::string, Pair> pairs_;
  std::vector<Problem> problems_;
};

ExitCode runImport(const ImportOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("one folder is taken", "certs import DIR", ExitCode::usage);
  Machine machine(globals().rootfs);
  auto pki = pkiSetup(options.pki, machine);
  auto& setup = pki.setup;
  Brought brought(std::filesystem::absolute(arguments[0]), machine.host());
  setup.request.importing = {.pairs = Judge(pki, brought, machine.host(), machine.clock().now()).all(), .running = pki.running};
  if (setup.request.importing.pairs.empty())
    throw Error(fmt::format("{} has no certificate of this cluster", arguments[0]), "expected are files like apiserver.pem and apiserver-key.pem, or etcd/server.crt", ExitCode::usage);

  return runOnPki(phases::importWorkflow(), setup, machine,
                  {.command = "certs import", .dryRun = options.dryRun, .exitCode = options.exitCode, .plan = "ImportPlan", .result = "ImportResult", .nothing = "all of it is in place"});
}

std::vector<Flag> importFlags(ImportOptions& options) {
  auto flags = pkiFlags(options.pki);
  flags.push_back({.name = "dry-run", .into = &options.dryRun, .doc = "Only judge what is brought, and say what would be put where"});
  flags.push_back({.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when something was, or would be, put in place"});
  return flags;
}

} // namespace

Command importCommand() {
  const auto options = std::make_shared<ImportOptions>();
  return {.name = "import",
          .summary = "Put certificates in place that were signed elsewhere",
          .description = "Puts certificates in place that were signed elsewhere, each with its key: NAME.pem with NAME-key.pem as cfssl writes them, NAME.crt with "
                         "NAME.key, or as in /etc/kubernetes/pki. A key may be in place already (certs generate-csr). Issuer, names, usages, subject, key and dates "
                         "are judged first; all that is wrong is told at once, and then nothing is touched. Where a control plane runs, its components take the "
                         "certificates up, one after the other, or get their old ones back.",
          .flags = [options] { return importFlags(*options); },
          .arguments = "DIR",
          .run = [options](const auto& given) { return runImport(*options, given); }};
}

} // namespace kubestrap::cmd
