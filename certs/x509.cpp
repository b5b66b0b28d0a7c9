#include "certs/x509.hpp"

#include "certs/extensions.hpp"
#include "certs/openssl.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

// ---- reading

template <typename Extension> Extension readExtension(const X509* certificate, int nid) {
  return Extension(static_cast<typename Extension::pointer>(X509_get_ext_d2i(certificate, nid, nullptr, nullptr)));
}

Subject readName(const X509_NAME* name) {
  Subject subject;
  for (auto& part : readDistinguishedName(name).parts) {
    if (part.type == attribute::commonName) subject.commonName = std::move(part.value);
    else if (part.type == attribute::organization) subject.organizations.push_back(std::move(part.value));
    else subject.others.push_back(std::move(part));
  }
  return subject;
}

/// Dates that TimePoint cannot hold, like RFC 5280's 9999-12-31 for "no end", become its first or last moment.
TimePoint readTime(const ASN1_TIME* time) {
  clearErrors();
  std::tm parts{};
  require(ASN1_TIME_to_tm(time, &parts), "read a date in a certificate");
  const std::chrono::seconds since(timegm(&parts));
  if (since >= std::chrono::floor<std::chrono::seconds>(TimePoint::max().time_since_epoch())) return TimePoint::max();
  if (since <= std::chrono::ceil<std::chrono::seconds>(TimePoint::min().time_since_epoch())) return TimePoint::min();
  return TimePoint(since);
}

// ---- writing

Time timeOf(TimePoint when) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(when.time_since_epoch());
  return Time(require(ASN1_TIME_set(nullptr, seconds.count()), "write a date"));
}

/// kubeadm's serial numbers: uniform between 1 and 2^63-2 (util/pkiutil/pki_helpers.go).
std::uint64_t serialNumber(std::string_view random) {
  std::uint64_t value = 0;
  for (const char octet : random) value = value << 8 | static_cast<unsigned char>(octet);
  constexpr std::uint64_t serials = (std::uint64_t{1} << 63) - 2;
  return value % serials + 1;
}

DistinguishedName distinguished(const Subject& subject) {
  DistinguishedName name;
  for (const auto& organization : subject.organizations) name.add(attribute::organization, organization);
  name.add(attribute::commonName, subject.commonName);
  name.parts.insert(name.parts.end(), subject.others.begin(), subject.others.end());
  return name;
}

void addExtension(X509* certificate, int nid, void* value, Critical critical) {
  require(X509_add1_ext_i2d(certificate, nid, value, critical == Critical::yes ? 1 : 0, X509V3_ADD_DEFAULT),
          fmt::format("write the extension {}", OBJ_nid2ln(nid)));
}

void addKeyUsage(X509* certificate, bool authority) {
  constexpr int digitalSignature = 0, keyEncipherment = 2, keyCertSign = 5; // RFC 5280, 4.2.1.3
  const BitString bits{require(ASN1_BIT_STRING_new(), "write the key usage")};
  for (const int bit : {digitalSignature, keyEncipherment})
    require(ASN1_BIT_STRING_set_bit(bits.get(), bit, 1), "write the key usage");
  if (authority) require(ASN1_BIT_STRING_set_bit(bits.get(), keyCertSign, 1), "write the key usage");
  addExtension(certificate, NID_key_usage, bits.get(), Critical::yes);
}

void addExtendedKeyUsage(X509* certificate, const std::vector<ExtendedUsage>& usages) {
  if (usages.empty()) return;
  const ExtendedKeyUsage list{require(EXTENDED_KEY_USAGE_new(), "write the extended key usage")};
  for (const ExtendedUsage usage : usages) {
    const int nid = usage == ExtendedUsage::serverAuth ? NID_server_auth : NID_client_auth;
    if (sk_ASN1_OBJECT_push(list.get(), OBJ_nid2obj(nid)) == 0) fail("write the extended key usage");
  }
  addExtension(certificate, NID_ext_key_usage, list.get(), Critical::no);
}

