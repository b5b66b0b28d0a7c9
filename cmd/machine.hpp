#pragma once

#include "config/facts.hpp"
#include "config/token.hpp"
#include "host/cri_grpc.hpp"
#include "host/local_host.hpp"
#include "net/http_curl.hpp"
#include "plan/world.hpp"
#include "support/yaml.hpp"

#include <memory>
#include <stop_token>
#include <thread>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// Real time; a sleep ends when the operator asks to stop.
class SystemClock : public plan::Clock {
public:
  explicit SystemClock(std::stop_token stop) : stop_(std::move(stop)) {}
  TimePoint now() const override;
  void sleep(Duration duration) override;

private:
  std::stop_token stop_;
};

/// OpenSSL's generator.
class SystemEntropy : public plan::Entropy {
public:
  std::string bytes(std::size_t count) override;
};

/// Turns SIGINT and SIGTERM into a stop request; the second one ends the program at once.
class SignalWatch {
public:
  SignalWatch();
  ~SignalWatch();
  std::stop_token token() const { return stop_.get_token(); }

private:
  std::stop_source stop_;
  int descriptor_ = -1, wake_ = -1;
  std::jthread thread_;
};

/// The real outside, put together for one command.
class Machine {
public:
  explicit Machine(const std::string& root);

  host::LocalHost& host() { return host_; }
  net::Transport& http() { return http_; }
  plan::Clock& clock() { return clock_; }
  plan::Entropy& entropy() { return entropy_; }
  config::RandomBytes random() {
    return [this](std::size_t count) { return entropy_.bytes(count); };
  }
  host::Cri& useRuntime(const std::string& socket); ///< before world()
  plan::World world();

  /// The documents of a file below the machine's root, or of standard input for "-".
  std::vector<Document> readDocuments(const std::string& fileName);

private:
  SignalWatch signals_;
  host::LocalHost host_;
  net::CurlTransport http_;
  SystemClock clock_;
  SystemEntropy entropy_;
  std::unique_ptr<host::GrpcCri> cri_;
};

/// This process becomes another program, found by the PATH. Throws Error where it cannot.
[[noreturn]] void become(std::vector<std::string> words, std::string hint);

} // namespace kubestrap::cmd
