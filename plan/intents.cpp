// What the journal records before an effect, and the dispatch over the kinds of resources.
#include "plan/bundle.hpp"
#include "plan/kinds.hpp"

#include "kube/client.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

Intent fileIntent(std::string_view kind, const Path& path, const Change& change, host::Host& host) {
  Intent intent{.kind = std::string(kind), .subject = change.subject, .verb = change.verb, .target = {{"path", path.string()}}};
  const auto status = host.status(path);
  if (!status) return intent;
  intent.before = {{"mode", fmt::format("{:04o}", status->mode)}};
  if (status->type != host::FileStatus::Type::file) return intent;
  if (auto content = host.read(path)) {
    intent.before["sha256"] = sha256Hex(*content);
    intent.savedContent = std::move(*content);
    intent.saveContent = true;
  }
  return intent;
}

/// The folders that making `path` makes first, outermost first.
std::vector<Intent> missingFolders(const Path& path, host::Host& host) {
  std::vector<Intent> folders;
  for (auto folder = path.parent_path(); folder.has_relative_path() && !host.status(folder); folder = folder.parent_path())
    folders.insert(folders.begin(), {.kind = "Folder", .subject = "folder " + folder.string(), .verb = Verb::create,
                                     .target = {{"path", folder.string()}}});
  return folders;
}

struct IntentOfTask {
  const Change& change;
  host::Host& host;

  Intent recorded(std::string kind, Value target, Value before = {}) const {
    return {.kind = std::move(kind), .subject = change.subject, .verb = change.verb, .target = std::move(target),
            .before = std::move(before)};
  }
  Intent operator()(const PullImage& pull) const { return recorded("Image", {{"image", pull.image}}); }
  Intent operator()(const LoadImage& load) const { return recorded("Image", {{"image", load.image}}); }
  Intent operator()(const SetSysctl& sysctl) const {
    const auto value = host.read(sysctlFile(sysctl.name));
    return recorded("Sysctl", {{"sysctl", sysctl.name}}, value ? Value{{"value", trim(*value)}} : Value());
  }
  Intent operator()(const LoadModule& module) const { return recorded("Module", {{"module", module.name}}); }
  Intent operator()(const RestartStaticPod& restart) const { return recorded("StaticPod", {{"component", restart.pod.component}}); }
  Intent operator()(const SaveEtcdSnapshot& save) const { return recorded("File", {{"path", save.file.string()}}); }
  Intent operator()(const InstallProgram& install) const { return recorded("Program", {{"program", install.to.string()}}); }
  /// Of a program the journal names where the former one is kept; the oldest record counts.
  Intent operator()(const InstallPart& part) const {
    const auto status = host.status(part.to);
    return recorded("Program", {{"path", part.to.string()}},
                    status ? Value{{"mode", fmt::format("{:04o}", status->mode)}, {"kept", keptProgram(part.to).string()}} : Value());
  }
  Intent operator()(const UnpackBundle& unpack) const { return recorded("Folder", {{"path", unpack.folder.string()}, {"content", "ours"}}, {}); }
  Intent operator()(const InstallPackages& install) const { return recorded("Packages", {{"packages", newPackages(install, host)}}); }
  Intent operator()(const TurnSwapOff&) const {
    return recorded("Swap", {{"swap", "all"}}, {{"areas", activeSwaps(host)}});
  }
  /// What only reset does is not recorded: nobody undoes it.
  template <class Undoing> Intent operator()(const Undoing&) const { return recorded("Undoing", {}); }
};

struct IntentsOf {
  const Change& change;
  const Context& context;

  host::Host& host() const { return context.world.host; }

  std::vector<Intent> operator()(const File& file) const { return {fileIntent("File", file.path, change, host())}; }
  /// What is in a folder that was asked for is the cluster's, unless something was in it before.
  std::vector<Intent> operator()(const Folder& folder) const {
    auto intent = fileIntent("Folder", folder.path, change, host());
    intent.target["content"] = host().list(folder.path).empty() ? "ours" : "others";
    return {std::move(intent)};
  }
  std::vector<Intent> operator()(const Absent& absent) const {
    return {fileIntent(change.seen == "folder" ? "Folder" : "File", absent.path, change, host())};
  }
  std::vector<Intent> operator()(const Certificate& certificate) const {
    return {fileIntent("Key", certificate.spec.key, change, host()),
            fileIntent("Certificate", certificate.spec.certificate, change, host())};
  }
  std::vector<Intent> operator()(const KeyPair& pair) const {
    return {fileIntent("Key", pair.privateKey, change, host()), fileIntent("Key", pair.publicKey, change, host())};
  }
  std::vector<Intent> operator()(const Kubeconfig& kubeconfig) const {
    std::vector<Intent> all;
    if (!kubeconfig.credentialFile.empty()) all.push_back(fileIntent("Key", kubeconfig.credentialFile, change, host()));
    all.push_back(fileIntent("Kubeconfig", kubeconfig.path, change, host()));
    return all;
  }
  std::vector<Intent> operator()(const Service& service) const {
    const auto state = host().service(service.name);
    return {{.kind = "Service", .subject = change.subject, .verb = change.verb, .target = {{"unit", service.name}},
             .before = {{"active", state.active}, {"enabled", state.enabled}}}};
  }
  std::vector<Intent> operator()(const Object& object) const {
    const auto key = kube::keyOf(object.document);
    return {{.kind = "Object", .subject = change.subject, .verb = change.verb,
             .target = {{"apiVersion", key.apiVersion}, {"kind", key.kind}, {"namespace", key.nameSpace}, {"name", key.name}},
             .before = change.seen.empty() ? Value() : Value{{"resourceVersion", change.seen}}}};
  }
  std::vector<Intent> operator()(const EtcdMember& member) const {
    return {{.kind = "EtcdMember", .subject = change.subject, .verb = change.verb,
             .target = {{"name", member.name}, {"peerUrl", member.peerUrl}},
             .before = change.seen.empty() ? Value() : Value{{"standing", change.seen}}}};
  }
  std::vector<Intent> operator()(const Condition&) const { return {}; }
  std::vector<Intent> operator()(const Task& task) const {
    if (const auto* replace = std::get_if<ReplaceStaticPods>(&task)) {
      std::vector<Intent> all;
      for (const auto& each : replace->pods) all.push_back(fileIntent("File", each.pod.manifest, change, host()));
      return all;
    }
    return {std::visit(IntentOfTask{change, host()}, task)};
  }
};

} // namespace

std::vector<Intent> intents(const Resource& wanted, const Change& change, const Context& context) {
  std::vector<Intent> all;
  for (auto& intent : std::visit(IntentsOf{change, context}, wanted)) {
    if (const Path path = stringAt(intent.target, "path"); !path.empty())
      for (auto& folder : missingFolders(path, context.world.host)) add(all, std::move(folder));
    add(all, std::move(intent));
  }
  return all;
}

void add(std::vector<Intent>& intents, Intent intent) {
  const auto same = [&](const Intent& each) { return each.kind == "Folder" && each.kind == intent.kind && each.verb == intent.verb && each.target == intent.target; };
  if (std::none_of(intents.begin(), intents.end(), same)) intents.push_back(std::move(intent));
}

Change diff(const Resource& wanted, const Context& context) {
  return std::visit([&](const auto& each) { return diff(each, context); }, wanted);
}

void enact(const Resource& wanted, const Change& change, const Context& context) {
  std::visit([&](const auto& each) { enact(each, change, context); }, wanted);
}

} // namespace kubestrap::plan
