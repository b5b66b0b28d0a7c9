#include "certs/sign.hpp"

#include "certs/extensions.hpp"
#include "certs/openssl.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

[[noreturn]] void refuse(std::string why, std::string hint = {}) { throw Error("cannot sign: " + std::move(why), std::move(hint)); }

struct Constraint {
  bool authority = false;
  std::optional<int> pathLength;
};

Constraint constraintOf(const BASIC_CONSTRAINTS* constraints) {
  if (!constraints) return {};
  Constraint found{.authority = constraints->ca != 0};
  if (constraints->pathlen) found.pathLength = static_cast<int>(ASN1_INTEGER_get(constraints->pathlen));
  return found;
}

Constraint constraintOf(const SigningRequest& request) {
  for (const auto& each : request.extensions()) {
    if (each.type != extension::basicConstraints) continue;
    const unsigned char* at = octets(each.der);
    const BasicConstraints constraints(d2i_BASIC_CONSTRAINTS(nullptr, &at, length(each.der)));
    if (!constraints) refuse("the basic constraints of the request cannot be read");
    return constraintOf(constraints.get());
  }
  return {};
}

Constraint constraintOf(const X509Certificate& certificate) {
  const BasicConstraints constraints(static_cast<BASIC_CONSTRAINTS*>(X509_get_ext_d2i(certificate.native(), NID_basic_constraints, nullptr, nullptr)));
  return constraintOf(constraints.get());
}

/// Whether this authority may sign that.
void check(const SigningRequest& request, const Profile& profile, const Issuer& issuer) {
  const auto asked = constraintOf(request);
  if (asked.authority && !profile.authority)
    refuse("the request is for an authority, which the signing profile does not allow", "ca_constraint.is_ca in the policy");
  if (!issuer.certificate) return;
  if (!issuer.certificate->belongsTo(issuer.key)) refuse("certificate and key of the authority do not belong together", "look at --ca and --ca-key");
  const auto own = constraintOf(*issuer.certificate);
  if (!own.authority) refuse("the certificate given as the authority's is not one of an authority", "look at --ca");
  if (!profile.authority || !own.pathLength) return;
  if (*own.pathLength == 0) refuse("the authority's path length is 0: it may sign no further authority");
  if (const auto length = asked.authority && asked.pathLength ? asked.pathLength : profile.pathLength; length && *length >= *own.pathLength)
    refuse(fmt::format("a path length of {} is not less than the authority's own, {}", *length, *own.pathLength));
}

DistinguishedName subjectOf(const SigningRequest& request, const SigningOrder& order) {
  const auto& list = order.profile.whitelist;
  const auto own = !list || list->subject ? request.subject() : DistinguishedName();
  return order.subject ? overlaid(*order.subject, own) : own;
}

Hosts hostsOfRequest(const SigningRequest& request, const SigningOrder& order) {
  auto hosts = order.hosts.value_or(request.hosts());
  if (const auto& list = order.profile.whitelist; list && !order.hosts) {
    if (!list->dnsNames) hosts.dns.clear();
    if (!list->ipAddresses) hosts.ips.clear();
    if (!list->emailAddresses) hosts.emails.clear();
    if (!list->uris) hosts.uris.clear();
  }
  // An authority serves nobody: cfssl leaves it its addresses only, and so do we.
  if (order.profile.authority) hosts.dns.clear(), hosts.emails.clear(), hosts.uris.clear();
  return hosts;
}

void addKeyUsage(Extensions& extensions, const Profile& profile) {
  const auto usages = profile.keyUsageBits();
  if (usages.empty()) return;
  const BitString bits{require(ASN1_BIT_STRING_new(), "write the key usage")};
  for (const int bit : usages) require(ASN1_BIT_STRING_set_bit(bits.get(), bit, 1), "write the key usage");
  extensions.add(NID_key_usage, bits.get(), Critical::yes);
}

void addExtendedKeyUsage(Extensions& extensions, const Profile& profile) {
  const auto ids = profile.extendedUsages();
  if (ids.empty()) return;
  const ExtendedKeyUsage list{require(EXTENDED_KEY_USAGE_new(), "write the extended key usage")};
  for (const auto& id : ids) {
    ObjectId object{require(OBJ_txt2obj(id.c_str(), 1), "write the extended key usage")};
    if (sk_ASN1_OBJECT_push(list.get(), object.get()) == 0) fail("write the extended key usage");
    static_cast<void>(object.release());
  }
  extensions.add(NID_ext_key_usage, list.get(), Critical::no);
}

