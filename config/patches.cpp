#include "config/patches.hpp"

#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace kubestrap::config {

namespace {

using Target = Patch::Target;

struct TargetRow {
  Target target;
  std::string_view name;
};
constexpr TargetRow targets[] = {
    {Target::etcd, "etcd"},
    {Target::apiServer, "kube-apiserver"},
    {Target::controllerManager, "kube-controller-manager"},
    {Target::scheduler, "kube-scheduler"},
    {Target::kubeletConfiguration, "kubeletconfiguration"},
    {Target::coreDnsDeployment, "corednsdeployment"},
    {Target::kubeProxyDaemonSet, "kubeproxydaemonset"},
};

struct TypeRow {
  Patch::Kind kind;
  std::string_view name;
};
constexpr TypeRow types[] = {
    {Patch::Kind::strategic, "strategic"},
    {Patch::Kind::merge, "merge"},
    {Patch::Kind::json, "json"},
};

/// What "target[suffix][+type].extension" says; nothing when the name is no patch's.
struct ParsedName {
  Target target;
  std::optional<Patch::Kind> kind; ///< nothing: an unknown type after "+"
};

bool hasKnownExtension(std::string_view name) {
  return (name.ends_with(".json") || name.ends_with(".yaml")) && name.size() > std::string_view(".json").size();
}

/// The suffix is anything up to the first dot or plus; a type may be followed by more, which is ignored, as kubeadm
/// does.
std::optional<ParsedName> parseName(std::string_view name) {
  auto target = std::ranges::find_if(targets, [&](const TargetRow& row) { return name.starts_with(row.name); });
  if (target == std::end(targets)) return {};
  auto rest = name.substr(target->name.size());
  auto end = rest.find_first_of(".+\n");
  if (end == std::string_view::npos || rest[end] != '+') return ParsedName{target->target, Patch::Kind::strategic};
  rest.remove_prefix(end + 1);
  auto type = std::ranges::find_if(types, [&](const TypeRow& row) { return rest.starts_with(row.name); });
  return ParsedName{target->target, type == std::end(types) ? std::nullopt : std::optional(type->kind)};
}

std::string knownTargets() {
  std::vector<std::string_view> names;
  for (const TargetRow& row : targets) names.push_back(row.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace

std::string_view name(Target target) { return std::ranges::find(targets, target, &TargetRow::target)->name; }

std::vector<Patch> parsePatches(std::vector<PatchFile> files, std::vector<std::string>& warnings) {
  std::ranges::stable_sort(files, {}, [](const PatchFile& file) { return split(file.name, '/'); });
  std::vector<Patch> patches;
  std::vector<Problem> problems;
  for (const PatchFile& file : files) {
    auto parsed = parseName(std::string_view(file.name).substr(file.name.rfind('/') + 1));
    if (!hasKnownExtension(file.name)) {
      warnings.push_back(fmt::format("patches: {} is ignored: its name must end in .json or .yaml", file.name));
    } else if (!parsed) {
      warnings.push_back(
          fmt::format("patches: {} is ignored: its name must begin with one of {}", file.name, knownTargets()));
    } else if (!parsed->kind) {
      problems.push_back({.where = file.name,
                          .message = "unknown patch type after \"+\"",
                          .expected = "one of strategic, merge, json"});
    } else if (trim(file.text).empty()) {
      warnings.push_back(fmt::format("patches: {} is ignored: it is empty", file.name));
    } else {
      try {
        for (Document& document : parseYaml(file.text, file.name))
          patches.push_back({file.name, parsed->target, *parsed->kind, std::move(document.value)});
      } catch (const Problems& found) {
        problems.insert(problems.end(), found.list().begin(), found.list().end());
      }
    }
  }
  if (!problems.empty()) throw Problems(std::move(problems));
  return patches;
}

Value applyPatches(const Value& document, Target target, const std::vector<Patch>& patches) {
  Value patched = document;
  for (const Patch& patch : patches) {
    if (patch.target != target) continue;
    while_(fmt::format("applying the patch {}", patch.fileName), [&] {
      switch (patch.kind) {
      case Patch::Kind::strategic: patched = applyStrategicMergePatch(patched, patch.document); break;
      case Patch::Kind::merge: patched = applyMergePatch(patched, patch.document); break;
      case Patch::Kind::json: patched = applyJsonPatch(patched, patch.document); break;
      }
    });
  }
  return patched;
}

} // namespace kubestrap::config
