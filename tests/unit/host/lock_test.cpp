#include "host/local_host.hpp"
#include "host/lock.hpp"
#include "support/value.hpp"
#include "tests/unit/host/fixture.hpp"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace kubestrap;
using namespace kubestrap::host;

TEST_CASE("the second is told who holds the lock and since when") {
  TempFolder temp;
  LocalHost first(temp.folder), second(temp.folder);
  auto lock = first.lock("init --config cluster.yaml");
  auto holder = parseJson(temp.text("run/lock/kubestrap.lock"));
  CHECK(holder["pid"] == getpid());
  CHECK(messageOf([&] { second.lock("reset"); }) ==
        "another kubestrap is at work on this machine: `init --config cluster.yaml`, process " +
            std::to_string(getpid()) + ", since " + holder["since"].get<std::string>());
  lock.reset();
  CHECK_FALSE(std::filesystem::exists(temp.folder / "run/lock/kubestrap.lock"));
  CHECK_NOTHROW(second.lock("reset"));
}

TEST_CASE("a holder that was killed holds nothing, whatever its file says") {
  TempFolder temp;
  temp.put("run/lock/ready", "");
  int pipes[2];
  REQUIRE(pipe(pipes) == 0);
  pid_t child = fork();
  if (child == 0) {
    LocalHost host(temp.folder);
    auto lock = host.lock("init");
    (void)!write(pipes[1], "x", 1);
    while (true) pause();
  }
  char byte;
  REQUIRE(read(pipes[0], &byte, 1) == 1);
  LocalHost host(temp.folder);
  CHECK(messageOf([&] { host.lock("init"); }).find("process " + std::to_string(child)) != std::string::npos);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(std::filesystem::exists(temp.folder / "run/lock/kubestrap.lock"));
  CHECK_NOTHROW(host.lock("init"));
  close(pipes[0]);
  close(pipes[1]);
}

TEST_CASE("a lock whose content is not ours is respected all the same") {
  TempFolder temp;
  temp.put("run/lock/kubestrap.lock", "");
  LocalHost host(temp.folder);
  auto lock = host.lock("init");
  temp.put("run/lock/kubestrap.lock", "scribble"); // same inode, other text
  CHECK(messageOf([&] { host.lock("init"); }) ==
        "another kubestrap is at work on this machine: it holds " + (temp.folder / "run/lock/kubestrap.lock").string());
}

TEST_CASE("programs that we start do not inherit the lock") {
  TempFolder temp;
  LocalHost host(temp.folder);
  auto lock = host.lock("init");
  host.run({"sh", {"-c", "sleep 2 &"}, "", std::chrono::seconds(5)});
  lock.reset();
  CHECK_NOTHROW(host.lock("init"));
}
