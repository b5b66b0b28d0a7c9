#pragma once

#include "net/http.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kubestrap::fakes {

/// etcd's members behind the HTTP seam: calls to them are answered here, all others by the transport behind it. Any member answers for all.
class FakeEtcd : public net::Transport {
public:
  explicit FakeEtcd(net::Transport& others) : others_(others) {}

  struct Member {
    std::uint64_t id = 0;
    std::string name; ///< empty until it runs
    std::string peerUrl, clientUrl;
    bool learner = false;
    bool silent = false; ///< its machine is off, or it does not serve clients yet
    bool full = false;   ///< it has raised NOSPACE
    std::uint32_t hash = 0; ///< of its data
    int compacting = 0;  ///< for so many questions for that it is compacted to another revision
  };
  std::vector<Member> members;
  std::uint64_t leader = 1; ///< 0: none
  int refusals = 0; ///< so many of the next changes are answered "unhealthy cluster"
  std::string version = "3.7.0";
  std::string database; ///< what a snapshot streams
  enum class Sum { right, wrong } sum = Sum::right; ///< what it says behind it
  std::function<void(const std::string& change)> onChange; ///< called before "add https://10.0.0.11:2380", "promote", "lead" and "remove"; may throw

  net::Response perform(const net::Request& request) override;
  net::Response stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) override;
  std::vector<std::string> peerCertificates(const std::string& host, int port, Duration timeout) override { return others_.peerCertificates(host, port, timeout); }

private:
  std::string answer(const std::string& method, const std::string& message);
  std::string maintain(const std::string& url, const std::string& method, const std::string& message);
  net::Transport& others_;
};

} // namespace kubestrap::fakes
