#include "tests/unit/net/authority.hpp"

#include <chrono>

namespace kubestrap::net::tests {

namespace {

certs::Issuance forAnHour(const std::string& serialBytes) {
  const TimePoint now = std::chrono::system_clock::now();
  return {
      .notBefore = now - std::chrono::minutes(5), .notAfter = now + std::chrono::hours(1), .serialBytes = serialBytes};
}

certs::X509Certificate selfSigned(const std::string& name, const certs::PrivateKey& key) {
  const certs::CertSpec spec{.name = name, .issuer = name, .authority = true, .subject = {.commonName = name}};
  return certs::issue(spec, key, {.certificate = nullptr, .key = key}, forAnHour("\1authori"));
}

} // namespace

Authority::Authority(const std::string& commonName)
    : key_(certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256)), certificate_(selfSigned(commonName, key_)) {}

Pair Authority::issue(const certs::Subject& subject, std::vector<certs::ExtendedUsage> usages,
                      certs::AlternativeNames names) const {
  const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  const certs::CertSpec spec{.name = subject.commonName,
                             .issuer = "ca",
                             .subject = subject,
                             .names = std::move(names),
                             .usages = std::move(usages)};
  return {certs::issue(spec, key, {.certificate = &certificate_, .key = key_}, forAnHour("\2serving")).pem(),
          key.pem()};
}

Pair Authority::issue(const certs::Subject& subject, certs::ExtendedUsage usage, certs::AlternativeNames names) const {
  return issue(subject, std::vector{usage}, std::move(names));
}

Pair Authority::issueForBoth(const certs::Subject& subject, certs::AlternativeNames names) const {
  return issue(subject, std::vector{certs::ExtendedUsage::serverAuth, certs::ExtendedUsage::clientAuth},
               std::move(names));
}

} // namespace kubestrap::net::tests
