#include "tests/fakes/fake_api.hpp"

#include "kube/kinds.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::fakes {

using net::Request;
using net::Response;
using net::TransportError;

namespace {

std::string percentDecode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octet = text[i] == '%' && i + 2 < text.size() ? fromHex(text.substr(i + 1, 2)) : std::nullopt;
    if (octet) i += 2;
    decoded += octet ? *octet : std::string(1, text[i] == '+' ? ' ' : text[i]);
  }
  return decoded;
}

Response json(int status, const Value& body) {
  return {.status = status, .headers = {{"content-type", "application/json"}}, .body = body.dump() + "\n"};
}

Response failure(int code, const std::string& reason, const std::string& message) {
  return json(code, {{"kind", "Status"},
                     {"apiVersion", "v1"},
                     {"metadata", Value::object()},
                     {"status", "Failure"},
                     {"message", message},
                     {"reason", reason},
                     {"code", code}});
}

std::string_view reasonOf(int status) {
  switch (status) {
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "NotFound";
  case 429: return "TooManyRequests";
  case 503: return "ServiceUnavailable";
  case 504: return "Timeout";
  default: return "InternalError";
  }
}

std::string headerOf(const Request& request, std::string_view name) {
  for (const auto& [key, value] : request.headers)
    if (lower(key) == name) return value;
  return {};
}

void dropNulls(Value& value) {
  if (value.is_object()) {
    for (auto member = value.begin(); member != value.end();)
      if (member->is_null())
        member = value.erase(member);
      else
        dropNulls(*member++);
  } else if (value.is_array()) {
    for (Value& item : value) dropNulls(item);
  }
}

void defaultTo(Value& object, const char* member, const Value& value) {
  if (!object.contains(member)) object[member] = value;
}

void defaultPodSpec(Value& spec) {
  defaultTo(spec, "restartPolicy", "Always");
  defaultTo(spec, "dnsPolicy", "ClusterFirst");
  defaultTo(spec, "schedulerName", "default-scheduler");
  defaultTo(spec, "terminationGracePeriodSeconds", 30);
  defaultTo(spec, "securityContext", Value::object());
  if (!spec.contains("containers")) return;
  for (Value& container : spec["containers"]) {
    defaultTo(container, "terminationMessagePath", "/dev/termination-log");
    defaultTo(container, "terminationMessagePolicy", "File");
    defaultTo(container, "imagePullPolicy", "IfNotPresent");
    defaultTo(container, "resources", Value::object());
    if (container.contains("ports"))
      for (Value& port : container["ports"]) defaultTo(port, "protocol", "TCP");
    // A quantity is written in its shortest form.
    if (stringAt(container, "resources.requests.cpu") == "1000m") container["resources"]["requests"]["cpu"] = "1";
  }
}

/// Some of what the API server fills in, so that a declared object is not simply equal to the live one.
void fillDefaults(Value& object) {
  const std::string kind = stringAt(object, "kind");
  if (kind == "Namespace") {
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = object["metadata"]["name"];
    object["spec"]["finalizers"] = {"kubernetes"};
    object["status"]["phase"] = "Active";
  } else if (kind == "Secret") {
    defaultTo(object, "type", "Opaque");
    if (object.contains("stringData"))
      for (const auto& [key, text] : object["stringData"].items())
        object["data"][key] = base64(text.get<std::string>());
    object.erase("stringData");
  } else if (kind == "RoleBinding" || kind == "ClusterRoleBinding") {
    if (object.contains("roleRef")) defaultTo(object["roleRef"], "apiGroup", "rbac.authorization.k8s.io");
    if (object.contains("subjects"))
      for (Value& subject : object["subjects"])
        if (stringAt(subject, "kind") != "ServiceAccount") defaultTo(subject, "apiGroup", "rbac.authorization.k8s.io");
  } else if (kind == "Service") {
    Value& spec = object["spec"];
    defaultTo(spec, "type", "ClusterIP");
    defaultTo(spec, "sessionAffinity", "None");
    defaultTo(spec, "internalTrafficPolicy", "Cluster");
    if (spec.contains("ports"))
      for (Value& port : spec["ports"]) {
        defaultTo(port, "protocol", "TCP");
        defaultTo(port, "targetPort", port.value("port", Value(0)));
      }
  } else if (kind == "Deployment" || kind == "DaemonSet") {
    Value& spec = object["spec"];
    defaultTo(spec, "revisionHistoryLimit", 10);
    if (kind == "Deployment") {
      defaultTo(spec, "replicas", 1);
      defaultTo(spec, "progressDeadlineSeconds", 600);
    }
    defaultPodSpec(spec["template"]["spec"]);
  } else if (kind == "Pod") {
    defaultPodSpec(object["spec"]);
  } else if (kind == "CustomResourceDefinition") {
    object["status"]["conditions"] = Value::array({{{"type", "NamesAccepted"}, {"status", "True"}}, {{"type", "Established"}, {"status", "True"}}});
  }
}

