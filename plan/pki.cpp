// Certificates, key pairs and kubeconfigs: specs in, reasons out; bytes are made only when enacting.
#include "plan/kinds.hpp"

#include "certs/verify.hpp"
#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace kubestrap::plan {

using certs::CertSpec;
using certs::PrivateKey;
using certs::X509Certificate;

void KeyPool::fill(const std::vector<certs::KeyAlgorithm>& algorithms) {
  std::vector<certs::KeyAlgorithm> kinds = algorithms;
  std::sort(kinds.begin(), kinds.end());
  kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
  for (const auto kind : kinds) {
    const auto count = static_cast<std::size_t>(std::count(algorithms.begin(), algorithms.end(), kind));
    for (auto& key : certs::generateKeys(kind, count)) keys_.emplace_back(kind, std::move(key));
  }
}

PrivateKey KeyPool::take(certs::KeyAlgorithm algorithm) {
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const auto& entry) { return entry.first == algorithm; });
  if (found == keys_.end()) return PrivateKey::generate(algorithm);
  auto key = std::move(found->second);
  keys_.erase(found);
  return key;
}

namespace {

PrivateKey freshKey(const Context& context, certs::KeyAlgorithm algorithm) {
  return context.keys ? context.keys->take(algorithm) : PrivateKey::generate(algorithm);
}

std::optional<X509Certificate> readCertificate(host::Host& host, const Path& path) {
  const auto pem = host.read(path);
  if (!pem) return std::nullopt;
  return X509Certificate::parse(*pem, path.string());
}

std::optional<PrivateKey> readKey(host::Host& host, const Path& path) {
  auto pem = host.read(path);
  if (!pem) return std::nullopt;
  return PrivateKey::parse(Secret(std::move(*pem)), path.string());
}

std::string day(TimePoint time) { return formatRfc3339(time).substr(0, 10); }

/// The names of `wanted` that clients would not accept `found` for: "SAN 10.0.0.9, SAN api.example.org".
std::string lackingNames(const certs::AlternativeNames& wanted, const X509Certificate& found) {
  const auto names = found.lacks(wanted);
  std::vector<std::string> lacking;
  for (const auto& name : names.dns) lacking.push_back("SAN " + name);
  for (const auto& ip : names.ips) lacking.push_back("SAN " + ip.string());
  return join(lacking, ", ");
}

std::string describeSubject(const certs::Subject& subject) {
  return subject.organizations.empty() ? "CN=" + subject.commonName
                                       : fmt::format("O={}, CN={}", join(subject.organizations, ","), subject.commonName);
}

/// Whether it is signed by the authority, or by others in its file whom that one has signed. Dates are looked at elsewhere.
bool leadsTo(std::span<const X509Certificate> chain, const X509Certificate& authority) {
  return chain.front().signedBy(authority) ||
         !certs::whyUntrusted(chain.front(), chain.subspan(1), std::span(&authority, 1), certs::Purpose::any, std::nullopt);
}

/// Those of a file: the first certificate, and the others of its name.
std::vector<X509Certificate> authoritiesOf(std::string_view pem, const Path& path) {
  auto all = X509Certificate::parseAll(pem, path.string());
  const auto name = all.front().subject();
  std::erase_if(all, [&](const auto& each) { return !(each.subject() == name); });
  return all;
}

/// Whether it was signed by one that has had, or is to have, the authority's place, and is trusted still (certs rotate-ca). By a bridge it may
/// lead to the authority all the same.
bool isSignedByAnother(const X509Certificate& found, const Path& authorities, host::Host& host) {
  const auto all = authoritiesOf(host.read(authorities).value_or(""), authorities);
  return std::any_of(all.begin() + 1, all.end(), [&](const auto& each) { return found.signedBy(each); });
}

/// What servers show beside their certificate, so that clients that know the authority's predecessor only accept it as well.
std::string bridge(const CertSpec& spec, const X509Certificate& issuer, host::Host& host) {
  if (std::ranges::find(spec.usages, certs::ExtendedUsage::serverAuth) == spec.usages.end()) return {};
  const auto path = bridgeOf(spec.issuerCertificate);
  const auto pem = host.read(path);
  if (!pem) return {};
  const auto crossed = X509Certificate::parse(*pem, path.string());
  return crossed.publicKeyPin() == issuer.publicKeyPin() ? crossed.pem() : "";
}

/// Those of `unwanted` that it has: "SAN old.example.org".
std::string unwantedNames(const certs::AlternativeNames& unwanted, const X509Certificate& found) {
  const auto present = found.names();
  std::vector<std::string> all;
  for (const auto& name : unwanted.dns)
    if (std::ranges::any_of(present.dns, [&](const auto& own) { return lower(own) == lower(name); })) all.push_back("SAN " + name);
  for (const auto& ip : unwanted.ips)
    if (std::ranges::find(present.ips, ip) != present.ips.end()) all.push_back("SAN " + ip.string());
  return join(all, ", ");
}

/// Why a certificate that exists and comes from the right authority has to be issued anew; nothing when it fits.
std::optional<std::string> misfit(const CertSpec& spec, const X509Certificate& found, TimePoint now) {
  if (auto lacking = lackingNames(spec.names, found); !lacking.empty()) return "lacks " + lacking;
  if (auto unwanted = unwantedNames(spec.unwanted, found); !unwanted.empty()) return "still has " + unwanted;
  const auto usages = found.usages();
  for (const auto usage : spec.usages)
    if (std::find(usages.begin(), usages.end(), usage) == usages.end())
      return usage == certs::ExtendedUsage::serverAuth ? "may not be used by a server" : "may not be used by a client";
  if (found.notAfter() <= now) return "expired " + day(found.notAfter());
  if (found.notBefore() > now) return fmt::format("begins at {} only", formatRfc3339(found.notBefore()));
  if (spec.renewWithin == Duration::max()) return fmt::format("asked for; expires {}", day(found.notAfter()));
  if (found.notAfter() - now <= spec.renewWithin)
    return fmt::format("expires {}, in {}", day(found.notAfter()), humanDuration(found.notAfter() - now));
  return std::nullopt;
}

std::string fits(const CertSpec& spec, const X509Certificate& found) {
  return spec.authority ? "expires " + day(found.notAfter())
                        : fmt::format("signed by {}, expires {}", spec.issuer, day(found.notAfter()));
}

struct IssuerSeen {
  std::optional<X509Certificate> certificate;
  bool hasKey = false;
};

/// Whether an authority's certificate is signed by another one's key: by the one that it takes the place of.
bool isCrossed(const CertSpec& spec) { return spec.authority && spec.issuerCertificate != spec.certificate; }

IssuerSeen lookAtIssuer(const CertSpec& spec, host::Host& host) {
  return {readCertificate(host, spec.issuerCertificate), host.status(spec.issuerKey).has_value()};
}

/// An authority that is there without its key is somebody else's: nothing can be signed here.
void needIssuerKey(const CertSpec& spec, const IssuerSeen& issuer, const std::string& why) {
  if (!issuer.certificate || issuer.hasKey) return;
  throw Error(fmt::format("cannot sign {}: {} is absent, and the certificate is needed because it {}", spec.name,
                          spec.issuerKey.string(), why),
              fmt::format("put the authority's key there, or have {} signed elsewhere and put certificate and key in place",
                          spec.certificate.empty() ? spec.name : spec.certificate.string()));
}

/// Whether the journal says that kubestrap made this key, perhaps in a run that was stopped.
bool isOurKey(const Path& path, host::Host& host) {
  const auto records = Journal::read(host);
  return std::any_of(records.begin(), records.end(), [&](const Value& record) {
    const auto* before = find(record, "before");
    return stringAt(record, "kind") == "Key" && stringAt(record, "target.path") == path.string() && before && before->is_null();
  });
}

/// Of a file that was put there by hand, perhaps.
void warnOfReaders(const Path& key, const Context& context) {
  const auto status = context.world.host.status(key);
  if (!context.reporter || !status || (status->mode & 07U) == 0) return;
  context.reporter->warning(context.phase, fmt::format("everybody on this machine may read the key {0} (mode {1:04o}): chmod 600 {0}", key.string(), status->mode));
}

/// Nothing that it signs is good yet, and what is made now would be found bad by everybody.
void needBegun(const X509Certificate& authority, const Path& path, TimePoint now) {
  if (authority.notBefore() <= now) return;
  throw Error(fmt::format("the authority {} begins at {} only, and here it is {}", path.string(), formatRfc3339(authority.notBefore()), formatRfc3339(now)),
              "is the clock of this machine right? else wait, or have an authority that is valid already");
}

Change authorityDiff(const Certificate& wanted, const Context& context) {
  auto& host = context.world.host;
  const auto& spec = wanted.spec;
  Change change{.subject = subject(wanted), .seen = fingerprint(host.read(spec.certificate))};
  const auto found = readCertificate(host, spec.certificate);
  if (!found) {
    if (host.status(spec.key) && !isOurKey(spec.key, host))
      throw Error(fmt::format("{} is there, but not its certificate {}", spec.key.string(), spec.certificate.string()),
                  "put the certificate in place, or move the key away so that a new authority is made");
    change.verb = Verb::create;
    change.reason = "missing";
    return change;
  }
  if (!found->isAuthority())
    throw Error(fmt::format("{} is no certificate authority", spec.certificate.string()), "move it away, or put the right one in place");
  const auto key = readKey(host, spec.key);
  if (key && !found->belongsTo(*key))
    throw Error(fmt::format("{} is not the key of {}", spec.key.string(), spec.certificate.string()),
                "restore the pair from a backup: every certificate of the cluster hangs on it");
  needBegun(*found, spec.certificate, context.world.clock.now());
  warnOfReaders(spec.key, context);
  if (found->notAfter() <= context.world.clock.now() && context.reporter)
    context.reporter->warning(context.phase, fmt::format("the authority {} expired {}", spec.name, day(found->notAfter())));
  change.reason = fits(spec, *found) + (key ? "" : ", its key is kept elsewhere");
  return change;
}

struct Made {
  X509Certificate certificate;
  PrivateKey key;
  std::string intermediates; ///< PEM: who trusts a root that is kept elsewhere needs what leads to it

