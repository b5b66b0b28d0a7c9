// Objects are stored as API servers encrypt now. An update that changes nothing is enough: an API server that finds an object stored by another
// key than the first one writes it all the same (apiserver: storage/etcd3/store.go, stale).
#include "plan/encryption.hpp"

#include "plan/kinds.hpp"

#include "kube/reading.hpp"
#include "support/encoding.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

/// At a time: what they hold is in memory.
constexpr int pageSize = 50;
constexpr auto patience = std::chrono::hours(24);

/// "secrets" of the core group, "deployments" of "apps".
struct Resource {
  std::string plural, group;
};

Resource parse(const std::string& name) {
  const auto dot = name.find('.');
  return dot == name.npos ? Resource{name, ""} : Resource{name.substr(0, dot), name.substr(dot + 1)};
}

/// Nothing: there is no such thing.
std::optional<Value> answerOf(kube::Client& client, const std::string& path) {
  const auto response = client.raw("GET", path);
  if (response.status == 404) return std::nullopt;
  if (response.status != 200) throw kube::ApiError(response.status, "", fmt::format("GET {}: the API server answers {}", path, response.status));
  return parseJson(response.body, path);
}

/// "/apis/apps/v1"; nothing: the group is unknown.
std::optional<std::string> versionPath(kube::Client& client, const Resource& resource) {
  if (resource.group.empty()) return "/api/v1";
  const auto group = answerOf(client, "/apis/" + percentEncode(resource.group));
  return group ? std::optional("/apis/" + stringAt(*group, "preferredVersion.groupVersion")) : std::nullopt;
}

bool isWritable(kube::Client& client, const Resource& resource) {
  const auto path = versionPath(client, resource);
  const auto known = path ? answerOf(client, *path) : std::nullopt;
  const auto* all = known ? find(*known, "resources") : nullptr;
  return all && all->is_array() && std::ranges::any_of(*all, [&](const Value& each) {
           const auto verbs = each.value("verbs", Value::array());
           const auto has = [&](const char* verb) { return std::ranges::find(verbs, Value(verb)) != verbs.end(); };
           return stringAt(each, "name") == resource.plural && has("list") && has("patch");
         });
}

class Storing {
public:
  Storing(const StoreAnew& wanted, const Change& change, const Context& context)
      : wanted_(wanted), change_(change), context_(context), begin_(context.world.clock.now()) {}

  void all() {
    for (const auto& name : wanted_.resources) {
      std::optional<std::string> version;
      withPatience(context_, name, [&] { auto client = connect(wanted_.access, context_); version = versionPath(client, parse(name)); });
      if (version) pages(name, fmt::format("{}/{}", *version, percentEncode(parse(name).plural)));
    }
  }

private:
  /// What was listed may be too old to go on with: the answer has where to go on. A resource that has gone has no objects left.
  void pages(const std::string& name, const std::string& path) {
    std::string next;
    do {
      Value page;
      withPatience(context_, name, [&] {
        auto client = connect(wanted_.access, context_);
        const auto response = client.raw("GET", fmt::format("{}?limit={}{}", path, pageSize, next.empty() ? "" : "&continue=" + percentEncode(next)));
        if (response.status != 200 && response.status != 404 && response.status != 410) throw kube::ApiError(response.status, "", fmt::format("GET {}: the API server answers {}", path, response.status));
        page = response.status == 404 ? Value::object() : parseJson(response.body, path);
        if (response.status == 410 && stringAt(page, "metadata.continue").empty()) throw kube::ApiError(503, "", "the list is too old to be gone on with");
      });
      if (const auto* items = find(page, "items"); items && items->is_array())
        for (const auto& item : *items) {
          withPatience(context_, name, [&] { store(path, item); });
          ++stored_;
          const auto elapsed = context_.world.clock.now() - begin_;
          if (elapsed > patience) throw Error(fmt::format("gave up after {}: {}", humanDuration(patience), told(name, page)), "API servers or etcd are too slow for so many objects");
          if (context_.reporter) context_.reporter->waiting(context_.phase, change_, elapsed, patience, told(name, page));
        }
      next = stringAt(page, "metadata.continue");
    } while (!next.empty());
  }

  std::string told(const std::string& name, const Value& page) const {
    const auto left = kube::numberAt(page, "metadata.remainingItemCount");
    return fmt::format("{} written, {} of {}", stored_, left ? fmt::format("and about {} more", left) : "the last ones", name);
  }

  /// Whoever has written it since, or deleted it, has done what was to be done.
  void store(const std::string& collection, const Value& item) {
    const auto nameSpace = stringAt(item, "metadata.namespace"), name = stringAt(item, "metadata.name");
    auto path = collection;
    if (!nameSpace.empty()) path.insert(path.rfind('/'), "/namespaces/" + percentEncode(nameSpace));
    path += "/" + percentEncode(name);
    const Value patch{{"metadata", {{"resourceVersion", stringAt(item, "metadata.resourceVersion")}, {"uid", stringAt(item, "metadata.uid")}}}};
    const auto response = connect(wanted_.access, context_).raw("PATCH", path, patch.dump(), "application/merge-patch+json");
    if (response.status == 200 || response.status == 404 || response.status == 409) return;
    const auto said = Value::parse(response.body, nullptr, false);
    throw kube::ApiError(response.status, said.is_object() ? stringAt(said, "reason") : "",
                         fmt::format("{} cannot be written anew: {}", path, said.is_object() ? stringAt(said, "message") : "no reason was given"));
  }

  const StoreAnew& wanted_;
  const Change& change_;
  const Context& context_;
  TimePoint begin_;
  std::size_t stored_ = 0;
};

} // namespace

std::vector<std::string> unknownResources(kube::Client& client, const std::vector<std::string>& resources) {
  auto unknown = resources;
  std::erase_if(unknown, [&](const auto& each) { return isWritable(client, parse(each)); });
  return unknown;
}

Change needed(const StoreAnew& wanted, const Context&) {
  return {.verb = Verb::run, .subject = subject(Task{wanted}), .reason = "how an object lies in etcd cannot be seen"};
}

void perform(const StoreAnew& wanted, const Change& change, const Context& context) { Storing(wanted, change, context).all(); }

std::optional<std::string> lackOf(const EncryptsBy& probe, const Context& context) {
  const auto text = context.world.host.read(probe.file);
  if (!text) return fmt::format("{} is absent", probe.file.string());
  const auto response = connect(probe.access, context).raw("GET", "/metrics");
  if (response.status != 200) return fmt::format("answers {}", response.status);
  constexpr std::string_view metric = "\napiserver_encryption_config_controller_last_config_info{";
  const auto line = response.body.find(metric);
  if (line == response.body.npos) return "it does not encrypt yet";
  const auto end = response.body.find('\n', line + 1);
  const auto said = std::string_view(response.body).substr(line, end == response.body.npos ? end : end - line);
  if (said.find(fmt::format(",hash=\"sha256:{}\"", sha256Hex(*text))) != said.npos) return std::nullopt; // apiserver_id_hash comes before it
  return "it goes by what the file said before";
}

} // namespace kubestrap::plan