/// Equality-based selectors: "a=b,c!=d,e,!f".
bool selects(const std::string& selector, const Value* labels) {
  const auto labelOf = [&](const std::string& key) -> std::optional<std::string> {
    if (!labels || !labels->contains(key)) return std::nullopt;
    return (*labels)[key].get<std::string>();
  };
  for (const std::string& term : split(selector, ',')) {
    const auto equals = term.find('=');
    if (term.starts_with('!')) {
      if (labelOf(term.substr(1))) return false;
    } else if (equals == std::string::npos) {
      if (!labelOf(term)) return false;
    } else {
      const bool negated = equals > 0 && term[equals - 1] == '!';
      std::string value = term.substr(equals + 1);
      if (value.starts_with('=')) value.erase(0, 1);
      if ((labelOf(term.substr(0, equals - (negated ? 1 : 0))) == value) == negated) return false;
    }
  }
  return true;
}

/// "metadata.name=a,spec.nodeName=b"
bool selectsFields(const std::string& selector, const Value& object) {
  const auto terms = split(selector, ',');
  return std::all_of(terms.begin(), terms.end(), [&](const std::string& term) {
    const auto equals = term.find('=');
    return equals == std::string::npos || stringAt(object, term.substr(0, equals)) == term.substr(equals + 1);
  });
}

Value withoutVolatile(Value document) {
  if (document.contains("metadata")) document["metadata"].erase("resourceVersion");
  return document;
}

} // namespace

/// What a URL names.
struct FakeApi::Target {
  std::string base; ///< "https://10.0.0.11:6443"
  std::string path; ///< without query
  std::map<std::string, std::string> query;
  const kube::Kind* kind = nullptr;
  std::string apiVersion, nameSpace, name, subresource;
  std::string objectPath; ///< without subresource; ends with the plural for a collection

  static Target of(const std::string& url, const std::list<Learned>& learned) {
    Target target;
    const auto slash = url.find('/', url.find("://") + 3);
    target.base = url.substr(0, slash);
    std::string rest = slash == std::string::npos ? "/" : url.substr(slash);
    if (const auto mark = rest.find('?'); mark != std::string::npos) {
      for (const std::string& pair : split(rest.substr(mark + 1), '&')) {
        const auto equals = pair.find('=');
        target.query[pair.substr(0, equals)] =
            equals == std::string::npos ? "" : percentDecode(pair.substr(equals + 1));
      }
      rest.erase(mark);
    }
    target.path = percentDecode(rest);
    target.resolve(learned);
    return target;
  }

