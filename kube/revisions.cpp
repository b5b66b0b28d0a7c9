#include "kube/revisions.hpp"

#include "kube/reading.hpp"

#include <algorithm>

namespace kubestrap::kube {

namespace {

bool isOf(const Value& revision, std::string_view daemonSet) {
  const auto* owners = find(revision, "metadata.ownerReferences");
  return owners && std::ranges::any_of(*owners, [&](const Value& each) { return stringAt(each, "kind") == "DaemonSet" && stringAt(each, "name") == daemonSet; });
}

} // namespace

std::vector<Value> templatesKept(std::string_view daemonSet, std::vector<Value> revisions) {
  std::erase_if(revisions, [&](const Value& each) { return !isOf(each, daemonSet) || !find(each, "data.spec.template"); });
  std::ranges::stable_sort(revisions, {}, [](const Value& each) { return numberAt(each, "revision"); });
  std::vector<Value> templates;
  for (const auto& each : revisions) {
    templates.push_back(*find(each, "data.spec.template"));
    templates.back().erase("$patch"); // how the controller puts it back
  }
  return templates;
}

} // namespace kubestrap::kube
