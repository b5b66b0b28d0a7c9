#include "certs/seal.hpp"

#include "certs/openssl.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

constexpr std::size_t keySize = 32, nonceSize = 12, tagSize = 16;

} // namespace

std::string seal(std::string_view plain, const Secret& key, std::string_view nonce) {
  if (key.reveal().size() != keySize)
    throw Error(fmt::format("the certificate key has {} octets in place of {}", key.reveal().size(), keySize),
                "it is written as 64 hexadecimal digits");
  if (nonce.size() != nonceSize)
    throw Error(fmt::format("a nonce of {} octets in place of {}", nonce.size(), nonceSize));
  clearErrors();
  constexpr std::string_view what = "encrypt with AES-256-GCM";
  const CipherContext context{require(EVP_CIPHER_CTX_new(), what)};
  require(EVP_EncryptInit_ex2(context.get(), EVP_aes_256_gcm(), octets(key.reveal()), octets(nonce), nullptr), what);
  std::string sealed(nonce);
  sealed.resize(nonceSize + plain.size() + tagSize);
  unsigned char* out = octets(sealed) + nonceSize;
  int written = 0;
  require(EVP_EncryptUpdate(context.get(), out, &written, octets(plain), length(plain)), what);
  require(EVP_EncryptFinal_ex(context.get(), out + written, &written), what);
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tagSize, out + plain.size()), what);
  return sealed;
}

std::optional<Secret> unseal(std::string_view sealed, const Secret& key) {
  if (key.reveal().size() != keySize || sealed.size() < nonceSize + tagSize) return std::nullopt;
  clearErrors();
  constexpr std::string_view what = "decrypt with AES-256-GCM";
  const std::string_view nonce = sealed.substr(0, nonceSize);
  const std::string_view cipher = sealed.substr(nonceSize, sealed.size() - nonceSize - tagSize);
  std::string tag(sealed.substr(sealed.size() - tagSize));
  const CipherContext context{require(EVP_CIPHER_CTX_new(), what)};
  require(EVP_DecryptInit_ex2(context.get(), EVP_aes_256_gcm(), octets(key.reveal()), octets(nonce), nullptr), what);
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, tagSize, tag.data()), what);
  std::string plain(cipher.size(), '\0');
  int written = 0;
  require(EVP_DecryptUpdate(context.get(), octets(plain), &written, octets(cipher), length(cipher)), what);
  Secret opened(std::move(plain)); // wiped when the tag does not fit
  unsigned char rest[tagSize];
  if (EVP_DecryptFinal_ex(context.get(), rest, &written) != 1) {
    clearErrors();
    return std::nullopt;
  }
  return opened;
}

std::string hmacSha256(const Secret& key, std::string_view message) {
  clearErrors();
  std::string mac(32, '\0');
  std::size_t size = 0;
  require(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.reveal().data(), key.reveal().size(),
                    octets(message), message.size(), octets(mac), mac.size(), &size),
          "compute HMAC-SHA256");
  return mac;
}

} // namespace kubestrap::certs