  std::string queried(const std::string& key) const {
    const auto found = query.find(key);
    return found == query.end() ? std::string() : found->second;
  }
  bool flag(const std::string& key) const { return queried(key) == "true" || queried(key) == "1"; }
  std::string describe() const {
    const std::string group(kube::groupOf(apiVersion));
    return fmt::format("{}{}{} \"{}\"", kind->plural, group.empty() ? "" : ".", group, name);
  }

private:
  const kube::Kind* byPlural(const std::string& plural, const std::list<Learned>& learned) const {
    if (const auto* known = kube::findPlural(apiVersion, plural)) return known;
    for (const auto& each : learned)
      if (each.apiVersion == apiVersion && each.plural == plural) return &each.row;
    return nullptr;
  }

  void resolve(const std::list<Learned>& learned) {
    auto parts = split(std::string_view(path).substr(1), '/');
    if (parts.size() >= 3 && parts[0] == "api")
      apiVersion = parts[1], parts.erase(parts.begin(), parts.begin() + 2);
    else if (parts.size() >= 4 && parts[0] == "apis")
      apiVersion = parts[1] + "/" + parts[2], parts.erase(parts.begin(), parts.begin() + 3);
    else
      return;
    if (parts.size() >= 3 && parts[0] == "namespaces") {
      const auto* inner = byPlural(parts[2], learned);
      if (inner && inner->scope == kube::Scope::nameSpaced)
        nameSpace = parts[1], parts.erase(parts.begin(), parts.begin() + 2);
    }
    kind = byPlural(parts[0], learned);
    if (parts.size() > 1) name = parts[1];
    if (parts.size() > 2) subresource = parts[2];
    objectPath = subresource.empty() ? path : path.substr(0, path.size() - subresource.size() - 1);
  }
};

FakeApi::FakeApi() {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"})
    put({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}}, "kube-apiserver");
  events_.clear();
}

void FakeApi::page(const std::string& url, int status, std::string body) { pages_[url] = {status, std::move(body)}; }

void FakeApi::failNext(int count, int status) { failures_ = count, failureStatus_ = status; }

void FakeApi::dropNext(int count, Lost lost) { drops_ = count, lost_ = lost; }

std::string FakeApi::time() const { return now ? formatRfc3339(now()) : "2026-01-01T00:00:00Z"; }

bool FakeApi::isApiServer(const std::string& base) const {
  if (servers.empty()) return base.starts_with("https://") && base.ends_with(":6443");
  return std::find(servers.begin(), servers.end(), base) != servers.end();
}

// ---- the store

Value FakeApi::shown(const Stored& stored) const {
  Value document = stored.document;
  document["metadata"]["managedFields"] = managedFields(stored.managers, stringAt(document, "apiVersion"));
  return document;
}

/// From a CustomResourceDefinition on its kind is served.
void FakeApi::learn(const Value& definition) {
  const auto* versions = find(definition, "spec.versions");
  if (stringAt(definition, "kind") != "CustomResourceDefinition" || !versions) return;
  for (const auto& each : *versions) {
    auto& one = learned_.emplace_back(Learned{stringAt(definition, "spec.group") + "/" + stringAt(each, "name"), stringAt(definition, "spec.names.kind"), stringAt(definition, "spec.names.plural"), {}});
    one.row = {one.apiVersion, one.kind, one.plural, stringAt(definition, "spec.scope") == "Cluster" ? kube::Scope::cluster : kube::Scope::nameSpaced};
  }
}

Value FakeApi::discovered(const std::string& apiVersion) const {
  Value resources = Value::array();
  for (const auto& each : learned_)
    if (each.apiVersion == apiVersion) resources.push_back({{"name", each.plural}, {"kind", each.kind}, {"namespaced", each.row.scope == kube::Scope::nameSpaced}});
  return resources;
}

const Value& FakeApi::insert(const std::string& path, Stored stored) {
  learn(stored.document);
  Value& metadata = stored.document["metadata"];
  metadata["uid"] = fmt::format("00000000-0000-4000-8000-{:012}", ++uids_);
  metadata["resourceVersion"] = std::to_string(++version_);
  metadata["creationTimestamp"] = time();
  if (stored.document.contains("spec")) metadata["generation"] = 1;
  Stored& placed = objects_[path] = std::move(stored);
  events_.push_back({version_, "ADDED", path, shown(placed)});
  return placed.document;
}

