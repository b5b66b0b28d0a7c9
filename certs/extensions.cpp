#include "certs/extensions.hpp"

#include <openssl/objects.h>

#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>

namespace kubestrap::certs::openssl {

namespace {

std::string_view bytesOf(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

void push(GENERAL_NAMES* list, int type, ASN1_STRING* value, std::string_view content) {
  constexpr std::string_view what = "write the alternative names";
  require(value, what);
  GeneralName name{GENERAL_NAME_new()};
  if (!name) ASN1_STRING_free(value);
  require(name.get(), what);
  GENERAL_NAME_set0_value(name.get(), type, value);
  require(ASN1_STRING_set(value, content.data(), length(content)), what);
  if (sk_GENERAL_NAME_push(list, name.get()) == 0) fail(what);
  static_cast<void>(name.release());
}

std::optional<IpAddress> addressOf(std::string_view octetString) {
  const int family = octetString.size() == 4 ? AF_INET : octetString.size() == 16 ? AF_INET6 : AF_UNSPEC;
  std::array<char, INET6_ADDRSTRLEN> written{};
  if (family == AF_UNSPEC || !inet_ntop(family, octetString.data(), written.data(), written.size())) return std::nullopt;
  return IpAddress::parse(written.data());
}

} // namespace

Extensions::Extensions() : list_(require(sk_X509_EXTENSION_new_null(), "write extensions")) {}

void Extensions::push(ExtensionHandle extension) {
  if (sk_X509_EXTENSION_push(list_.get(), extension.get()) == 0) fail("write extensions");
  static_cast<void>(extension.release());
}

void Extensions::add(int nid, void* value, Critical critical) {
  if (has(dotted(OBJ_nid2obj(nid)))) return;
  push(ExtensionHandle(require(X509V3_EXT_i2d(nid, critical == Critical::yes ? 1 : 0, value), fmt::format("write the extension {}", OBJ_nid2ln(nid)))));
}

void Extensions::add(const Extension& extension) {
  if (has(extension.type)) return;
  const auto what = fmt::format("write the extension {}", extension.type);
  const ObjectId type{require(OBJ_txt2obj(extension.type.c_str(), 1), what)};
  const OctetString value{require(ASN1_OCTET_STRING_new(), what)};
  require(ASN1_OCTET_STRING_set(value.get(), octets(extension.der), length(extension.der)), what);
  push(ExtensionHandle(require(X509_EXTENSION_create_by_OBJ(nullptr, type.get(), extension.critical ? 1 : 0, value.get()), what)));
}

bool Extensions::has(std::string_view type) const {
  for (int i = 0; i < sk_X509_EXTENSION_num(list_.get()); ++i)
    if (dotted(X509_EXTENSION_get_object(sk_X509_EXTENSION_value(list_.get(), i))) == type) return true;
  return false;
}

GeneralNames generalNames(const Hosts& hosts) {
  GeneralNames list{require(GENERAL_NAMES_new(), "write the alternative names")};
  for (const auto& dns : hosts.dns) push(list.get(), GEN_DNS, ASN1_IA5STRING_new(), dns);
  for (const auto& email : hosts.emails) push(list.get(), GEN_EMAIL, ASN1_IA5STRING_new(), email);
  for (const auto& ip : hosts.ips) push(list.get(), GEN_IPADD, ASN1_OCTET_STRING_new(), ip.octets());
  for (const auto& uri : hosts.uris) push(list.get(), GEN_URI, ASN1_IA5STRING_new(), uri);
  return list;
}

Hosts hostsOf(const GENERAL_NAMES* names) {
  Hosts hosts;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type));
    if (type == GEN_DNS) hosts.dns.emplace_back(bytesOf(value));
    if (type == GEN_EMAIL) hosts.emails.emplace_back(bytesOf(value));
    if (type == GEN_URI) hosts.uris.emplace_back(bytesOf(value));
    if (type == GEN_IPADD)
      if (const auto ip = addressOf(bytesOf(value))) hosts.ips.push_back(*ip);
  }
  return hosts;
}

std::vector<Extension> extensionsOf(const STACK_OF(X509_EXTENSION) * list) {
  std::vector<Extension> found;
  for (int i = 0; list && i < sk_X509_EXTENSION_num(list); ++i) {
    X509_EXTENSION* each = sk_X509_EXTENSION_value(list, i);
    found.push_back({.type = dotted(X509_EXTENSION_get_object(each)),
                     .critical = X509_EXTENSION_get_critical(each) != 0,
                     .der = std::string(bytesOf(X509_EXTENSION_get_data(each)))});
  }
  return found;
}

const EVP_MD* digestFor(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519")) return nullptr;
  const int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_is_a(key, "EC")) return bits > 384 ? EVP_sha512() : bits > 256 ? EVP_sha384() : EVP_sha256();
  return bits >= 4096 ? EVP_sha512() : bits >= 3072 ? EVP_sha384() : EVP_sha256();
}

} // namespace kubestrap::certs::openssl
