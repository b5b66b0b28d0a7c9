#include "certs/key.hpp"

#include "fixture.hpp"
#include "support/text.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509err.h>
#include <set>

namespace kubestrap::certs {

namespace {

PrivateKey keyFrom(std::string pem) { return PrivateKey::parse(Secret(std::move(pem)), "test.key"); }
std::string firstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Written, read, written again: the same key and the same bytes; and the openssl command agrees.
void checkRoundTrip(const PrivateKey& key, std::string_view label) {
  const Secret pem = key.pem();
  CHECK(firstLine(pem.reveal()) == "-----BEGIN " + std::string(label) + "-----");
  const PrivateKey again = PrivateKey::parse(pem, "again");
  CHECK(again.publicDer() == key.publicDer());
  CHECK(again.pem() == pem);
  CHECK(again.algorithm() == key.algorithm());
  const TempFolder folder;
  folder.write("key", pem.reveal());
  CHECK(folder.run("openssl pkey -in key -pubout") == key.publicPem());
  folder.run("openssl pkey -in key -check -noout 2>&1");
}

} // namespace

TEST_CASE("ECDSA keys are written in SEC1 form with a named curve") {
  for (const KeyAlgorithm algorithm : {KeyAlgorithm::ecdsaP256, KeyAlgorithm::ecdsaP384}) {
    const PrivateKey key = PrivateKey::generate(algorithm);
    CHECK(key.algorithm() == algorithm);
    checkRoundTrip(key, "EC PRIVATE KEY");
    const TempFolder folder;
    folder.write("key", key.pem().reveal());
    CHECK(contains(folder.run("openssl asn1parse -in key"),
                   algorithm == KeyAlgorithm::ecdsaP256 ? ":prime256v1" : ":secp384r1"));
  }
}

TEST_CASE("an RSA key is written in PKCS#1 form, and the openssl command finds its parts in order") {
  for (const KeyAlgorithm algorithm : {KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072}) {
    const PrivateKey key = PrivateKey::generate(algorithm);
    CHECK(key.algorithm() == algorithm);
    checkRoundTrip(key, "RSA PRIVATE KEY");
    const TempFolder folder;
    folder.write("key", key.pem().reveal());
    CHECK(contains(folder.run("openssl rsa -in key -check -noout 2>&1"), "RSA key ok"));
    CHECK(contains(folder.run("openssl rsa -in key -text -noout"), "publicExponent: 65537 (0x10001)"));
  }
}

TEST_CASE("an Ed25519 key is written in PKCS#8 form") {
  const PrivateKey key = PrivateKey::generate(KeyAlgorithm::ed25519);
  CHECK(key.algorithm() == KeyAlgorithm::ed25519);
  checkRoundTrip(key, "PRIVATE KEY");
}

TEST_CASE("longer RSA keys are read and known by their size") {
  const PrivateKey three = keyFrom(dataFile("data/rsa3072.key")), four = keyFrom(dataFile("data/rsa4096.key"));
  CHECK(three.algorithm() == KeyAlgorithm::rsa3072);
  CHECK(four.algorithm() == KeyAlgorithm::rsa4096);
  checkRoundTrip(three, "RSA PRIVATE KEY");
  checkRoundTrip(four, "RSA PRIVATE KEY");
}

TEST_CASE("a key in PKCS#8 form is read and written in the form that kubeadm uses") {
  const TempFolder folder;
  for (const std::string& original :
       {dataFile("data/rsa3072.key"), PrivateKey::generate(KeyAlgorithm::ecdsaP256).pem().reveal()}) {
    folder.write("key", original);
    const std::string pkcs8 = folder.run("openssl pkcs8 -topk8 -nocrypt -in key");
    REQUIRE(firstLine(pkcs8) == "-----BEGIN PRIVATE KEY-----");
    CHECK(keyFrom(pkcs8).pem() == keyFrom(original).pem());
  }
}

TEST_CASE("a key is found behind curve parameters, certificates and text, with CRLF") {
  const TempFolder folder;
  const std::string withParameters = folder.run("openssl ecparam -name prime256v1 -genkey");
  REQUIRE(firstLine(withParameters) == "-----BEGIN EC PARAMETERS-----");
  const PrivateKey key = keyFrom(withParameters);
  CHECK(key.algorithm() == KeyAlgorithm::ecdsaP256);
  const std::string pem = key.pem().reveal();
  CHECK(keyFrom(makeAuthority().certificate.pem() + pem).publicDer() == key.publicDer());
  CHECK(keyFrom("Bag Attributes\n  friendlyName: x\n" + pem).publicDer() == key.publicDer());
  CHECK(keyFrom(replaceAll(pem, "\n", "\r\n")).publicDer() == key.publicDer());
}

TEST_CASE("an ECDSA key whose public point is written in another form is the same key, and gives the form on that all read") {
  const TempFolder folder;
  const PrivateKey key = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  folder.write("key", key.pem().reveal());
  for (const char* form : {"compressed", "hybrid"}) {
    const PrivateKey read = keyFrom(folder.run(fmt::format("openssl ec -in key -conv_form {} 2>/dev/null", form)));
    CHECK(read.publicDer() == key.publicDer());
    CHECK(read.pem() == key.pem());
  }
}

TEST_CASE("the public key alone is written as the openssl command writes it") {
  const TempFolder folder;
  const PrivateKey key = PrivateKey::generate(KeyAlgorithm::ecdsaP384);
  folder.write("key", key.pem().reveal());
  CHECK(firstLine(key.publicPem()) == "-----BEGIN PUBLIC KEY-----");
  CHECK(key.publicDer() == folder.run("openssl pkey -in key -pubout -outform der"));
}

TEST_CASE("keys of sizes and curves that kubeadm does not make are taken, but have no name") {
  const TempFolder folder;
  CHECK(!keyFrom(folder.run("openssl ecparam -name secp521r1 -genkey -noout")).algorithm());
  CHECK(!keyFrom(folder.run("openssl genrsa 1024 2>/dev/null")).algorithm());
}

TEST_CASE("an encrypted key is refused with the way to decrypt it") {
  const TempFolder folder;
  folder.write("key", PrivateKey::generate(KeyAlgorithm::ecdsaP256).pem().reveal());
  for (const char* command :
       {"openssl pkcs8 -topk8 -in key -passout pass:x", "openssl ec -aes128 -in key -passout pass:x 2>/dev/null"}) {
    const std::string pem = folder.run(command);
    const Error error = errorOf([&] { PrivateKey::parse(Secret(pem), "/etc/kubernetes/pki/ca.key"); });
    CHECK(error.message() == "the private key in /etc/kubernetes/pki/ca.key is encrypted");
    CHECK(contains(error.hint(), "openssl pkey"));
  }
}

TEST_CASE("a file without a key, with a broken one, or with one of a foreign type is named") {
  const auto messageFor = [](std::string pem) {
    return errorOf([&] { PrivateKey::parse(Secret(std::move(pem)), "sa.key"); }).message();
  };
  CHECK(messageFor("") == "sa.key holds no private key");
  CHECK(messageFor("hello") == "sa.key holds no private key");
  CHECK(messageFor(makeAuthority().certificate.pem()) == "sa.key holds no private key, but CERTIFICATE");
  CHECK(messageFor(PrivateKey::generate(KeyAlgorithm::ecdsaP256).publicPem()) == "sa.key holds no private key, but PUBLIC KEY");
  CHECK(contains(messageFor("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"),
                 "cannot read the private key in sa.key: "));
  const std::string pem = PrivateKey::generate(KeyAlgorithm::ecdsaP256).pem().reveal();
  CHECK(contains(messageFor(pem.substr(0, pem.size() / 2)), "cannot read PEM block 1 of sa.key: "));
  const TempFolder folder;
  CHECK(messageFor(folder.run("openssl genpkey -algorithm X25519")) ==
        "sa.key holds a key of type X25519, which Kubernetes does not take");
}

TEST_CASE("an error tells nothing of an earlier one and leaves nothing for a later one") {
  ERR_raise(ERR_LIB_X509, X509_R_CERT_ALREADY_IN_HASH_TABLE);
  const std::string broken = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
  const std::string message = errorOf([&] { keyFrom(broken); }).message();
  CHECK(!contains(message, "hash table"));
  CHECK(ERR_peek_error() == 0);
}

TEST_CASE("many keys are made at once and all differ") {
  std::set<std::string> seen;
  for (const PrivateKey& key : generateKeys(KeyAlgorithm::ecdsaP256, 20)) seen.insert(key.publicDer());
  CHECK(seen.size() == 20);
  CHECK(generateKeys(KeyAlgorithm::ecdsaP256, 0).empty());
  CHECK(generateKeys(KeyAlgorithm::rsa4096, 0).empty());
}

TEST_CASE("RSA keys made in several threads all differ") {
  std::set<std::string> seen;
  for (const PrivateKey& key : generateKeys(KeyAlgorithm::rsa2048, 3)) {
    CHECK(key.algorithm() == KeyAlgorithm::rsa2048);
    seen.insert(key.publicDer());
  }
  CHECK(seen.size() == 3);
}

} // namespace kubestrap::certs