/// False when nothing changes, in which case the resourceVersion stays, as in the real one.
bool FakeApi::commit(const std::string& path, Stored& stored, Value document, std::vector<Manager> managers) {
  const bool sameFields =
      managers.size() == stored.managers.size() &&
      std::equal(managers.begin(), managers.end(), stored.managers.begin(),
                 [](const Manager& a, const Manager& b) { return a.name == b.name && a.fields == b.fields; });
  if (sameFields && sameDocument(withoutVolatile(document), withoutVolatile(stored.document))) return false;
  const Value* before = find(stored.document, "spec");
  const Value* after = find(document, "spec");
  const bool specChanged = before && after && !sameDocument(*before, *after);
  if (specChanged) document["metadata"]["generation"] = document["metadata"].value("generation", 1) + 1;
  document["metadata"]["resourceVersion"] = std::to_string(++version_);
  stored = {std::move(document), std::move(managers)};
  events_.push_back({version_, "MODIFIED", path, shown(stored)});
  return true;
}

Value FakeApi::put(Value document, const std::string& manager) {
  dropNulls(document);
  fillDefaults(document);
  const auto* kind = kube::findKind(stringAt(document, "apiVersion"), stringAt(document, "kind"));
  if (!kind) throw Error("the fake API server does not know the kind of " + document.dump());
  const std::string nameSpace = stringAt(document, "metadata.namespace");
  const std::string path = fmt::format("{}{}{}/{}/{}", kube::groupOf(kind->apiVersion).empty() ? "/api/" : "/apis/",
                                       kind->apiVersion, nameSpace.empty() ? "" : "/namespaces/" + nameSpace,
                                       kind->plural, stringAt(document, "metadata.name"));
  if (const auto found = objects_.find(path); found != objects_.end()) {
    Stored& stored = found->second;
    for (const char* member : {"uid", "creationTimestamp", "generation"})
      if (stored.document["metadata"].contains(member))
        document["metadata"][member] = stored.document["metadata"][member];
    commit(path, stored, document, managersAfterUpdate(stored.document, document, stored.managers, manager, time()));
    return shown(stored);
  }
  auto managers = managersAfterUpdate(Value::object(), document, {}, manager, time());
  insert(path, {std::move(document), std::move(managers)});
  return shown(objects_.at(path));
}

std::optional<Value> FakeApi::object(const std::string& path) const {
  const auto found = objects_.find(path);
  if (found == objects_.end()) return std::nullopt;
  return shown(found->second);
}

bool FakeApi::remove(const std::string& path) {
  const auto found = objects_.find(path);
  if (found == objects_.end()) return false;
  Value last = shown(found->second);
  last["metadata"]["resourceVersion"] = std::to_string(++version_);
  objects_.erase(found);
  events_.push_back({version_, "DELETED", path, std::move(last)});
  if (path.starts_with("/api/v1/namespaces/") && split(path, '/').size() == 5)
    for (const std::string& each : paths())
      if (each.find(path.substr(7) + "/") != std::string::npos) remove(each);
  return true;
}

std::vector<std::string> FakeApi::paths() const {
  std::vector<std::string> result;
  for (const auto& [path, stored] : objects_) {
    const std::string& manager = stored.managers.empty() ? path : stored.managers.front().name;
    if (stringAt(stored.document, "kind") != "Namespace" || manager != "kube-apiserver") result.push_back(path);
  }
  return result;
}

std::vector<std::string> FakeApi::writes() const {
  std::vector<std::string> result;
  for (const Record& record : records_)
    if (record.writes()) result.push_back(record.request.method + " " + record.path);
  return result;
}

// ---- answers