  std::string chain() const { return certificate.pem() + intermediates; }
};

/// Those among an authority's certificates that are no root.
std::string intermediatesOf(std::span<const X509Certificate> authorities) {
  std::string pem;
  for (const auto& each : authorities)
    if (!each.signedBy(each)) pem += each.pem();
  return pem;
}

/// A fresh key, signed; an authority whose own key is there already keeps it, so that what it signed stays good. Valid from five minutes
/// ago, so that a peer whose clock is a little late accepts it (kubeadm: pki_helpers.go).
Made make(const CertSpec& spec, const Context& context) {
  auto& host = context.world.host;
  const auto now = context.world.clock.now();
  auto present = spec.authority ? readKey(host, spec.key) : std::nullopt;
  auto key = present ? std::move(*present) : freshKey(context, spec.algorithm);
  const certs::Issuance issuance{.notBefore = now - std::chrono::minutes(5), .notAfter = now + spec.life,
                                 .serialBytes = context.world.entropy.bytes(8)};
  if (spec.authority && !isCrossed(spec)) {
    auto certificate = certs::issue(spec, key, certs::Issuer{.key = key}, issuance);
    return {std::move(certificate), std::move(key), {}};
  }
  const auto pem = host.read(spec.issuerCertificate);
  if (!pem)
    throw Error(fmt::format("cannot sign {}: {} is absent", spec.name, spec.issuerCertificate.string()),
                fmt::format("make the authority first: kubestrap init phase certs {}", spec.issuer));
  const auto authorities = X509Certificate::parseAll(*pem, spec.issuerCertificate.string());
  const auto issuerKey = readKey(host, spec.issuerKey);
  if (!issuerKey) needIssuerKey(spec, {authorities.front(), false}, "is missing");
  needBegun(authorities.front(), spec.issuerCertificate, now);
  auto certificate = certs::issue(spec, key, certs::Issuer{&authorities.front(), *issuerKey}, issuance);
  return {std::move(certificate), std::move(key), intermediatesOf(authorities)};
}

} // namespace

