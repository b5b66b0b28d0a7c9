#include "certs/x509.hpp"

#include "fixture.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

namespace kubestrap::certs {

namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
X509Certificate read(const std::string& pem) { return X509Certificate::parse(pem, "test.crt"); }
std::string messageFor(const std::string& pem) {
  return errorOf([&] { X509Certificate::parseAll(pem, "ca.crt"); }).message();
}

/// A certificate for its own key, with what `spec` says.
X509Certificate selfSigned(CertSpec spec, const Issuance& issuance = aYear(),
                           KeyAlgorithm algorithm = KeyAlgorithm::ecdsaP256) {
  const PrivateKey key = PrivateKey::generate(algorithm);
  spec.authority = true;
  if (spec.subject.commonName.empty()) spec.subject.commonName = "test";
  return issue(spec, key, {.key = key}, issuance);
}

std::string signatureAlgorithm(const X509Certificate& certificate) {
  const TempFolder folder;
  folder.write("crt", certificate.pem());
  const std::string text =
      folder.run("openssl x509 -in crt -noout -text -certopt no_pubkey,no_extensions | grep -m1 'Signature Algorithm'");
  return std::string(trim(text.substr(text.find(':') + 1)));
}

} // namespace

// ---- reading

TEST_CASE("a certificate is read back as it was written") {
  const Pair authority = makeAuthority();
  const PrivateKey key = PrivateKey::generate(KeyAlgorithm::ecdsaP384);
  const CertSpec spec{.name = "x",
                      .issuer = "ca",
                      .subject = {.commonName = "kubernetes-admin", .organizations = {"a", "b"}},
                      .names = {.dns = {"a.example.org", "b"}, .ips = {ip("10.0.0.9"), ip("fd00::9")}},
                      .usages = {ExtendedUsage::serverAuth, ExtendedUsage::clientAuth}};
  const X509Certificate made = issue(spec, key, {.certificate = &authority.certificate, .key = authority.key}, aYear());
  const X509Certificate found = read(made.pem());
  CHECK(found.der() == made.der());
  CHECK(found.subject() == spec.subject);
  CHECK(found.issuer() == Subject{.commonName = "kubernetes"});
  CHECK(found.names() == spec.names);
  CHECK(found.usages() == spec.usages);
  CHECK(!found.isAuthority());
  CHECK(authority.certificate.isAuthority());
  CHECK(found.notBefore() == at("2026-06-01T12:00:00Z"));
  CHECK(found.notAfter() == at("2027-06-01T12:00:00Z"));
  CHECK(found.algorithm() == KeyAlgorithm::ecdsaP384);
}

TEST_CASE("of a bundle the first certificate counts, and all can be had") {
  const Pair first = makeAuthority("first"), second = makeAuthority("second");
  const std::string bundle = first.certificate.pem() + "\nsome text\n" + second.certificate.pem();
  CHECK(read(bundle).subject().commonName == "first");
  const auto all = X509Certificate::parseAll(bundle, "bundle.crt");
  REQUIRE(all.size() == 2);
  CHECK(all[1].subject().commonName == "second");
}

TEST_CASE("a certificate is found behind text and keys, with CRLF and without a last line feed") {
  const Pair pair = makeAuthority();
  const std::string pem = pair.certificate.pem();
  const TempFolder folder;
  folder.write("crt", pem);
  for (const std::string& form :
       {"subject=CN = kubernetes\n\n" + pem, replaceAll(pem, "\n", "\r\n"), pem.substr(0, pem.size() - 1),
        pair.key.pem().reveal() + pem, folder.run("openssl x509 -in crt -text")})
    CHECK(read(form).der() == pair.certificate.der());
}

TEST_CASE("a certificate whose base64 is one long line is read") {
  const Pair pair = makeAuthority();
  const std::string pem =
      "-----BEGIN CERTIFICATE-----\n" + base64(pair.certificate.der()) + "\n-----END CERTIFICATE-----\n";
  CHECK(read(pem).der() == pair.certificate.der());
}

