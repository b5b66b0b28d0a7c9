// posix_spawn and not Boost.Process: it reports a failed exec by itself, closes what must not be inherited in the child
// (addclosefrom_np), and leaves no signal handler behind. What Boost would add on top, waiting with a limit, is what
// must be done by hand either way: its own wait can miss the limit when there is another child.

#include "host/process.hpp"

#include "host/descriptor.hpp"
#include "host/feed.hpp"
#include "host/system_error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char** environ;

namespace kubestrap::host {

namespace {

using SteadyClock = std::chrono::steady_clock;

/// How long output is still read after the program's end, for a pipe that a background child keeps open.
constexpr auto patienceForPipes = std::chrono::milliseconds(100);

struct Pipe {
  Descriptor reading, writing;
};

Pipe makePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw systemError("make", "a pipe");
  Pipe made{Descriptor(ends[0]), Descriptor(ends[1])};
  fcntl(made.reading.get(), F_SETFL, O_NONBLOCK); // our end alone: the program's writes shall block
  return made;
}

/// Standard input: nothing, or a file in memory, so that a program that does not read it cannot block or kill us.
Descriptor inputOf(const std::string& text) {
  if (text.empty()) return Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Descriptor memory(memfd_create("input", MFD_CLOEXEC));
  if (!memory) throw systemError("make", "a file in memory");
  for (std::size_t done = 0; done < text.size();) {
    auto count = write(memory.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) throw systemError("fill", "a file in memory");
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  lseek(memory.get(), 0, SEEK_SET);
  return memory;
}

std::vector<std::string> environment() {
  std::vector<std::string> variables{"LC_ALL=C.UTF-8"};
  for (char** variable = environ; variable && *variable; ++variable)
    if (std::string_view text = *variable; !text.starts_with("LC_ALL=") && !text.starts_with("LANGUAGE="))
      variables.emplace_back(text);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t spawn(const Path& program, const Command& command, int input, int output, int errors) {
  std::vector<std::string> arguments{command.program};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  auto variables = environment();

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, errors, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);

  pid_t pid = 0;
  int failure =
      posix_spawn(&pid, program.c_str(), &actions, &attributes, pointers(arguments).data(), pointers(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw systemError("run", command.program, failure);
  return pid;
}

/// Takes what there is to read; false at the end of the pipe.
bool take(const Descriptor& pipe, std::string& into) {
  std::array<char, 65536> buffer;
  while (true) {
    auto count = read(pipe.get(), buffer.data(), buffer.size());
    if (count > 0)
      into.append(buffer.data(), static_cast<std::size_t>(count));
    else if (count == 0)
      return false;
    else if (errno != EINTR)
      return errno == EAGAIN;
  }
}

/// Passes on the lines that have become whole; at the end also one without a line break.
class Lines {
public:
  explicit Lines(const std::function<void(std::string_view)>& hear) : hear_(hear) {}
  void pass(std::string_view text, bool atEnd) {
    if (!hear_) return;
    for (std::size_t end; (end = text.find('\n', passed_)) != std::string_view::npos; passed_ = end + 1) hear_(text.substr(passed_, end - passed_));
    if (atEnd && passed_ < text.size()) hear_(text.substr(passed_));
  }

private:
  const std::function<void(std::string_view)>& hear_;
  std::size_t passed_ = 0;
};

int reap(pid_t pid, const std::string& program) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) throw systemError("learn how it ended:", program);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int milliseconds(SteadyClock::duration duration) {
  auto count = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<decltype(count)>(count, 0, 3'600'000));
}

} // namespace

std::optional<Path> findProgram(const std::string& name) {
  auto runnable = [](const Path& path) {
    struct stat found {};
    return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) && access(path.c_str(), X_OK) == 0;
  };
  if (name.empty()) return {};
  if (name.find('/') != std::string::npos) return runnable(name) ? std::optional<Path>(name) : std::nullopt;
  const char* variable = std::getenv("PATH");
  for (const auto& folder :
       split(variable ? variable : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ':'))
    if (auto path = Path(folder.empty() ? "." : folder) / name; runnable(path)) return path;
  return {};
}

CommandResult runProcess(const Command& command, std::stop_token stop) { return runProcess(command, Feed{}, std::move(stop)); }

CommandResult runProcess(const Command& command, const Feed& feed, std::stop_token stop) {
  if (stop.stop_requested()) throw Interrupted();
  auto program = findProgram(command.program);
  if (!program) {
    if (command.program.find('/') != std::string::npos)
      throw systemError("run", command.program, access(command.program.c_str(), F_OK) == 0 ? EACCES : ENOENT);
    throw Error(fmt::format("cannot run {}: it is not in PATH", command.program),
                fmt::format("install {} or put its folder into PATH", command.program));
  }

  Pipe output = makePipe(), errors = makePipe();
  const Descriptor input = feed.input < 0 ? inputOf(command.input) : Descriptor();
  Descriptor stopped(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::stop_callback wake(stop, [&] { eventfd_write(stopped.get(), 1); });

  auto limit = std::min<SteadyClock::duration>(command.timeout, std::chrono::hours(24 * 365));
  auto deadline = SteadyClock::now() + limit;
  pid_t pid = spawn(*program, command, input ? input.get() : feed.input, output.writing.get(), errors.writing.get());
  output.writing.close();
  errors.writing.close();
  Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) {
    int number = errno;
    kill(-pid, SIGKILL);
    reap(pid, command.program);
    throw systemError("watch", command.program, number);
  }

  CommandResult result;
  Lines said(feed.output), complained(feed.errors);
  bool ended = false, interrupted = false;
  while (!ended || output.reading || errors.reading) {
    pollfd watched[] = {{output.reading.get(), POLLIN, 0},
                        {errors.reading.get(), POLLIN, 0},
                        {ended ? -1 : process.get(), POLLIN, 0},
                        {interrupted ? -1 : stopped.get(), POLLIN, 0}};
    int ready = poll(watched, 4, milliseconds(deadline - SteadyClock::now()));
    if (watched[0].revents && !take(output.reading, result.output)) output.reading.close();
    if (watched[1].revents && !take(errors.reading, result.errors)) errors.reading.close();
    said.pass(result.output, false);
    complained.pass(result.errors, false);
    if (!ended && watched[2].revents) {
      ended = true;
      result.exitCode = reap(pid, command.program);
      deadline = SteadyClock::now() + patienceForPipes;
    } else if (!ended && !interrupted && watched[3].revents) {
      interrupted = true;
      kill(-pid, SIGKILL);
    }
    if (ready == 0 && SteadyClock::now() >= deadline) {
      if (ended) break;
      result.timedOut = true;
      kill(-pid, SIGKILL);
      deadline = SteadyClock::now() + std::chrono::seconds(1); // a killed process may be a moment in the kernel
    }
  }
  if (interrupted) throw Interrupted();
  said.pass(result.output, true);
  complained.pass(result.errors, true);
  return result;
}

} // namespace kubestrap::host
