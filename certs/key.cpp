#include "certs/key.hpp"

#include "certs/openssl.hpp"
#include "certs/rsa.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <openssl/core_names.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fmt/format.h>
#include <future>
#include <thread>

namespace kubestrap::certs {

using namespace openssl;

namespace {

std::size_t rsaBits(KeyAlgorithm algorithm) {
  switch (algorithm) {
  case KeyAlgorithm::rsa2048: return 2048;
  case KeyAlgorithm::rsa3072: return 3072;
  case KeyAlgorithm::rsa4096: return 4096;
  default: return 0;
  }
}

std::shared_ptr<EVP_PKEY> shared(EVP_PKEY* key) { return {key, EVP_PKEY_free}; }

bool usable(const EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC") || EVP_PKEY_is_a(key, "ED25519");
}

} // namespace

std::optional<KeyAlgorithm> openssl::algorithmOf(const EVP_PKEY* key) {
  if (!key) return std::nullopt;
  if (EVP_PKEY_is_a(key, "ED25519")) return KeyAlgorithm::ed25519;
  if (EVP_PKEY_is_a(key, "RSA")) {
    for (KeyAlgorithm rsa : {KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096})
      if (static_cast<std::size_t>(EVP_PKEY_get_bits(key)) == rsaBits(rsa)) return rsa;
    return std::nullopt;
  }
  std::array<char, 64> group{};
  if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
    const std::string_view curve = group.data();
    if (curve == "prime256v1") return KeyAlgorithm::ecdsaP256;
    if (curve == "secp384r1") return KeyAlgorithm::ecdsaP384;
  }
  clearErrors();
  return std::nullopt;
}

PrivateKey PrivateKey::generate(KeyAlgorithm algorithm) {
  clearErrors();
  EVP_PKEY* key = nullptr;
  switch (algorithm) {
  case KeyAlgorithm::ecdsaP256: key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"); break;
  case KeyAlgorithm::ecdsaP384: key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384"); break;
  case KeyAlgorithm::ed25519: key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"); break;
  default: key = openssl::generateRsa(rsaBits(algorithm)); break;
  }
  return PrivateKey(shared(require(key, fmt::format("make a key of type {}", name(algorithm)))));
}

KeyRequest keyRequest(KeyAlgorithm algorithm) {
  switch (algorithm) {
  case KeyAlgorithm::ecdsaP256: return {"ecdsa", 256};
  case KeyAlgorithm::ecdsaP384: return {"ecdsa", 384};
  case KeyAlgorithm::ed25519: return {"ed25519", 256};
  default: return {"rsa", static_cast<int>(rsaBits(algorithm))};
  }
}

std::optional<std::pair<std::string, std::string>> whyUnusable(const KeyRequest& request) {
  using Why = std::pair<std::string, std::string>;
  const auto size = request.size;
  if (request.algorithm == "ed25519") return std::nullopt;
  if (request.algorithm == "ecdsa")
    return size == 256 || size == 384 || size == 521 ? std::nullopt : std::optional(Why("size", fmt::format("there is no curve of {} bits", size)));
  if (request.algorithm != "rsa") return Why("algo", fmt::format("there is no \"{}\"", request.algorithm));
  if (size < 2048) return Why("size", fmt::format("an RSA key of {} bits is too weak", size));
  if (size > 8192) return Why("size", fmt::format("an RSA key of {} bits is too large", size));
  return size % 2 == 0 ? std::nullopt : std::optional(Why("size", "an RSA key has an even number of bits"));
}

PrivateKey PrivateKey::generate(const KeyRequest& request) {
  if (const auto why = whyUnusable(request)) throw Error(why->second);
  if (request.algorithm == "ed25519") return generate(KeyAlgorithm::ed25519);
  clearErrors();
  EVP_PKEY* key = request.algorithm == "rsa"
                      ? openssl::generateRsa(static_cast<std::size_t>(request.size))
                      : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", fmt::format("P-{}", request.size).c_str());
  return PrivateKey(shared(require(key, fmt::format("make a key of type {}", request.algorithm))));
}

