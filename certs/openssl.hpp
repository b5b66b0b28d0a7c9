#pragma once
// How certs/ speaks to OpenSSL 3: owning handles, and errors that carry OpenSSL's own diagnosis. For certs/*.cpp only.

#include "certs/key.hpp"
#include "certs/spec.hpp"
#include "support/secret.hpp"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::certs::openssl {

template <auto release> struct Deleter {
  template <typename Handle> void operator()(Handle* handle) const { release(handle); }
};
template <typename Handle, auto release> using Owned = std::unique_ptr<Handle, Deleter<release>>;

using AuthorityKeyId = Owned<AUTHORITY_KEYID, AUTHORITY_KEYID_free>;
using BasicConstraints = Owned<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using BigNumber = Owned<BIGNUM, BN_free>;
using Bio = Owned<BIO, BIO_free_all>;
using BitString = Owned<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using CipherContext = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using ExtendedKeyUsage = Owned<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using GeneralName = Owned<GENERAL_NAME, GENERAL_NAME_free>;
using GeneralNames = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using OctetString = Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using Time = Owned<ASN1_TIME, ASN1_TIME_free>;
using X509Handle = Owned<X509, X509_free>;
using ExtensionHandle = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using ObjectId = Owned<ASN1_OBJECT, ASN1_OBJECT_free>;
using RequestHandle = Owned<X509_REQ, X509_REQ_free>;

/// Forgets what earlier operations left in this thread's error queue; a stale entry would mislead. Call it before an
/// operation.
void clearErrors();
/// Throws Error "cannot <what>: <everything in the error queue, the cause first>" and leaves the queue empty.
[[noreturn]] void fail(std::string_view what, std::string hint = {});

/// The result of a call that gives a handle, or 1 when it went well; anything else becomes an Error.
template <typename Handle> Handle* require(Handle* handle, std::string_view what) {
  if (!handle) fail(what);
  return handle;
}
inline void require(int result, std::string_view what) {
  if (result != 1) fail(what);
}

/// OpenSSL counts octets in int. Throws Error for more than that.
int length(std::string_view bytes);
inline const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* octets(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

/// The DER form by one of OpenSSL's i2d functions.
template <typename Object, typename Function> std::string encode(Object* object, Function i2d, std::string_view what) {
  const int size = i2d(object, nullptr);
  if (size <= 0) fail(what);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  unsigned char* out = octets(bytes);
  if (i2d(object, &out) != size) fail(what);
  return bytes;
}

std::string utf8(const ASN1_STRING* string);   ///< any string type of ASN.1; throws Error for one that has no UTF-8 form
std::string dotted(const ASN1_OBJECT* object); ///< "2.5.4.3"; empty for one that is too long

std::string pemOf(X509* certificate);
std::string text(BIO* memory); ///< what was written to a memory BIO

KeyRequest kindOf(const EVP_PKEY* key);
std::optional<KeyAlgorithm> algorithmOf(const EVP_PKEY* key); ///< nothing for what the enumeration lacks

struct PemBlock {
  std::string label; ///< "CERTIFICATE"
  bool encrypted = false;
  Secret der;
};
/// Every PEM block of `text`; text between blocks and CRLF are passed over. Throws Error naming `source` for a broken
/// block.
std::vector<PemBlock> readPem(std::string_view text, std::string_view source);
/// "a.pem holds no certificate, but X509 CRL": what is wanted is not among the blocks.
std::string holdsNo(std::string_view what, const std::vector<PemBlock>& blocks, std::string_view source);

} // namespace kubestrap::certs::openssl