std::string authoritiesIn(std::string_view pem, const Path& path) {
  std::string all;
  for (const auto& each : authoritiesOf(pem, path)) all += each.pem();
  return all;
}

Change diff(const Certificate& wanted, const Context& context) {
  const auto& spec = wanted.spec;
  if (spec.authority) return authorityDiff(wanted, context);
  auto& host = context.world.host;
  const auto pem = host.read(spec.certificate);
  const auto issuer = lookAtIssuer(spec, host);
  Change change{.verb = Verb::create, .subject = subject(wanted), .seen = fingerprint(pem)};
  if (!pem) {
    change.reason = "missing";
    needIssuerKey(spec, issuer, "is missing");
    return change;
  }
  const auto chain = X509Certificate::parseAll(*pem, spec.certificate.string());
  const auto& found = chain.front();
  const bool byAnother = issuer.certificate && isSignedByAnother(found, spec.issuerCertificate, host);
  if (!issuer.certificate || (!byAnother && !leadsTo(chain, *issuer.certificate)))
    throw Error(fmt::format("{} is not signed by {}", spec.certificate.string(), spec.issuerCertificate.string()),
                fmt::format("restore the authority that signed it, or move {} and {} away so that they are made anew",
                            spec.certificate.string(), spec.key.string()));
  change.verb = Verb::update;
  const auto key = readKey(host, spec.key);
  warnOfReaders(spec.key, context);
  if (!key) change.reason = "its key is missing";
  else if (!found.belongsTo(*key)) change.reason = "its key does not match";
  else if (byAnother) change.reason = "another authority is to sign it";
  else if (auto why = misfit(spec, found, context.world.clock.now())) change.reason = *why;
  else {
    change.verb = Verb::keep;
    change.reason = fits(spec, found);
    return change;
  }
  needIssuerKey(spec, issuer, change.reason);
  return change;
}

