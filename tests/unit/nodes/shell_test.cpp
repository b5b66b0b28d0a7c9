#include "nodes/shell.hpp"

#include "host/process.hpp"
#include "nodes/ssh.hpp"

#include <doctest/doctest.h>

#include <string>
#include <unistd.h>
#include <vector>

using namespace kubestrap;
using namespace kubestrap::nodes;

namespace {

using Words = std::vector<std::string>;

/// What a shell makes of a line, each word ended by a zero octet.
std::string read(const std::string& line, const std::string& shell = "sh") {
  return host::runProcess({shell, {"-c", "printf '%s\\0' " + line}, "", std::chrono::seconds(20)}).output;
}

std::string zeroEnded(const Words& words) {
  std::string text;
  for (const auto& word : words) text += word + '\0';
  return text;
}

} // namespace

TEST_CASE("plain words stay as they are, others stand in quotes") {
  CHECK(shellWord("/usr/bin/kubestrap") == "/usr/bin/kubestrap");
  CHECK(shellWord("") == "''");
  CHECK(shellWord("a b") == "'a b'");
  CHECK(shellWord("it's") == "'it'\\''s'");
  CHECK(shellWord("~root") == "'~root'");
  CHECK_THROWS_AS(shellWord(std::string("a\0b", 3)), Error);
}

TEST_CASE("a shell reads each word as it was, whatever is in it") {
  Words words{"", " ", "a b", "'", "''", "\"", "\\", "\\'", "$HOME", "`id`", "$(id)", "*", "?", "[a]", "~", "#", "!x", "a;b", "a&b", "a|b", "<a", ">b", "(a)", "{a,b}", "a\nb", "\t",
              "-n", "%s", "=", "ä", "\xff", "a'b'c", "'; rm -rf / #"};
  for (int octet = 1; octet < 256; ++octet) words.push_back({'x', static_cast<char>(octet), 'y'});
  CHECK(read(commandLine(words)) == zeroEnded(words));
  CHECK(read(commandLine(words), "bash") == zeroEnded(words));
}

TEST_CASE("an errand's arguments come through two shells as they were") {
  const Errand errand{.script = "printf '%s\\0' \"$@\"; cat", .arguments = {"it's", "$HOME \"x\"", "", "a\nb"}, .input = {}};
  const auto command = remoteCommand(errand);
  REQUIRE(command.size() == 1);
  // As a login shell gets it; where this is not root there is no sudo to try.
  if (geteuid() != 0) return;
  const auto result = host::runProcess({"sh", {"-c", command[0]}, "secret", std::chrono::seconds(20)});
  CHECK(result.output == zeroEnded(errand.arguments) + "secret");
}

TEST_CASE("what keeps from logging in is told with what to do") {
  const Target target{.name = "n1", .host = "10.0.0.1", .user = "root", .identityFile = {}};
  CHECK(hintFor("Host key verification failed.", target).find("known_hosts") != std::string::npos);
  CHECK(hintFor("root@10.0.0.1: Permission denied (publickey).", target).find("ssh-add") != std::string::npos);
  CHECK(hintFor("kex_exchange_identification: Connection closed by remote host", target).find("PerSourcePenalties") != std::string::npos);
  CHECK(hintFor("connect to host 10.0.0.1 port 22: Connection refused", target) ==
        "no sshd listens at this address and port: see whether it runs there, and which port it has (ssh.port in the file): ssh root@10.0.0.1");
  CHECK(hintFor("ssh: connect to host 10.0.0.1 port 22: Connection timed out", target) == hintFor("channel 0: open failed: connect failed: No route to host", target));
  CHECK(hintFor("ssh: Could not resolve hostname n1: Name or service not known", target).find("ssh.host in the file") != std::string::npos);
  CHECK(hintFor("Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa", target).find("no algorithm in common") != std::string::npos);
  CHECK(hintFor("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures", target).find("IdentitiesOnly") != std::string::npos);
  CHECK(hintFor("/their/config: terminating, 1 bad configuration options", target) == "put ssh's configuration right; this has to work: ssh root@10.0.0.1");
  CHECK(hintFor("", target) == "see whether it is up: ssh root@10.0.0.1");
}

TEST_CASE("how to come to a machine by hand is told as kubestrap comes there") {
  const Target target{.name = "n1", .host = "10.0.0.1", .user = "ops", .identityFile = "/my keys/one", .port = 2222};
  CHECK(hintFor("", target, "/their/config") == "see whether it is up: ssh -F /their/config -i '/my keys/one' -p 2222 ops@10.0.0.1");
  CHECK(hintFor("Permission denied (publickey).", target).ends_with("ssh -o BatchMode=yes -i '/my keys/one' -p 2222 ops@10.0.0.1 true"));
}

TEST_CASE("of what ssh says the cause is told, and not what follows from it behind a jump host") {
  CHECK(causeIn("ssh: connect to host 10.0.0.9 port 22: Connection refused\r\nkex_exchange_identification: Connection closed by remote host\r\n") ==
        "ssh: connect to host 10.0.0.9 port 22: Connection refused");
  CHECK(causeIn("Host key verification failed.\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n") == "Host key verification failed.");
  CHECK(causeIn("channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\nConnection closed by UNKNOWN port 65535\n") == "channel 0: open failed: connect failed: No route to host");
  CHECK(causeIn("kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22\n") == "Connection closed by 10.0.0.1 port 22");
  CHECK(causeIn("").empty());
}

TEST_CASE("what a machine has said before the connection broke is not why it did") {
  CHECK(causeIn("{\"event\":\"waiting\",\"subject\":\"the kubelet\"}\nwarning: swap is on\n").empty());
  CHECK(causeIn("{\"event\":\"phaseBegins\"}\nTimeout, server 10.0.0.1 not responding.\n") == "Timeout, server 10.0.0.1 not responding.");
}

TEST_CASE("a host key that has changed is named, with where the other one is, and whose it is") {
  const auto cause = causeIn("@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nOffending ED25519 key in /home/ops/.ssh/known_hosts:3\r\n"
                             "Host key for [10.0.0.9]:2222 has changed and you have requested strict checking.\r\nHost key verification failed.\r\n"
                             "kex_exchange_identification: Connection closed by remote host\r\n");
  CHECK(cause == "the host key of [10.0.0.9]:2222 has changed: /home/ops/.ssh/known_hosts:3 has another");
  const auto hint = hintFor(cause, {.name = "n1", .host = "10.0.0.1", .user = "root", .identityFile = {}});
  CHECK(hint.find("somebody else answers in its place") != std::string::npos);
  CHECK(hint.find("ssh-keygen -R '[10.0.0.9]:2222', and log in once by hand: ssh root@10.0.0.1") != std::string::npos);
  CHECK(causeIn("ED25519 host key for 10.0.0.1 has changed and you have requested strict checking.\nHost key verification failed.\n").starts_with("the host key of 10.0.0.1 has changed"));
}
