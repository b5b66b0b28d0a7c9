#include "certs/signing_request.hpp"

#include "certs/extensions.hpp"
#include "certs/openssl.hpp"

#include <openssl/pem.h>

#include <array>
#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

struct FreeExtensions {
  void operator()(STACK_OF(X509_EXTENSION) * list) const { sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free); }
};
using ExtensionList = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;

void addBasicConstraints(Extensions& extensions, const AuthorityRequest& authority) {
  constexpr std::string_view what = "write the basic constraints";
  const BasicConstraints constraints{require(BASIC_CONSTRAINTS_new(), what)};
  constraints->ca = 0xff;
  if (authority.pathLength) {
    constraints->pathlen = require(ASN1_INTEGER_new(), what);
    require(ASN1_INTEGER_set(constraints->pathlen, *authority.pathLength), what);
  }
  extensions.add(NID_basic_constraints, constraints.get(), Critical::yes);
}

/// The public key as a request has it. Through X509_REQ_set_pubkey it would be written and read again, which takes longer than all else; that is left to the kinds of
/// key whose bits OpenSSL does not give as they stand there.
void writePublicKey(X509_REQ* request, EVP_PKEY* key) {
  constexpr std::string_view what = "write the public key";
  if (!EVP_PKEY_is_a(key, "EC")) return require(X509_REQ_set_pubkey(request, key), what);
  std::array<char, 64> group{};
  require(EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr), what);
  unsigned char* bits = nullptr;
  const auto size = EVP_PKEY_get1_encoded_public_key(key, &bits);
  require(size > 0 ? 1 : 0, what);
  ASN1_OBJECT* curve = OBJ_nid2obj(OBJ_txt2nid(group.data())); // static: nobody frees it
  if (X509_PUBKEY_set0_param(X509_REQ_get_X509_PUBKEY(request), OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT, curve, bits, static_cast<int>(size)) == 1) return;
  OPENSSL_free(bits);
  fail(what);
}

RequestHandle decode(std::string_view der) {
  const unsigned char* at = octets(der);
  RequestHandle request(d2i_X509_REQ(nullptr, &at, length(der)));
  if (request && at != octets(der) + der.size()) request.reset();
  return request;
}

} // namespace

SigningRequest SigningRequest::make(const Request& request, const PrivateKey& key) {
  clearErrors();
  constexpr std::string_view what = "make a certificate request";
  RequestHandle made{require(X509_REQ_new(), what)};
  require(X509_REQ_set_version(made.get(), X509_REQ_VERSION_1), what);
  writeDistinguishedName(X509_REQ_get_subject_name(made.get()), request.subject);
  writePublicKey(made.get(), key.native());
  Extensions extensions;
  if (request.authority) addBasicConstraints(extensions, *request.authority);
  if (request.delegation) extensions.add({.type = std::string(extension::delegation), .der = std::string("\x05\x00", 2)});
  for (const auto& each : request.extensions) extensions.add(each);
  if (!request.hosts.empty()) extensions.add(NID_subject_alt_name, generalNames(request.hosts).get(), request.subject.empty() ? Critical::yes : Critical::no);
  if (sk_X509_EXTENSION_num(extensions.list()) > 0) require(X509_REQ_add_extensions(made.get(), extensions.list()), what);
  if (X509_REQ_sign(made.get(), key.native(), digestFor(key.native())) <= 0) fail(what);
  return {std::shared_ptr<X509_REQ>(made.release(), X509_REQ_free), key};
}

SigningRequest SigningRequest::parse(std::string_view pem, std::string_view source) {
  const auto blocks = readPem(pem, source);
  for (const PemBlock& block : blocks) {
    if (block.label != "CERTIFICATE REQUEST" && block.label != "NEW CERTIFICATE REQUEST") continue;
    clearErrors();
    RequestHandle request = decode(block.der.reveal());
    if (!request) fail(fmt::format("read the request in {}", source), "the file is damaged; make the request anew");
    EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
    if (!key || X509_REQ_verify(request.get(), key) != 1)
      fail(fmt::format("accept the request in {}: it is not signed by the key that it is for", source), "make the request anew");
    clearErrors();
    return {std::shared_ptr<X509_REQ>(request.release(), X509_REQ_free), std::nullopt};
  }
  throw Error(holdsNo("certificate request", blocks, source), "a PEM block that begins with BEGIN CERTIFICATE REQUEST is expected");
}

std::string SigningRequest::pem() const {
  clearErrors();
  const Bio memory{require(BIO_new(BIO_s_mem()), "write a request")};
  require(PEM_write_bio_X509_REQ(memory.get(), native()), "write a request");
  return text(memory.get());
}

DistinguishedName SigningRequest::subject() const { return readDistinguishedName(X509_REQ_get_subject_name(native())); }

std::vector<Extension> SigningRequest::extensions() const {
  const ExtensionList list(X509_REQ_get_extensions(native()));
  clearErrors();
  return extensionsOf(list.get());
}

Hosts SigningRequest::hosts() const {
  const ExtensionList list(X509_REQ_get_extensions(native()));
  const GeneralNames names(static_cast<GENERAL_NAMES*>(X509V3_get_d2i(list.get(), NID_subject_alt_name, nullptr, nullptr)));
  clearErrors();
  return hostsOf(names.get());
}

const EVP_PKEY* SigningRequest::publicKey() const { return key_ ? key_->native() : X509_REQ_get0_pubkey(native()); }

KeyRequest SigningRequest::keyKind() const { return kindOf(publicKey()); }

bool SigningRequest::belongsTo(const PrivateKey& key) const {
  const EVP_PKEY* own = publicKey();
  const bool same = own && EVP_PKEY_eq(own, key.native()) == 1;
  clearErrors();
  return same;
}

} // namespace kubestrap::certs