void enact(const Certificate& wanted, const Change& change, const Context& context) {
  auto& host = context.world.host;
  expectUnchanged(wanted.spec.certificate, change.seen, host);
  const auto made = make(wanted.spec, context);
  // The key goes first: a new key beside an old certificate, or an authority's key alone, is seen and mended by the next run; but an
  // authority's certificate without its key means "kept elsewhere".
  host.write(wanted.spec.key, made.key.pem().reveal(), 0600);
  const auto issuer = readCertificate(host, wanted.spec.issuerCertificate);
  host.write(wanted.spec.certificate, made.chain() + (issuer ? bridge(wanted.spec, *issuer, host) : ""), 0644);
}

Change diff(const KeyPair& wanted, const Context& context) {
  auto& host = context.world.host;
  Change change{.subject = subject(wanted), .seen = fingerprint(host.read(wanted.privateKey))};
  const auto key = readKey(host, wanted.privateKey);
  warnOfReaders(wanted.privateKey, context);
  const auto publicPem = host.read(wanted.publicKey);
  if (!key && publicPem)
    throw Error(fmt::format("{} is there, but not {}", wanted.publicKey.string(), wanted.privateKey.string()),
                "restore the private key: tokens signed with it are in use; or move the public key away so that a new pair is made");
  if (!key) {
    change.verb = Verb::create;
    change.reason = "missing";
  } else if (!publicPem) {
    change.verb = Verb::update;
    change.reason = "its public key is missing";
  } else if (trim(*publicPem) != trim(key->publicPem())) {
    change.verb = Verb::update;
    change.reason = "its public key does not match";
  }
  return change;
}

