// The certificates of a whole control plane beside those that the real kubeadm made for the same node.

#include "certs/catalogue.hpp"
#include "fixture.hpp"
#include "support/text.hpp"

#include <map>

namespace kubestrap::certs {

namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

AlternativeNames namesFor(const CertificateRow& row) {
  switch (row.names) {
  case NamesOf::nobody: return {};
  case NamesOf::ownCommonName: return {.dns = {std::string(row.commonName)}};
  case NamesOf::apiServer:
    return {.dns = {"n1", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                    "kubernetes.default.svc.cluster.local"},
            .ips = {ip("10.96.0.1"), ip("10.88.0.11")}};
  case NamesOf::etcdServer:
  case NamesOf::etcdPeer: return {.dns = {"n1", "localhost"}, .ips = {ip("10.88.0.11"), ip("127.0.0.1"), ip("::1")}};
  }
  return {};
}

/// All that kubeadm signs on its first control plane: name in the reference file -> key and certificate.
std::map<std::string, Pair> makeAll(KeyAlgorithm algorithm) {
  const TimePoint start = at("2026-11-22T18:46:39Z");
  const Issuance leafs{.notBefore = start - std::chrono::minutes(5),
                       .notAfter = start + std::chrono::hours(8760),
                       .serialBytes = "12345678"};
  Issuance authorities = leafs;
  authorities.notAfter = start + std::chrono::hours(87600);
  std::map<std::string, Pair> all;
  const auto add = [&](const CertSpec& spec) {
    PrivateKey key = PrivateKey::generate(algorithm);
    X509Certificate certificate = [&] {
      if (spec.authority) return issue(spec, key, {.key = key}, authorities);
      const Pair& issuer = all.at(spec.issuer);
      return issue(spec, key, {.certificate = &issuer.certificate, .key = issuer.key}, leafs);
    }();
    all.emplace(spec.name, Pair{std::move(key), std::move(certificate)});
  };
  for (const CertificateRow& row : catalogue()) {
    CertSpec spec{.name = std::string(row.name),
                  .issuer = std::string(row.issuer),
                  .authority = row.authority(),
                  .names = namesFor(row)};
    spec.subject.commonName = row.commonName.empty() ? "n1" : row.commonName;
    if (row.server) spec.usages.push_back(ExtendedUsage::serverAuth);
    if (row.client) spec.usages.push_back(ExtendedUsage::clientAuth);
    add(spec);
  }
  for (const KubeconfigRow& row : kubeconfigs()) {
    CertSpec spec{.name = std::string(row.file), .issuer = "ca", .usages = {ExtendedUsage::clientAuth}};
    spec.subject.commonName = std::string(row.user) + (row.name == "kubelet" ? "n1" : "");
    if (!row.organization.empty()) spec.subject.organizations.emplace_back(row.organization);
    add(spec);
  }
  return all;
}

/// "ca" -> the lines that the reference file has for it.
std::map<std::string, std::string> readReference() {
  std::map<std::string, std::string> sections;
  std::string current;
  for (const std::string& line : split(dataFile("kubeadm-1.37.2.txt"), '\n')) {
    if (line.starts_with("#")) continue;
    if (line.starts_with("== "))
      current = line.substr(3);
    else if (!line.empty())
      sections[current] += line + '\n';
  }
  return sections;
}

std::string describe(const TempFolder& folder, const X509Certificate& certificate) {
  folder.write("crt", certificate.pem());
  std::string lines;
  for (const std::string& line : split(
           folder.run("openssl x509 -in crt -noout -text -certopt no_serial,no_signame,no_pubkey,no_sigdump"), '\n')) {
    const std::string_view words = trim(line);
    if (!words.empty() && words != "Certificate:" && words != "Data:") lines += std::string(words) + '\n';
  }
  return lines;
}

/// "9B:FE:..." below the heading, or nothing.
std::string keyId(const std::string& description, const std::string& heading) {
  const auto found = description.find(heading + ":\n");
  if (found == std::string::npos) return {};
  const auto start = found + heading.size() + 2;
  return description.substr(start, description.find('\n', start) - start);
}

} // namespace

TEST_CASE("every certificate reads line by line like the one that kubeadm 1.37.2 makes") {
  const TempFolder folder;
  std::map<std::string, std::string> descriptions, owners;
  for (const auto& [name, pair] : makeAll(KeyAlgorithm::ecdsaP256)) {
    descriptions[name] = describe(folder, pair.certificate);
    if (const std::string id = keyId(descriptions[name], "X509v3 Subject Key Identifier"); !id.empty())
      owners[id] = name;
  }
  for (auto& [name, text] : descriptions)
    for (const auto& [id, owner] : owners) text = replaceAll(text, id, "<key id of " + owner + ">");

  const auto reference = readReference();
  CHECK(reference.size() == catalogue().size() + kubeconfigs().size());
  CHECK(descriptions.size() == reference.size());
  for (const auto& [name, expected] : reference) {
    CAPTURE(name);
    CHECK(descriptions[name] == expected);
  }
}

TEST_CASE("openssl verifies every certificate for its purpose") {
  const TempFolder folder;
  for (const KeyAlgorithm algorithm : {KeyAlgorithm::ecdsaP256, KeyAlgorithm::ecdsaP384}) {
    const auto all = makeAll(algorithm);
    const auto verify = [&](const std::string& name, const std::string& issuer, const std::string& options) {
      CAPTURE(name);
      folder.write("ca.crt", all.at(issuer).certificate.pem());
      folder.write("leaf.crt", all.at(name).certificate.pem());
      CHECK(folder.run("openssl verify -attime 1800000000 -CAfile ca.crt " + options + " leaf.crt 2>&1") ==
            "leaf.crt: OK\n");
      CHECK(all.at(name).certificate.signedBy(all.at(issuer).certificate));
    };
    for (const CertificateRow& row : catalogue()) {
      if (row.server)
        verify(std::string(row.name), std::string(row.issuer),
               "-x509_strict -purpose sslserver -verify_ip 10.88.0.11 -verify_hostname n1");
      if (row.client) verify(std::string(row.name), std::string(row.issuer), "-x509_strict -purpose sslclient");
    }
    for (const KubeconfigRow& row : kubeconfigs())
      verify(std::string(row.file), "ca", "-x509_strict -purpose sslclient");
  }
}

} // namespace kubestrap::certs
