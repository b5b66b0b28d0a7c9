#include "kube/client.hpp"

#include "kube/kinds.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace kubestrap::kube {

namespace {

constexpr std::string_view fieldManager = "kubestrap";
constexpr int pageSize = 500;

std::string groupPath(std::string_view apiVersion) {
  return (groupOf(apiVersion).empty() ? "/api/" : "/apis/") + std::string(apiVersion);
}

std::string collectionPath(const Kind& kind, const std::string& nameSpace) {
  std::string path = groupPath(kind.apiVersion);
  if (kind.scope == Scope::nameSpaced && !nameSpace.empty()) path += "/namespaces/" + percentEncode(nameSpace);
  return path + "/" + std::string(kind.plural);
}

const Kind& kindOf(const std::string& apiVersion, const std::string& kind) {
  if (const Kind* row = findKind(apiVersion, kind)) return *row;
  throw Error(fmt::format("{} of {} is not a kind that kubestrap knows", kind, apiVersion));
}

/// Where an object of this key is created.
std::string collectionPath(const ObjectKey& key) {
  const Kind& kind = kindOf(key.apiVersion, key.kind);
  if (kind.scope == Scope::nameSpaced && key.nameSpace.empty()) throw Error(key.string() + " has no namespace");
  return collectionPath(kind, key.nameSpace);
}

std::string withQuery(const std::string& path, std::string_view query) {
  return fmt::format("{}{}{}", path, path.find('?') == std::string::npos ? '?' : '&', query);
}

std::string serialized(const Value& document, const std::string& what) {
  try {
    return document.dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(what + " contains text that is not UTF-8");
  }
}

/// Puts "(masked)" in place of all that may be a secret.
void mask(Value& document) {
  if (document.is_array())
    for (Value& item : document) mask(item);
  if (!document.is_object()) return;
  for (auto& [name, value] : document.items()) {
    if (name == "data" || name == "stringData" || name == "token" ||
        name == "kubectl.kubernetes.io/last-applied-configuration")
      value = "(masked)";
    else
      mask(value);
  }
}

/// A body for the log. Whatever travels to or from Secrets and tokens is masked, and so is a Secret on any other path.
std::string forLog(const std::string& path, const std::string& body) {
  if (body.empty()) return "(empty)";
  const bool secretPath = path.find("/secrets") != std::string::npos || path.find("/token") != std::string::npos;
  const bool namesSecret = body.find("\"Secret") != std::string::npos;
  if (!secretPath && !namesSecret) return body;
  Value document = Value::parse(body, nullptr, false);
  if (document.is_discarded()) return fmt::format("({} octets, masked)", body.size());
  mask(document);
  return document.dump(-1, ' ', false, Value::error_handler_t::replace);
}

std::string hintFor(int status, const std::string& reason) {
  switch (status) {
  case 401:
    return "the API server does not know these credentials: look whether they have expired (kubestrap certs "
           "check-expiration) or come from another cluster";
  case 403: return "the credentials used lack this right; admin.conf has all";
  case 422: return "the API server does not accept this object; a field that may not change has to be changed by hand";
  case 409: return reason == "AlreadyExists" ? "look at the existing object; nothing was changed" : "";
  case 429:
  case 500:
  case 502:
  case 503:
  case 504:
    return "look at the API server, etcd and what the message names (a webhook?); then the same command goes on where "
           "it ended";
  default: return "";
  }
}

/// metav1.Status of a failed answer; whatever else was sent becomes its message.
struct Failure {
  std::string reason, message;
};
Failure failureOf(int status, const std::string& body) {
  const Value document = Value::parse(body, nullptr, false);
  if (!document.is_discarded() && stringAt(document, "kind") == "Status")
    return {stringAt(document, "reason"), stringAt(document, "message")};
  const std::string text(trim(body).substr(0, 300));
  return {"", text.empty() ? fmt::format("HTTP status {} without a body", status) : text};
}

[[noreturn]] void fail(int status, const Failure& failure, const std::string& call) {
  const std::string message =
      fmt::format("{}: {} ({}{}{})", call, failure.message, status, failure.reason.empty() ? "" : " ", failure.reason);
  if (status == 409 && failure.reason == "Conflict") throw Conflict(message);
  throw ApiError(status, failure.reason, message);
}

} // namespace

std::string ObjectKey::string() const {
  return nameSpace.empty() ? fmt::format("{} {}", kind, name) : fmt::format("{} {}/{}", kind, nameSpace, name);
}

ObjectKey keyOf(const Value& document) {
  return {stringAt(document, "apiVersion"), stringAt(document, "kind"), stringAt(document, "metadata.namespace"),
          stringAt(document, "metadata.name")};
}

std::string pathOf(const ObjectKey& key) {
  if (key.name.empty()) throw Error(fmt::format("a {} has no name", key.kind));
  return collectionPath(key) + "/" + percentEncode(key.name);
}

