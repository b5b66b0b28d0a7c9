#include "host/facts_remote.hpp"

#include "support/value.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::host {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr Duration etcdPatience = 10s; // kubeadm: preflight/checks.go, ExternalEtcdVersionCheck
constexpr Duration registryPatience = 3s;
constexpr std::size_t longestAnswer = 64 << 10, longestVersion = 64; // what it takes, and much more

bool isVersion(std::string_view text) {
  return !text.empty() && text.size() <= longestVersion && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

/// The text of an answer, or in short why there was none.
template <typename Ask> config::Answer answerOf(Ask&& ask) {
  config::Answer answer;
  const auto begin = Clock::now();
  try {
    answer.text = ask();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    answer.error = error.message();
  }
  answer.took = Clock::now() - begin;
  return answer;
}

} // namespace

std::map<std::string, config::Answer> askEtcd(net::Transport& transport, const std::vector<std::string>& urls,
                                              const net::TlsIdentity& tls) {
  std::map<std::string, config::Answer> answers;
  for (const auto& url : urls)
    answers[url] = answerOf([&]() -> std::string {
      const auto response = transport.perform({.url = url + "/version", .tls = tls, .timeout = etcdPatience, .largestAnswer = longestAnswer});
      if (response.status != 200) throw Error(fmt::format("it answers {}", response.status));
      const auto document = Value::parse(response.body, nullptr, false);
      if (!document.is_object()) throw Error("the answer is no JSON");
      auto version = stringAt(document, "etcdserver");
      if (!isVersion(version)) throw Error("the answer names no version");
      return version;
    });
  return answers;
}

std::map<std::string, config::Answer> askRegistries(net::Transport& transport, const std::vector<std::string>& hosts) {
  std::map<std::string, config::Answer> answers;
  for (const auto& host : hosts)
    answers[host] = answerOf([&]() -> std::string {
      const auto server = host == "docker.io" ? "registry-1.docker.io" : host;
      try {
        // Whatever it answers is an answer; what it would have to say is not asked for.
        transport.perform({.method = "HEAD",
                           .url = fmt::format("https://{}/v2/", server),
                           .timeout = registryPatience,
                           .proxy = net::Request::Proxy::environment});
      } catch (const net::TransportError& error) {
        if (error.kind() != net::TransportError::Kind::tls) throw;
      }
      return "answers";
    });
  return answers;
}

void compareClock(config::ClockFacts& clock, TimePoint theirs, TimePoint asked, TimePoint came, std::string_view whose) {
  // It was written at some time on the way, and tells whole seconds only, cut off (RFC 9110, 5.6.7).
  const auto halfway = (came - asked) / 2;
  clock.ahead = asked + halfway - (theirs + 500ms);
  clock.uncertainty = halfway + 500ms;
  clock.comparedWith = whose;
}

} // namespace kubestrap::host
