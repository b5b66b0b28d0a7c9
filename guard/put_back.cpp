#include "guard/put_back.hpp"

#include "kube/reading.hpp"
#include "manifests/hosted.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::guard {

namespace {

std::string revisionOf(const Value* podTemplate) {
  return podTemplate ? kube::annotationOf(*podTemplate, manifests::revisionAnnotation).value_or("") : "";
}

bool isKeptOf(const Value& kept, const std::string& daemonSet) {
  const auto* owners = find(kept, "metadata.ownerReferences");
  return owners && std::ranges::any_of(*owners, [&](const Value& each) { return stringAt(each, "kind") == "DaemonSet" && stringAt(each, "name") == daemonSet; });
}

} // namespace

std::optional<Value> withRevision(const Value& daemonSet, const std::vector<Value>& kept, const std::string& revision) {
  const auto name = stringAt(daemonSet, "metadata.name");
  const auto found = std::ranges::find_if(kept, [&](const Value& each) { return isKeptOf(each, name) && revisionOf(find(each, "data.spec.template")) == revision; });
  if (found == kept.end()) return std::nullopt;
  auto before = *find(*found, "data.spec.template");
  before.erase("$patch"); // how the controller puts it back
  auto spec = daemonSet.at("spec");
  spec["template"] = std::move(before);
  Value metadata = Value::object({{"name", name}, {"namespace", stringAt(daemonSet, "metadata.namespace")}, {"resourceVersion", stringAt(daemonSet, "metadata.resourceVersion")}});
  if (const auto* labels = find(daemonSet, "metadata.labels")) metadata["labels"] = *labels;
  return Value::object({{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"metadata", std::move(metadata)}, {"spec", std::move(spec)}});
}

bool putBack(kube::Client& client, const phases::guard::Rolling& rolling) {
  const kube::ObjectKey key{"apps/v1", "DaemonSet", "kube-system", std::string(phases::guard::nameOf(rolling.component))};
  const auto daemonSet = client.get(key);
  if (!daemonSet || revisionOf(find(*daemonSet, "spec.template")) != rolling.to) return false;
  const auto document = withRevision(*daemonSet, client.list("apps/v1", "ControllerRevision", "kube-system", std::string(manifests::componentLabel)), rolling.from);
  if (!document) throw Error(fmt::format("{} has kept no revision {}", key.string(), rolling.from));
  client.apply(*document);
  return true;
}

} // namespace kubestrap::guard