ApiError::ApiError(int status, std::string reason, std::string message)
    : Error(std::move(message), hintFor(status, reason)), status_(status), reason_(std::move(reason)) {}

bool ApiError::retriable() const {
  return status_ == 429 || status_ == 500 || status_ == 502 || status_ == 503 || status_ == 504;
}

Client::Client(net::Transport& transport, const Kubeconfig& kubeconfig, const std::string& server)
    : transport_(transport),
      server_(server.empty() ? kubeconfig.server : server), tls_{.authorities = kubeconfig.authorities,
                                                                 .certificate = kubeconfig.clientCertificate,
                                                                 .key = kubeconfig.clientKey,
                                                                 .serverName = kubeconfig.tlsServerName},
      token_(kubeconfig.token) {
  while (server_.ends_with('/')) server_.pop_back();
  // Trusting the machine's own authorities, or going as nobody, is not what a kubeconfig with files asks for.
  if (tls_.authorities.empty() && !kubeconfig.authorityFile.empty())
    throw Error(fmt::format("the kubeconfig for {} names the authority's file {}, which was not read", server_,
                            kubeconfig.authorityFile));
  if (!tls_.certificate.empty() || !token_.empty()) return;
  if (!kubeconfig.clientCertificateFile.empty())
    throw Error(fmt::format("the kubeconfig for {} names the client certificate's file {}, which was not read", server_,
                            kubeconfig.clientCertificateFile));
  if (!kubeconfig.otherCredential.empty())
    throw Error(fmt::format("the kubeconfig for {} has credentials of the kind \"{}\", which kubestrap cannot use",
                            server_, kubeconfig.otherCredential),
                "use a kubeconfig with a client certificate or a token");
}

net::Request Client::request(const std::string& method, const std::string& path) const {
  return {.method = method,
          .url = server_ + path,
          .headers = {{"Accept", "application/json"}, {"User-Agent", std::string(fieldManager)}},
          .bearerToken = token_,
          .tls = tls_};
}

net::Response Client::raw(const std::string& method, const std::string& path, const std::string& body,
                          const std::string& contentType, const std::string& onBehalfOf) {
  net::Request call = request(method, path);
  if (!onBehalfOf.empty()) call.headers.insert(call.headers.end(), {{"X-Remote-User", onBehalfOf}, {"X-Remote-Group", "system:authenticated"}});
  call.body = body;
  if (!body.empty()) call.headers.emplace_back("Content-Type", contentType.empty() ? "application/json" : contentType);
  if (!body.empty()) log::info(8, "{} {} sends {}", method, call.url, forLog(path, body));
  const auto begin = std::chrono::steady_clock::now();
  net::Response response = transport_.perform(call);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  log::info(7, "{} {}: {} in {} ms", method, call.url, response.status, took.count());
  log::info(8, "{} {} answers {}", method, call.url, forLog(path, response.body));
  return response;
}

Value Client::checked(const std::string& method, const std::string& path, const std::string& body,
                      const std::string& contentType) {
  const net::Response response = raw(method, path, body, contentType);
  const std::string call = fmt::format("{} {}{}", method, server_, path);
  if (response.status < 200 || response.status >= 300)
    fail(response.status, failureOf(response.status, response.body), call);
  return parseJson(response.body, call);
}

/// What the API server says of a kind that the table does not have; nullptr: it does not serve it.
const Client::Served* Client::served(const std::string& apiVersion, const std::string& kind) {
  auto found = served_.find(apiVersion);
  if (found == served_.end()) {
    const auto path = groupPath(apiVersion);
    const auto response = raw("GET", path);
    if (response.status == 404) return nullptr;
    const auto call = fmt::format("GET {}{}", server_, path);
    if (response.status != 200) fail(response.status, failureOf(response.status, response.body), call);
    const auto document = parseJson(response.body, call);
    std::map<std::string, Served> kinds;
    if (const auto* resources = find(document, "resources"); resources && resources->is_array())
      for (const auto& each : *resources)
        if (const auto name = stringAt(each, "name"); name.find('/') == std::string::npos) // which are parts of others
          kinds[stringAt(each, "kind")] = {name, each.value("namespaced", true)};
    found = served_.emplace(apiVersion, std::move(kinds)).first;
  }
  const auto row = found->second.find(kind);
  return row == found->second.end() ? nullptr : &row->second;
}

/// Where an object of this key is created; empty: its kind is not served.
std::string Client::collectionOf(const ObjectKey& key) {
  if (findKind(key.apiVersion, key.kind)) return collectionPath(key);
  const auto* kind = served(key.apiVersion, key.kind);
  if (!kind) return {};
  if (kind->nameSpaced && key.nameSpace.empty()) throw Error(key.string() + " has no namespace");
  return collectionPath({key.apiVersion, key.kind, kind->plural, kind->nameSpaced ? Scope::nameSpaced : Scope::cluster}, key.nameSpace);
}