void addBasicConstraints(X509* certificate, bool authority) {
  const BasicConstraints constraints{require(BASIC_CONSTRAINTS_new(), "write the basic constraints")};
  constraints->ca = authority ? 0xff : 0;
  addExtension(certificate, NID_basic_constraints, constraints.get(), Critical::yes);
}

/// SHA-256 of the public key, cut to 20 octets (RFC 7093, method 1), as Go does.
void addSubjectKeyId(X509* certificate) {
  constexpr std::string_view what = "write the subject key id";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  require(X509_pubkey_digest(certificate, EVP_sha256(), digest.data(), nullptr), what);
  const OctetString id{require(ASN1_OCTET_STRING_new(), what)};
  require(ASN1_OCTET_STRING_set(id.get(), digest.data(), 20), what);
  addExtension(certificate, NID_subject_key_identifier, id.get(), Critical::no);
}

/// The issuer's subject key id; nothing when a foreign authority has none.
void addAuthorityKeyId(X509* certificate, X509* issuer) {
  const ASN1_OCTET_STRING* subjectKeyId = X509_get0_subject_key_id(issuer);
  if (!subjectKeyId) return;
  const AuthorityKeyId id{require(AUTHORITY_KEYID_new(), "write the authority key id")};
  id->keyid = require(ASN1_OCTET_STRING_dup(subjectKeyId), "write the authority key id");
  addExtension(certificate, NID_authority_key_identifier, id.get(), Critical::no);
}

void addAlternativeNames(X509* certificate, const AlternativeNames& names) {
  if (names.empty()) return;
  const auto list = generalNames({.dns = names.dns, .ips = names.ips});
  addExtension(certificate, NID_subject_alt_name, list.get(), Critical::no);
}

/// By the key that signs, as Go chooses; Ed25519 brings its own.
const EVP_MD* signatureDigest(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519")) return nullptr;
  if (!EVP_PKEY_is_a(key, "EC")) return EVP_sha256();
  const int bits = EVP_PKEY_get_bits(key);
  return bits > 384 ? EVP_sha512() : bits > 256 ? EVP_sha384() : EVP_sha256();
}

bool isUtf8(std::string_view text) {
  while (!text.empty()) {
    unsigned long character = 0;
    const int used = UTF8_getc(octets(text), length(text), &character);
    if (used <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(used));
  }
  return true;
}

/// What would give a certificate that nobody accepts is refused here, with words.
void check(const CertSpec& spec, const PrivateKey& subjectKey, const Issuer& issuer, const Issuance& issuance) {
  const auto refuse = [&](std::string_view why, std::string hint = {}) {
    throw Error(fmt::format("cannot sign {}: {}", spec.name, why), std::move(hint));
  };
  if (spec.subject.commonName.empty()) refuse("it has no common name");
  for (const std::string& organization : spec.subject.organizations)
    if (!isUtf8(organization)) refuse("an organization is not valid UTF-8");
  if (!isUtf8(spec.subject.commonName)) refuse("its common name is not valid UTF-8");
  for (const std::string& dns : spec.names.dns)
    if (dns.empty() || !std::ranges::all_of(dns, [](char c) { return c > ' ' && c < 0x7f; }))
      refuse(fmt::format("\"{}\" is not a DNS name", dns), "write names of other scripts in their xn-- form");
  if (issuance.serialBytes.size() != 8)
    refuse(fmt::format("{} random octets in place of 8", issuance.serialBytes.size()));
  if (issuance.notAfter <= issuance.notBefore)
    refuse("it would end before it begins", "look at the configured validity periods and the clock");
  if (!issuer.certificate) {
    if (EVP_PKEY_eq(issuer.key.native(), subjectKey.native()) != 1)
      refuse("it is its own issuer, but the signing key is another");
    return;
  }
  if (!issuer.certificate->isAuthority())
    refuse(fmt::format("the certificate of its issuer {} is not one of an authority", spec.issuer),
           "the issuer's file must begin with the authority's own certificate");
  if (!issuer.certificate->belongsTo(issuer.key))
    refuse(
        fmt::format("certificate and key of its issuer {} do not belong together", spec.issuer),
        "put the key back that belongs to the certificate, or take the key away: an authority may be without one here");
}

