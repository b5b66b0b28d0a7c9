#include "certs/openssl.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <climits>
#include <fmt/format.h>

namespace kubestrap::certs::openssl {

namespace {

std::string drainErrors() {
  std::string all;
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    if (!all.empty()) all += "; ";
    const char *library = ERR_lib_error_string(code), *reason = ERR_reason_error_string(code);
    if (library && reason) {
      all += fmt::format("{} ({})", reason, library);
    } else {
      std::array<char, 256> whole{};
      ERR_error_string_n(code, whole.data(), whole.size());
      all += whole.data();
    }
    if ((flags & ERR_TXT_STRING) != 0 && data && *data) all += fmt::format(", {}", data);
  }
  return all;
}

} // namespace

void clearErrors() { ERR_clear_error(); }

void fail(std::string_view what, std::string hint) {
  const std::string cause = drainErrors();
  throw Error(cause.empty() ? fmt::format("cannot {}", what) : fmt::format("cannot {}: {}", what, cause),
              std::move(hint));
}

int length(std::string_view bytes) {
  if (bytes.size() > INT_MAX) throw Error(fmt::format("{} octets are too many for OpenSSL", bytes.size()));
  return static_cast<int>(bytes.size());
}

std::string utf8(const ASN1_STRING* string) {
  unsigned char* data = nullptr;
  const int size = ASN1_STRING_to_UTF8(&data, string);
  if (size < 0) fail("read a name in a certificate");
  std::string value(reinterpret_cast<char*>(data), static_cast<std::size_t>(size));
  OPENSSL_free(data);
  return value;
}

std::string dotted(const ASN1_OBJECT* object) {
  std::array<char, 128> text{};
  const int size = OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
  return size > 0 && static_cast<std::size_t>(size) < text.size() ? std::string(text.data()) : std::string();
}

std::string pemOf(X509* certificate) {
  const Bio memory{require(BIO_new(BIO_s_mem()), "write a certificate")};
  require(PEM_write_bio_X509(memory.get(), certificate), "write a certificate");
  return text(memory.get());
}

std::string text(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::vector<PemBlock> readPem(std::string_view text, std::string_view source) {
  clearErrors();
  std::vector<PemBlock> blocks;
  if (text.empty()) return blocks;
  const Bio bio{require(BIO_new_mem_buf(text.data(), length(text)), "read PEM")};
  for (;;) {
    char *label = nullptr, *header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio(bio.get(), &label, &header, &data, &size) != 1) {
      if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) break;
      fail(fmt::format("read PEM block {} of {}", blocks.size() + 1, source),
           "the file may be cut off or damaged; compare it with its source or a backup");
    }
    blocks.push_back({.label = label,
                      .encrypted = std::string_view(header).find("ENCRYPTED") != std::string_view::npos,
                      .der = Secret(std::string(reinterpret_cast<char*>(data), static_cast<std::size_t>(size)))});
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
  }
  clearErrors();
  return blocks;
}

std::string holdsNo(std::string_view what, const std::vector<PemBlock>& blocks, std::string_view source) {
  std::vector<std::string> labels;
  for (const auto& block : blocks)
    if (std::ranges::find(labels, block.label) == labels.end()) labels.push_back(block.label);
  return labels.empty() ? fmt::format("{} holds no {}", source, what) : fmt::format("{} holds no {}, but {}", source, what, join(labels, " and "));
}

} // namespace kubestrap::certs::openssl