Response FakeApi::read(const Target& target) const {
  const auto found = objects_.find(target.objectPath);
  if (found == objects_.end()) return failure(404, "NotFound", target.describe() + " not found");
  return json(200, shown(found->second));
}

Response FakeApi::list(const Target& target) const {
  Value items = Value::array();
  const std::string limit = target.queried("limit");
  const std::size_t most = limit.empty() ? std::string::npos : std::stoul(limit);
  const std::string after = target.queried("continue");
  std::string last;
  bool more = false;
  for (const auto& [path, stored] : objects_) {
    if (stringAt(stored.document, "apiVersion") != target.apiVersion ||
        stringAt(stored.document, "kind") != target.kind->kind)
      continue;
    if (!target.nameSpace.empty() && stringAt(stored.document, "metadata.namespace") != target.nameSpace) continue;
    if (!selects(target.queried("labelSelector"), find(stored.document, "metadata.labels"))) continue;
    if (!selectsFields(target.queried("fieldSelector"), stored.document)) continue;
    if (!after.empty() && path <= after) continue;
    more = items.size() == most;
    if (more) break;
    Value item = shown(stored);
    item.erase("apiVersion"); // items of a typed list come without
    item.erase("kind");
    items.push_back(std::move(item));
    last = path;
  }
  Value metadata{{"resourceVersion", std::to_string(version_)}};
  if (more) metadata["continue"] = last;
  return json(200, {{"kind", std::string(target.kind->kind) + "List"},
                    {"apiVersion", target.apiVersion},
                    {"metadata", metadata},
                    {"items", items}});
}

namespace {

/// The document of a body as it would be stored, or why it is refused.
struct Body {
  Value document;
  std::optional<Response> refusal;
};

Body bodyOf(const Request& request, const kube::Kind& kind, const std::string& nameSpace, const std::string& name) {
  Body body{.document = Value::parse(request.body, nullptr, false)};
  if (body.document.is_discarded() || !body.document.is_object()) {
    body.refusal = failure(400, "BadRequest", "the body is no JSON object");
    return body;
  }
  dropNulls(body.document);
  if (stringAt(body.document, "kind") != kind.kind || stringAt(body.document, "apiVersion") != kind.apiVersion)
    body.refusal =
        failure(400, "BadRequest", "the object provided is unrecognized: apiVersion and kind do not fit the path");
  const std::string otherSpace = stringAt(body.document, "metadata.namespace", nameSpace);
  if (otherSpace != nameSpace)
    body.refusal = failure(400, "BadRequest",
                           "the namespace of the provided object does not match the namespace sent on the request");
  if (!name.empty() && stringAt(body.document, "metadata.name", name) != name)
    body.refusal = failure(400, "BadRequest", "the name of the object does not match the name on the URL");
  if (kind.kind == "Secret" && body.document.contains("data"))
    for (const auto& [key, value] : body.document["data"].items())
      if (!value.is_string() || !fromBase64(value.get<std::string>()))
        body.refusal = failure(400, "BadRequest", "illegal base64 data of " + key);
  return body;
}

/// Status belongs to controllers: written on the object itself it is ignored, but for a Node that registers.
void dropStatus(Value& document) {
  if (stringAt(document, "kind") != "Node") document.erase("status");
}

Response conflict(const std::string& what) {
  return failure(
      409, "Conflict",
      fmt::format("Operation cannot be fulfilled on {}: the object has been modified; please apply your changes to "
                  "the latest version and try again",
                  what));
}

} // namespace

