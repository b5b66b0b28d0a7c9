#pragma once

#include "kube/kinds.hpp"
#include "net/http.hpp"
#include "support/time.hpp"
#include "support/value.hpp"
#include "tests/fakes/managed_fields.hpp"

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::fakes {

/// An API server behind the HTTP seam: an object store that answers by URL, so that paths, patches and content types
/// are tested too; and beside it plain web pages, such as the health ports of components. What is not configured
/// refuses connections.
class FakeApi : public net::Transport {
public:
  FakeApi();

  net::Response perform(const net::Request& request) override;
  std::vector<std::string> peerCertificates(const std::string& host, int port, Duration timeout) override;
  std::function<std::string(const std::string& host, int port)> shows; ///< the certificate, in PEM, of a TLS server
  /// A watch gives the events that there are, then asks `onIdleWatch`, then ends as by the server's time limit.
  net::Response stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) override;

  // ---- what the world is like

  /// Where the API server answers ("https://10.0.0.11:6443"); empty: at every https URL with port 6443.
  std::vector<std::string> servers;
  std::string version = "v1.37.2";
  std::function<TimePoint()> now;                     ///< default: a fixed moment
  std::function<bool(const net::Request&)> reachable; ///< false: connection refused; empty: always reachable
  std::function<std::optional<net::Response>(const net::Request&)>
      intercept;                     ///< an answer instead of the API server's own
  std::map<std::string, int> health; ///< status of "/livez", "/readyz", ...; 200 when not listed
  /// Another web server's page, by whole URL: "http://127.0.0.1:10248/healthz".
  void page(const std::string& url, int status, std::string body = "ok");
  void removePage(const std::string& url) { pages_.erase(url); }
  /// Asked when a watch has told everything; may change objects; false (or empty) ends the watch.
  std::function<bool()> onIdleWatch;

  // ---- faults of the API server

  void failNext(int count, int status = 500); ///< answers `status` without doing anything
  void refuseUntil(TimePoint time) { refuseUntil_ = time; }
  enum class Lost { request, answer };
  /// Closes the connection of the next calls before or after they were carried out.
  void dropNext(int count, Lost lost = Lost::request);
  /// Watches from a resourceVersion before now answer 410.
  void forgetHistory() { oldestVersion_ = version_; }

  // ---- the store, without HTTP

  /// Puts an object in as it is (uid and the like are added), as manager `manager`.
  Value put(Value document, const std::string& manager = "kube-controller-manager");
  /// By path: "/api/v1/namespaces/kube-system/configmaps/kubeadm-config".
  std::optional<Value> object(const std::string& path) const;
  bool remove(const std::string& path);
  std::vector<std::string> paths() const; ///< of all objects, sorted, but for the four initial namespaces

  // ---- what was asked

  struct Record {
    net::Request request;
    std::string path; ///< without query
    std::map<std::string, std::string> query;
    std::optional<int> status; ///< nothing: no answer was given
    bool writes() const { return request.method != "GET"; }
  };
  const std::vector<Record>& records() const { return records_; }
  /// "PATCH /api/v1/...": calls to the API server that are not reads, in order.
  std::vector<std::string> writes() const;
  void forgetRecords() { records_.clear(); }

private:
  struct Stored {
    Value document; ///< without metadata.managedFields
    std::vector<Manager> managers;
  };
  struct Event {
    long version;
    std::string type, path;
    Value object;
  };
  struct Page {
    int status;
    std::string body;
  };
  struct Learned {
    std::string apiVersion, kind, plural;
    kube::Kind row; ///< of these
  };
  struct Target;

  bool isApiServer(const std::string& base) const;
  net::Response answer(const net::Request& request, const Target& target);
  net::Response read(const Target& target) const;
  net::Response list(const Target& target) const;
  net::Response create(const net::Request& request, const Target& target);
  net::Response patch(const net::Request& request, const Target& target);
  net::Response applyPatch(const net::Request& request, const Target& target);
  net::Response update(const Target& target, Stored& stored, Value after, const std::string& manager);
  net::Response erase(const Target& target);
  Value shown(const Stored& stored) const;
  const Value& insert(const std::string& path, Stored stored);
  bool commit(const std::string& path, Stored& stored, Value document, std::vector<Manager> managers);
  std::string time() const;
  void learn(const Value& definition);
  Value discovered(const std::string& apiVersion) const;

  std::map<std::string, Stored> objects_; ///< by path
  std::list<Learned> learned_;            ///< kinds of CustomResourceDefinitions
  std::vector<Event> events_;
  std::map<std::string, Page> pages_;
  std::vector<Record> records_;
  long version_ = 100, oldestVersion_ = 0, uids_ = 0;
  std::optional<TimePoint> refuseUntil_;
  int failures_ = 0, failureStatus_ = 500, drops_ = 0;
  Lost lost_ = Lost::request;
};

} // namespace kubestrap::fakes
