// What cluster apply asks a control plane for: a Node's labels as a file has them. Which ones it has given the Node keeps as an annotation.
#include "cmd/cluster_fleet.hpp"
#include "cmd/commands.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "phases/status.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

struct LabelOptions {
  std::optional<std::string> file, kubeconfig;
};

using Labels = std::map<std::string, std::string>;

/// A merge patch; null where nothing has to change.
Value patchFor(const Value& node, const Labels& wanted) {
  phases::fleet::Labels has;
  const auto notice = std::string(phases::status::givenLabelsNotice);
  if (const auto* labels = find(node, "metadata.labels")) has.all = labels->get<Labels>();
  const auto* annotations = find(node, "metadata.annotations");
  const auto before = annotations ? annotations->value(notice, "") : "";
  has.given = split(before, ',');
  Value labels = Value::object();
  for (const auto& [name, value] : phases::fleet::labelChanges(wanted, has)) labels[name] = value ? Value(*value) : Value();
  std::vector<std::string> names;
  for (const auto& [name, value] : wanted) names.push_back(name);
  const auto given = join(names, ",");
  if (labels.empty() && given == before) return {};
  return {{"metadata", {{"labels", labels}, {"annotations", {{notice, given.empty() ? Value() : Value(given)}}}}}};
}

ExitCode run(const LabelOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1 || !options.file) throw Error("name the node, and a file with its labels", "kubestrap node label NAME --file FILE", ExitCode::usage);
  Machine machine(globals().rootfs);
  const auto documents = machine.readDocuments(*options.file);
  const auto* wanted = documents.size() == 1 ? find(documents.front().value, "labels") : nullptr;
  if (!wanted || !wanted->is_object()) throw Error(fmt::format("{} has no labels", *options.file), "labels: {name: value}", ExitCode::usage);
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  const kube::ObjectKey key{"v1", "Node", "", arguments.front()};
  const auto node = cluster.client.get(key);
  if (!node) throw Error(fmt::format("the cluster has no node {}", arguments.front()), "kubectl get nodes");
  const auto patch = patchFor(*node, wanted->get<Labels>());
  if (!patch.is_null()) cluster.client.mergePatch(key, patch);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("NodeLabels");
    document["changed"] = !patch.is_null();
    printResult(document, as);
  }
  return ExitCode::done;
}

} // namespace

Command labelNodeCommand() {
  const auto options = std::make_shared<LabelOptions>();
  return {.name = "label",
          .summary = "Give a node the labels of a file, and take away those that it had from one before",
          .flags = [options] {
            return std::vector<Flag>{{.name = "file", .into = &options->file, .doc = "A document with labels; - is standard input", .value = "FILE"}, kubeconfigFlag(options->kubeconfig)};
          },
          .arguments = "NAME",
          .run = [options](const auto& given) { return run(*options, given); },
          .shown = Command::Shown::hidden};
}

} // namespace kubestrap::cmd