Response FakeApi::create(const Request& request, const Target& target) {
  if (headerOf(request, "content-type") != "application/json")
    return failure(415, "UnsupportedMediaType", "the body is not application/json");
  auto [document, refusal] = bodyOf(request, *target.kind, target.nameSpace, "");
  if (refusal) return *refusal;
  const std::string name = stringAt(document, "metadata.name");
  if (name.empty()) return failure(422, "Invalid", "metadata.name: Required value: name or generateName is required");
  if (!target.nameSpace.empty() && !objects_.contains("/api/v1/namespaces/" + target.nameSpace))
    return failure(404, "NotFound", fmt::format("namespaces \"{}\" not found", target.nameSpace));
  Target named = target;
  named.name = name;
  const std::string path = target.objectPath + "/" + name;
  if (objects_.contains(path)) return failure(409, "AlreadyExists", named.describe() + " already exists");
  if (!target.nameSpace.empty()) document["metadata"]["namespace"] = target.nameSpace;
  dropStatus(document);
  fillDefaults(document);
  const std::string manager = target.queried("fieldManager").empty() ? "unknown" : target.queried("fieldManager");
  auto managers = managersAfterUpdate(Value::object(), document, {}, manager, time());
  insert(path, {std::move(document), std::move(managers)});
  return json(201, shown(objects_.at(path)));
}

Response FakeApi::update(const Target& target, Stored& stored, Value after, const std::string& manager) {
  Value& metadata = after["metadata"];
  const std::string wantedVersion = stringAt(metadata, "resourceVersion");
  if (wantedVersion != stringAt(stored.document, "metadata.resourceVersion")) return conflict(target.describe());
  metadata.erase("managedFields");
  for (const char* member : {"uid", "creationTimestamp", "name"})
    metadata[member] = stored.document["metadata"][member];
  if (after.contains("roleRef") && !sameDocument(after["roleRef"], stored.document["roleRef"]))
    return failure(422, "Invalid", target.describe() + " is invalid: roleRef: Invalid value: cannot change roleRef");
  fillDefaults(after);
  auto managers = managersAfterUpdate(stored.document, after, stored.managers, manager, time());
  commit(target.objectPath, stored, std::move(after), std::move(managers));
  return json(200, shown(stored));
}

Response FakeApi::applyPatch(const Request& request, const Target& target) {
  const std::string manager = target.queried("fieldManager");
  if (manager.empty()) return failure(422, "Invalid", "fieldManager: Required value: is required for apply patch");
  auto [wanted, refusal] = bodyOf(request, *target.kind, target.nameSpace, target.name);
  if (refusal) return *refusal;
  if (wanted.contains("metadata") && wanted["metadata"].contains("managedFields"))
    return failure(400, "BadRequest", "metadata.managedFields must be nil");
  if (!target.nameSpace.empty() && !objects_.contains("/api/v1/namespaces/" + target.nameSpace))
    return failure(404, "NotFound", fmt::format("namespaces \"{}\" not found", target.nameSpace));
  dropStatus(wanted);
  const std::string precondition = stringAt(wanted, "metadata.resourceVersion");
  if (wanted.contains("metadata"))
    for (const char* member : {"resourceVersion", "uid", "creationTimestamp", "generation"})
      wanted["metadata"].erase(member);

  const auto found = objects_.find(target.objectPath);
  const bool isNew = found == objects_.end();
  if (!precondition.empty() && !isNew && stringAt(found->second.document, "metadata.resourceVersion") != precondition)
    return conflict(target.describe());
  Value live{{"apiVersion", target.apiVersion}, {"kind", target.kind->kind}, {"metadata", {{"name", target.name}}}};
  if (!target.nameSpace.empty()) live["metadata"]["namespace"] = target.nameSpace;
  auto applied = isNew ? serverSideApply(live, {}, wanted, manager, true, time())
                       : serverSideApply(found->second.document, found->second.managers, wanted, manager,
                                         target.flag("force"), time());
  if (!applied.conflicts.empty())
    return failure(409, "Conflict",
                   fmt::format("Apply failed with {} conflict: conflict with \"{}\": {}", applied.conflicts.size(),
                               applied.conflicts.front().manager, applied.conflicts.front().field));
  fillDefaults(applied.document);
  if (target.queried("dryRun") == "All") return json(isNew ? 201 : 200, applied.document);
  if (isNew) {
    insert(target.objectPath, {std::move(applied.document), std::move(applied.managers)});
    return json(201, shown(objects_.at(target.objectPath)));
  }
  Stored& stored = found->second;
  if (applied.document.contains("roleRef") && !sameDocument(applied.document["roleRef"], stored.document["roleRef"]))
    return failure(422, "Invalid", target.describe() + " is invalid: roleRef: Invalid value: cannot change roleRef");
  commit(target.objectPath, stored, std::move(applied.document), std::move(applied.managers));
  return json(200, shown(stored));
}