std::string Client::pathTo(const ObjectKey& key) {
  if (key.name.empty()) throw Error(fmt::format("a {} has no name", key.kind));
  const auto collection = collectionOf(key);
  if (collection.empty()) throw ApiError(404, "NotServed", fmt::format("{}: the cluster does not know {} of {}", key.string(), key.kind, key.apiVersion));
  return collection + "/" + percentEncode(key.name);
}

std::optional<Value> Client::get(const ObjectKey& key) {
  if (collectionOf(key).empty()) return std::nullopt;
  const std::string path = pathTo(key);
  try {
    return checked("GET", path);
  } catch (const ApiError& error) {
    // A 404 without a Status comes from something else than an API server, or from one that does not know the kind.
    if (error.status() == 404 && error.reason() == "NotFound") return std::nullopt;
    throw;
  }
}

std::vector<Value> Client::list(const std::string& apiVersion, const std::string& kind, const std::string& nameSpace,
                                const std::string& labelSelector) {
  const std::string path = collectionPath(kindOf(apiVersion, kind), nameSpace);
  std::vector<Value> items;
  std::string next;
  do {
    std::string query = fmt::format("limit={}", pageSize);
    if (!labelSelector.empty()) query += "&labelSelector=" + percentEncode(labelSelector);
    if (!next.empty()) query += "&continue=" + percentEncode(next);
    Value page = checked("GET", withQuery(path, query));
    if (auto* found = page.is_object() && page.contains("items") ? &page["items"] : nullptr; found && found->is_array())
      for (Value& item : *found) {
        // Items of a list come without the two; what leaves here is a whole document.
        Value document{{"apiVersion", apiVersion}, {"kind", kind}};
        document.update(item);
        items.push_back(std::move(document));
      }
    next = stringAt(page, "metadata.continue");
  } while (!next.empty());
  return items;
}

Value Client::create(const Value& document) {
  const ObjectKey key = keyOf(document);
  auto path = collectionOf(key);
  if (path.empty()) path = pathTo(key); // which tells why
  path = withQuery(path, fmt::format("fieldManager={}", fieldManager));
  return checked("POST", path, serialized(document, key.string()), "application/json");
}

Value Client::apply(const Value& document, DryRun dryRun) {
  const ObjectKey key = keyOf(document);
  const std::string path = withQuery(pathTo(key), fmt::format("fieldManager={}&force=true{}", fieldManager, dryRun == DryRun::yes ? "&dryRun=All" : ""));
  return checked("PATCH", path, serialized(document, key.string()), "application/apply-patch+yaml"); // JSON is YAML
}

Value Client::mergePatch(const ObjectKey& key, const Value& patch) {
  const std::string path = withQuery(pathTo(key), fmt::format("fieldManager={}", fieldManager));
  return checked("PATCH", path, serialized(patch, "the patch of " + key.string()), "application/merge-patch+json");
}

void Client::remove(const ObjectKey& key) {
  if (collectionOf(key).empty()) return;
  // By itself the API server would leave the pods of a Job.
  const auto path = key.kind == "Job" ? withQuery(pathTo(key), "propagationPolicy=Background") : pathTo(key);
  try {
    checked("DELETE", path);
  } catch (const ApiError& error) {
    if (error.status() != 404 || error.reason() != "NotFound") throw;
  }
}

void Client::watch(const std::string& path, const std::string& resourceVersion,
                   const std::function<bool(const std::string& type, const Value& object)>& onEvent) {
  std::string query = "watch=true&allowWatchBookmarks=true";
  if (!resourceVersion.empty()) query += "&resourceVersion=" + percentEncode(resourceVersion);
  net::Request call = request("GET", withQuery(path, query));
  call.timeout = Duration::zero(); // the server ends a watch after half an hour or more
  const std::string what = "GET " + call.url;
  log::info(7, "{}: watching", what);

  std::string pending;
  const auto onData = [&](std::string_view bytes) {
    pending.append(bytes);
    std::size_t at = 0;
    for (auto end = pending.find('\n'); end != std::string::npos; end = pending.find('\n', at)) {
      const std::string line = pending.substr(at, end - at);
      at = end + 1;
      if (trim(line).empty()) continue;
      const Value event = parseJson(line, what);
      const std::string type = stringAt(event, "type");
      const Value object = event.contains("object") ? event["object"] : Value();
      if (type == "ERROR") {
        const Value* code = find(object, "code");
        fail(code && code->is_number_integer() ? code->get<int>() : 500,
             {stringAt(object, "reason"), stringAt(object, "message")}, what);
      }
      log::info(8, "{} tells {} {}", what, type,
                forLog(path, object.dump(-1, ' ', false, Value::error_handler_t::replace)));
      if (!onEvent(type, object)) return false;
    }
    pending.erase(0, at);
    return true;
  };
  const net::Response response = transport_.stream(call, onData);
  if (response.status < 200 || response.status >= 300)
    fail(response.status, failureOf(response.status, response.body), what);
}

} // namespace kubestrap::kube
