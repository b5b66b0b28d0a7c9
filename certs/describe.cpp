#include "certs/describe.hpp"

#include "certs/extensions.hpp"
#include "certs/openssl.hpp"
#include "certs/policy.hpp"
#include "support/text.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

constexpr std::pair<std::string_view, std::string_view> members[] = {{"common_name", attribute::commonName},
                                                                     {"serial_number", attribute::serialNumber},
                                                                     {"country", attribute::country},
                                                                     {"organization", attribute::organization},
                                                                     {"organizational_unit", attribute::organizationalUnit},
                                                                     {"locality", attribute::locality},
                                                                     {"province", attribute::province},
                                                                     {"street_address", attribute::street},
                                                                     {"postal_code", attribute::postalCode}};

Value nameValue(const DistinguishedName& name) {
  Value value = Value::object();
  for (const auto& [member, type] : members)
    if (const auto all = name.all(type); !all.empty()) value[std::string(member)] = join(all, ",");
  if (name.empty()) return value;
  value["names"] = Value::array();
  for (const auto& part : name.parts) value["names"].push_back(part.value);
  return value;
}

std::string keyId(const ASN1_OCTET_STRING* id) {
  std::string text;
  for (int i = 0; id && i < ASN1_STRING_length(id); ++i) text += fmt::format("{}{:02X}", i ? ":" : "", ASN1_STRING_get0_data(id)[i]);
  return text;
}

/// Go's names of signature algorithms.
std::string signatureName(const X509* certificate) {
  static constexpr std::pair<int, std::string_view> names[] = {
      {NID_sha1WithRSAEncryption, "SHA1WithRSA"},     {NID_sha256WithRSAEncryption, "SHA256WithRSA"}, {NID_sha384WithRSAEncryption, "SHA384WithRSA"},
      {NID_sha512WithRSAEncryption, "SHA512WithRSA"}, {NID_ecdsa_with_SHA1, "ECDSAWithSHA1"},         {NID_ecdsa_with_SHA256, "ECDSAWithSHA256"},
      {NID_ecdsa_with_SHA384, "ECDSAWithSHA384"},     {NID_ecdsa_with_SHA512, "ECDSAWithSHA512"},     {NID_ED25519, "Ed25519"}};
  const int nid = X509_get_signature_nid(certificate);
  const auto found = std::ranges::find(names, nid, [](const auto& each) { return each.first; });
  return found != std::end(names) ? std::string(found->second) : OBJ_nid2ln(nid);
}

std::string decimalSerial(const X509* certificate) {
  const BigNumber number{require(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr), "read a serial number")};
  char* digits = require(BN_bn2dec(number.get()), "read a serial number");
  std::string serial = digits;
  OPENSSL_free(digits);
  return serial;
}

Value keyValue(const KeyRequest& key) {
  Value value{{"algo", key.algorithm}};
  if (key.algorithm != "ed25519") value["size"] = key.size;
  return value;
}

std::vector<std::string> keyUsagesOf(const X509Certificate& certificate) {
  static constexpr const char* names[] = {"digital signature", "content commitment", "key encipherment", "data encipherment", "key agreement",
                                          "cert sign",         "crl sign",           "encipher only",    "decipher only"};
  const BitString bits(static_cast<ASN1_BIT_STRING*>(X509_get_ext_d2i(certificate.native(), NID_key_usage, nullptr, nullptr)));
  std::vector<std::string> usages;
  for (int bit = 0; bits && bit < 9; ++bit)
    if (ASN1_BIT_STRING_get_bit(bits.get(), bit)) usages.emplace_back(names[bit]);
  return usages;
}

Hosts hostsIn(const X509Certificate& certificate) {
  const GeneralNames names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.native(), NID_subject_alt_name, nullptr, nullptr)));
  return hostsOf(names.get());
}

} // namespace

std::vector<std::string> usageNamesOf(const X509Certificate& certificate) {
  const ExtendedKeyUsage list(static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate.native(), NID_ext_key_usage, nullptr, nullptr)));
  auto usages = keyUsagesOf(certificate);
  Profile all;
  all.usages = usageNames();
  for (int i = 0; list && i < sk_ASN1_OBJECT_num(list.get()); ++i) {
    const auto id = dotted(sk_ASN1_OBJECT_value(list.get(), i));
    auto name = id;
    for (const auto& candidate : all.usages) {
      Profile one;
      one.usages = {candidate};
      if (const auto ids = one.extendedUsages(); !ids.empty() && ids[0] == id) {
        name = candidate;
        break;
      }
    }
    usages.push_back(std::move(name));
  }
  clearErrors();
  return usages;
}

Value describe(const X509Certificate& certificate) {
  clearErrors();
  const X509* x509 = certificate.native();
  Value value{{"subject", nameValue(readDistinguishedName(X509_get_subject_name(x509)))},
              {"issuer", nameValue(readDistinguishedName(X509_get_issuer_name(x509)))},
              {"serial_number", decimalSerial(x509)}};
  if (const auto hosts = hostsIn(certificate); !hosts.empty()) value["sans"] = hosts.all();
  value["not_before"] = formatRfc3339(certificate.notBefore());
  value["not_after"] = formatRfc3339(certificate.notAfter());
  value["sigalg"] = signatureName(x509);
  value["authority_key_id"] = keyId(X509_get0_authority_key_id(certificate.native()));
  value["subject_key_id"] = keyId(X509_get0_subject_key_id(certificate.native()));
  value["pem"] = certificate.pem();
  value["key"] = keyValue(certificate.keyKind());
  value["usages"] = usageNamesOf(certificate);
  value["is_ca"] = certificate.isAuthority();
  value["public_key_pin"] = certificate.publicKeyPin();
  clearErrors();
  return value;
}

Value describe(const SigningRequest& request) {
  Value value{{"subject", nameValue(request.subject())}};
  if (const auto hosts = request.hosts(); !hosts.empty()) value["sans"] = hosts.all();
  value["key"] = keyValue(request.keyKind());
  Value extensions = Value::array();
  for (const auto& each : request.extensions()) extensions.push_back(each.type);
  value["extensions"] = std::move(extensions);
  value["pem"] = request.pem();
  return value;
}

} // namespace kubestrap::certs
