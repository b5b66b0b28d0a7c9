#include "host/process.hpp"

#include "host/feed.hpp"
#include "support/text.hpp"
#include "tests/unit/host/fixture.hpp"

#include <csignal>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

using namespace kubestrap;
using namespace kubestrap::host;
using namespace std::chrono_literals;

namespace {

Command shell(const std::string& script, Duration timeout = 20s) { return {"sh", {"-c", script}, "", timeout}; }

Duration timed(const std::function<void()>& body) {
  auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::steady_clock::now() - begin;
}

} // namespace

TEST_CASE("much output on both pipes does not block a program") {
  auto result =
      runProcess(shell("echo first; head -c 300000 /dev/zero | tr '\\0' e >&2; head -c 300000 /dev/zero | tr '\\0' o"));
  CHECK(result.exitCode == 0);
  CHECK(result.errors == std::string(300000, 'e'));
  CHECK(result.output == "first\n" + std::string(300000, 'o'));
}

TEST_CASE("a child left in the background does not hold us, though it keeps the pipes open") {
  CommandResult result;
  auto took = timed([&] { result = runProcess(shell("sleep 20 & echo started")); });
  CHECK(result.output == "started\n");
  CHECK(result.exitCode == 0);
  CHECK(took < 15s);
}

TEST_CASE("at the time limit the whole process group is killed") {
  TempFolder temp;
  CommandResult result;
  auto script = "(sleep 6; echo alive > " + (temp.folder / "survivor").string() + ") & echo before; sleep 20";
  auto took = timed([&] { result = runProcess(shell(script, 300ms)); });
  CHECK(result.timedOut);
  CHECK(result.exitCode == 128 + SIGKILL);
  CHECK(result.output == "before\n");
  CHECK(took >= 300ms);
  CHECK(took < 5900ms); // else nobody was killed in time to tell
  std::this_thread::sleep_for(6500ms - took);
  CHECK_FALSE(std::filesystem::exists(temp.folder / "survivor"));
}

TEST_CASE("a program inherits three descriptors and no more") {
  int leak = open("/dev/null", O_RDONLY); // on purpose without O_CLOEXEC
  REQUIRE(leak > 2);
  auto result = runProcess({"ls", {"/proc/self/fd"}, "", 5s});
  close(leak);
  CHECK(result.output == "0\n1\n2\n3\n"); // the fourth is the folder that ls reads
}

TEST_CASE("a missing program is an error that names it, by path and by name") {
  CHECK(messageOf([] { runProcess({"/nope", {}, "", 1s}); }) == "cannot run /nope: No such file or directory");
  CHECK(messageOf([] { runProcess({"nope-nope", {}, "", 1s}); }) == "cannot run nope-nope: it is not in PATH");
  CHECK(messageOf([] { runProcess({"", {}, "", 1s}); }) == "cannot run : it is not in PATH");
}

TEST_CASE("a file that cannot be run is an error that says why") {
  TempFolder temp;
  temp.put("text", "hello");
  auto file = (temp.folder / "text").string();
  CHECK(messageOf([&] { runProcess({file, {}, "", 1s}); }) == "cannot run " + file + ": Permission denied");
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  CHECK(messageOf([&] { runProcess({file, {}, "", 1s}); }) == "cannot run " + file + ": Exec format error");
}

TEST_CASE("death by a signal and an exit code are told apart") {
  CHECK(runProcess(shell("kill -9 $$")).exitCode == 137);
  CHECK(runProcess(shell("exit 9")).exitCode == 9);
}

TEST_CASE("input reaches the program, and one that does not read it does no harm") {
  std::string large(1 << 20, 'x');
  CHECK(runProcess({"wc", {"-c"}, large, 5s}).output == "1048576\n");
  CHECK(runProcess({"true", {}, large, 5s}).exitCode == 0);
  CHECK(runProcess({"cat", {}, "", 5s}).output.empty());
}

TEST_CASE("a stop request kills the program and throws Interrupted") {
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(100ms);
    source.request_stop();
  });
  auto took = timed([&] { CHECK_THROWS_AS(runProcess({"sleep", {"20"}, "", 30s}, source.get_token()), Interrupted); });
  CHECK(took < 5s);
  CHECK_THROWS_AS(runProcess({"true", {}, "", 1s}, source.get_token()), Interrupted);
}

TEST_CASE("programs speak English whatever the operator's language") {
  setenv("LC_ALL", "de_DE.UTF-8", 1);
  auto result = runProcess(shell("echo $LC_ALL"));
  unsetenv("LC_ALL");
  CHECK(result.output == "C.UTF-8\n");
}

TEST_CASE("a program starts with no signal blocked or ignored, whatever our own state") {
  auto before = signal(SIGPIPE, SIG_IGN);
  auto result = runProcess({"grep", {"-E", "^Sig(Blk|Ign)", "/proc/self/status"}, "", 5s});
  signal(SIGPIPE, before);
  for (const auto& line : split(result.output, '\n')) {
    CAPTURE(line);
    if (!line.empty())
      CHECK((std::stoull(split(line, '\t').at(1), nullptr, 16) & 0x7fffffff) == 0); // 32 and 33 are glibc's own
  }
  CHECK(result.output.size() > 40);
}

TEST_CASE("many programs at once in several threads do not disturb one another") {
  std::vector<std::jthread> threads;
  std::atomic<int> right = 0;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 10; ++round)
        if (runProcess(shell("echo " + std::to_string(thread) + "; exit " + std::to_string(round))).exitCode == round)
          ++right;
    });
  threads.clear();
  CHECK(right == 40);
}

TEST_CASE("programs are found in PATH only when they can be run") {
  TempFolder temp;
  temp.put("bin/tool", "#!/bin/sh\n");
  std::string before = getenv("PATH");
  setenv("PATH", (temp.folder / "bin").c_str(), 1);
  auto withoutRight = findProgram("tool");
  std::filesystem::permissions(temp.folder / "bin/tool", std::filesystem::perms::owner_all);
  auto withRight = findProgram("tool");
  auto folder = findProgram("..");
  setenv("PATH", before.c_str(), 1);
  CHECK_FALSE(withoutRight);
  CHECK(withRight == temp.folder / "bin/tool");
  CHECK_FALSE(folder);
}

TEST_CASE("a program may read from a descriptor, and its lines are heard as they come") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::vector<std::string> heard;
  const auto hear = [&](std::string_view line) {
    heard.emplace_back(line);
    if (line == "begun") close(ends[1]); // it waits for that
  };
  const auto result = runProcess(shell("echo begun; cat; echo over; printf rest"), Feed{.input = ends[0], .output = hear}, {});
  close(ends[0]);
  CHECK(result.exitCode == 0);
  CHECK(result.output == "begun\nover\nrest");
  CHECK(heard == std::vector<std::string>{"begun", "over", "rest"});
}
