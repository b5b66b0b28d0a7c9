// Certificates, keys and kubeconfigs: what is compared, what is made, and what is refused.
#include "tests/unit/plan/pki.hpp"
#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::plan;

TEST_CASE("why a certificate is issued anew") {
  Pki pki;
  auto spec = leaf();
  CHECK(pki.verdictOn(spec) == "keep (signed by ca, expires 2027-11-22)");
  SUBCASE("a name") {
    spec.names.dns.push_back("other.example.org");
    CHECK(pki.verdictOn(spec) == "update (lacks SAN other.example.org)");
  }
  SUBCASE("a name that it is not to have any more") {
    spec.names = {};
    spec.unwanted = {.dns = {"gone.example.org"}, .ips = {*IpAddress::parse("10.9.9.9")}};
    CHECK(pki.verdictOn(spec) == "keep (signed by ca, expires 2027-11-22)");
    spec.unwanted.dns.push_back("Web.example.org");
    CHECK(pki.verdictOn(spec) == "update (still has SAN Web.example.org)");
  }
  SUBCASE("a use") {
    spec.usages.push_back(certs::ExtendedUsage::clientAuth);
    CHECK(pki.verdictOn(spec) == "update (may not be used by a client)");
  }
  SUBCASE("its end, within the margin") {
    spec.renewWithin = std::chrono::hours(24 * 400);
    CHECK(pki.verdictOn(spec).starts_with("update (expires 2027-11-22, in "));
  }
  SUBCASE("its end") {
    pki.host.now += std::chrono::hours(24 * 366);
    CHECK(pki.verdictOn(spec) == "update (expired 2027-11-22)");
  }
  SUBCASE("a lost key") {
    pki.host.files.erase("/pki/web.key");
    CHECK(pki.verdictOn(spec) == "update (its key is missing)");
  }
  SUBCASE("another key") {
    pki.host.files["/pki/web.key"].content = pki.host.text("/pki/ca.key");
    CHECK(pki.verdictOn(spec) == "update (its key does not match)");
  }
}

TEST_CASE("keys are for root alone, certificates for all") {
  Pki pki;
  CHECK(pki.host.files["/pki/web.key"].mode == 0600);
  CHECK(pki.host.files["/pki/web.crt"].mode == 0644);
}

TEST_CASE("a certificate that changes between look and issue is not overwritten") {
  Pki pki;
  pki.host.files.erase("/pki/web.crt");
  const auto change = diff(Certificate{leaf()}, pki.applying());
  pki.host.put("/pki/web.crt", "theirs");
  CHECK(messageOf([&] { enact(Certificate{leaf()}, change, pki.applying()); }) ==
        "/pki/web.crt was changed by somebody else just now");
  CHECK(pki.host.text("/pki/web.crt") == "theirs");
}

TEST_CASE("what is no certificate is named, and left alone") {
  Pki pki;
  pki.host.put("/pki/web.crt", "nonsense");
  CHECK(messageOf([&] { diff(Certificate{leaf()}, pki.applying()); }).find("/pki/web.crt") != std::string::npos);
}

TEST_CASE("a leaf cannot be made before its authority") {
  SmallWorld small;
  const auto change = diff(Certificate{leaf()}, small.applying());
  CHECK(verdict(change) == "create (missing)");
  CHECK(messageOf([&] { enact(Certificate{leaf()}, change, small.applying()); }) ==
        "cannot sign web: /pki/ca.crt is absent");
}

TEST_CASE("behind a certificate stands what leads to a root that is kept elsewhere") {
  Pki pki;
  CHECK(certs::X509Certificate::parseAll(pki.host.text("/pki/web.crt"), "web").size() == 1);
  const auto root = certs::X509Certificate::parse(pki.host.text("/pki/ca.crt"), "ca");
  const auto rootKey = certs::PrivateKey::parse(Secret(pki.host.text("/pki/ca.key")), "ca");
  const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  auto spec = authority();
  spec.subject.commonName = "intermediate";
  const auto intermediate = certs::issue(spec, key, certs::Issuer{&root, rootKey}, {.notBefore = pki.host.now, .notAfter = pki.host.now + std::chrono::hours(24 * 400), .serialBytes = "12345678"});
  pki.host.put("/pki/ca.crt", intermediate.pem());
  pki.host.put("/pki/ca.key", key.pem().reveal());
  pki.host.files.erase("/pki/web.crt");
  pki.host.files.erase("/pki/web.key");
  CHECK(pki.make(Certificate{leaf()}) == "create (missing)");
  const auto chain = certs::X509Certificate::parseAll(pki.host.text("/pki/web.crt"), "web");
  REQUIRE(chain.size() == 2);
  CHECK(chain[0].signedBy(intermediate));
  CHECK(chain[1].der() == intermediate.der());
  CHECK(pki.verdictOn(leaf()) == "keep (signed by ca, expires 2027-11-22)");
}

TEST_CASE("a key pair's public half follows its private one") {
  SmallWorld small;
  const KeyPair pair{"/pki/sa.key", "/pki/sa.pub"};
  CHECK(small.make(pair) == "create (missing)");
  const auto key = small.host.text("/pki/sa.key");
  small.host.files.erase("/pki/sa.pub");
  CHECK(small.make(pair) == "update (its public key is missing)");
  small.host.put("/pki/sa.pub", "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n");
  CHECK(small.make(pair) == "update (its public key does not match)");
  CHECK(small.host.text("/pki/sa.key") == key);
}

