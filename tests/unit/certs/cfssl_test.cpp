// Requests and signing policies as data. That the certificates are cfssl's is shown by tests/cfssl, with the real one.
#include "certs/describe.hpp"
#include "certs/fields.hpp"
#include "certs/sign.hpp"
#include "certs/verify.hpp"
#include "fixture.hpp"

namespace kubestrap::certs {

namespace {

std::vector<std::string> problemsOf(std::string_view json, auto&& parse) {
  try {
    parse(json, "a.json");
  } catch (const Problems& problems) {
    std::vector<std::string> texts;
    for (const auto& each : problems.list()) texts.push_back(each.field.empty() ? each.message : each.field);
    return texts;
  }
  return {};
}

const auto now = at("2026-11-25T12:00:00Z");
const std::string serial(20, '\x11');

struct Signed {
  PrivateKey key;
  X509Certificate certificate;
};

Signed authority(std::string_view json = R"({"CN": "authority"})") {
  const auto request = parseRequest(json, "ca.json");
  auto key = PrivateKey::generate(request.key);
  auto certificate = sign(SigningRequest::make(request, key), authorityOrder(request), Issuer{.key = key}, now, serial);
  return {std::move(key), std::move(certificate)};
}

X509Certificate leaf(const Signed& by, const Profile& profile, std::string_view json = R"({"CN": "leaf", "hosts": ["a.example.org"]})") {
  const auto request = parseRequest(json, "leaf.json");
  const auto key = PrivateKey::generate(request.key);
  return sign(SigningRequest::make(request, key), {.profile = profile}, Issuer{&by.certificate, by.key}, now, serial);
}

} // namespace

TEST_CASE("everything that is wrong with a request is told at once, by the path of its member") {
  const auto problems = problemsOf(R"({"CN": 1, "hosts": ["a b", 2], "key": {"algo": "rsa", "size": 1024}, "names": [{"X": "y", "SerialNumber": "1"}],
                                       "ca": {"expiry": "1y", "pathlen": 1, "pathlenzero": true}, "hots": []})",
                                   [](auto json, auto source) { return parseRequest(json, source); });
  CHECK(problems == std::vector<std::string>{"CN", "names[0].SerialNumber", "names[0].X", "hosts[1]", "hosts[0]", "key.size", "ca.pathlenzero",
                                             "ca.expiry", "hots"});
}

TEST_CASE("everything that is wrong with a policy is told at once, and what cannot be honoured is an error") {
  const auto problems = problemsOf(R"({"auth_keys": {"a": {}}, "signing": {"default": {"usages": ["server auht"]}, "profiles": {"p": {"expiry": "1h",
      "remote": "r", "name_whitelist": "a", "ca_constraint": {"max_path_len": 1}, "not_before": "today", "lint_error_level": 0}}}})",
                                   [](auto json, auto source) { return parsePolicy(json, source); });
  CHECK(problems == std::vector<std::string>{"auth_keys", "signing.default.usages[0]", "signing.default.expiry", "signing.profiles.p.ca_constraint.is_ca",
                                             "signing.profiles.p.not_before", "signing.profiles.p.remote", "signing.profiles.p.name_whitelist",
                                             "signing.profiles.p.usages"});
}

TEST_CASE("a document that is no JSON, is too deep, too large or has a member twice is refused in a sentence") {
  for (const std::string& json : {std::string("{"), std::string(100, '['), std::string(2'000'000, ' '), std::string(R"({"CN": "a", "cn": "b"})"),
                                  std::string("[]"), std::string("\"\"")})
    CHECK_THROWS_AS(parseRequest(json, "a.json"), Problems);
}

TEST_CASE("DOS line ends and a byte order mark do no harm to a request") {
  CHECK(parseRequest("\xef\xbb\xbf{\r\n\"CN\": \"a\"\r\n}\r\n", "a.json").subject.string() == "CN=a");
}

TEST_CASE("a request comes back from its document") {
  const std::string json = R"({"CN": "a", "hosts": ["a.example.org", "10.0.0.1", "m@example.org", "spiffe://x/y"], "key": {"algo": "rsa", "size": 3072},
    "names": [{"O": "x", "OU": "y"}, {"O": "z", "OID": {"1.2.3.4": "v"}}], "ca": {"pathlen": 2, "expiry": "1h0m0s"}, "serialnumber": "7"})";
  const auto request = parseRequest(json, "a.json");
  const auto again = readRequest(document(request), "again");
  CHECK(document(again) == document(request));
  CHECK(again.hosts.all() == request.hosts.all());
}

TEST_CASE("an authority signs for as long as it says, and says how far its path goes") {
  const auto made = authority(R"({"CN": "authority", "ca": {"expiry": "100h", "backdate": "2h", "pathlen": 1}})");
  CHECK(formatRfc3339(made.certificate.notBefore()) == "2026-11-25T10:00:00Z");
  CHECK(formatRfc3339(made.certificate.notAfter()) == "2026-11-29T14:00:00Z");
  CHECK(requestOf(made.certificate).authority->pathLength == 1);
  Profile further = authorityProfile();
  further.pathLength = 1;
  CHECK(contains(errorOf([&] { leaf(made, further); }).message(), "not less than the authority's own"));
  further.pathLength = 0;
  CHECK(leaf(made, further).isAuthority());
}

