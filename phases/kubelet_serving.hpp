#pragma once
// Serving certificates that kubelets ask the cluster for (serverTLSBootstrap): nobody in Kubernetes approves such requests by itself.

#include "certs/spec.hpp"
#include "support/value.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kubestrap::phases::kubelet_serving {

inline constexpr const char* signer = "kubernetes.io/kubelet-serving";

/// What a CertificateSigningRequest of this signer asks for, and who asks.
struct Request {
  std::string requester;
  std::vector<std::string> groups;
  certs::Subject subject;
  certs::AlternativeNames names;
  bool otherNames = false; ///< mail addresses or URIs
  std::vector<std::string> usages;
};

struct Approve {};
struct Deny {
  std::string reason;
};
/// Its Node may still come.
struct Wait {
  std::string reason;
};
using Verdict = std::variant<Approve, Deny, Wait>;

/// Only a kubelet for its own Node, with that Node's names and addresses, which no other Node has. `nodes` are all that there are.
Verdict judge(const Request& request, const std::vector<Value>& nodes);

} // namespace kubestrap::phases::kubelet_serving