KeyRequest openssl::kindOf(const EVP_PKEY* key) {
  if (!key) return {"unknown", 0};
  const char* type = EVP_PKEY_get0_type_name(key);
  const auto name = EVP_PKEY_is_a(key, "EC") ? "ecdsa" : lower(type ? type : "unknown");
  return {name, EVP_PKEY_get_bits(key)};
}

KeyRequest PrivateKey::kind() const { return openssl::kindOf(key_.get()); }

PrivateKey PrivateKey::parse(const Secret& pem, std::string_view source) {
  const auto blocks = readPem(pem.reveal(), source);
  for (const PemBlock& block : blocks) {
    // "PRIVATE KEY" ends every label of a private key; others ("EC PARAMETERS", certificates) may stand before it.
    if (!block.label.ends_with("PRIVATE KEY")) continue;
    if (block.encrypted || block.label == "ENCRYPTED PRIVATE KEY")
      throw Error(
          fmt::format("the private key in {} is encrypted", source),
          "Kubernetes components cannot ask for a passphrase; take it off with `openssl pkey -in OLD -out NEW`");
    const std::string& bytes = block.der.reveal();
    const unsigned char* at = octets(bytes);
    EVP_PKEY* key = d2i_AutoPrivateKey(nullptr, &at, length(bytes));
    if (!key) fail(fmt::format("read the private key in {}", source));
    auto owned = shared(key);
    if (!usable(key)) {
      const char* type = EVP_PKEY_get0_type_name(key);
      throw Error(
          fmt::format("{} holds a key of type {}, which Kubernetes does not take", source, type ? type : "unknown"),
          "make one of type RSA or ECDSA");
    }
    // A public point may be written compressed or as a hybrid, and OpenSSL would hand that on to certificates, which Go does not read then.
    if (EVP_PKEY_is_a(key, "EC"))
      require(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed"), fmt::format("read the private key in {}", source));
    return PrivateKey(std::move(owned));
  }
  throw Error(holdsNo("private key", blocks, source),
              "a PEM block like BEGIN RSA PRIVATE KEY, BEGIN EC PRIVATE KEY or BEGIN PRIVATE KEY is expected");
}

Secret PrivateKey::pem() const {
  clearErrors();
  constexpr std::string_view what = "write a private key";
  const Bio memory{require(BIO_new(BIO_s_secmem()), what)};
  const auto write = EVP_PKEY_is_a(key_.get(), "ED25519") ? PEM_write_bio_PrivateKey : PEM_write_bio_PrivateKey_traditional;
  require(write(memory.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr), what);
  return Secret(text(memory.get()));
}

std::string PrivateKey::publicPem() const {
  clearErrors();
  const Bio memory{require(BIO_new(BIO_s_mem()), "write a public key")};
  require(PEM_write_bio_PUBKEY(memory.get(), key_.get()), "write a public key");
  return text(memory.get());
}

std::string PrivateKey::publicDer() const {
  clearErrors();
  return encode(key_.get(), i2d_PUBKEY, "write a public key");
}

std::optional<KeyAlgorithm> PrivateKey::algorithm() const { return algorithmOf(key_.get()); }

std::vector<PrivateKey> generateKeys(KeyAlgorithm algorithm, std::size_t count) {
  std::atomic<std::size_t> begun = 0;
  const auto work = [&] {
    std::vector<PrivateKey> keys;
    while (begun++ < count) keys.push_back(PrivateKey::generate(algorithm));
    return keys;
  };
  // Only RSA is slow enough (0.06 s and more a key) to be worth a thread.
  const std::size_t workers =
      rsaBits(algorithm) == 0 ? 1 : std::min<std::size_t>(count, std::thread::hardware_concurrency());
  std::vector<std::future<std::vector<PrivateKey>>> others;
  for (std::size_t i = 1; i < workers; ++i) others.push_back(std::async(std::launch::async, work));
  std::vector<PrivateKey> keys = work();
  for (auto& other : others)
    for (PrivateKey& key : other.get()) keys.push_back(std::move(key));
  return keys;
}

} // namespace kubestrap::certs