TEST_CASE("a file without a certificate or with a damaged one is named") {
  const std::string pem = makeAuthority().certificate.pem();
  CHECK(messageFor("") == "ca.crt holds no certificate");
  CHECK(messageFor("no such thing\n") == "ca.crt holds no certificate");
  CHECK(messageFor(makeAuthority().key.pem().reveal()) == "ca.crt holds no certificate, but EC PRIVATE KEY");
  CHECK(contains(messageFor(pem.substr(0, pem.size() / 2)), "cannot read PEM block 1 of ca.crt: "));
  CHECK(contains(messageFor(pem + pem.substr(0, 200)), "cannot read PEM block 2 of ca.crt: "));
  CHECK(contains(messageFor(pem + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
                 "cannot read certificate 2 of ca.crt: "));
}

TEST_CASE("a certificate with octets behind its end is not taken") {
  const std::string pem = "-----BEGIN CERTIFICATE-----\n" + base64(makeAuthority().certificate.der() + "x") +
                          "\n-----END CERTIFICATE-----\n";
  CHECK(contains(messageFor(pem), "ca.crt"));
}

TEST_CASE("the pin of a public key is what the documented openssl commands print") {
  const TempFolder folder;
  for (const KeyAlgorithm algorithm : {KeyAlgorithm::ecdsaP256, KeyAlgorithm::ed25519}) {
    const Pair authority = makeAuthority("kubernetes", algorithm);
    folder.write("ca.crt", authority.certificate.pem());
    const std::string printed =
        folder.run("openssl x509 -pubkey -noout -in ca.crt | openssl pkey -pubin -outform der | sha256sum");
    CHECK(authority.certificate.publicKeyPin() == "sha256:" + printed.substr(0, 64));
  }
}

TEST_CASE("an authority that is no root is taken for one by who trusts nothing but roots, in OpenSSL's trusted form only") {
  const Pair root = makeAuthority("root");
  const PrivateKey between = PrivateKey::generate(KeyAlgorithm::ecdsaP256), key = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  const CertSpec authority{.name = "ca", .issuer = "root", .authority = true, .subject = {.commonName = "kubernetes"}};
  const X509Certificate intermediate = issue(authority, between, {.certificate = &root.certificate, .key = root.key}, aYear());
  const CertSpec server{.name = "x", .issuer = "ca", .subject = {.commonName = "x"}, .names = {.dns = {"kubernetes"}, .ips = {}}, .usages = {ExtendedUsage::serverAuth}};
  const TempFolder folder;
  folder.write("ca.crt", intermediate.pem());
  folder.write("trusted.crt", intermediate.trustedPem());
  folder.write("x.crt", issue(server, key, {.certificate = &intermediate, .key = between}, aYear()).pem());
  const auto verified = [&](const std::string& more) { return folder.run("openssl verify -attime 1790000000 -purpose sslserver -CAfile " + more + " 2>&1 || true"); };
  CHECK(contains(verified("ca.crt x.crt"), "unable to get issuer certificate"));
  CHECK(contains(verified("trusted.crt x.crt"), "x.crt: OK"));
  CHECK(contains(folder.run("openssl verify -attime 1790000000 -purpose sslclient -CAfile trusted.crt x.crt 2>&1 || true"), "error"));
}

TEST_CASE("an authority for a hundred years keeps its dates beyond 2049") {
  const X509Certificate certificate = selfSigned({}, {.notBefore = at("2026-06-01T12:00:00Z"),
                                                      .notAfter = at("2126-05-08T12:00:00Z"),
                                                      .serialBytes = std::string(8, 'x')});
  CHECK(certificate.notAfter() == at("2126-05-08T12:00:00Z"));
  // UTCTime before 2050, GeneralizedTime from then on (RFC 5280, 4.1.2.5).
  CHECK(contains(certificate.der(), std::string("\x17\x0d") + "260601120000Z" + "\x18\x0f" + "21260508120000Z"));
}

TEST_CASE("dates beyond what a TimePoint can hold become its end") {
  const TempFolder folder;
  const std::string pem = folder.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k "
                                     "-subj /CN=x -days 2900000 2>/dev/null");
  CHECK(read(pem).notAfter() == TimePoint::max());
}

TEST_CASE("parts of a second are cut off") {
  Issuance issuance = aYear();
  issuance.notAfter += std::chrono::milliseconds(999);
  CHECK(selfSigned({}, issuance).notAfter() == at("2027-06-01T12:00:00Z"));
}

// ---- who signed what

TEST_CASE("a certificate belongs to its own key only") {
  const Pair one = makeAuthority();
  CHECK(one.certificate.belongsTo(one.key));
  CHECK(!one.certificate.belongsTo(PrivateKey::generate(KeyAlgorithm::ecdsaP256)));
  CHECK(!one.certificate.belongsTo(PrivateKey::generate(KeyAlgorithm::ed25519)));
}

