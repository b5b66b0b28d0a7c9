#include "certs/verify.hpp"

#include "certs/name.hpp"
#include "certs/openssl.hpp"

#include <openssl/x509_vfy.h>

#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

using Store = Owned<X509_STORE, X509_STORE_free>;
using StoreContext = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;

struct FreeStack {
  void operator()(STACK_OF(X509) * list) const { sk_X509_free(list); } // the certificates are others'
};

int purposeOf(Purpose purpose) {
  switch (purpose) {
  case Purpose::server: return X509_PURPOSE_SSL_SERVER;
  case Purpose::client: return X509_PURPOSE_SSL_CLIENT;
  case Purpose::any: break;
  }
  return X509_PURPOSE_ANY;
}

} // namespace

std::optional<std::string> whyUntrusted(const X509Certificate& leaf, std::span<const X509Certificate> intermediates,
                                        std::span<const X509Certificate> roots, Purpose purpose,
                                        std::optional<TimePoint> now) {
  clearErrors();
  constexpr std::string_view what = "verify a certificate";
  const Store store{require(X509_STORE_new(), what)};
  for (const auto& root : roots) require(X509_STORE_add_cert(store.get(), root.native()), what);
  const std::unique_ptr<STACK_OF(X509), FreeStack> chain(require(sk_X509_new_null(), what));
  for (const auto& each : intermediates)
    if (sk_X509_push(chain.get(), each.native()) == 0) fail(what);
  const StoreContext context{require(X509_STORE_CTX_new(), what)};
  require(X509_STORE_CTX_init(context.get(), store.get(), leaf.native(), chain.get()), what);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  require(X509_VERIFY_PARAM_set_purpose(parameters, purposeOf(purpose)), what);
  if (now) X509_VERIFY_PARAM_set_time(parameters, std::chrono::floor<std::chrono::seconds>(now->time_since_epoch()).count());
  require(X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | (now ? 0 : X509_V_FLAG_NO_CHECK_TIME)), what);
  const bool good = X509_verify_cert(context.get()) == 1;
  clearErrors();
  if (good) return std::nullopt;
  const char* reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  const X509* at = X509_STORE_CTX_get_current_cert(context.get());
  return fmt::format("{} ({})", reason, at ? readDistinguishedName(X509_get_subject_name(at)).string() : "no certificate");
}

} // namespace kubestrap::certs
