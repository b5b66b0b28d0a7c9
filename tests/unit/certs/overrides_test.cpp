// What an operator wants otherwise of the cluster's certificates.
#include "certs/overrides.hpp"
#include "fixture.hpp"

namespace kubestrap::certs {

namespace {

Wishes requests(std::map<std::string, std::string> files) { return {.requests = std::move(files), .folder = "/wishes", .policy = {}, .policySource = {}}; }
Wishes policy(std::string json) { return {.requests = {}, .folder = {}, .policy = std::move(json), .policySource = "/policy.json"}; }

std::vector<std::string> problemsOf(const Wishes& wishes) {
  std::vector<std::string> texts;
  try {
    parseWishes(wishes);
  } catch (const Problems& problems) {
    for (const auto& each : problems.list()) texts.push_back(describe(each));
  }
  return texts;
}

} // namespace

TEST_CASE("a request says only what is to differ") {
  const auto wishes = parseWishes(requests({{"apiserver.json", R"({"hosts": ["api.example.org", "203.0.113.9"], "names": [{"O": "Example", "C": "DE"}]})"},
                                            {"ca.json", R"({"CN": "our cluster", "key": {"algo": "ecdsa", "size": 384}, "ca": {"expiry": "43800h"}})"},
                                            {"admin.conf.json", R"({"CN": "kubernetes-admin", "names": [{"O": "auditors"}], "KEY": {"algo": "rsa", "size": 3072}})"},
                                            {"notes.txt", "not JSON"},
                                            {"policy.json", "a policy is read where it is named"}}));
  CHECK(wishes.at("apiserver") == Override{.subject = {.commonName = "", .organizations = {"Example"}, .others = {{std::string(attribute::country), "DE"}}},
                                           .names = {.dns = {"api.example.org"}, .ips = {*IpAddress::parse("203.0.113.9")}}});
  CHECK(wishes.at("ca") == Override{.subject = {.commonName = "our cluster", .organizations = {}}, .names = {}, .algorithm = KeyAlgorithm::ecdsaP384,
                                    .life = std::chrono::hours(43800)});
  CHECK(wishes.at("admin.conf").algorithm == KeyAlgorithm::rsa3072);
  CHECK(wishes.size() == 3);
}

TEST_CASE("a profile of the policy says how long its certificate is valid") {
  const auto wishes = parseWishes(policy(R"({"signing": {"profiles": {"etcd-peer": {"expiry": "720h", "usages": ["client auth", "server auth", "signing", "key encipherment"]}}}})"));
  CHECK(wishes.at("etcd-peer").life == std::chrono::hours(720));
}

TEST_CASE("all that a cluster could not work with is told at once") {
  const auto told = problemsOf(requests({{"apisever.json", "{}"},
                                         {"apiserver.json", R"({"ca": {}, "key": {"algo": "ed25519"}, "crl_url": "http://a", "hots": []})"},
                                         {"front-proxy-client.json", R"({"CN": "somebody"})"},
                                         {"kubelet.conf.json", R"({"CN": "n1"})"},
                                         {"etcd-ca.json", R"({"ca": {"pathlen": 2}})"},
                                         {"scheduler.conf.json", "{"}}));
  const std::vector<std::string> expected = {"/wishes/apiserver.json: hots", "/wishes/apisever.json: there is no certificate apisever (expected apiserver)",
                                             "/wishes/etcd-ca.json: ca.pathlen", "/wishes/front-proxy-client.json: CN: \"somebody\" is another user, who has no rights (expected front-proxy-client)",
                                             "/wishes/kubelet.conf.json: CN: \"n1\" is another user, who has no rights (expected system:node:NODE)", "/wishes/scheduler.conf.json: is not JSON"};
  REQUIRE(told.size() == expected.size());
  for (std::size_t i = 0; i < told.size(); ++i) CHECK_MESSAGE(told[i].starts_with(expected[i]), told[i]);
  CHECK(problemsOf(requests({{"apiserver.json", R"({"ca": {}, "hosts": ["a@example.org"], "key": {"algo": "ed25519"}, "crl_url": "http://a"})"}})).size() == 4);
}

TEST_CASE("a policy that asks for what the certificate is not, or cannot have, is refused") {
  const auto told = problemsOf(policy(R"({"signing": {"default": {"expiry": "1h", "usages": ["signing"]}, "profiles": {
      "ca": {"expiry": "1h", "usages": ["cert sign"]},
      "apiservr": {"expiry": "1h", "usages": ["server auth"]},
      "apiserver": {"expiry": "1h", "usages": ["signing", "key encipherment", "client auth"], "crl_url": "http://a", "backdate": "1h"}}}})"));
  const std::vector<std::string> expected = {"/policy.json: signing.default: is for certificates that nobody names", "/policy.json: signing.profiles.apiserver.crl_url",
                                             "/policy.json: signing.profiles.apiserver.backdate",
                                             "/policy.json: signing.profiles.apiserver.usages: are not those of this certificate (expected signing, key encipherment, server auth)",
                                             "/policy.json: signing.profiles.apiservr: there is no certificate apiservr (expected apiserver)",
                                             "/policy.json: signing.profiles.ca: is an authority, whose request says how long it is valid (expected ca.expiry in ca.json)"};
  REQUIRE(told.size() == expected.size());
  for (std::size_t i = 0; i < told.size(); ++i) CHECK_MESSAGE(told[i].starts_with(expected[i]), told[i]);
}

TEST_CASE("what is wanted is laid over what is there") {
  const CertSpec own{.name = "a", .subject = {.commonName = "a", .organizations = {"x"}, .others = {{std::string(attribute::country), "FR"}}}, .names = {.dns = {"b"}, .ips = {}}, .life = std::chrono::hours(1)};
  const auto same = overlaid(own, {});
  CHECK(same.subject == own.subject);
  CHECK(same.names == own.names);
  CHECK(same.life == own.life);
  const auto other = overlaid(own, {.subject = {.commonName = "c", .organizations = {"x", "y"}, .others = {{std::string(attribute::country), "DE"}}},
                                    .names = {.dns = {"a", "b"}, .ips = {}}, .algorithm = KeyAlgorithm::rsa4096, .life = std::chrono::hours(2)});
  CHECK(other.subject == Subject{.commonName = "c", .organizations = {"x", "y"}, .others = {{std::string(attribute::country), "DE"}}});
  CHECK(other.names.dns == std::vector<std::string>{"a", "b"});
  CHECK(other.algorithm == KeyAlgorithm::rsa4096);
  CHECK(other.life == std::chrono::hours(2));
}

TEST_CASE("the further parts of a subject stand in the certificate, and are read again") {
  const auto authority = makeAuthority();
  const auto key = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  const CertSpec spec{.name = "leaf", .issuer = "ca", .subject = {.commonName = "a", .organizations = {"x"}, .others = {{std::string(attribute::country), "DE"}, {std::string(attribute::organizationalUnit), "ops"}}},
                      .names = {}, .usages = {ExtendedUsage::clientAuth}, .life = std::chrono::hours(1)};
  CHECK(issue(spec, key, Issuer{&authority.certificate, authority.key}, aYear()).subject() == spec.subject);
}

} // namespace kubestrap::certs
