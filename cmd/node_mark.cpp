// What cluster apply asks a control plane for: a Node's labels, or its taints, as a file has them. Which ones it has given the Node keeps as an annotation.
#include "cmd/commands.hpp"
#include "cmd/operation.hpp"
#include "cmd/output.hpp"
#include "kube/reading.hpp"
#include "phases/status.hpp"
#include "phases/taints.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

struct MarkOptions {
  std::optional<std::string> file, kubeconfig;
};

/// One kind of what a Node is marked with.
struct Mark {
  std::string_view name;    ///< "label"
  std::string_view result;  ///< the kind of what is told to programs
  std::string_view example; ///< of a file
  bool (*fits)(const Value& wanted);
  Value (*patch)(const Value& node, const Value& wanted); ///< a merge patch; null where nothing has to change
};

Value labelPatch(const Value& node, const Value& wanted) {
  const auto labelled = wanted.get<std::map<std::string, std::string>>();
  phases::fleet::Labels has;
  const auto notice = std::string(phases::status::givenLabelsNotice);
  if (const auto* labels = find(node, "metadata.labels")) has.all = labels->get<std::map<std::string, std::string>>();
  const auto* annotations = find(node, "metadata.annotations");
  const auto before = annotations ? annotations->value(notice, "") : "";
  has.given = split(before, ',');
  Value labels = Value::object();
  for (const auto& [name, value] : phases::fleet::labelChanges(labelled, has)) labels[name] = value ? Value(*value) : Value();
  std::vector<std::string> names;
  for (const auto& [name, value] : labelled) names.push_back(name);
  const auto given = join(names, ",");
  if (labels.empty() && given == before) return {};
  return {{"metadata", {{"labels", labels}, {"annotations", {{notice, given.empty() ? Value() : Value(given)}}}}}};
}

Value taintPatch(const Value& node, const Value& wanted) {
  return phases::fleet::taintPatch(node, kube::isControlPlane(node), wanted.is_null() ? std::nullopt : std::optional(phases::fleet::taintsByName(wanted)));
}

constexpr Mark labelMark{"label", "NodeLabels", "labels: {name: value}", [](const Value& wanted) { return wanted.is_object(); }, labelPatch};
constexpr Mark taintMark{"taint", "NodeTaints", "taints: [{key: KEY, effect: NoSchedule}]; null where they are nobody's business",
                         [](const Value& wanted) { return wanted.is_array() || wanted.is_null(); }, taintPatch};

Value wantedOf(const Mark& mark, const std::string& file, Machine& machine) {
  const auto documents = machine.readDocuments(file);
  const auto* wanted = documents.size() == 1 ? find(documents.front().value, fmt::format("{}s", mark.name)) : nullptr;
  if (!wanted || !mark.fits(*wanted)) throw Error(fmt::format("{} has no {}s", file, mark.name), std::string(mark.example), ExitCode::usage);
  return *wanted;
}

/// A list is changed as a whole, so not by who has seen an older one; kubelets write to their Node often.
bool change(const Mark& mark, kube::Client& client, const std::string& name, const Value& wanted) {
  const kube::ObjectKey key{"v1", "Node", "", name};
  for (int left = 10;; --left) {
    const auto node = client.get(key);
    if (!node) throw Error(fmt::format("the cluster has no node {}", name), "kubectl get nodes");
    const auto patch = mark.patch(*node, wanted);
    if (patch.is_null()) return false;
    try {
      client.mergePatch(key, patch);
      return true;
    } catch (const Conflict&) {
      if (left == 0) throw;
    }
  }
}

ExitCode run(const Mark& mark, const MarkOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1 || !options.file)
    throw Error(fmt::format("name the node, and a file with its {}s", mark.name), fmt::format("kubestrap node {} NAME --file FILE", mark.name), ExitCode::usage);
  Machine machine(globals().rootfs);
  const auto wanted = wantedOf(mark, *options.file, machine);
  auto cluster = ownControlPlane(options.kubeconfig, machine);
  const bool changed = change(mark, cluster.client, arguments.front(), wanted);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result(std::string(mark.result));
    document["changed"] = changed;
    printResult(document, as);
  }
  return ExitCode::done;
}

Command markCommand(const Mark& mark) {
  const auto options = std::make_shared<MarkOptions>();
  return {.name = std::string(mark.name),
          .summary = fmt::format("Give a node the {}s of a file, and take away those that it had from one before", mark.name),
          .flags = [options, &mark] {
            return std::vector<Flag>{{.name = "file", .into = &options->file, .doc = fmt::format("A document with {}s; - is standard input", mark.name), .value = "FILE"}, kubeconfigFlag(options->kubeconfig)};
          },
          .arguments = "NAME",
          .run = [options, &mark](const auto& given) { return run(mark, *options, given); },
          .shown = Command::Shown::hidden};
}

} // namespace

Command labelNodeCommand() { return markCommand(labelMark); }

Command taintNodeCommand() { return markCommand(taintMark); }

} // namespace kubestrap::cmd