Response FakeApi::patch(const Request& request, const Target& target) {
  const std::string type = headerOf(request, "content-type");
  if (type == "application/apply-patch+yaml") return applyPatch(request, target);
  const auto found = objects_.find(target.objectPath);
  if (found == objects_.end()) return failure(404, "NotFound", target.describe() + " not found");
  const Value changes = Value::parse(request.body, nullptr, false);
  if (changes.is_discarded()) return failure(400, "BadRequest", "the patch is no JSON");
  Value after;
  if (type == "application/merge-patch+json")
    after = applyMergePatch(found->second.document, changes);
  else if (type == "application/json-patch+json")
    after = applyJsonPatch(found->second.document, changes);
  else
    return failure(415, "UnsupportedMediaType", "the patch's media type is not supported: " + type);
  const std::string manager = target.queried("fieldManager").empty() ? "unknown" : target.queried("fieldManager");
  return update(target, found->second, std::move(after), manager);
}

Response FakeApi::erase(const Target& target) {
  if (!remove(target.objectPath)) return failure(404, "NotFound", target.describe() + " not found");
  return json(200, {{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", Value::object()}, {"status", "Success"}});
}

Response FakeApi::answer(const Request& request, const Target& target) {
  if (intercept)
    if (const auto other = intercept(request)) return *other;
  if (failures_ > 0) {
    --failures_;
    return failure(failureStatus_, std::string(reasonOf(failureStatus_)), "an error on the server, made for a test");
  }
  if (target.path == "/version") {
    const auto parts = split(version.substr(1), '.');
    return json(200, {{"major", parts[0]}, {"minor", parts[1]}, {"gitVersion", version}, {"platform", "linux/amd64"}});
  }
  for (const char* endpoint : {"/livez", "/readyz", "/healthz"})
    if (target.path.starts_with(endpoint)) {
      const auto configured = health.find(target.path);
      const int status = configured == health.end() ? 200 : configured->second;
      return {.status = status, .headers = {{"content-type", "text/plain"}}, .body = status == 200 ? "ok" : "not ok"};
    }
  if (const auto group = target.path.find("/apis/"); !target.kind && group == 0)
    if (auto served = discovered(target.path.substr(6)); !served.empty()) return json(200, {{"kind", "APIResourceList"}, {"groupVersion", target.path.substr(6)}, {"resources", std::move(served)}});
  if (!target.kind) return failure(404, "NotFound", "the server could not find the requested resource");
  const std::string& method = request.method;
  if (target.name.empty()) {
    if (method == "GET") return list(target);
    if (method == "POST") {
      if (target.kind->scope == kube::Scope::nameSpaced && target.nameSpace.empty())
        return failure(405, "MethodNotAllowed", "a namespaced object is created in its namespace");
      return create(request, target);
    }
  } else if (method == "GET") {
    return read(target);
  } else if (method == "PATCH") {
    return patch(request, target);
  } else if (method == "DELETE") {
    return erase(target);
  } else if (method == "PUT") {
    auto [document, refusal] = bodyOf(request, *target.kind, target.nameSpace, target.name);
    if (refusal) return *refusal;
    const auto found = objects_.find(target.objectPath);
    if (found == objects_.end()) return failure(404, "NotFound", target.describe() + " not found");
    return update(target, found->second, std::move(document), "unknown");
  } else if (method == "POST" && target.subresource == "eviction") {
    return erase(target);
  }
  return failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

std::vector<std::string> FakeApi::peerCertificates(const std::string& host, int port, Duration timeout) {
  if (!shows) return net::Transport::peerCertificates(host, port, timeout);
  return {shows(host, port)};
}

Response FakeApi::perform(const Request& request) {
  const Target target = Target::of(request.url, learned_);
  records_.push_back({.request = request, .path = target.path, .query = target.query});
  const std::size_t index = records_.size() - 1; // hooks may call us again
  const auto refuse = [&] {
    throw TransportError(TransportError::Kind::refused,
                         fmt::format("{} {}: nobody listens there", request.method, request.url));
  };
  const auto lose = [&] {
    throw TransportError(
        TransportError::Kind::closed,
        fmt::format("{} {}: the connection was closed before the answer was complete", request.method, request.url));
  };
  if (const auto found = pages_.find(request.url); found != pages_.end()) {
    records_[index].status = found->second.status;
    return {.status = found->second.status, .headers = {{"content-type", "text/plain"}}, .body = found->second.body};
  }
  if (!isApiServer(target.base)) refuse();
  if (refuseUntil_ && now && now() < *refuseUntil_) refuse();
  if (reachable && !reachable(request)) refuse();
  const bool drop = drops_ > 0;
  if (drop) --drops_;
  if (drop && lost_ == Lost::request) lose();
  Response response = answer(request, target);
  if (drop) lose();
  records_[index].status = response.status;
  return response;
}

Response FakeApi::stream(const Request& request, const std::function<bool(std::string_view)>& onData) {
  const Target target = Target::of(request.url, learned_);
  if (!target.flag("watch") || !target.kind) {
    Response response = perform(request);
    if (response.status >= 300) return response;
    onData(response.body);
    response.body.clear();
    return response;
  }
  Request asList = request; // the same faults and rights as any read
  Response response = perform(asList);
  if (response.status >= 300) return response;
  response.body.clear();

  const auto tell = [&](const std::string& type, const Value& object) {
    return onData(Value{{"type", type}, {"object", object}}.dump() + "\n");
  };
  const std::string from = target.queried("resourceVersion");
  long told = from.empty() || from == "0" ? 0 : std::stol(from);
  if (told && told < oldestVersion_) {
    const Value gone = Value::parse(failure(410, "Expired", "too old resource version").body);
    tell("ERROR", gone);
    return response;
  }
  const auto concerns = [&](const Event& event) {
    return stringAt(event.object, "apiVersion") == target.apiVersion &&
           stringAt(event.object, "kind") == target.kind->kind &&
           (target.nameSpace.empty() || stringAt(event.object, "metadata.namespace") == target.nameSpace) &&
           (target.name.empty() || stringAt(event.object, "metadata.name") == target.name) &&
           selects(target.queried("labelSelector"), find(event.object, "metadata.labels")) &&
           selectsFields(target.queried("fieldSelector"), event.object);
  };
  if (!told) { // without a version a watch begins with what there is
    const auto all = objects_;
    told = version_;
    for (const auto& [path, stored] : all) {
      const Event event{0, "ADDED", path, shown(stored)};
      if (concerns(event) && !tell("ADDED", event.object)) return response;
    }
  }
  do {
    const auto all = events_;
    for (const Event& event : all) {
      if (event.version <= told) continue;
      told = event.version;
      if (concerns(event) && !tell(event.type, event.object)) return response;
    }
  } while (onIdleWatch && onIdleWatch());
  if (target.flag("allowWatchBookmarks"))
    tell("BOOKMARK", {{"kind", target.kind->kind},
                      {"apiVersion", target.apiVersion},
                      {"metadata", {{"resourceVersion", std::to_string(version_)}}}});
  return response;
}

} // namespace kubestrap::fakes
