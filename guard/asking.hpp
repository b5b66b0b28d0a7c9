#pragma once
// Questions to processes of this machine and to API servers of others, all at the same time, so that one that hangs delays no other.

#include "config/model.hpp"
#include "kube/kubeconfig.hpp"
#include "net/http_curl.hpp"
#include "phases/guard.hpp"

#include <array>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace kubestrap::guard {

/// What an answer, or its absence, says of a process.
phases::guard::SlotState stateOf(int status, const std::string& body);
phases::guard::SlotState stateOf(net::TransportError::Kind kind);

struct Asked {
  std::array<std::array<phases::guard::SlotState, manifests::allSlots.size()>, phases::guard::count> slots{};
  bool etcdReady = false, apiAnswers = false;
};

class Asking {
public:
  struct Targets {
    int apiServerPort = 6443;
    std::vector<std::string> etcd; ///< "http://127.0.0.1:2381/readyz", or an external one's endpoints
    std::string front;             ///< "https://127.0.0.1:6443"
  };
  Asking(Targets targets, kube::Kubeconfig identity, std::stop_token stop);

  /// Takes as long as the slowest, at most `patience`. `etcdMoves`: a second member of etcd may be here, and is asked as well.
  Asked all(bool etcdMoves = false);
  /// Whether one of them is ready, by its own front's word.
  bool anyReady(const std::map<std::string, config::Endpoint>& peers);

  static constexpr Duration patience = std::chrono::milliseconds(1500);

private:
  /// A question, with a connection of its own that is kept.
  struct Question {
    net::Request request;
    std::unique_ptr<net::CurlTransport> transport;
    phases::guard::SlotState answer{};
    void ask();
  };
  Question question(std::string url, net::TlsIdentity tls) const;
  net::TlsIdentity identity() const;

  kube::Kubeconfig identity_;
  std::stop_token stop_;
  std::vector<Question> slots_, etcd_, secondEtcd_;
  std::vector<Question> front_;
  std::map<std::string, Question> peers_; ///< by URL
};

} // namespace kubestrap::guard
