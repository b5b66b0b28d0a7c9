#include "certs/rsa.hpp"

#include "certs/openssl.hpp"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

namespace kubestrap::certs::openssl {

namespace {

constexpr std::string_view what = "make an RSA key";
constexpr BN_ULONG publicExponent = 65537;

using Number = Owned<BIGNUM, BN_clear_free>;
using Workspace = Owned<BN_CTX, BN_CTX_free>;
using ParameterBuilder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Parameters = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

/// A secret number: what is computed with it takes the same time whatever it is.
Number secretNumber() {
  Number number{require(BN_secure_new(), what)};
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

Number lessOne(const Number& number) {
  auto less = secretNumber();
  require(BN_sub(less.get(), number.get(), BN_value_one()), what);
  return less;
}

/// A prime with its two highest bits set, so that the product of two has all its bits, and with no factor in common with the exponent.
Number prime(int bits, const Number& exponent, BN_CTX* workspace) {
  for (;;) {
    auto candidate = secretNumber();
    require(BN_generate_prime_ex2(candidate.get(), bits, 0, nullptr, nullptr, nullptr, workspace), what);
    auto common = secretNumber();
    require(BN_gcd(common.get(), lessOne(candidate).get(), exponent.get(), workspace), what);
    if (BN_is_one(common.get())) return candidate;
  }
}

Number product(const Number& a, const Number& b, BN_CTX* workspace) {
  auto result = secretNumber();
  require(BN_mul(result.get(), a.get(), b.get(), workspace), what);
  return result;
}

Number inverse(const Number& number, const Number& modulus, BN_CTX* workspace) {
  auto result = secretNumber();
  require(BN_mod_inverse(result.get(), number.get(), modulus.get(), workspace), what);
  return result;
}

Number remainder(const Number& number, const Number& modulus, BN_CTX* workspace) {
  auto result = secretNumber();
  require(BN_mod(result.get(), number.get(), modulus.get(), workspace), what);
  return result;
}

/// The least common multiple of p-1 and q-1.
Number carmichael(const Number& p1, const Number& q1, BN_CTX* workspace) {
  auto common = secretNumber(), result = secretNumber();
  require(BN_gcd(common.get(), p1.get(), q1.get(), workspace), what);
  require(BN_div(result.get(), nullptr, product(p1, q1, workspace).get(), common.get(), workspace), what);
  return result;
}

} // namespace

EVP_PKEY* generateRsa(std::size_t bits) {
  const Workspace workspace{require(BN_CTX_secure_new(), what)};
  BN_CTX* const work = workspace.get();
  Number e{require(BN_new(), what)};
  require(BN_set_word(e.get(), publicExponent), what);

  auto p = prime(static_cast<int>(bits / 2), e, work), q = prime(static_cast<int>(bits / 2), e, work);
  while (BN_cmp(p.get(), q.get()) == 0) q = prime(static_cast<int>(bits / 2), e, work);
  if (BN_cmp(p.get(), q.get()) < 0) std::swap(p, q);
  const auto p1 = lessOne(p), q1 = lessOne(q);
  const auto n = product(p, q, work), d = inverse(e, carmichael(p1, q1, work), work);
  const auto dp = remainder(d, p1, work), dq = remainder(d, q1, work), coefficient = inverse(q, p, work);

  const ParameterBuilder builder{require(OSSL_PARAM_BLD_new(), what)};
  const std::pair<const char*, const BIGNUM*> parts[] = {
      {OSSL_PKEY_PARAM_RSA_N, n.get()},          {OSSL_PKEY_PARAM_RSA_E, e.get()},
      {OSSL_PKEY_PARAM_RSA_D, d.get()},          {OSSL_PKEY_PARAM_RSA_FACTOR1, p.get()},
      {OSSL_PKEY_PARAM_RSA_FACTOR2, q.get()},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, dp.get()},
      {OSSL_PKEY_PARAM_RSA_EXPONENT2, dq.get()}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, coefficient.get()}};
  for (const auto& [name, number] : parts) require(OSSL_PARAM_BLD_push_BN(builder.get(), name, number), what);
  const Parameters parameters{require(OSSL_PARAM_BLD_to_param(builder.get()), what)};
  const KeyContext context{require(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), what)};
  require(EVP_PKEY_fromdata_init(context.get()), what);
  EVP_PKEY* key = nullptr;
  require(EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, parameters.get()), what);
  return key;
}

} // namespace kubestrap::certs::openssl