TEST_CASE("a leaf is signed by its authority and by no other of the same name") {
  const Pair authority = makeAuthority(), namesake = makeAuthority(), other = makeAuthority("etcd-ca");
  const Pair leaf = makeLeaf(authority);
  CHECK(leaf.certificate.signedBy(authority.certificate));
  CHECK(!leaf.certificate.signedBy(namesake.certificate));
  CHECK(!leaf.certificate.signedBy(other.certificate));
  CHECK(!leaf.certificate.signedBy(leaf.certificate));
  CHECK(authority.certificate.signedBy(authority.certificate));
}

TEST_CASE("an authority that was made again for the same key still stands for its leaves") {
  const Pair authority = makeAuthority();
  const Pair leaf = makeLeaf(authority);
  Issuance later = aYear();
  later.notAfter += std::chrono::hours(8760);
  const CertSpec spec{.name = "ca", .issuer = "ca", .authority = true, .subject = {.commonName = "kubernetes"}};
  CHECK(leaf.certificate.signedBy(issue(spec, authority.key, {.key = authority.key}, later)));
}

TEST_CASE("the same key under another name did not sign") {
  const Pair authority = makeAuthority();
  const Pair leaf = makeLeaf(authority);
  const CertSpec renamed{.name = "ca", .issuer = "ca", .authority = true, .subject = {.commonName = "kubernetes2"}};
  CHECK(!leaf.certificate.signedBy(issue(renamed, authority.key, {.key = authority.key}, aYear())));
}

TEST_CASE("a changed certificate is signed by nobody") {
  const Pair authority = makeAuthority();
  std::string der = makeLeaf(authority, {.dns = {"n1.example.org"}}).certificate.der();
  const auto name = der.find("n1.example.org");
  REQUIRE(name != std::string::npos);
  der[name + 1] = '2';
  const X509Certificate changed = read("-----BEGIN CERTIFICATE-----\n" + base64(der) + "\n-----END CERTIFICATE-----\n");
  CHECK(changed.names().dns == std::vector<std::string>{"n2.example.org"});
  CHECK(!changed.signedBy(authority.certificate));
}

TEST_CASE("an authority of foreign make without a key id can sign") {
  const TempFolder folder;
  const std::string pem = folder.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
                                     "ca.key -subj '/C=DE/O=Firm/CN=Root' "
                                     "-addext subjectKeyIdentifier=none -days 30 2>/dev/null");
  const Pair foreign{PrivateKey::parse(Secret(folder.run("cat ca.key")), "ca.key"), read(pem)};
  const Pair leaf = makeLeaf(foreign);
  CHECK(leaf.certificate.signedBy(foreign.certificate));
  folder.write("leaf.crt", leaf.certificate.pem());
  CHECK(!contains(folder.run("openssl x509 -in leaf.crt -noout -text"), "Authority Key Identifier"));
  CHECK(trim(folder.run("openssl x509 -in leaf.crt -noout -issuer")) == "issuer=C = DE, O = Firm, CN = Root");
}

TEST_CASE("the signature's hash is chosen by the key that signs") {
  const auto by = [](PrivateKey key) {
    const CertSpec spec{.name = "ca", .issuer = "ca", .authority = true, .subject = {.commonName = "x"}};
    const Pair authority{key, issue(spec, key, {.key = key}, aYear())};
    const Pair leaf = makeLeaf(authority); // with a P-256 key of its own
    CHECK(leaf.certificate.signedBy(authority.certificate));
    return signatureAlgorithm(leaf.certificate);
  };
  CHECK(by(PrivateKey::generate(KeyAlgorithm::ecdsaP256)) == "ecdsa-with-SHA256");
  CHECK(by(PrivateKey::generate(KeyAlgorithm::ecdsaP384)) == "ecdsa-with-SHA384");
  CHECK(by(PrivateKey::generate(KeyAlgorithm::ed25519)) == "ED25519");
  CHECK(by(PrivateKey::parse(Secret(dataFile("data/rsa3072.key")), "rsa3072.key")) == "sha256WithRSAEncryption");
}

// ---- names

TEST_CASE("names that a certificate lacks are listed") {
  const Pair leaf =
      makeLeaf(makeAuthority(), {.dns = {"kubernetes", "*.example.org"}, .ips = {ip("10.96.0.1"), ip("::1")}});
  const X509Certificate& certificate = leaf.certificate;
  CHECK(certificate.coversNames({}));
  CHECK(certificate.coversNames({.dns = {"kubernetes"}, .ips = {ip("::1"), ip("10.96.0.1")}}));
  CHECK(certificate.lacks({.dns = {"n1", "kubernetes"}, .ips = {ip("10.0.0.1"), ip("10.96.0.1")}}) ==
        AlternativeNames{.dns = {"n1"}, .ips = {ip("10.0.0.1")}});
}