void addBasicConstraints(Extensions& extensions, const Profile& profile) {
  constexpr std::string_view what = "write the basic constraints";
  const BasicConstraints constraints{require(BASIC_CONSTRAINTS_new(), what)};
  constraints->ca = profile.authority ? 0xff : 0;
  if (profile.authority && profile.pathLength) {
    constraints->pathlen = require(ASN1_INTEGER_new(), what);
    require(ASN1_INTEGER_set(constraints->pathlen, *profile.pathLength), what);
  }
  extensions.add(NID_basic_constraints, constraints.get(), Critical::yes);
}

/// SHA-1 of the public key (RFC 5280, 4.2.1.2, method 1), as cfssl does: a name for it, no protection.
void addKeyIds(Extensions& extensions, X509* certificate, const Issuer& issuer) {
  constexpr std::string_view what = "write the key ids";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  require(X509_pubkey_digest(certificate, EVP_sha1(), digest.data(), &size), what);
  const OctetString id{require(ASN1_OCTET_STRING_new(), what)};
  require(ASN1_OCTET_STRING_set(id.get(), digest.data(), static_cast<int>(size)), what);
  extensions.add(NID_subject_key_identifier, id.get(), Critical::no);
  const ASN1_OCTET_STRING* issuerId = issuer.certificate ? X509_get0_subject_key_id(issuer.certificate->native()) : nullptr;
  if (!issuerId) return;
  const AuthorityKeyId authority{require(AUTHORITY_KEYID_new(), what)};
  authority->keyid = require(ASN1_OCTET_STRING_dup(issuerId), what);
  extensions.add(NID_authority_key_identifier, authority.get(), Critical::no);
}

GENERAL_NAME* uri(const std::string& text) {
  Hosts one{.dns = {}, .emails = {}, .uris = {text}, .ips = {}};
  const auto names = generalNames(one);
  return require(sk_GENERAL_NAME_pop(names.get()), "write a URL");
}

using AccessInformation = Owned<AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free>;
using DistributionPoints = Owned<CRL_DIST_POINTS, CRL_DIST_POINTS_free>;

void addPlaces(Extensions& extensions, const Profile& profile, const std::string& revocationList) {
  constexpr std::string_view what = "write the authority's URLs";
  const AccessInformation places{require(AUTHORITY_INFO_ACCESS_new(), what)};
  const auto add = [&](int method, const std::string& url) {
    ACCESS_DESCRIPTION* place = require(ACCESS_DESCRIPTION_new(), what);
    if (sk_ACCESS_DESCRIPTION_push(places.get(), place) == 0) fail(what);
    ASN1_OBJECT_free(place->method);
    place->method = OBJ_nid2obj(method);
    GENERAL_NAME_free(place->location);
    place->location = uri(url);
  };
  if (!profile.ocspUrl.empty()) add(NID_ad_OCSP, profile.ocspUrl);
  for (const auto& url : profile.issuerUrls) add(NID_ad_ca_issuers, url);
  if (sk_ACCESS_DESCRIPTION_num(places.get()) > 0) extensions.add(NID_info_access, places.get(), Critical::no);
  if (revocationList.empty()) return;
  const DistributionPoints points{require(CRL_DIST_POINTS_new(), what)};
  DIST_POINT* point = require(DIST_POINT_new(), what);
  if (sk_DIST_POINT_push(points.get(), point) == 0) fail(what);
  point->distpoint = require(DIST_POINT_NAME_new(), what);
  point->distpoint->type = 0;
  point->distpoint->name.fullname = generalNames({.dns = {}, .emails = {}, .uris = {revocationList}, .ips = {}}).release();
  extensions.add(NID_crl_distribution_points, points.get(), Critical::no);
}

using PolicyList = Owned<CERTIFICATEPOLICIES, CERTIFICATEPOLICIES_free>;