X509Handle decode(std::string_view der) {
  const unsigned char* at = octets(der);
  X509Handle certificate(d2i_X509(nullptr, &at, length(der)));
  if (certificate && at != octets(der) + der.size()) certificate.reset();
  return certificate;
}

} // namespace

// ---- X509Certificate

X509Certificate X509Certificate::parse(std::string_view pem, std::string_view source) {
  return std::move(parseAll(pem, source).front());
}

std::vector<X509Certificate> X509Certificate::parseAll(std::string_view pem, std::string_view source) {
  std::vector<X509Certificate> found;
  const auto blocks = readPem(pem, source);
  for (const PemBlock& block : blocks) {
    if (block.label != "CERTIFICATE") continue;
    clearErrors();
    X509Handle certificate = decode(block.der.reveal());
    if (!certificate)
      fail(fmt::format("read certificate {} of {}", found.size() + 1, source),
           "the file is damaged; put a good copy in its place");
    found.push_back(X509Certificate(std::shared_ptr<X509>(certificate.release(), X509_free)));
  }
  if (found.empty())
    throw Error(holdsNo("certificate", blocks, source),
                "a PEM block that begins with BEGIN CERTIFICATE is expected");
  return found;
}

X509Certificate X509Certificate::fromDer(std::string_view der, std::string_view source) {
  clearErrors();
  X509Handle certificate = decode(der);
  if (!certificate) fail(fmt::format("read the certificate of {}", source));
  return X509Certificate(std::shared_ptr<X509>(certificate.release(), X509_free));
}

std::string X509Certificate::pem() const {
  clearErrors();
  return pemOf(native());
}

std::string X509Certificate::trustedPem() const {
  clearErrors();
  constexpr std::string_view what = "write a trusted certificate";
  const X509Handle copy{require(X509_dup(native()), what)};
  require(X509_add1_trust_object(copy.get(), OBJ_nid2obj(NID_server_auth)), what);
  const Bio memory{require(BIO_new(BIO_s_mem()), what)};
  require(PEM_write_bio_X509_AUX(memory.get(), copy.get()), what);
  return text(memory.get());
}

std::string X509Certificate::der() const {
  clearErrors();
  return encode(native(), i2d_X509, "write a certificate");
}

Subject X509Certificate::subject() const { return readName(X509_get_subject_name(native())); }
Subject X509Certificate::issuer() const { return readName(X509_get_issuer_name(native())); }

AlternativeNames X509Certificate::names() const {
  auto hosts = hostsOf(readExtension<GeneralNames>(native(), NID_subject_alt_name).get());
  return {std::move(hosts.dns), std::move(hosts.ips)};
}

std::vector<ExtendedUsage> X509Certificate::usages() const {
  std::vector<ExtendedUsage> usages;
  const auto list = readExtension<ExtendedKeyUsage>(native(), NID_ext_key_usage);
  for (int i = 0; list && i < sk_ASN1_OBJECT_num(list.get()); ++i) {
    const int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(list.get(), i));
    if (nid == NID_server_auth) usages.push_back(ExtendedUsage::serverAuth);
    if (nid == NID_client_auth) usages.push_back(ExtendedUsage::clientAuth);
  }
  return usages;
}

bool X509Certificate::isAuthority() const {
  const auto constraints = readExtension<BasicConstraints>(native(), NID_basic_constraints);
  return constraints && constraints->ca != 0;
}

TimePoint X509Certificate::notBefore() const { return readTime(X509_get0_notBefore(native())); }
TimePoint X509Certificate::notAfter() const { return readTime(X509_get0_notAfter(native())); }