TEST_CASE("an authority that signs leaves only signs no other authority, and a leaf signs nothing") {
  const auto made = authority(R"({"CN": "authority", "ca": {"pathlenzero": true}})");
  CHECK(contains(errorOf([&] { leaf(made, authorityProfile()); }).message(), "no further authority"));
  const auto certificate = leaf(made, standardPolicy().standard);
  CHECK(contains(errorOf([&] { leaf({made.key, certificate}, standardPolicy().standard); }).message(), "do not belong together"));
}

TEST_CASE("a request has the public key as it is read back, whatever kind of key it is") {
  for (const auto& kind : {KeyRequest{"ecdsa", 256}, KeyRequest{"ecdsa", 384}, KeyRequest{"ecdsa", 521}, KeyRequest{"ed25519", 256}, KeyRequest{"rsa", 2048}}) {
    CAPTURE(kind.algorithm);
    CAPTURE(kind.size);
    Request request;
    request.subject.add(attribute::commonName, "x");
    const auto key = PrivateKey::generate(kind);
    const auto made = SigningRequest::make(request, key);
    const auto read = SigningRequest::parse(made.pem(), "x.csr");
    for (const auto* each : {&made, &read}) {
      CHECK(each->belongsTo(key));
      CHECK(each->keyKind().algorithm == kind.algorithm);
    }
    CHECK(sign(made, {.profile = authorityOrder(request).profile}, Issuer{.key = key}, now, serial).belongsTo(key));
    CHECK(PrivateKey::parse(key.pem(), "x.key").publicPem() == key.publicPem());
  }
}

TEST_CASE("a request that was changed after it was signed is not accepted") {
  const auto request = parseRequest(R"({"CN": "a"})", "a.json");
  const auto key = PrivateKey::generate(request.key);
  auto pem = SigningRequest::make(request, key).pem();
  CHECK(SigningRequest::parse(pem, "a.csr").belongsTo(key));
  pem[pem.find('\n') + 40] ^= 1;
  CHECK_THROWS_AS(SigningRequest::parse(pem, "a.csr"), Error);
  CHECK(contains(errorOf([&] { SigningRequest::parse(key.publicPem(), "a.csr"); }).message(), "no certificate request"));
}

TEST_CASE("a profile that the policy lacks is an error that names those that it has") {
  const auto policy = parsePolicy(R"({"signing": {"profiles": {"www": {"expiry": "1h", "usages": ["server auth"]}}}})", "a.json");
  CHECK(errorOf([&] { policy.profile("ww"); }).hint() == "it has www");
  CHECK(policy.profile("www").expiry == std::chrono::hours(1));
}

TEST_CASE("a chain is verified for a purpose and a moment, through intermediates that are at hand") {
  const auto root = authority();
  const auto request = parseRequest(R"({"CN": "between"})", "i.json");
  const auto key = PrivateKey::generate(request.key);
  const Signed between{key, sign(SigningRequest::make(request, key), {.profile = authorityProfile()}, Issuer{&root.certificate, root.key}, now, serial)};
  Profile client = standardPolicy().standard;
  client.usages = {"signing", "client auth"};
  const auto certificate = leaf(between, client);
  const std::vector roots{root.certificate}, chain{between.certificate};
  CHECK(!whyUntrusted(certificate, chain, roots, Purpose::client, now));
  CHECK(contains(*whyUntrusted(certificate, chain, roots, Purpose::server, now), "purpose"));
  CHECK(contains(*whyUntrusted(certificate, {}, roots, Purpose::client, now), "issuer"));
  CHECK(contains(*whyUntrusted(certificate, chain, roots, Purpose::client, now + std::chrono::hours(9000)), "expired"));
  CHECK(contains(*whyUntrusted(certificate, chain, roots, Purpose::client, now - std::chrono::hours(1)), "not yet valid"));
  CHECK(!whyUntrusted(certificate, {}, chain, Purpose::client, now));
}

TEST_CASE("keys of every kind that may be asked for are made, of no other") {
  for (const KeyRequest& wanted : {KeyRequest{"rsa", 2050}, KeyRequest{"ecdsa", 521}, KeyRequest{"ed25519", 0}}) {
    const auto kind = PrivateKey::generate(wanted).kind();
    CHECK(kind.algorithm == wanted.algorithm);
    if (wanted.size) CHECK(kind.size == wanted.size);
  }
  CHECK_THROWS_AS(PrivateKey::generate(KeyRequest{"rsa", 2049}), Error);
}

TEST_CASE("a description tells what a certificate may be used for") {
  const auto value = describe(leaf(authority(), standardPolicy().standard));
  CHECK(value.at("usages") == Value{"digital signature", "key encipherment", "server auth", "client auth"});
  CHECK(value.at("issuer").at("common_name") == "authority");
  CHECK(value.at("sans") == Value::array({"a.example.org"}));
}

} // namespace kubestrap::certs
