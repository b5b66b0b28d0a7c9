#pragma once
// X.509 extensions as they are put together and taken apart. For certs/*.cpp only.

#include "certs/openssl.hpp"
#include "certs/request.hpp"

namespace kubestrap::certs::openssl {

enum class Critical { no, yes };

/// A list of extensions, each type once.
class Extensions {
public:
  Extensions();
  void add(int nid, void* value, Critical critical); ///< `value` is OpenSSL's own structure for it
  void add(const Extension& extension);
  bool has(std::string_view type) const;
  const STACK_OF(X509_EXTENSION) * list() const { return list_.get(); }

private:
  void push(ExtensionHandle extension);
  struct Free {
    void operator()(STACK_OF(X509_EXTENSION) * list) const { sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free); }
  };
  std::unique_ptr<STACK_OF(X509_EXTENSION), Free> list_;
};

GeneralNames generalNames(const Hosts& hosts);
Hosts hostsOf(const GENERAL_NAMES* names);
std::vector<Extension> extensionsOf(const STACK_OF(X509_EXTENSION) * list);

namespace extension {
inline constexpr std::string_view keyUsage = "2.5.29.15", alternativeName = "2.5.29.17", basicConstraints = "2.5.29.19",
                                  delegation = "1.3.6.1.4.1.44363.44";
}

/// As cfssl chooses, by the key that signs.
const EVP_MD* digestFor(const EVP_PKEY* key);

} // namespace kubestrap::certs::openssl