void enact(const KeyPair& wanted, const Change& change, const Context& context) {
  auto& host = context.world.host;
  expectUnchanged(wanted.privateKey, change.seen, host);
  auto key = readKey(host, wanted.privateKey);
  if (!key) {
    key = freshKey(context, wanted.algorithm);
    host.write(wanted.privateKey, key->pem().reveal(), 0600);
  }
  host.write(wanted.publicKey, key->publicPem(), 0600);
}

namespace {

std::string authorityPem(const Path& path, host::Host& host) {
  const auto pem = host.read(path);
  if (!pem) throw Error(fmt::format("{} is absent", path.string()), "make the authority first: kubestrap init phase certs ca");
  return authoritiesIn(*pem, path);
}

/// Who signs the client certificate in a kubeconfig: where it is missing, whom the kubeconfig trusts.
X509Certificate signerOf(const CertSpec& spec, const X509Certificate& trusted, host::Host& host) {
  return readCertificate(host, spec.issuerCertificate).value_or(trusted);
}

/// Whether a kubeconfig trusts others of the authority's name than the file has: one that has been dropped, or not one that is to come.
bool trustsOthers(std::vector<X509Certificate> trusted, const std::string& authorities, const Path& path) {
  const auto wanted = X509Certificate::parseAll(authorities, path.string());
  std::erase_if(trusted, [&](const auto& each) { return !(each.subject() == wanted.front().subject()); });
  return !std::ranges::is_permutation(trusted, wanted, {}, &X509Certificate::der, &X509Certificate::der);
}

std::optional<std::string> misfit(const Kubeconfig& wanted, const kube::Kubeconfig& found, const X509Certificate& authority,
                                  const Context& context) {
  if (const auto* embedded = std::get_if<EmbeddedCertificate>(&wanted.credential)) {
    const auto& file = wanted.credentialFile.string();
    if (!found.clientCertificateFile.empty() && file.empty()) return std::nullopt; // the kubelet's, rotated in its own file
    if (found.clientCertificateFile != file) return "does not name " + file;
    if (found.clientCertificate.empty()) return "has no client certificate";
    const auto chain = X509Certificate::parseAll(found.clientCertificate, wanted.path.string());
    const auto& certificate = chain.front();
    if (!leadsTo(chain, authority)) return "its client certificate is not signed by the authority";
    if (!certificate.belongsTo(PrivateKey::parse(found.clientKey, wanted.path.string()))) return "its key does not match";
    if (!certs::sameUser(certificate.subject(), embedded->spec.subject))
      return fmt::format("is for {}, not {}", describeSubject(certificate.subject()), describeSubject(embedded->spec.subject));
    return misfit(embedded->spec, certificate, context.world.clock.now());
  }
  if (const auto* file = std::get_if<CertificateFile>(&wanted.credential)) {
    if (found.clientCertificateFile != file->path.string()) return "does not name " + file->path.string();
    return std::nullopt;
  }
  if (const auto* given = std::get_if<GivenCertificate>(&wanted.credential)) {
    if (found.clientCertificateFile != wanted.credentialFile.string()) return "does not name " + wanted.credentialFile.string();
    if (!found.clientCertificate.starts_with(given->certificate)) return "has another client certificate"; // a key may follow in its file
    return std::nullopt;
  }
  if (!(found.token == std::get<TokenCredential>(wanted.credential).token)) return "has another token";
  return std::nullopt;
}

/// Of the kubeconfig, and of the file that its certificate and key lie in.
std::string fingerprintOf(const Kubeconfig& wanted, host::Host& host) {
  const auto text = host.read(wanted.path);
  if (wanted.credentialFile.empty()) return fingerprint(text);
  return fingerprint(text) + fingerprint(host.read(wanted.credentialFile));
}

} // namespace

