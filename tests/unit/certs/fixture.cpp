#include "fixture.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace kubestrap::certs {

Issuance aYear() {
  return {.notBefore = at("2026-06-01T12:00:00Z"),
          .notAfter = at("2027-06-01T12:00:00Z"),
          .serialBytes = std::string(8, '\0')};
}

Pair makeAuthority(const std::string& commonName, KeyAlgorithm algorithm) {
  PrivateKey key = PrivateKey::generate(algorithm);
  const CertSpec spec{.name = "ca",
                      .issuer = "ca",
                      .authority = true,
                      .subject = {.commonName = commonName},
                      .names = {.dns = {commonName}}};
  X509Certificate certificate = issue(spec, key, {.key = key}, aYear());
  return {std::move(key), std::move(certificate)};
}

Pair makeLeaf(const Pair& authority, AlternativeNames names) {
  PrivateKey key = PrivateKey::generate(KeyAlgorithm::ecdsaP256);
  const CertSpec spec{.name = "leaf",
                      .issuer = "ca",
                      .subject = {.commonName = "leaf"},
                      .names = std::move(names),
                      .usages = {ExtendedUsage::serverAuth}};
  X509Certificate certificate =
      issue(spec, key, {.certificate = &authority.certificate, .key = authority.key}, aYear());
  return {std::move(key), std::move(certificate)};
}

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "kubestrap-certs-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::write(std::string_view name, std::string_view content) const {
  const auto path = path_ / name;
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

std::string TempFolder::run(const std::string& command) const {
  FILE* pipe = popen(("cd '" + path_.string() + "' && " + command).c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), got);
  INFO(command);
  CHECK(pclose(pipe) == 0);
  return output;
}

std::string dataFile(std::string_view name) {
  std::ifstream file(std::filesystem::path(KUBESTRAP_SOURCE_DIR) / "tests/unit/certs" / name, std::ios::binary);
  REQUIRE(file.good());
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

} // namespace kubestrap::certs
