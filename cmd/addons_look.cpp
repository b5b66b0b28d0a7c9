#include "cmd/addons_look.hpp"

#include "config/addons.hpp"
#include "kube/kinds.hpp"
#include "manifests/addon_objects.hpp"
#include "phases/addons.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kubestrap::cmd {

namespace {

struct Text {
  host::Path path;
  std::string content;
};

bool isDocumentFile(const host::Path& path) {
  const auto ending = path.extension();
  return ending == ".yaml" || ending == ".yml" || ending == ".json";
}

/// The file, or those of a folder in the order of their names; none: there is nothing.
std::vector<Text> textsAt(const host::Path& path, const config::Setup& setup, host::Host& host) {
  if (const auto& bundled = setup.request.bundled)
    for (const auto& text : bundled->texts)
      if (text.to == path) return {{path, text.content}};
  std::vector<Text> texts;
  const auto status = host.status(path);
  if (!status) return texts;
  if (status->type != host::FileStatus::Type::folder) {
    if (auto content = host.read(path)) texts.push_back({path, *std::move(content)});
    return texts;
  }
  auto names = host.list(path);
  std::ranges::sort(names);
  for (const auto& name : names)
    if (isDocumentFile(name))
      if (auto content = host.read(path / name)) texts.push_back({path / name, *std::move(content)});
  return texts;
}

void unfold(Value document, const std::string& where, std::vector<Value>& objects) {
  if (document.is_null()) return;
  const auto kind = stringAt(document, "kind");
  if (kind == "List" || (kind.ends_with("List") && document.contains("items"))) {
    for (auto& item : document["items"]) unfold(std::move(item), where, objects);
    return;
  }
  if (kind == "Kustomization")
    throw Error(fmt::format("{} is a Kustomization, which kubestrap does not build", where), "kubectl kustomize FOLDER > FILE makes a manifest of it");
  if (kind.empty() || stringAt(document, "apiVersion").empty() || stringAt(document, "metadata.name").empty())
    throw Error(fmt::format("{} is no object of Kubernetes: it needs apiVersion, kind and metadata.name", where), "take it out of the manifest");
  document.erase("status");
  if (kind == "CustomResourceDefinition") document["metadata"].erase("creationTimestamp");
  else dropNulls(document); // in a CustomResourceDefinition it may stand for something
  objects.push_back(std::move(document));
}

/// Objects that name no namespace are in `default`, as with kubectl.
void placeInNameSpaces(std::vector<Value>& objects) {
  std::map<std::pair<std::string, std::string>, bool> defined; // group and kind -> whether it is in namespaces
  for (const auto& each : objects)
    if (stringAt(each, "kind") == "CustomResourceDefinition")
      defined[{stringAt(each, "spec.group"), stringAt(each, "spec.names.kind")}] = stringAt(each, "spec.scope") != "Cluster";
  for (auto& each : objects) {
    const auto apiVersion = stringAt(each, "apiVersion"), kind = stringAt(each, "kind");
    const auto* known = kube::findKind(apiVersion, kind);
    const auto own = defined.find({std::string(kube::groupOf(apiVersion)), kind});
    const bool nameSpaced = known ? known->scope == kube::Scope::nameSpaced : own != defined.end() && own->second;
    if (nameSpaced && stringAt(each, "metadata.namespace").empty()) each["metadata"]["namespace"] = "default";
  }
}

std::vector<Value> objectsIn(const std::vector<Text>& texts) {
  std::vector<Value> objects;
  for (const auto& text : texts)
    for (auto& document : parseYaml(text.content, text.path.string())) unfold(std::move(document.value), document.where(""), objects);
  placeInNameSpaces(objects);
  return objects;
}

/// Namespaces and the like that no record has, and that are there: they are not the add-on's.
void markThoseOfOthers(config::AddonSeen& seen, const config::Setup& setup, kube::Client& client) {
  const auto isRecorded = [&](const config::ObjectName& name) {
    return std::ranges::any_of(setup.request.addons, [&](const auto& each) { return std::ranges::find(each.second.installed, name) != each.second.installed.end(); });
  };
  for (const auto& document : seen.manifest) {
    const auto name = manifests::nameOf(document);
    if (!manifests::holdsData(name) || isRecorded(name)) continue;
    if (client.get({name.apiVersion, name.kind, name.nameSpace, name.name})) seen.ofOthers.push_back(name);
  }
}

} // namespace

void takeAddons(config::Setup& setup, host::Host& host, const std::function<bool(const std::string& name)>& wanted) {
  std::vector<Problem> problems;
  for (const auto& addon : setup.cluster.kubestrap.addons) {
    if (!wanted(addon.name)) continue;
    const auto path = config::manifestOf(addon);
    try {
      auto objects = objectsIn(textsAt(path, setup, host));
      if (objects.empty())
        throw Error(fmt::format("there is no manifest of it at {}", path.string()),
                    addon.source.empty() ? "have it in a bundle (--bundle), put it there, or name it as source" : "put it there, or name another source");
      setup.request.addons[addon.name] = {.from = path, .manifest = std::move(objects), .installed = {}};
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      problems.push_back({.field = "addons." + addon.name, .message = error.message(), .remedy = error.hint()});
    }
  }
  for (auto& problem : phases::addonProblems(setup)) problems.push_back(std::move(problem));
  if (!problems.empty()) throw Problems(std::move(problems), ExitCode::refused);
}

void takeAddonRecords(config::Setup& setup, kube::Client& client) {
  for (const auto& row : config::addonRows()) {
    const std::string name(row.name);
    const auto key = manifests::addonRecordName(name);
    if (const auto found = client.get({key.apiVersion, key.kind, key.nameSpace, key.name})) manifests::takeRecord(setup.request.addons[name], *found);
  }
  for (auto& [name, seen] : setup.request.addons) markThoseOfOthers(seen, setup, client);
}

void refusePulls(const config::Setup& setup, host::Cri& runtime) {
  std::vector<std::string> missing;
  while_("looking for the images of add-ons on this machine", [&] {
    for (const auto& [image, by] : phases::addonImages(setup))
      if (!runtime.hasImage(image)) missing.push_back(image);
  });
  if (!missing.empty()) throw Error(phases::forbiddenPulls(missing, setup), phases::forbiddenPullsRemedy, ExitCode::refused);
}

} // namespace kubestrap::cmd