Change diff(const Kubeconfig& wanted, const Context& context) {
  auto& host = context.world.host;
  const auto text = host.read(wanted.path);
  Change change{.subject = subject(wanted), .seen = fingerprintOf(wanted, host)};
  const auto* embedded = std::get_if<EmbeddedCertificate>(&wanted.credential);
  if (!text) {
    change.verb = Verb::create;
    change.reason = "missing";
    if (embedded) needIssuerKey(embedded->spec, lookAtIssuer(embedded->spec, host), "is missing");
    return change;
  }
  auto found = kube::parseKubeconfig(*text, wanted.path.string());
  if (!wanted.credentialFile.empty()) kube::readCredentials(found, [&](const auto& file) { return host.read(file); });
  const auto authorities = authorityPem(wanted.authority, host);
  const auto authority = X509Certificate::parse(authorities, wanted.authority.string());
  const auto trusted = found.authorities.empty() ? std::vector<X509Certificate>{}
                                                 : X509Certificate::parseAll(found.authorities, wanted.path.string());
  const bool unfinished = found.authorities.empty() && found.authorityFile.empty(); // as certs generate-csr leaves it
  if (!unfinished && std::none_of(trusted.begin(), trusted.end(), [&](const auto& each) { return each.der() == authority.der(); }))
    throw Error(fmt::format("{} trusts another authority than {}", wanted.path.string(), wanted.authority.string()),
                "it belongs to another cluster: move it away so that it is made anew");
  std::optional<std::string> why;
  const auto& others = wanted.otherServers;
  if (unfinished) why = "names no authority yet";
  else if (trustsOthers(trusted, authorities, wanted.authority)) why = fmt::format("trusts others than {} says", wanted.authority.string());
  else if (found.server != wanted.server && std::ranges::find(others, found.server) == others.end())
    why = fmt::format("names {}, not {}", found.server, wanted.server);
  else if (found.tlsServerName != wanted.tlsServerName) why = "names another TLS server name";
  else why = misfit(wanted, found, embedded ? signerOf(embedded->spec, authority, host) : authority, context);
  if (!why) return change;
  if (context.wouldWrite) context.wouldWrite->insert(wanted.path);
  change.verb = Verb::update;
  change.reason = *why;
  if (embedded) needIssuerKey(embedded->spec, lookAtIssuer(embedded->spec, host), *why);
  return change;
}

void enact(const Kubeconfig& wanted, const Change& change, const Context& context) {
  auto& host = context.world.host;
  if (fingerprintOf(wanted, host) != change.seen) throw changedMeanwhile(wanted.path);
  kube::Kubeconfig made{.server = wanted.server,
                        .tlsServerName = wanted.tlsServerName,
                        .clusterName = wanted.clusterName,
                        .user = wanted.user,
                        .authorities = authorityPem(wanted.authority, host)};
  if (const auto* embedded = std::get_if<EmbeddedCertificate>(&wanted.credential)) {
    const auto pair = make(embedded->spec, context);
    made.clientCertificate = pair.chain();
    made.clientKey = pair.key.pem();
  } else if (const auto* file = std::get_if<CertificateFile>(&wanted.credential)) {
    made.clientCertificateFile = made.clientKeyFile = file->path.string();
  } else if (const auto* given = std::get_if<GivenCertificate>(&wanted.credential)) {
    made.clientCertificate = given->certificate;
    made.clientKey = given->key;
  } else {
    made.token = std::get<TokenCredential>(wanted.credential).token;
  }
  if (!wanted.credentialFile.empty()) {
    host.write(wanted.credentialFile, made.clientCertificate + made.clientKey.reveal(), 0600);
    made.clientCertificate.clear();
    made.clientKey = {};
    made.clientCertificateFile = made.clientKeyFile = wanted.credentialFile.string();
  }
  host.write(wanted.path, kube::emitKubeconfig(made), 0600);
}

} // namespace kubestrap::plan
