#pragma once

#include "certs/key.hpp"
#include "certs/spec.hpp"

#include <memory>
#include <string>
#include <vector>

struct x509_st;

namespace kubestrap::certs {

/// A parsed X.509 certificate.
class X509Certificate {
public:
  /// The first certificate of `pem`; throws Error naming `source` when there is none.
  static X509Certificate parse(std::string_view pem, std::string_view source);
  static std::vector<X509Certificate> parseAll(std::string_view pem, std::string_view source);
  static X509Certificate fromDer(std::string_view der, std::string_view source);

  std::string pem() const;
  /// As OpenSSL's TRUSTED CERTIFICATE, good for servers (openssl-x509, -addtrust): programs that trust nothing but roots take it for one.
  std::string trustedPem() const;
  std::string der() const;
  Subject subject() const;
  Subject issuer() const;
  AlternativeNames names() const; ///< in the order of the certificate
  std::vector<ExtendedUsage> usages() const;
  bool isAuthority() const;
  TimePoint notBefore() const, notAfter() const;
  std::string serial() const; ///< upper-case hex
  /// "sha256:<hex>" of the SubjectPublicKeyInfo, as `--discovery-token-ca-cert-hash` wants it.
  std::string publicKeyPin() const;
  bool belongsTo(const PrivateKey& key) const;
  /// Whether `issuer`'s key signed this one (names, key ids and signature; dates are not looked at).
  bool signedBy(const X509Certificate& issuer) const;
  /// Which of `wanted` a client would not accept this certificate for. A wildcard covers one label, the common name
  /// nothing (Go: x509.Certificate.VerifyHostname, by which kubeadm judges a certificate that it finds).
  AlternativeNames lacks(const AlternativeNames& wanted) const;
  bool coversNames(const AlternativeNames& wanted) const { return lacks(wanted).empty(); }
  std::optional<KeyAlgorithm> algorithm() const;
  KeyRequest keyKind() const;
  x509_st* native() const { return certificate_.get(); } ///< for certs/ only

private:
  explicit X509Certificate(std::shared_ptr<x509_st> certificate) : certificate_(std::move(certificate)) {}
  std::shared_ptr<x509_st> certificate_; ///< immutable after construction
  friend X509Certificate issue(const CertSpec&, const PrivateKey&, const struct Issuer&, const struct Issuance&);
};

struct Issuer {
  const X509Certificate* certificate = nullptr; ///< nullptr: self-signed
  const PrivateKey& key;
};

/// What must not come from inside: time and chance.
struct Issuance {
  TimePoint notBefore, notAfter;
  std::string serialBytes; ///< 8 random octets; turned into kubeadm's 63-bit positive serial
};

/// Signs what `spec` says for the public half of `subjectKey`, with the profile of pki.md section 1.1.
X509Certificate issue(const CertSpec& spec, const PrivateKey& subjectKey, const Issuer& issuer,
                      const Issuance& issuance);

} // namespace kubestrap::certs
