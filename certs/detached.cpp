#include "certs/detached.hpp"

#include "certs/openssl.hpp"
#include "support/encoding.hpp"

#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;

/// Ed25519 takes the message as it is.
const EVP_MD* digestFor(const EVP_PKEY* key) { return EVP_PKEY_is_a(key, "ED25519") ? nullptr : EVP_sha256(); }

} // namespace

std::string signDetached(const PrivateKey& key, std::string_view bytes) {
  clearErrors();
  DigestContext context(require(EVP_MD_CTX_new(), "sign"));
  require(EVP_DigestSignInit(context.get(), nullptr, digestFor(key.native()), nullptr, key.native()), "sign");
  std::size_t size = 0;
  require(EVP_DigestSign(context.get(), nullptr, &size, octets(bytes), bytes.size()), "sign");
  std::string signature(size, '\0');
  require(EVP_DigestSign(context.get(), octets(signature), &size, octets(bytes), bytes.size()), "sign");
  signature.resize(size);
  return signature;
}

std::vector<PublicKey> PublicKey::parseAll(std::string_view pem, std::string_view source) {
  std::vector<PublicKey> keys;
  const auto blocks = readPem(pem, source);
  for (const auto& block : blocks) {
    if (block.label != "PUBLIC KEY") continue;
    clearErrors();
    const auto& der = block.der.reveal();
    const auto* bytes = octets(der);
    std::shared_ptr<EVP_PKEY> key(d2i_PUBKEY(nullptr, &bytes, length(der)), EVP_PKEY_free);
    if (!key) fail(fmt::format("read the public key in {}", source));
    if (!EVP_PKEY_is_a(key.get(), "ED25519") && !EVP_PKEY_is_a(key.get(), "EC") && !EVP_PKEY_is_a(key.get(), "RSA"))
      throw Error(fmt::format("the public key in {} is of no kind that signs here", source), "Ed25519, ECDSA or RSA");
    keys.push_back(PublicKey(std::move(key), sha256Hex(der)));
  }
  if (keys.empty()) throw Error(holdsNo("public key", blocks, source), "the file that ends in .pub, or: openssl pkey -in KEY -pubout");
  return keys;
}

bool PublicKey::verifies(std::string_view signature, std::string_view bytes) const {
  clearErrors();
  DigestContext context(require(EVP_MD_CTX_new(), "verify"));
  require(EVP_DigestVerifyInit(context.get(), nullptr, digestFor(key_.get()), nullptr, key_.get()), "verify");
  const bool good = EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(bytes), bytes.size()) == 1;
  clearErrors();
  return good;
}

} // namespace kubestrap::certs
