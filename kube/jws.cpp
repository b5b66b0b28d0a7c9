#include "kube/jws.hpp"

#include "certs/seal.hpp"
#include "support/encoding.hpp"
#include "support/value.hpp"

namespace kubestrap::kube {

std::string signDetached(std::string_view content, std::string_view tokenId, const Secret& tokenSecret) {
  const Value header{{"alg", "HS256"}, {"kid", tokenId}};
  const std::string head = base64Url(header.dump());
  return head + ".." + base64Url(certs::hmacSha256(tokenSecret, head + "." + base64Url(content)));
}

bool verifyDetached(std::string_view signature, std::string_view content, std::string_view tokenId,
                    const Secret& tokenSecret) {
  const std::string expected = signDetached(content, tokenId, tokenSecret);
  if (signature.size() != expected.size()) return false;
  unsigned char difference = 0; // in constant time: how far a guess was right is nobody's business
  for (std::size_t i = 0; i < expected.size(); ++i)
    difference = static_cast<unsigned char>(difference | (signature[i] ^ expected[i]));
  return difference == 0;
}

} // namespace kubestrap::kube
