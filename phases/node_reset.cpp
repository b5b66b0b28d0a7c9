#include "phases/node_reset.hpp"

#include "manifests/node_op.hpp"

#include <fmt/format.h>

namespace kubestrap::phases {

namespace {
const std::string operation = "reset";
} // namespace

plan::Object resetBegins(const NodeAccess& by, const std::string& node, const std::vector<std::string>& flags) {
  // It goes on when the pod that began it, and the kubelet, are gone.
  std::vector<std::string> command{"systemd-run", "--unit=kubestrap-reset", "--collect", "--no-block", "kubestrap", "reset"};
  command.insert(command.end(), flags.begin(), flags.end());
  return {.document = manifests::nodeOpPod(by.image, node, operation, command), .mode = plan::ApplyMode::createOnly, .access = by.access};
}

std::optional<plan::Next> resetCannotBegin(const OtherNode& node, const std::string& again) {
  if (node.trouble.empty() && node.pod != "Failed") return std::nullopt;
  return plan::Stuck{fmt::format("the reset of {} does not begin: {}", node.name, node.trouble.empty() ? "its pod failed" : node.trouble),
                     fmt::format("look at: kubectl -n kube-system logs {}; or run kubestrap reset on {} itself, and then {} again",
                                 manifests::nodeOpName(operation, node.name), node.name, again)};
}

plan::Object nodeDeleted(const plan::Access& access, const std::string& node) {
  return {.document = Value::object({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", Value::object({{"name", node}})}}),
          .mode = plan::ApplyMode::absent,
          .access = access};
}

} // namespace kubestrap::phases