TEST_CASE("a wildcard covers one label, and itself") {
  const Pair leaf = makeLeaf(makeAuthority(), {.dns = {"*.example.org"}});
  CHECK(leaf.certificate.coversNames({.dns = {"api.example.org", "*.example.org", "API.Example.org"}}));
  CHECK(leaf.certificate.lacks({.dns = {"example.org", "a.b.example.org", "*.example.com"}}).dns ==
        std::vector<std::string>{"example.org", "a.b.example.org", "*.example.com"});
}

TEST_CASE("the common name covers nothing, and an address is not a name") {
  CHECK(!makeLeaf(makeAuthority()).certificate.coversNames({.dns = {"leaf"}}));
  CHECK(!makeLeaf(makeAuthority(), {.dns = {"10.0.0.1"}}).certificate.coversNames({.ips = {ip("10.0.0.1")}}));
}

TEST_CASE("alternative names are written in order and once, whatever the wish looks like") {
  const Pair leaf = makeLeaf(
      makeAuthority(), {.dns = {"n1", "localhost", "n1"}, .ips = {ip("127.0.0.1"), ip("10.0.0.1"), ip("127.0.0.1")}});
  CHECK(leaf.certificate.names() ==
        AlternativeNames{.dns = {"localhost", "n1"}, .ips = {ip("127.0.0.1"), ip("10.0.0.1")}});
}

// ---- the bytes

TEST_CASE("key usage and basic constraints are critical and have the bits that kubeadm sets") {
  const Pair authority = makeAuthority();
  const std::string ca = hex(authority.certificate.der()), leaf = hex(makeLeaf(authority).certificate.der());
  CHECK(contains(ca, "300e0603551d0f0101ff0404030202a4"));               // keyUsage: bits 0, 2, 5
  CHECK(contains(ca, "300f0603551d130101ff040530030101ff"));             // basicConstraints: CA, no path length
  CHECK(contains(ca, "301d0603551d0e04160414"));                         // subjectKeyIdentifier of 20 octets
  CHECK(!contains(ca, "0603551d23"));                                    // no authorityKeyIdentifier
  CHECK(!contains(ca, "0603551d25"));                                    // no extendedKeyUsage
  CHECK(contains(ca, "30150603551d11040e300c820a6b756265726e65746573")); // subjectAltName, not critical
  CHECK(contains(leaf, "300e0603551d0f0101ff0404030205a0"));             // keyUsage: bits 0, 2
  CHECK(contains(leaf, "300c0603551d130101ff04023000"));                 // basicConstraints: empty, so not an authority
  CHECK(contains(leaf, "30130603551d25040c300a06082b06010505070301"));   // extendedKeyUsage: serverAuth, not critical
  CHECK(contains(leaf, "301f0603551d230418301680"));                     // authorityKeyIdentifier: key id only
  CHECK(!contains(leaf, "0603551d0e"));                                  // no subjectKeyIdentifier
  CHECK(!contains(leaf, "0603551d11"));                                  // no names wished, no subjectAltName
}

TEST_CASE("the serial number is 63 bits wide and never zero") {
  const auto serialOf = [](std::string_view random) {
    Issuance issuance = aYear();
    issuance.serialBytes = *fromHex(random);
    return selfSigned({}, issuance).serial();
  };
  CHECK(serialOf("0000000000000000") == "01");
  CHECK(serialOf("00000000000000ff") == "0100");
  CHECK(serialOf("46ee2dd5f3c9995c") == "46EE2DD5F3C9995D");
  CHECK(serialOf("7ffffffffffffffd") == "7FFFFFFFFFFFFFFE");
  CHECK(serialOf("7ffffffffffffffe") == "01");
  CHECK(serialOf("ffffffffffffffff") == "04");
}

