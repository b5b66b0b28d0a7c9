#include "targets.hpp"

#include "archive/image.hpp"
#include "archive/references.hpp"
#include "certs/detached.hpp"
#include "certs/key.hpp"
#include "certs/policy.hpp"
#include "certs/sign.hpp"
#include "certs/x509.hpp"
#include "config/load.hpp"
#include "config/migrate.hpp"
#include "config/patches.hpp"
#include "config/store.hpp"
#include "config/token.hpp"
#include "kube/bootstrap_token.hpp"
#include "kube/kubeconfig.hpp"
#include "kube/kubeconfig_merge.hpp"
#include "support/encoding.hpp"
#include "support/ip.hpp"
#include "support/text.hpp"
#include "support/time.hpp"
#include "support/version.hpp"
#include "support/yaml.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace kubestrap::fuzz {

namespace {

void mustHold(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

/// Runs what may answer with an Error. True: it did not.
template <typename Body> bool answers(Body&& body) {
  try {
    body();
    return true;
  } catch (const Error&) {
    return false;
  }
}

config::Facts machine() {
  config::Facts facts;
  facts.hostname = "n1";
  facts.defaultAddress = IpAddress::v4(10, 88, 0, 11);
  return facts;
}

std::string noChance(std::size_t count) { return std::string(count, 'x'); }

void comesBack(const Value& value) {
  std::string text;
  if (!answers([&] { text = emitYaml(value); })) return; // bytes that are no text, from a JSON string
  // A long alias-built document may be more than the reader's budget when it is written out.
  Value again;
  if (answers([&] { again = parseYamlValue(text, "again"); })) mustHold(again == value, "a document changed when written and read");
}

void documents(std::string_view input) {
  (void)answers([&] { (void)parseJson(input); });
  std::vector<Document> found;
  if (!answers([&] { found = parseYaml(input, "fuzz.yaml"); })) return;
  for (const auto& document : found) comesBack(document.value);
  std::vector<std::string> warnings;
  std::vector<Problem> problems;
  (void)config::validateDocuments(found, warnings);
  const auto migrated = config::migrate(found, config::Experimental::accept, problems, warnings);
  mustHold(migrated.size() >= found.size(), "a document was lost by migration");
  (void)config::validateDocuments(migrated, warnings);
  (void)answers([&] {
    const auto setup = config::loadInit(found, {}, machine(), noChance, warnings);
    // What is kept in the cluster must be read by whoever comes after.
    const std::vector<Document> stored{{config::clusterConfigurationDocument(setup.cluster), "stored", {}},
                                       {config::kubeletConfigDocument(setup.cluster), "stored", {}},
                                       {config::kubeProxyDocument(setup.cluster), "stored", {}}};
    mustHold(answers([&] { (void)config::clusterFromDocuments(stored, warnings); }), "a stored configuration cannot be read");
  });
}

/// What is there is not lost by what is put beside it.
void merged(std::string_view input) {
  static const Value made = parseYamlValue(kube::emitKubeconfig({.server = "https://a:1", .tlsServerName = {}, .clusterName = "fuzz-cluster", .user = "u", .authorities = "A", .clientCertificate = {}}), "made");
  std::string text;
  if (!answers([&] { text = kube::mergeKubeconfig(input, "fuzz.conf", made, kube::Current::whenNone).text; })) return;
  mustHold(kube::mergeKubeconfig(text, "again", made, kube::Current::whenNone).text == text, "a second merge changed a kubeconfig");
}

void kubeconfig(std::string_view input) {
  merged(input);
  (void)answers([&] {
    const auto read = kube::parseKubeconfig(input, "fuzz.conf");
    std::string text;
    if (!answers([&] { text = kube::emitKubeconfig(read); })) return;
    mustHold(kube::parseKubeconfig(text, "again").server == read.server, "a kubeconfig changed when written and read");
  });
}

void pem(std::string_view input) {
  (void)answers([&] {
    for (const auto& certificate : certs::X509Certificate::parseAll(input, "fuzz.crt")) {
      (void)certificate.subject(), (void)certificate.issuer(), (void)certificate.names(), (void)certificate.usages();
      (void)answers([&] { (void)certificate.notAfter(), (void)certificate.notBefore(); });
      (void)certificate.isAuthority(), (void)certificate.serial(), (void)certificate.algorithm();
      (void)answers([&] { (void)certificate.publicKeyPin(), (void)certificate.signedBy(certificate); });
      mustHold(certs::X509Certificate::parse(certificate.pem(), "again").der() == certificate.der(), "a certificate changed");
    }
  });
  (void)answers([&] {
    const auto key = certs::PrivateKey::parse(Secret(std::string(input)), "fuzz.key");
    (void)key.algorithm();
    Secret text;
    if (!answers([&] { text = key.pem(); })) return;
    (void)answers([&] { mustHold(certs::PrivateKey::parse(text, "again").publicDer() == key.publicDer(), "a key changed"); });
  });
}

/// Tokens, and the other small texts that stand in flags, configurations and Secrets.
void token(std::string_view input) {
  if (const auto parts = config::parseToken(input)) mustHold(parts->id + "." + parts->secret.reveal() == input, "a token changed");
  (void)config::isTokenId(input), (void)config::isTokenGroup(input);
  (void)answers([&] { mustHold(parseDuration(formatDuration(parseDuration(input))) == parseDuration(input), "a duration changed"); });
  (void)answers([&] { (void)formatRfc3339(parseRfc3339(input)); });
  (void)answers([&] { mustHold(parseVersion(parseVersion(input).string()) == parseVersion(input), "a version changed"); });
  if (const auto address = IpAddress::parse(input)) mustHold(IpAddress::parse(address->string()) == address, "an address changed");
  if (const auto range = Cidr::parse(input)) mustHold(Cidr::parse(range->string()) == range, "a range changed");
  (void)splitHostPort(input), (void)fromHex(input), (void)fromBase64Url(input);
  if (const auto bytes = fromBase64(input)) mustHold(fromBase64(base64(*bytes)) == bytes, "base64 changed");
  Value secret{{"apiVersion", "v1"}, {"kind", "Secret"}, {"type", "bootstrap.kubernetes.io/token"},
               {"metadata", {{"name", "bootstrap-token-abcdef"}, {"namespace", "kube-system"}}}, {"data", Value::object()}};
  const char* keys[] = {"token-id", "token-secret", "expiration", "usage-bootstrap-signing", "auth-extra-groups", "description"};
  const auto lines = split(input, '\n');
  for (std::size_t i = 0; i < lines.size() && i < std::size(keys); ++i) secret["data"][keys[i]] = base64(lines[i]);
  (void)kube::parseTokenSecret(secret);
}

const char pod[] = R"(apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system, labels: {component: kube-apiserver, tier: control-plane}}
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.37.2
    command: [kube-apiserver, --v=2]
    env: [{name: A, value: b}]
    volumeMounts: [{name: certs, mountPath: /etc/kubernetes/pki}]
  hostNetwork: true
  volumes: [{name: certs, hostPath: {path: /etc/kubernetes/pki}}]
)";

/// The first line is the file's name, the rest what stands in it.
void patches(std::string_view input) {
  static const Value target = parseYamlValue(pod, "pod.yaml");
  const auto end = std::min(input.find('\n'), input.size());
  std::vector<std::string> warnings;
  std::vector<config::Patch> found;
  const std::string text(input.substr(std::min(end + 1, input.size())));
  if (!answers([&] { found = config::parsePatches({{std::string(input.substr(0, end)), text}}, warnings); })) return;
  for (auto patch : found) {
    for (const auto kind : {config::Patch::Kind::strategic, config::Patch::Kind::merge, config::Patch::Kind::json}) {
      patch.kind = kind;
      (void)answers([&] { comesBack(config::applyPatches(target, patch.target, {patch})); });
    }
  }
}

/// A certificate request in JSON: what can be read is signed, and what is signed can be read.
void request(std::string_view input) {
  static const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  certs::Request read;
  if (!answers([&] { read = certs::parseRequest(input, "fuzz.json"); })) return;
  (void)answers([&] {
    const auto written = certs::document(read);
    mustHold(certs::document(certs::readRequest(written, "again")) == written, "a request changed when written and read");
  });
  (void)answers([&] {
    const auto made = certs::SigningRequest::make(read, key);
    mustHold(certs::SigningRequest::parse(made.pem(), "again").pem() == made.pem(), "a signed request changed");
    (void)certs::sign(made, certs::authorityOrder(read), certs::Issuer{.key = key}, parseRfc3339("2026-11-25T12:00:00Z"), std::string(20, 'x'));
  });
}

/// A signing policy: every profile of one that can be read signs, or says why it does not.
void policy(std::string_view input) {
  static const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  static const auto made = certs::SigningRequest::make(certs::parseRequest(R"({"CN": "a", "hosts": ["a"]})", "a.json"), key);
  (void)answers([&] {
    const auto read = certs::parsePolicy(input, "fuzz.json");
    const auto sign = [&](std::string_view name) {
      (void)answers([&] { (void)certs::sign(made, {.profile = read.profile(name)}, certs::Issuer{.key = key}, parseRfc3339("2026-11-25T12:00:00Z"), std::string(20, 'x')); });
    };
    sign("");
    for (const auto& [name, profile] : read.profiles) sign(name);
  });
}

/// A bundle's lock file, a public key, what an image says of itself, and the images that an add-on names.
void lock(std::string_view input) {
  (void)answers([&] {
    const auto read = archive::parseLock(input, "fuzz.json");
    for (const auto& member : read.members) mustHold(archive::kindOf(member.path).has_value(), "a part has no place");
    mustHold(archive::parseLock(archive::emitLock(read), "again") == read, "a lock file changed when written and read");
  });
  (void)answers([&] { (void)certs::PublicKey::parseAll(input, "fuzz.pem"); });
  (void)answers([&] { (void)archive::described(input, "fuzz.json"); });
  (void)answers([&] { (void)archive::imagesNamed({parseJson(input)}); });
}

constexpr Target table[] = {{"documents", documents}, {"kubeconfig", kubeconfig}, {"pem", pem},      {"token", token},
                            {"patches", patches},     {"request", request},       {"policy", policy},
                            {"lock", lock}};

} // namespace

std::span<const Target> targets() { return table; }

const Target& target(std::string_view name) {
  const auto row = std::ranges::find(table, name, &Target::name);
  if (row == std::end(table)) throw std::out_of_range("no such target");
  return *row;
}

} // namespace kubestrap::fuzz
