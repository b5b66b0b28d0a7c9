#pragma once

#include "kube/kubeconfig.hpp"
#include "net/http.hpp"
#include "support/value.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::kube {

/// Whether a call is carried out, or only answered as if it were.
enum class DryRun { no, yes };

/// Names one object.
struct ObjectKey {
  std::string apiVersion, kind, nameSpace, name; ///< nameSpace is empty for cluster-wide kinds
  std::string string() const;                    ///< "ConfigMap kube-system/kubeadm-config"
  bool operator==(const ObjectKey&) const = default;
};
ObjectKey keyOf(const Value& document);
/// "/api/v1/namespaces/kube-system/configmaps/kubeadm-config". Throws Error for a kind that the table does not have.
std::string pathOf(const ObjectKey& key);

/// The API server answered with a failure. `reason` is its metav1.Status reason ("Forbidden", "Conflict", "NotFound").
class ApiError : public Error {
public:
  ApiError(int status, std::string reason, std::string message);
  int status() const { return status_; }
  const std::string& reason() const { return reason_; }
  bool retriable() const; ///< 429, 500, 502, 503, 504

private:
  int status_;
  std::string reason_;
};

/// An API server, spoken to with one identity. Kinds that the table of kinds.hpp does not have are asked of it. Answers of 404 on get
/// are nothing, and so is an object of a kind that it does not serve; a Conflict throws kubestrap::Conflict; other failures throw ApiError; no answer throws net::TransportError. One call, one attempt:
/// patience is the engine's business.
class Client {
public:
  /// `server` replaces the kubeconfig's when not empty (its tls-server-name stays).
  Client(net::Transport& transport, const Kubeconfig& kubeconfig, const std::string& server = {});

  const std::string& server() const { return server_; }
  net::Response raw(const std::string& method, const std::string& path, const std::string& body = {},
                    const std::string& contentType = {}, const std::string& onBehalfOf = {}); ///< any status is a value
  std::optional<Value> get(const ObjectKey& key);
  std::vector<Value> list(const std::string& apiVersion, const std::string& kind, const std::string& nameSpace,
                          const std::string& labelSelector = {}); ///< nameSpace empty: all
  Value create(const Value& document);
  /// Server-side apply with field manager "kubestrap" (decision D11), taking fields over from other managers.
  Value apply(const Value& document, DryRun dryRun = DryRun::no);
  /// RFC 7386; put metadata.resourceVersion into it for a precondition.
  Value mergePatch(const ObjectKey& key, const Value& patch);
  void remove(const ObjectKey& key); ///< fine when absent
  /// Watches a collection's path (one object: with ?fieldSelector=metadata.name=...); `onEvent` gets type ("ADDED",
  /// "MODIFIED", "DELETED", "BOOKMARK") and object and returns false to end. Returns when the server ends it; an
  /// ApiError with status 410 means that `resourceVersion` is too old: list again.
  void watch(const std::string& path, const std::string& resourceVersion,
             const std::function<bool(const std::string& type, const Value& object)>& onEvent);

private:
  struct Served {
    std::string plural;
    bool nameSpaced = true;
  };
  const Served* served(const std::string& apiVersion, const std::string& kind);
  std::string pathTo(const ObjectKey& key);
  std::string collectionOf(const ObjectKey& key);
  net::Request request(const std::string& method, const std::string& path) const;
  Value checked(const std::string& method, const std::string& path, const std::string& body = {},
                const std::string& contentType = {});
  net::Transport& transport_;
  std::string server_;
  net::TlsIdentity tls_;
  Secret token_;
  std::map<std::string, std::map<std::string, Served>> served_; ///< by apiVersion and kind: those that were asked for
};

} // namespace kubestrap::kube