TEST_CASE("subject names are PrintableString where the characters allow it and UTF8String otherwise") {
  const TempFolder folder;
  const auto parsed = [&](Subject subject) {
    folder.write("crt", selfSigned({.subject = std::move(subject)}).pem());
    return folder.run("openssl asn1parse -in crt");
  };
  const std::string plain = parsed({.commonName = "system:node:n1", .organizations = {"system:nodes"}});
  CHECK(contains(plain, "PRINTABLESTRING   :system:node:n1"));
  CHECK(contains(plain, "PRINTABLESTRING   :system:nodes"));
  CHECK(plain.find(":organizationName") < plain.find(":commonName"));
  CHECK(contains(parsed({.commonName = "jane@example.org"}), "UTF8STRING        :jane@example.org"));
  CHECK(contains(parsed({.commonName = "a_b"}), "UTF8STRING        :a_b"));
  CHECK(contains(parsed({.commonName = "a*b"}), "UTF8STRING        :a*b"));
  CHECK(selfSigned({.subject = {.commonName = "Jürgen"}}).subject().commonName == "Jürgen");
}

TEST_CASE("several organisations stand in one set, as Go writes them, so DER decides on their order") {
  const TempFolder folder;
  const X509Certificate certificate = selfSigned({.subject = {.commonName = "u", .organizations = {"ops", "dev"}}});
  folder.write("crt", certificate.pem());
  CHECK(trim(folder.run("openssl x509 -in crt -noout -subject")) == "subject=O = dev + O = ops, CN = u");
  CHECK(certificate.subject().organizations == std::vector<std::string>{"dev", "ops"});
}

TEST_CASE("a node's name may be longer than X.509's sixty-four characters") {
  const std::string longName = "system:node:" + std::string(253, 'n');
  CHECK(selfSigned({.subject = {.commonName = longName}}).subject().commonName == longName);
}

TEST_CASE("the same wish, time and chance give the same bytes") {
  const PrivateKey key = PrivateKey::generate(KeyAlgorithm::ed25519); // its signatures have no chance in them
  const CertSpec spec{.name = "ca", .issuer = "ca", .authority = true, .subject = {.commonName = "kubernetes"}};
  CHECK(issue(spec, key, {.key = key}, aYear()).der() == issue(spec, key, {.key = key}, aYear()).der());
}

// ---- what is refused

TEST_CASE("an authority whose key is another's signs nothing") {
  const Pair authority = makeAuthority(), other = makeAuthority();
  const Error error = errorOf([&] { makeLeaf({other.key, authority.certificate}); });
  CHECK(error.message() == "cannot sign leaf: certificate and key of its issuer ca do not belong together");
  CHECK(contains(error.hint(), "put the key back"));
}

TEST_CASE("a certificate that is not an authority's signs nothing") {
  const Pair leaf = makeLeaf(makeAuthority());
  CHECK(errorOf([&] { makeLeaf(leaf); }).message() ==
        "cannot sign leaf: the certificate of its issuer ca is not one of an authority");
}

TEST_CASE("a self-signed certificate is signed with its own key only") {
  const PrivateKey own = PrivateKey::generate(KeyAlgorithm::ecdsaP256),
                   other = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  const CertSpec spec{.name = "ca", .issuer = "ca", .authority = true, .subject = {.commonName = "x"}};
  CHECK(contains(errorOf([&] { issue(spec, own, {.key = other}, aYear()); }).message(), "the signing key is another"));
}

TEST_CASE("wishes that would give an unusable certificate are refused with the reason") {
  const PrivateKey key = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  const auto refusal = [&](CertSpec spec, const Issuance& issuance) {
    spec.name = "x";
    return errorOf([&] { issue(spec, key, {.key = key}, issuance); }).message();
  };
  const CertSpec good{.subject = {.commonName = "x"}};
  CHECK(refusal({}, aYear()) == "cannot sign x: it has no common name");
  CHECK(refusal({.subject = {.commonName = "\xff"}}, aYear()) == "cannot sign x: its common name is not valid UTF-8");
  CHECK(refusal({.subject = {.commonName = "x", .organizations = {"\xc3"}}}, aYear()) ==
        "cannot sign x: an organization is not valid UTF-8");
  CHECK(refusal({.subject = {.commonName = "x"}, .names = {.dns = {"bücher.example"}}}, aYear()) ==
        "cannot sign x: \"bücher.example\" is not a DNS name");
  CHECK(refusal({.subject = {.commonName = "x"}, .names = {.dns = {""}}}, aYear()) ==
        "cannot sign x: \"\" is not a DNS name");
  Issuance issuance = aYear();
  issuance.serialBytes = "short";
  CHECK(refusal(good, issuance) == "cannot sign x: 5 random octets in place of 8");
  issuance = aYear();
  issuance.notAfter = issuance.notBefore;
  CHECK(refusal(good, issuance) == "cannot sign x: it would end before it begins");
}

} // namespace kubestrap::certs
