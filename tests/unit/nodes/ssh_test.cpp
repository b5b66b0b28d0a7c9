// ssh's part is played by a script that comes first in the PATH: what it is told, and what becomes of its answers.
#include "nodes/ssh.hpp"
#include "tests/unit/nodes/played_ssh.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace kubestrap;
using namespace kubestrap::nodes;
namespace fs = std::filesystem;

namespace {

/// The last word is the command, which this machine's shell runs; the words before it are kept.
const std::string here = "printf '%s\\n' \"$@\" >>$here/told; for last; do :; done; exec sh -c \"$last\"";

const Target target{.name = "n1", .host = "10.0.0.1", .user = "ops", .identityFile = "/key", .port = 2222};

std::string contentOf(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string failure(const std::string& script) {
  const PlayedSsh played(script);
  const Ssh ssh("", {});
  try {
    ssh.run(target, {.script = "true", .arguments = {}, .input = {}});
  } catch (const Unreachable& error) {
    return error.message() + " / " + error.hint();
  }
  return "nothing";
}

} // namespace

TEST_CASE("ssh is told where to go, asks nobody anything, and checks host keys as its user wants it") {
  const PlayedSsh played(here);
  if (geteuid() != 0) return; // there is no sudo to try
  const Ssh ssh("/their/config", {});
  const auto result = ssh.run(target, {.script = "cat; echo \"$1\" >&2; exit 7", .arguments = {"it's"}, .input = "secret"});
  CHECK(result.exitCode == 7);
  CHECK(result.output == "secret");
  CHECK(result.errors == "it's\n");
  const auto told = contentOf(played.folder / "told");
  for (const auto* words : {"-F\n/their/config\n", "-o\nBatchMode=yes\n", "-o\nControlMaster=auto\n", "-l\nops\n", "-p\n2222\n", "-i\n/key\n", "--\n10.0.0.1\n"})
    CHECK_MESSAGE(told.find(words) != std::string::npos, words);
  CHECK(told.find("HostKeyChecking") == std::string::npos);
  CHECK(told.find("secret") == std::string::npos);
}

TEST_CASE("an ssh that ssh itself begins, for a jump host, has nobody to ask either") {
  const PlayedSsh played("printf '%s %s\\n' \"$SSH_ASKPASS\" \"$SSH_ASKPASS_REQUIRE\" >$here/asks");
  const Ssh ssh("", {});
  ssh.run(target, {.script = "true", .arguments = {}, .input = {}});
  CHECK(contentOf(played.folder / "asks") == "false force\n");
}

TEST_CASE("a file goes there as it is, and lines are heard as they come") {
  const PlayedSsh played(here);
  if (geteuid() != 0) return;
  const Ssh ssh("", {});
  const std::string content(300000, 'x');
  std::ofstream(played.folder / "file") << content;
  std::vector<std::string> heard;
  const auto result = ssh.run(target, {.script = "cat; printf 'one\\ntwo' >&2", .arguments = {}, .input = {}, .file = played.folder / "file",
                                       .feed = {.errors = [&](std::string_view line) { heard.emplace_back(line); }}});
  CHECK(result.output == content);
  CHECK(heard == std::vector<std::string>{"one", "two"});
  CHECK_THROWS_AS(ssh.run(target, {.script = "cat", .arguments = {}, .input = {}, .file = played.folder / "absent"}), Error);
}

TEST_CASE("how much of a file has gone is heard while it goes") {
  const PlayedSsh played(here);
  if (geteuid() != 0) return;
  const Ssh ssh("", {});
  std::ofstream(played.folder / "file") << std::string(300000, 'x');
  std::vector<std::pair<std::uint64_t, std::uint64_t>> heard; // by the other thread, which ends before it is read here
  const auto hear = [&](std::uint64_t read, std::uint64_t of) {
    heard.emplace_back(read, of);
    std::ofstream(played.folder / "go-on");
  };
  const auto result = ssh.run(target, {.script = "head -c 1000 >/dev/null; until [ -e \"$1\" ]; do sleep 0.1; done; cat | wc -c", .arguments = {(played.folder / "go-on").string()}, .input = {},
                                       .file = played.folder / "file", .progress = hear});
  CHECK(result.exitCode == 0);
  REQUIRE_FALSE(heard.empty());
  CHECK(heard.front().first > 0);
  CHECK(heard.front().first < 300000);
  CHECK(heard.front().second == 300000);
}

TEST_CASE("a machine is not asked for more sessions at once than its sshd has for a connection") {
  const PlayedSsh played("n=$$; : >$here/run-$n; ls $here | grep -c '^run-' >>$here/counts; sleep 0.05; rm $here/run-$n");
  const Ssh ssh("", {});
  {
    std::vector<std::jthread> threads;
    for (int each = 0; each < 3 * sessionsAtOnce; ++each) threads.emplace_back([&] { ssh.run(target, {.script = "true", .arguments = {}, .input = {}}); });
  }
  std::istringstream counts(contentOf(played.folder / "counts"));
  int lines = 0;
  for (std::ptrdiff_t count = 0; counts >> count; ++lines) CHECK(count <= sessionsAtOnce);
  CHECK(lines == 3 * sessionsAtOnce);
}

TEST_CASE("who is dropped on the way in, where many come in at once, tries again; for any other cause nobody does") {
  const auto attempts = [](const std::string& words) {
    const PlayedSsh played("echo >>$here/attempts; [ $(wc -l <$here/attempts) = 1 ] || exit 0; printf '" + words + "' >&2; exit 255");
    const Ssh ssh("", {});
    try {
      ssh.run(target, {.script = "true", .arguments = {}, .input = {}});
    } catch (const Unreachable&) {
      CHECK(contentOf(played.folder / "attempts") == "\n");
    }
    return contentOf(played.folder / "attempts").size();
  };
  CHECK(attempts("kex_exchange_identification: Connection closed by remote host\\r\\nConnection closed by 10.0.0.1 port 22\\r\\n") == 3); // the second one asks why
  CHECK(attempts("kex_exchange_identification: read: Connection reset by peer\\r\\nConnection reset by 10.0.0.1 port 22\\r\\n") == 3);
  CHECK(attempts("ssh: connect to host 10.0.0.1 port 22: Connection refused\\n") == 1);
  CHECK(attempts("Connection closed by 10.0.0.1 port 22\\n") == 1);
}

TEST_CASE("why a jump host does not lead on is heard of a connection that is not kept, and nobody tries again") {
  const std::string words = "echo >>$here/attempts; case $* in *ControlPath=none*) echo 'Host key verification failed.' >&2 ;; esac; "
                            "echo 'kex_exchange_identification: Connection closed by remote host' >&2; exit 255";
  CHECK(failure(words) == "Host key verification failed. / compare its key, put it into known_hosts, or log in once by hand: ssh -i /key -p 2222 ops@10.0.0.1");
}

TEST_CASE("who is not root becomes it by sudo, which may not ask") {
  const PlayedSsh played(here);
  const auto program = [&](const char* name, const char* script) {
    std::ofstream(played.folder / name) << "#!/bin/sh\n" << script << "\n";
    fs::permissions(played.folder / name, fs::perms::owner_all);
  };
  program("id", "echo 1000");
  program("sudo", "[ \"$1\" = -n ] || exit 9; shift; [ \"$1\" = -- ] && shift; exec \"$@\"");
  const Ssh ssh("", {});
  const auto result = ssh.run(target, {.script = "cat; printf %s \"$1\"", .arguments = {"it's $HOME"}, .input = "secret "});
  CHECK(result.output == "secret it's $HOME");
  program("sudo", "echo 'sudo: a password is required' >&2; exit 1");
  CHECK_THROWS_WITH_AS(ssh.run(target, {.script = "true", .arguments = {}, .input = {}}), "ops is not root there, and may not become it: sudo: a password is required", Unreachable);
}

TEST_CASE("a machine that cannot be reached is told in ssh's words, with what to do") {
  CHECK(failure("echo 'ssh: connect to host 10.0.0.1 port 2222: Connection refused' >&2; exit 255") ==
        "ssh: connect to host 10.0.0.1 port 2222: Connection refused / no sshd listens at this address and port: see whether it runs there, and which port it has (ssh.port in the file): "
        "ssh -i /key -p 2222 ops@10.0.0.1");
  CHECK(failure("exit 255") == "the connection broke / see whether it is up: ssh -i /key -p 2222 ops@10.0.0.1");
  CHECK(failure("echo 'sudo: a password is required' >&2; exit 253").starts_with("ops is not root there, and may not become it: sudo: a password is required / "));
}

TEST_CASE("the folder of its sockets is private, and goes in the end") {
  const PlayedSsh played("printf '%s\\n' \"$@\" >>$here/told");
  fs::path sockets;
  {
    const Ssh ssh("", {});
    ssh.run(target, {.script = "true", .arguments = {}, .input = {}});
    const auto told = contentOf(played.folder / "told");
    const auto at = told.find("ControlPath=");
    REQUIRE(at != std::string::npos);
    sockets = fs::path(told.substr(at + 12, told.find('\n', at) - at - 12)).parent_path();
    CHECK((fs::status(sockets).permissions() & fs::perms::all) == fs::perms::owner_all);
    std::ofstream(sockets / "socket");
  }
  CHECK_FALSE(fs::exists(sockets));
  CHECK(contentOf(played.folder / "told").find("-O\nexit\n") != std::string::npos);
}
