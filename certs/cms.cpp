#include "certs/cms.hpp"

#include "certs/key.hpp"
#include "certs/openssl.hpp"
#include "support/error.hpp"

#include <openssl/cms.h>
#include <openssl/pem.h>

#include <array>

namespace kubestrap::certs {

using namespace openssl;

namespace {

using MessageHandle = Owned<CMS_ContentInfo, CMS_ContentInfo_free>;

/// As many rounds as OWASP asks of PBKDF2 with HMAC-SHA-256; OpenSSL's own default is 2048.
constexpr int rounds = 600'000;
constexpr unsigned flags = CMS_BINARY | CMS_STREAM | CMS_PARTIAL;

X509Handle certificateOf(const std::string& pem) {
  const Bio text{require(BIO_new_mem_buf(pem.data(), length(pem)), "read a certificate")};
  X509Handle certificate{PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)};
  if (!certificate) fail("read the recipient's certificate", "give a certificate in PEM");
  return certificate;
}

void addRecipients(CMS_ContentInfo* message, const Recipients& recipients) {
  for (const auto& pem : recipients.certificates) {
    const auto certificate = certificateOf(pem);
    if (!CMS_add1_recipient_cert(message, certificate.get(), CMS_BINARY)) fail("encrypt for the recipient's certificate", "RSA and ECDSA certificates can be encrypted for, Ed25519 ones cannot");
  }
  if (!recipients.passphrase) return;
  // The message keeps the passphrase, and frees it.
  const auto& text = recipients.passphrase->reveal();
  auto* copy = static_cast<unsigned char*>(require(OPENSSL_memdup(text.data(), text.size()), "encrypt with a passphrase"));
  if (!CMS_add0_recipient_password(message, rounds, NID_undef, NID_undef, copy, length(text), EVP_aes_256_cbc())) {
    OPENSSL_clear_free(copy, text.size());
    fail("encrypt with a passphrase");
  }
}

} // namespace

struct CmsWriter::Message {
  std::function<void(std::string_view)> out;
  MessageHandle handle;
  Bio memory;
  BIO* chain = nullptr; ///< above `memory`

  ~Message() {
    while (chain && chain != memory.get()) {
      auto* next = BIO_pop(chain);
      BIO_free(chain);
      chain = next;
    }
  }

  void handOver() {
    char* data = nullptr;
    if (const auto size = BIO_get_mem_data(memory.get(), &data); size > 0) out({data, static_cast<std::size_t>(size)});
    BIO_reset(memory.get());
  }
};

CmsWriter::CmsWriter(const Recipients& recipients, std::function<void(std::string_view)> out) : message_(std::make_unique<Message>()) {
  if (recipients.certificates.empty() && !recipients.passphrase) throw Error("nobody could open it: there is neither a passphrase nor a recipient's certificate");
  clearErrors();
  message_->out = std::move(out);
  message_->handle.reset(require(CMS_encrypt(nullptr, nullptr, EVP_aes_256_gcm(), flags), "begin an encrypted message"));
  addRecipients(message_->handle.get(), recipients);
  message_->memory.reset(require(BIO_new(BIO_s_mem()), "begin an encrypted message"));
  message_->chain = require(BIO_new_CMS(message_->memory.get(), message_->handle.get()), "begin an encrypted message");
}

CmsWriter::~CmsWriter() = default;

void CmsWriter::write(std::string_view bytes) {
  constexpr std::size_t piece = std::size_t{1} << 20;
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, piece);
    if (BIO_write(message_->chain, part.data(), length(part)) != length(part)) fail("encrypt");
    message_->handOver();
    bytes.remove_prefix(part.size());
  }
}

void CmsWriter::finish() {
  if (BIO_flush(message_->chain) != 1) fail("end an encrypted message");
  message_->handOver();
}

Secret openCms(std::string_view message, const Opener& opener) {
  clearErrors();
  const Bio in{require(BIO_new_mem_buf(message.data(), length(message)), "read an encrypted message")};
  const MessageHandle handle{d2i_CMS_bio(in.get(), nullptr)};
  if (!handle) fail("read an encrypted message", "it has to be CMS in DER, as kubestrap backup writes it, and whole");
  if (opener.passphrase) {
    auto passphrase = opener.passphrase->reveal(); // OpenSSL wants to write where it reads
    if (CMS_decrypt_set1_password(handle.get(), octets(passphrase), length(passphrase)) != 1) {
      clearErrors();
      throw Error("the passphrase does not open it");
    }
  } else {
    const auto certificate = certificateOf(opener.certificate);
    const auto key = PrivateKey::parse(opener.key, "the recipient's key");
    if (CMS_decrypt_set1_pkey(handle.get(), key.native(), certificate.get()) != 1) {
      clearErrors();
      throw Error("the key does not open it", "was it encrypted for this certificate?");
    }
  }
  const Bio out{require(BIO_new(BIO_s_mem()), "decrypt")};
  if (CMS_decrypt(handle.get(), nullptr, nullptr, nullptr, out.get(), CMS_BINARY) != 1) {
    clearErrors();
    throw Error("it does not open: it was encrypted for somebody else, or changed since");
  }
  return Secret(text(out.get()));
}

} // namespace kubestrap::certs
