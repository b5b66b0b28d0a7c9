#include "tests/unit/net/server.hpp"

#include "certs/x509.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace kubestrap::net::tests {

namespace {

struct Made {
  certs::PrivateKey key;
  certs::X509Certificate certificate;
  Pair pair() const { return {certificate.pem(), key.pem()}; }
};

Made make(const std::string& name, const Made* issuer, std::vector<certs::ExtendedUsage> usages = {}) {
  auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  certs::CertSpec spec{.name = name, .issuer = issuer ? "ca" : name, .authority = !issuer, .subject = {name, {}}};
  spec.usages = std::move(usages);
  if (issuer) spec.names.dns = {name};
  const TimePoint now = std::chrono::system_clock::now();
  const certs::Issuer by{.certificate = issuer ? &issuer->certificate : nullptr, .key = issuer ? issuer->key : key};
  auto certificate = certs::issue(spec, key, by,
                                  {.notBefore = now - std::chrono::minutes(5),
                                   .notAfter = now + std::chrono::hours(1),
                                   .serialBytes = issuer ? "\x02serial2" : "\x01serial1"});
  return {std::move(key), std::move(certificate)};
}

void save(const std::filesystem::path& path, const std::string& text) { std::ofstream(path) << text; }

} // namespace

Server::Server() {
  std::string pattern = (std::filesystem::temp_directory_path() / "kubestrap-net-XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
  const Made ca = make("ca", nullptr), otherCa = make("other", nullptr);
  const Made server = make("kubernetes", &ca, {certs::ExtendedUsage::serverAuth});
  authority = ca.pair();
  otherAuthority = otherCa.pair();
  client = make("kubernetes-admin", &ca, {certs::ExtendedUsage::clientAuth}).pair();
  stranger = make("stranger", &otherCa, {certs::ExtendedUsage::clientAuth}).pair();
  save(folder_ / "ca.crt", authority.certificate);
  save(folder_ / "server.crt", server.pair().certificate);
  save(folder_ / "server.key", server.pair().key.reveal());

  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw Error("no pipe");
  const std::string script = KUBESTRAP_SOURCE_DIR "/tests/unit/net/server.py", folder = folder_.string();
  process_ = fork();
  if (process_ == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    execlp("python3", "python3", script.c_str(), folder.c_str(), nullptr);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  input_ = in[1];
  std::FILE* lines = fdopen(out[0], "r");
  char line[1000] = "";
  if (!std::fgets(line, sizeof line, lines)) throw Error("server.py did not start; is python3 installed");
  std::fclose(lines);
  const Value ports = parseJson(line);
  const auto url = [&](const char* scheme, const char* name) {
    return fmt::format("{}://127.0.0.1:{}", scheme, ports[name].get<int>());
  };
  http = url("http", "http");
  https = url("https", "https");
  mutual = url("https", "mutual");
  mutual12 = url("https", "mutual12");
  grpcSocket = ports["grpc"].get<std::string>();
}

Server::~Server() {
  close(input_); // it ends by itself
  waitpid(process_, nullptr, 0);
  std::filesystem::remove_all(folder_);
}

TlsIdentity Server::as(const Pair& pair) const {
  TlsIdentity identity = trusting();
  identity.certificate = pair.certificate;
  identity.key = pair.key;
  return identity;
}

} // namespace kubestrap::net::tests