void addQualifier(POLICYINFO* policy, const CertificatePolicy::Qualifier& from) {
  constexpr std::string_view what = "write the certificate policies";
  if (!policy->qualifiers) policy->qualifiers = require(sk_POLICYQUALINFO_new_null(), what);
  POLICYQUALINFO* qualifier = require(POLICYQUALINFO_new(), what);
  if (sk_POLICYQUALINFO_push(policy->qualifiers, qualifier) == 0) fail(what);
  ASN1_OBJECT_free(qualifier->pqualid);
  if (from.kind == CertificatePolicy::Qualifier::Kind::statement) {
    qualifier->pqualid = OBJ_nid2obj(NID_id_qt_cps);
    qualifier->d.cpsuri = require(ASN1_IA5STRING_new(), what);
    require(ASN1_STRING_set(qualifier->d.cpsuri, from.value.data(), length(from.value)), what);
    return;
  }
  qualifier->pqualid = OBJ_nid2obj(NID_id_qt_unotice);
  qualifier->d.usernotice = require(USERNOTICE_new(), what);
  qualifier->d.usernotice->exptext = require(ASN1_UTF8STRING_new(), what);
  require(ASN1_STRING_set(qualifier->d.usernotice->exptext, from.value.data(), length(from.value)), what);
}

void addPolicies(Extensions& extensions, const std::vector<CertificatePolicy>& policies) {
  constexpr std::string_view what = "write the certificate policies";
  if (policies.empty()) return;
  const PolicyList list{require(CERTIFICATEPOLICIES_new(), what)};
  for (const auto& from : policies) {
    POLICYINFO* policy = require(POLICYINFO_new(), what);
    if (sk_POLICYINFO_push(list.get(), policy) == 0) fail(what);
    policy->policyid = require(OBJ_txt2obj(from.id.c_str(), 1), what);
    for (const auto& qualifier : from.qualifiers) addQualifier(policy, qualifier);
  }
  extensions.add(NID_certificate_policies, list.get(), Critical::no);
}

/// What comes from the request itself goes first: the same extension of the profile gives way to it (Go: ExtraExtensions).
void addFromRequest(Extensions& extensions, const SigningRequest& request, const Profile& profile) {
  for (const auto& each : request.extensions()) {
    if (each.type == extension::basicConstraints) continue;
    if (each.type == extension::delegation || profile.copyExtensions) extensions.add(each);
  }
  if (profile.ocspNoCheck) extensions.add({.type = "1.3.6.1.5.5.7.48.1.5", .der = std::string("\x05\x00", 2)});
}

struct Dates {
  TimePoint from, to;
};

Dates datesOf(const SigningOrder& order, TimePoint now) {
  const auto& profile = order.profile;
  const auto begin = order.dates == SigningOrder::Dates::exact ? std::chrono::floor<std::chrono::seconds>(now)
                                                               : TimePoint(std::chrono::round<std::chrono::minutes>(now));
  const auto from = profile.notBefore.value_or(begin - profile.backdate.value_or(std::chrono::minutes(5)));
  const auto last = order.dates == SigningOrder::Dates::exact ? begin : from; // what the life counts from
  if (!profile.notAfter && profile.expiry > TimePoint::max() - last) refuse("it would last longer than time can be counted");
  return {from, profile.notAfter.value_or(last + profile.expiry)};
}

Time timeOf(TimePoint when) {
  return Time(require(ASN1_TIME_set(nullptr, std::chrono::floor<std::chrono::seconds>(when.time_since_epoch()).count()), "write a date"));
}

void writeSerial(X509* certificate, std::string_view random) {
  constexpr std::string_view what = "write a serial number";
  std::string bytes(random);
  bytes[0] = static_cast<char>(bytes[0] & 0x7f); // positive, and at most 20 octets (RFC 5280, 4.1.2.2)
  const BigNumber number{require(BN_bin2bn(octets(bytes), length(bytes), nullptr), what)};
  require(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)), what);
}

/// As it stands there. Through a key of OpenSSL's it would be written and read again, which takes longer than to sign.
void copyPublicKey(X509_PUBKEY* from, X509_PUBKEY* to) {
  constexpr std::string_view what = "write the public key";
  const unsigned char* bits = nullptr;
  int size = 0;
  X509_ALGOR* algorithm = nullptr;
  require(X509_PUBKEY_get0_param(nullptr, &bits, &size, &algorithm, from), what);
  const ASN1_OBJECT* type = nullptr;
  const void* value = nullptr;
  int valueType = V_ASN1_UNDEF;
  X509_ALGOR_get0(&type, &valueType, &value, algorithm);
  ObjectId ownType{require(OBJ_dup(type), what)};
  ObjectId curve;
  if (valueType == V_ASN1_OBJECT) curve.reset(require(OBJ_dup(static_cast<const ASN1_OBJECT*>(value)), what));
  else if (valueType != V_ASN1_UNDEF && valueType != V_ASN1_NULL) refuse("the parameters of the request's key are of an unknown kind");
  auto* copied = static_cast<unsigned char*>(require(OPENSSL_memdup(bits, static_cast<std::size_t>(size)), what));
  if (X509_PUBKEY_set0_param(to, ownType.get(), valueType, curve.get(), copied, size) != 1) {
    OPENSSL_free(copied);
    fail(what);
  }
  static_cast<void>(ownType.release());
  static_cast<void>(curve.release());
}

