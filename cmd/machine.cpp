#include "cmd/machine.hpp"

#include "certs/random.hpp"
#include "support/sleep.hpp"

#include <fmt/format.h>

#include <csignal>
#include <iostream>
#include <iterator>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace kubestrap::cmd {

TimePoint SystemClock::now() const { return std::chrono::system_clock::now(); }

void SystemClock::sleep(Duration duration) {
  if (!sleepFor(duration, stop_)) throw Interrupted();
}

std::string SystemEntropy::bytes(std::size_t count) { return certs::randomBytes(count); }

SignalWatch::SignalWatch() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  descriptor_ = signalfd(-1, &signals, SFD_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::jthread([this] {
    pollfd watched[] = {{descriptor_, POLLIN, 0}, {wake_, POLLIN, 0}};
    for (int seen = 0;;) {
      if (poll(watched, 2, -1) < 0) continue;
      if (watched[1].revents) return;
      signalfd_siginfo info{};
      if (read(descriptor_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
      if (++seen > 1) _exit(static_cast<int>(ExitCode::interrupted));
      stop_.request_stop();
    }
  });
}

SignalWatch::~SignalWatch() {
  const std::uint64_t one = 1;
  if (write(wake_, &one, sizeof one) != static_cast<ssize_t>(sizeof one)) thread_.detach();
  if (thread_.joinable()) thread_.join();
  close(descriptor_);
  close(wake_);
}

Machine::Machine(const std::string& root) : host_(root, signals_.token()), http_(signals_.token()), clock_(signals_.token()) {}

host::Cri& Machine::useRuntime(const std::string& socket) {
  cri_ = std::make_unique<host::GrpcCri>(http_, socket);
  return *cri_;
}

plan::World Machine::world() { return {host_, *cri_, http_, clock_, entropy_}; }

std::vector<Document> Machine::readDocuments(const std::string& fileName) {
  if (fileName == "-") {
    const std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
    return parseYaml(text, "standard input");
  }
  const auto text = host_.read(std::filesystem::absolute(fileName));
  if (!text) throw Error(fmt::format("there is no file {}", fileName), {}, ExitCode::usage);
  return parseYaml(*text, fileName);
}

void become(std::vector<std::string> words, std::string hint) {
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(arguments.front(), arguments.data());
  throw Error(words.front() + " cannot be run", std::move(hint));
}

} // namespace kubestrap::cmd
