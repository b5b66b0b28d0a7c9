// What cluster apply asks a control plane for: a Node's taints as a file has them. Which ones it has given the Node keeps as an annotation.
#include "cmd/commands.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "kube/reading.hpp"
#include "phases/taints.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

struct TaintOptions {
  std::optional<std::string> file, kubeconfig;
};

std::optional<phases::fleet::Taints> wantedOf(const std::string& file, Machine& machine) {
  const auto documents = machine.readDocuments(file);
  const auto* wanted = documents.size() == 1 ? find(documents.front().value, "taints") : nullptr;
  if (!wanted || !(wanted->is_array() || wanted->is_null())) throw Error(fmt::format("{} has no taints", file), "taints: [{key: KEY, effect: NoSchedule}]; null where they are nobody's business", ExitCode::usage);
  if (wanted->is_null()) return std::nullopt;
  return phases::fleet::taintsByName(*wanted);
}

/// The list is changed as a whole, so not by who has seen an older one; kubelets write to their Node often.
bool change(kube::Client& client, const std::string& name, const std::optional<phases::fleet::Taints>& wanted) {
  const kube::ObjectKey key{"v1", "Node", "", name};
  for (int left = 10;; --left) {
    const auto node = client.get(key);
    if (!node) throw Error(fmt::format("the cluster has no node {}", name), "kubectl get nodes");
    const auto patch = phases::fleet::taintPatch(*node, kube::isControlPlane(*node), wanted);
    if (patch.is_null()) return false;
    try {
      client.mergePatch(key, patch);
      return true;
    } catch (const Conflict&) {
      if (left == 0) throw;
    }
  }
}

ExitCode run(const TaintOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1 || !options.file) throw Error("name the node, and a file with its taints", "kubestrap node taint NAME --file FILE", ExitCode::usage);
  Machine machine(globals().rootfs);
  const auto wanted = wantedOf(*options.file, machine);
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  const bool changed = change(cluster.client, arguments.front(), wanted);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("NodeTaints");
    document["changed"] = changed;
    printResult(document, as);
  }
  return ExitCode::done;
}

} // namespace

Command taintNodeCommand() {
  const auto options = std::make_shared<TaintOptions>();
  return {.name = "taint",
          .summary = "Give a node the taints of a file, and take away those that it had from one before",
          .flags = [options] {
            return std::vector<Flag>{{.name = "file", .into = &options->file, .doc = "A document with taints; - is standard input", .value = "FILE"}, kubeconfigFlag(options->kubeconfig)};
          },
          .arguments = "NAME",
          .run = [options](const auto& given) { return run(*options, given); },
          .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