X509Handle build(const SigningRequest& request, const SigningOrder& order, const Issuer& issuer, TimePoint now, std::string_view serialBytes) {
  const auto& profile = order.profile;
  if (serialBytes.size() != 20) throw Error("a serial number is made of 20 random octets");
  check(request, profile, issuer);
  const auto subject = subjectOf(request, order);
  const auto hosts = hostsOfRequest(request, order);
  const auto dates = datesOf(order, now);
  if (dates.to <= dates.from) refuse("it would end before it begins", "look at expiry, not_before and not_after in the policy");
  if (subject.empty() && hosts.empty()) refuse("neither subject nor names say whom it is for", "CN or hosts in the request");

  clearErrors();
  constexpr std::string_view what = "sign a certificate";
  X509Handle certificate{require(X509_new(), what)};
  X509* x509 = certificate.get();
  require(X509_set_version(x509, X509_VERSION_3), what);
  writeSerial(x509, serialBytes);
  writeDistinguishedName(X509_get_subject_name(x509), subject);
  require(X509_set_issuer_name(x509, issuer.certificate ? X509_get_subject_name(issuer.certificate->native()) : X509_get_subject_name(x509)), what);
  require(X509_set1_notBefore(x509, timeOf(dates.from).get()), what);
  require(X509_set1_notAfter(x509, timeOf(dates.to).get()), what);
  copyPublicKey(X509_REQ_get_X509_PUBKEY(request.native()), X509_get_X509_PUBKEY(x509));

  Extensions extensions;
  addFromRequest(extensions, request, profile);
  addKeyUsage(extensions, profile);
  addExtendedKeyUsage(extensions, profile);
  addBasicConstraints(extensions, profile);
  addKeyIds(extensions, x509, issuer);
  addPlaces(extensions, profile, order.revocationList.empty() ? profile.revocationList : order.revocationList);
  if (!hosts.empty()) extensions.add(NID_subject_alt_name, generalNames(hosts).get(), subject.empty() ? Critical::yes : Critical::no);
  addPolicies(extensions, profile.policies);
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions.list()); ++i)
    require(X509_add_ext(x509, sk_X509_EXTENSION_value(extensions.list(), i), -1), what);

  if (X509_sign(x509, issuer.key.native(), digestFor(issuer.key.native())) <= 0) fail(what);
  return certificate;
}

} // namespace

X509Certificate sign(const SigningRequest& request, const SigningOrder& order, const Issuer& issuer, TimePoint now,
                     std::string_view serialBytes) {
  const auto certificate = build(request, order, issuer, now, serialBytes);
  constexpr std::string_view what = "sign a certificate";
  return X509Certificate::fromDer(encode(certificate.get(), i2d_X509, what), what);
}

std::string signedPem(const SigningRequest& request, const SigningOrder& order, const Issuer& issuer, TimePoint now, std::string_view serialBytes) {
  return pemOf(build(request, order, issuer, now, serialBytes).get());
}

SigningOrder authorityOrder(const Request& request) {
  SigningOrder order{.profile = authorityProfile(), .hosts = request.hosts, .subject = {}, .revocationList = request.revocationList};
  if (!request.authority) return order;
  if (request.authority->expiry) order.profile.expiry = *request.authority->expiry;
  order.profile.backdate = request.authority->backdate;
  order.profile.pathLength = request.authority->pathLength;
  return order;
}

Request requestOf(const X509Certificate& certificate) {
  Request request{.subject = readDistinguishedName(X509_get_subject_name(certificate.native()))};
  const GeneralNames names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.native(), NID_subject_alt_name, nullptr, nullptr)));
  request.hosts = hostsOf(names.get());
  request.key = certificate.keyKind();
  if (const auto constraint = constraintOf(certificate); constraint.authority)
    request.authority = AuthorityRequest{.pathLength = constraint.pathLength, .expiry = certificate.notAfter() - certificate.notBefore()};
  clearErrors();
  return request;
}

} // namespace kubestrap::certs
