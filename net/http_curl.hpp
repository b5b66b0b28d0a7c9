#pragma once

#include "net/http.hpp"

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

namespace kubestrap::net {

/// The network itself, by libcurl. Connections are kept per server and identity and used again. Threads may call at once: each call
/// under way has a connection of its own, also one made from inside a stream's callback.
class CurlTransport : public Transport {
public:
  /// Calls under way end with Interrupted within a second of a stop request, calls made afterwards at once.
  explicit CurlTransport(std::stop_token stop = {});
  ~CurlTransport() override;
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  Response perform(const Request& request) override;
  Response stream(const Request& request, const std::function<bool(std::string_view)>& onData) override;
  std::vector<std::string> peerCertificates(const std::string& host, int port, Duration timeout) override;

private:
  class Handle;
  Response run(const Request& request, const std::function<bool(std::string_view)>* onData);
  std::unique_ptr<Handle> take(const std::string& key);
  void keep(std::unique_ptr<Handle> handle);
  std::stop_token stop_;
  std::mutex mutex_;                          ///< of idle_
  std::vector<std::unique_ptr<Handle>> idle_; ///< the one used last at the end
};

} // namespace kubestrap::net