TEST_CASE("a kubeconfig follows its credential") {
  Pki pki;
  auto spec = leaf();
  spec.certificate.clear(), spec.key.clear();
  spec.usages = {certs::ExtendedUsage::clientAuth};
  spec.names = {};
  spec.subject = {.commonName = "admin", .organizations = {"admins"}};
  Kubeconfig wanted{.path = "/admin.conf",
                    .server = "https://10.0.0.11:6443",
                    .tlsServerName = "",
                    .clusterName = "kubernetes",
                    .user = "admin",
                    .authority = "/pki/ca.crt",
                    .credential = EmbeddedCertificate{spec}};
  CHECK(pki.make(wanted) == "create (missing)");
  CHECK(pki.host.files["/admin.conf"].mode == 0600);
  CHECK(pki.make(wanted) == "keep");

  wanted.tlsServerName = "kubernetes";
  CHECK(pki.make(wanted) == "update (names another TLS server name)");
  std::get<EmbeddedCertificate>(wanted.credential).spec.subject.organizations = {"others"};
  CHECK(pki.make(wanted) == "update (is for O=admins, CN=admin, not O=others, CN=admin)");

  wanted.credential = CertificateFile{"/var/lib/kubelet/pki/current.pem"};
  CHECK(pki.make(wanted) == "update (does not name /var/lib/kubelet/pki/current.pem)");
  const auto found = kube::parseKubeconfig(pki.host.text("/admin.conf"), "admin.conf");
  CHECK(found.clientCertificateFile == "/var/lib/kubelet/pki/current.pem");
  CHECK(found.clientKeyFile == "/var/lib/kubelet/pki/current.pem");
  // The kubelet's own rotation is not undone by the phase that made its first credentials.
  wanted.credential = EmbeddedCertificate{spec};
  CHECK(pki.make(wanted) == "keep");

  wanted.credential = TokenCredential{Secret("abcdef.0123456789abcdef")};
  CHECK(pki.make(wanted) == "update (has another token)");
}

TEST_CASE("certificate and key lie in a file that the kubeconfig names, where that is wanted") {
  Pki pki;
  auto spec = leaf();
  spec.certificate.clear(), spec.key.clear();
  spec.usages = {certs::ExtendedUsage::clientAuth};
  spec.names = {};
  Kubeconfig wanted{.path = "/a/kubeconfig", .server = "https://10.0.0.11:6443", .tlsServerName = "", .clusterName = "kubernetes", .user = "a",
                    .authority = "/pki/ca.crt", .credential = EmbeddedCertificate{spec}};
  CHECK(pki.make(wanted) == "create (missing)");
  wanted.credentialFile = "/a/client.pem";
  CHECK(pki.make(wanted) == "update (does not name /a/client.pem)");
  CHECK(pki.host.files["/a/client.pem"].mode == 0600);
  auto found = kube::parseKubeconfig(pki.host.text("/a/kubeconfig"), "a");
  CHECK(found.clientCertificateFile == "/a/client.pem");
  CHECK(found.clientKeyFile == "/a/client.pem");
  CHECK(found.clientCertificate.empty());
  CHECK(pki.make(wanted) == "keep");

  const auto kubeconfig = pki.host.text("/a/kubeconfig"), credentials = pki.host.text("/a/client.pem");
  std::get<EmbeddedCertificate>(wanted.credential).spec.renewWithin = Duration::max();
  CHECK(pki.make(wanted).starts_with("update (asked for; expires "));
  CHECK(pki.host.text("/a/kubeconfig") == kubeconfig);
  CHECK(pki.host.text("/a/client.pem") != credentials);

  const auto change = diff(wanted, pki.applying());
  pki.host.put("/a/client.pem", "theirs");
  CHECK(messageOf([&] { enact(wanted, change, pki.applying()); }) == "/a/kubeconfig was changed by somebody else just now");
  pki.host.remove("/a/client.pem");
  std::get<EmbeddedCertificate>(wanted.credential).spec.renewWithin = {};
  CHECK(pki.make(wanted) == "update (has no client certificate)");

  wanted.credential = GivenCertificate{"another certificate\n", Secret("its key\n")};
  CHECK(pki.make(wanted) == "update (has another client certificate)");
  CHECK(pki.host.text("/a/client.pem") == "another certificate\nits key\n");
}

TEST_CASE("a kubeconfig that changes between look and write is not overwritten") {
  Pki pki;
  const Kubeconfig wanted{.path = "/a.conf",
                          .server = "https://a:6443",
                          .tlsServerName = "",
                          .clusterName = "kubernetes",
                          .user = "a",
                          .authority = "/pki/ca.crt",
                          .credential = TokenCredential{Secret("abcdef.0123456789abcdef")}};
  const auto change = diff(wanted, pki.applying());
  pki.host.put("/a.conf", "theirs");
  CHECK(messageOf([&] { enact(wanted, change, pki.applying()); }) == "/a.conf was changed by somebody else just now");
}
