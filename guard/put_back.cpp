#include "guard/put_back.hpp"

#include "config/rolling.hpp"
#include "kube/reading.hpp"
#include "kube/revisions.hpp"
#include "manifests/hosted.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::guard {

namespace {

std::string revisionOf(const Value* podTemplate) {
  return podTemplate ? kube::annotationOf(*podTemplate, config::revisionAnnotation).value_or("") : "";
}

} // namespace

std::optional<Value> withRevision(const Value& daemonSet, const std::vector<Value>& kept, const std::string& revision) {
  const auto name = stringAt(daemonSet, "metadata.name");
  auto templates = kube::templatesKept(name, kept);
  // One that was taken back has left its number to another, which was in force later.
  const auto found = std::find_if(templates.rbegin(), templates.rend(), [&](const Value& each) { return revisionOf(&each) == revision; });
  if (found == templates.rend()) return std::nullopt;
  auto spec = daemonSet.at("spec");
  spec["template"] = std::move(*found);
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
