#include "certs/signing_request.hpp"

#include "certs/extensions.hpp"
#include "certs/openssl.hpp"

#include <openssl/pem.h>

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
  const RequestHandle made{require(X509_REQ_new(), what)};
  require(X509_REQ_set_version(made.get(), X509_REQ_VERSION_1), what);
  writeDistinguishedName(X509_REQ_get_subject_name(made.get()), request.subject);
  require(X509_REQ_set_pubkey(made.get(), key.native()), what);
  Extensions extensions;
  if (request.authority) addBasicConstraints(extensions, *request.authority);
  if (request.delegation) extensions.add({.type = std::string(extension::delegation), .der = std::string("\x05\x00", 2)});
  for (const auto& each : request.extensions) extensions.add(each);
  if (!request.hosts.empty()) extensions.add(NID_subject_alt_name, generalNames(request.hosts).get(), request.subject.empty() ? Critical::yes : Critical::no);
  if (sk_X509_EXTENSION_num(extensions.list()) > 0) require(X509_REQ_add_extensions(made.get(), extensions.list()), what);
  if (X509_REQ_sign(made.get(), key.native(), digestFor(key.native())) <= 0) fail(what);
  RequestHandle readBack = decode(encode(made.get(), i2d_X509_REQ, what));
  require(readBack.get(), what);
  return SigningRequest(std::shared_ptr<X509_REQ>(readBack.release(), X509_REQ_free));
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
    return SigningRequest(std::shared_ptr<X509_REQ>(request.release(), X509_REQ_free));
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

KeyRequest SigningRequest::keyKind() const { return kindOf(X509_REQ_get0_pubkey(native())); }

bool SigningRequest::belongsTo(const PrivateKey& key) const {
  const EVP_PKEY* own = X509_REQ_get0_pubkey(native());
  const bool same = own && EVP_PKEY_eq(own, key.native()) == 1;
  clearErrors();
  return same;
}

} // namespace kubestrap::certs