std::string X509Certificate::serial() const {
  clearErrors();
  const BigNumber number{
      require(ASN1_INTEGER_to_BN(X509_get0_serialNumber(native()), nullptr), "read a serial number")};
  char* digits = require(BN_bn2hex(number.get()), "read a serial number");
  std::string serial = digits;
  OPENSSL_free(digits);
  return serial;
}

std::string X509Certificate::publicKeyPin() const {
  clearErrors();
  return "sha256:" + sha256Hex(encode(X509_get_X509_PUBKEY(native()), i2d_X509_PUBKEY, "read a public key"));
}

bool X509Certificate::belongsTo(const PrivateKey& key) const {
  const EVP_PKEY* own = X509_get0_pubkey(native());
  const bool same = own && EVP_PKEY_eq(own, key.native()) == 1;
  clearErrors();
  return same;
}

bool X509Certificate::signedBy(const X509Certificate& issuer) const {
  EVP_PKEY* key = X509_get0_pubkey(issuer.native());
  const bool is = key && X509_check_issued(issuer.native(), native()) == X509_V_OK && X509_verify(native(), key) == 1;
  clearErrors();
  return is;
}

AlternativeNames X509Certificate::lacks(const AlternativeNames& wanted) const {
  constexpr unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  const AlternativeNames present = names();
  const auto literal = [&](const std::string& dns) {
    return std::ranges::any_of(present.dns, [&](const std::string& own) { return lower(own) == lower(dns); });
  };
  AlternativeNames missing;
  for (const std::string& dns : wanted.dns)
    if (!literal(dns) && X509_check_host(native(), dns.data(), dns.size(), flags, nullptr) != 1)
      missing.dns.push_back(dns);
  for (const IpAddress& ip : wanted.ips)
    if (std::ranges::find(present.ips, ip) == present.ips.end()) missing.ips.push_back(ip);
  clearErrors();
  return missing;
}

std::optional<KeyAlgorithm> X509Certificate::algorithm() const { return algorithmOf(X509_get0_pubkey(native())); }

KeyRequest X509Certificate::keyKind() const { return kindOf(X509_get0_pubkey(native())); }

// ---- issuing

X509Certificate issue(const CertSpec& spec, const PrivateKey& subjectKey, const Issuer& issuer,
                      const Issuance& issuance) {
  check(spec, subjectKey, issuer, issuance);
  clearErrors();
  const std::string what = fmt::format("sign {}", spec.name);
  const X509Handle certificate{require(X509_new(), what)};
  X509* x509 = certificate.get();
  require(X509_set_version(x509, X509_VERSION_3), what);
  require(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serialNumber(issuance.serialBytes)), what);
  writeDistinguishedName(X509_get_subject_name(x509), distinguished(spec.subject));
  X509* by = issuer.certificate ? issuer.certificate->native() : x509;
  require(X509_set_issuer_name(x509, X509_get_subject_name(by)), what);
  require(X509_set1_notBefore(x509, timeOf(issuance.notBefore).get()), what);
  require(X509_set1_notAfter(x509, timeOf(issuance.notAfter).get()), what);
  require(X509_set_pubkey(x509, subjectKey.native()), what);

  // In the order of Go's crypto/x509, so that listings of both can be compared line by line.
  addKeyUsage(x509, spec.authority);
  addExtendedKeyUsage(x509, spec.usages);
  addBasicConstraints(x509, spec.authority);
  if (spec.authority) addSubjectKeyId(x509);
  if (issuer.certificate) addAuthorityKeyId(x509, by);
  addAlternativeNames(x509, normalized(spec.names));

  if (X509_sign(x509, issuer.key.native(), signatureDigest(issuer.key.native())) <= 0) fail(what);
  // Read back, so that what is handed out is what a reader of the bytes sees.
  X509Handle readBack = decode(encode(x509, i2d_X509, what));
  require(readBack.get(), what);
  return X509Certificate(std::shared_ptr<X509>(readBack.release(), X509_free));
}

} // namespace kubestrap::certs
