#include "support/digest.hpp"

#include "support/error.hpp"

#include <openssl/evp.h>

namespace kubestrap {

struct Sha256::Context {
  EVP_MD_CTX* handle = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(handle); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (!context_->handle || EVP_DigestInit_ex2(context_->handle, EVP_sha256(), nullptr) != 1) throw Error("OpenSSL has no SHA-256");
}

Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  if (EVP_DigestUpdate(context_->handle, bytes.data(), bytes.size()) != 1) throw Error("OpenSSL cannot digest");
}

std::string Sha256::digest() {
  std::string out(32, '\0');
  if (EVP_DigestFinal_ex(context_->handle, reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1) throw Error("OpenSSL cannot digest");
  return out;
}

} // namespace kubestrap
