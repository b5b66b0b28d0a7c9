// Certificates that were signed elsewhere: everything for which they would not do.
#include "certs/fitness.hpp"
#include "fixture.hpp"

namespace kubestrap::certs {

namespace {

const auto now = at("2026-07-01T00:00:00Z"); // within aYear()

CertSpec wanted() {
  return {.name = "apiserver", .issuer = "ca", .subject = {.commonName = "kube-apiserver", .organizations = {}},
          .names = {.dns = {"n1"}, .ips = {*IpAddress::parse("10.0.0.11")}}, .usages = {ExtendedUsage::serverAuth}, .life = std::chrono::hours(1)};
}

X509Certificate signedBy(const Pair& authority, const CertSpec& spec, Issuance issuance = aYear()) {
  const auto key = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  return issue(spec, key, Issuer{&authority.certificate, authority.key}, issuance);
}

std::vector<std::string> judged(const std::vector<X509Certificate>& chain, const Pair& authority, KnownBy knownBy = KnownBy::names, TimePoint when = now) {
  return flaws(wanted(), knownBy, chain, std::vector{authority.certificate}, when);
}

} // namespace

TEST_CASE("a certificate as it was wanted has no flaws, and its subject may be another where only its names count") {
  const auto authority = makeAuthority();
  auto spec = wanted();
  spec.subject.commonName = "whatever";
  const std::vector chain{signedBy(authority, spec)};
  CHECK(judged(chain, authority).empty());
  CHECK(judged(chain, authority, KnownBy::subject) == std::vector<std::string>{"is for CN=whatever, not CN=kube-apiserver"});
}

TEST_CASE("everything that is wrong with a certificate is told at once") {
  const auto authority = makeAuthority();
  auto spec = wanted();
  spec.names = {.dns = {"n2"}, .ips = {}};
  spec.usages = {ExtendedUsage::clientAuth};
  spec.subject = {.commonName = "n2", .organizations = {"x"}};
  const auto late = at("2030-01-01T00:00:00Z");
  CHECK(judged({signedBy(authority, spec)}, authority, KnownBy::subject, late) ==
        std::vector<std::string>{"ended at " + formatRfc3339(aYear().notAfter), "has no usage \"server auth\"", "is not for n1, 10.0.0.11",
                                 "is for O=x, CN=n2, not CN=kube-apiserver"});
}

TEST_CASE("each flaw by itself") {
  const auto authority = makeAuthority(), other = makeAuthority("another");
  const auto only = [](const std::vector<std::string>& found) { return found.size() == 1 ? found.front() : std::to_string(found.size()) + " flaws"; };
  CHECK(contains(only(judged({signedBy(other, wanted())}, authority)), "is signed by CN=another, and does not lead to ca: "));
  CHECK(contains(only(judged({signedBy(authority, wanted())}, authority, KnownBy::names, at("2020-01-01T00:00:00Z"))), "; is the clock right?"));
  auto spec = wanted();
  spec.usages = {};
  CHECK(only(judged({signedBy(authority, spec)}, authority)) == "has no usage \"server auth\"");
  CHECK(judged({authority.certificate}, authority).front() == "is one of an authority");
  auto authoritySpec = wanted();
  authoritySpec.authority = true;
  CHECK(only(flaws(authoritySpec, KnownBy::names, std::vector{signedBy(authority, wanted())}, {}, now)) == "is no certificate of an authority");
}

TEST_CASE("a certificate leads to its authority by those that come with it") {
  const auto root = makeAuthority("root");
  CertSpec spec{.name = "between", .issuer = "root", .authority = true, .subject = {.commonName = "between", .organizations = {}}, .names = {}, .life = std::chrono::hours(1)};
  const auto key = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  const Pair between{key, issue(spec, key, Issuer{&root.certificate, root.key}, aYear())};
  const auto leaf = signedBy(between, wanted());
  CHECK(judged({leaf, between.certificate}, root).empty());
  CHECK(judged({leaf}, root).size() == 1);
  CHECK(judged({leaf}, between).empty()); // what is trusted need not be a root
}

} // namespace kubestrap::certs
