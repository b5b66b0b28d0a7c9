#include "tests/unit/net/server.hpp"

#include "support/value.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace kubestrap::net::tests {

namespace {

void save(const std::filesystem::path& path, const std::string& text) { std::ofstream(path) << text; }

} // namespace

Server::Server() {
  std::string pattern = (std::filesystem::temp_directory_path() / "kubestrap-net-XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
  const Authority ca("ca"), otherCa("other");
  const Pair server = ca.issue({"kubernetes", {}}, certs::ExtendedUsage::serverAuth, {.dns = {"kubernetes"}});
  authority = ca.pair();
  otherAuthority = otherCa.pair();
  client = ca.issue({"kubernetes-admin", {}}, certs::ExtendedUsage::clientAuth);
  stranger = otherCa.issue({"stranger", {}}, certs::ExtendedUsage::clientAuth);
  save(folder_ / "ca.crt", authority.certificate);
  save(folder_ / "server.crt", server.certificate);
  save(folder_ / "server.key", server.key.reveal());

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
