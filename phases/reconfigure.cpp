#include "phases/reconfigure.hpp"

#include "config/store.hpp"
#include "manifests/cluster_objects.hpp"
#include "manifests/components.hpp"
#include "manifests/flags.hpp"
#include "manifests/front.hpp"
#include "manifests/node_op.hpp"
#include "manifests/security.hpp"
#include "phases/certificates.hpp"
#include "phases/node.hpp"
#include "phases/renewal.hpp"
#include "phases/sealed.hpp"
#include "phases/security.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kubestrap::phases::reconfigure {

namespace {

using config::Setup;
using encryption::Does;
using encryption::Keys;
using plan::Next;
using plan::Resources;
using plan::Step;

constexpr std::array<std::string_view, 5> taskNames{"look", "files", "take-keys", "load-keys", "forget-keys"};
constexpr auto onNodePatience = std::chrono::minutes(10);
/// An API server looks at its file once a minute.
constexpr auto loading = std::chrono::minutes(3);
constexpr std::string_view filesSaid = "certificate and audit policy as they shall be";
constexpr std::string_view carriersGone = "what has carried keys to other nodes is removed";
constexpr std::string_view storing = "every object is written anew: ";
constexpr std::string_view joinsGoOn = "control planes may join again";

const Setup& setupOf(const Intent& intent) { return intent.roll.setup; }
bool isSelf(const Intent& intent, const NodeSeen& node) { return node.name == setupOf(intent).node.name; }
plan::Access access(const Intent& intent) { return asAdmin(setupOf(intent)); }

std::string digestOf(const std::optional<Keys>& keys) { return keys ? encryption::digest(*keys) : ""; }

bool isFlagged(const Intent& intent, const Value& podTemplate) {
  const auto* container = manifests::containerOf(podTemplate, "kube-apiserver");
  return container && manifests::flagOf(container->at("command").get<std::vector<std::string>>(), "encryption-provider-config") == manifests::encryptionFile(setupOf(intent).cluster).string();
}
/// API servers are told the file, in the template that is in force.
bool areFlagged(const Intent& intent, const Seen& seen) { return isFlagged(intent, seen.roll.components.at("kube-apiserver").podTemplate); }

plan::Object secretFor(const Intent& intent, const NodeSeen& node, plan::ApplyMode mode) {
  return sealed({.access = access(intent), .secret = secretOf(node.name), .member = std::string(keysMember), .file = manifests::encryptionFile(setupOf(intent).cluster), .receiver = node.receiver}, mode);
}

Next onOther(const Intent& intent, const NodeSeen& node, Task task, std::string what) {
  return Step{fmt::format("{}: {}", node.name, what), {plan::Task{runOn(intent, node.name, task, what)}}};
}

// ---- certificates and policies

Next filesStep(const Intent& intent, const NodeSeen& node) {
  if (isSelf(intent, node)) return Step{fmt::format("{}: {}", node.name, filesSaid), onNode(setupOf(intent), intent.goingNames)};
  return onOther(intent, node, Task::files, std::string(filesSaid));
}

std::optional<Next> filesFollow(const Intent& intent, const Seen& seen) {
  for (const auto& node : seen.nodes)
    if (!node.settled) return filesStep(intent, node);
  return std::nullopt;
}

// ---- keys

plan::File keysFile(const Setup& setup, const Keys& keys) {
  return {.path = manifests::encryptionFile(setup.cluster), .content = encryption::emit(keys), .mode = 0600, .secrecy = plan::Secrecy::secret};
}

std::string keysSaid(const Keys& keys) { return fmt::format("knows the keys {}", encryption::describe(keys)); }

/// A control plane that joins goes by the cluster's configuration, which follows when everything is stored: it could not read what lies encrypted by then.
plan::Object joins(const Intent& intent, const Value& wait) {
  return {.document = Value::object({{"apiVersion", "v1"}, {"kind", "ConfigMap"},
                                     {"metadata", Value::object({{"name", "kubestrap-config"}, {"namespace", "kube-system"},
                                                                 {"annotations", Value::object({{manifests::keysMoveAnnotation, wait}})}})}}),
          .mode = plan::ApplyMode::mark,
          .access = access(intent)};
}

/// This machine first: the others get what it has. Keys that were put into the cluster for joining nodes are outdated then.
Next keysStep(const Intent& intent, const Seen& seen, const Keys& keys) {
  const auto& setup = setupOf(intent);
  Resources work{joins(intent, "true"), keysFile(setup, keys)};
  if (seen.uploadedCerts)
    work.push_back(plan::Object{.document = Value::object({{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", Value::object({{"name", "kubeadm-certs"}, {"namespace", "kube-system"}})}}),
                                .mode = plan::ApplyMode::absent, .access = access(intent)});
  return Step{fmt::format("{}: {}", setup.node.name, keysSaid(keys)), std::move(work)};
}

std::optional<Next> othersKnow(const Intent& intent, const Seen& seen) {
  for (const auto& node : seen.nodes) {
    if (node.keysDigest == digestOf(seen.keys) || isSelf(intent, node)) continue;
    const auto what = seen.keys ? keysSaid(*seen.keys) : "forgets the keys";
    if (!seen.keys) return onOther(intent, node, Task::forgetKeys, what);
    return Step{fmt::format("{}: {}", node.name, what),
                {secretFor(intent, node, plan::ApplyMode::apply), plan::Task{runOn(intent, node.name, Task::takeKeys, what)}, secretFor(intent, node, plan::ApplyMode::absent)}};
  }
  return std::nullopt;
}

/// Secrets that a run which was killed has left, and whose node has its keys by now.
std::optional<Next> noneIsCarried(const Intent& intent, const Seen& seen) {
  if (seen.carriers.empty()) return std::nullopt;
  Resources work;
  for (const auto& node : seen.carriers) work.push_back(secretFor(intent, {.name = node}, plan::ApplyMode::absent));
  return Step{std::string(carriersGone), std::move(work)};
}

std::optional<Next> allGoByIt(const Intent& intent, const Seen& seen) {
  if (!seen.keys) return std::nullopt;
  const auto what = fmt::format("goes by the keys {}", encryption::describe(*seen.keys));
  for (const auto& node : seen.nodes) {
    if (node.encryptsByIt) continue;
    if (isSelf(intent, node)) return Step{fmt::format("{}: {}", node.name, what), {encryptsByItsFile(setupOf(intent))}};
    return onOther(intent, node, Task::loadKeys, what);
  }
  return std::nullopt;
}

Next forgetStep(const Intent& intent, const Keys& keys) {
  const auto& setup = setupOf(intent);
  return Step{fmt::format("{}: forgets the keys", setup.node.name), forgotten(setup, keys)};
}

Next storeStep(const Intent& intent, const Seen& seen) {
  return Step{fmt::format("{}{}", storing, join(seen.keys->resources, ", ")), {plan::Task{plan::StoreAnew{.access = access(intent), .resources = seen.keys->resources}}}};
}

/// What a node that was not looked at encrypts by is not known: no key moves.
std::optional<Next> unknownKeys(const Intent& intent, const Seen& seen) {
  if (!hasKeys(intent, seen) && !intent.encryption.encryption) return std::nullopt;
  for (const auto& node : seen.roll.controlPlane.nodes)
    if (std::ranges::find(seen.nodes, node.name, &NodeSeen::name) == seen.nodes.end())
      return plan::Stuck{fmt::format("it is not known by which keys {} encrypts", node.name), fmt::format("when it is Ready, run kubestrap {} again", intent.roll.command)};
  return std::nullopt;
}

/// What some node has encrypted has to be read by all: a file that lacks its key goes nowhere, and none that encrypts is forgotten.
std::optional<Next> unreadable(const Intent& intent, const Seen& seen) {
  const auto file = manifests::encryptionFile(setupOf(intent).cluster).string();
  for (const auto& node : seen.nodes) {
    if (node.writingKey.empty() || isSelf(intent, node)) continue;
    if (!seen.keys || !encryption::canRead(*seen.keys, node.writingKey))
      return plan::Stuck{fmt::format("{} encrypts by a key that {} on this machine does not have", node.name, file), fmt::format("run this on {}, or bring its file here", node.name)};
  }
  if (seen.keys && !encryption::writingKey(*seen.keys).empty() && !areFlagged(intent, seen) && !intent.encryption.encryption)
    return plan::Stuck{fmt::format("{} encrypts, and API servers are not told of it: some objects may not be readable", file),
                       fmt::format("first kubestrap {} with security.encryptionAtRest, then without it", intent.roll.command)};
  return std::nullopt;
}

/// What was encrypted of the one would not be written anew on the way to the other.
std::optional<Next> otherResources(const Intent& intent, const Seen& seen) {
  const auto& wished = intent.encryption.encryption;
  if (!wished || !seen.keys || !areFlagged(intent, seen) || wished->resources == seen.keys->resources) return std::nullopt;
  return plan::Stuck{fmt::format("{} are encrypted, and {} are wished", join(seen.keys->resources, ", "), join(wished->resources, ", ")),
                     fmt::format("first kubestrap {} without encryptionAtRest, then with the other resources", intent.roll.command)};
}

/// Nothing: keys are as far as they can be with the command lines that there are.
std::optional<Next> keysFollow(const Intent& intent, const Seen& seen) {
  if (intent.keysByHand) return std::nullopt;
  const bool flagged = areFlagged(intent, seen);
  if (auto stuck = unknownKeys(intent, seen)) return stuck;
  if (auto stuck = unreadable(intent, seen)) return stuck;
  if (!seen.keys && flagged)
    return plan::Stuck{fmt::format("{} on this machine has no key, and API servers encrypt by it", manifests::encryptionFile(setupOf(intent).cluster).string()),
                       "bring it from another control plane node, or run this there"};
  if (auto stuck = otherResources(intent, seen)) return stuck;
  if (auto step = othersKnow(intent, seen)) return step;
  if (auto step = noneIsCarried(intent, seen)) return step;
  if (flagged)
    if (auto step = allGoByIt(intent, seen)) return step;
  auto wish = intent.encryption;
  wish.rotates = wish.rotates && !seen.rotated;
  const auto move = encryption::next(wish, {.keys = seen.keys, .flagged = flagged, .storedAnew = seen.keys && seen.storedBy == encryption::writer(*seen.keys),
                                                         .configured = seen.roll.stored});
  switch (move.does) {
  case Does::nothing: return std::nullopt;
  case Does::file: return keysStep(intent, seen, move.keys);
  case Does::store: return storeStep(intent, seen);
  case Does::forget: return forgetStep(intent, *seen.keys);
  }
  return std::nullopt;
}

/// The template before cannot read what lies encrypted by now, or goes by keys that are gone: nothing is put back.
std::optional<Next> noWayBack(const Intent& intent, const roll::Failure& failure, const Seen& seen) {
  if (intent.keysByHand || failure.component != "kube-apiserver" || failure.back.is_null()) return std::nullopt;
  const bool flagged = isFlagged(intent, failure.back);
  const auto unfit = std::ranges::find_if(seen.nodes, [&](const NodeSeen& node) { return flagged ? node.keysDigest.empty() : !node.writingKey.empty(); });
  if (unfit == seen.nodes.end()) return std::nullopt;
  return plan::Stuck{fmt::format("{}; and it does not go back to the revision before, {}", failure.cause,
                                 flagged ? fmt::format("whose keys are absent on {}", unfit->name) : fmt::format("which could not read what {} has encrypted", unfit->name)),
                     fmt::format("mend the cause, then run kubestrap {} again", intent.roll.command)};
}

/// Before API servers get other command lines: what these name is there, and who shall not encrypt any more has nothing left to read.
bool comesBeforeRoll(const Intent& intent, const Seen& seen) { return intent.encryption.encryption.has_value() != areFlagged(intent, seen); }

} // namespace

plan::Resources certificateAndPolicy(const Setup& setup, const std::vector<std::string>& goingNames) {
  auto spec = resolve(*certs::findRow("apiserver"), setup);
  for (const auto& name : goingNames) {
    if (const auto ip = IpAddress::parse(name)) {
      if (std::ranges::find(spec.names.ips, *ip) == spec.names.ips.end()) spec.unwanted.ips.push_back(*ip);
    } else if (std::ranges::find(spec.names.dns, name) == spec.names.dns.end()) spec.unwanted.dns.push_back(name);
  }
  Resources all{plan::Certificate{std::move(spec)}};
  append(all, auditLog(setup));
  return all;
}

plan::Condition showsItsNames(const Setup& setup) {
  return showsItsCertificate(setup, "kube-apiserver", setup.node.advertiseAddress.string(), setup.node.bindPort, "apiserver");
}

plan::Resources onNode(const Setup& setup, const std::vector<std::string>& goingNames) {
  auto all = certificateAndPolicy(setup, goingNames);
  all.push_back(showsItsNames(setup));
  return all;
}

plan::Condition encryptsByItsFile(const Setup& setup) {
  return {.what = fmt::format("the API server of {} encrypts by {}", setup.node.name, manifests::encryptionFile(setup.cluster).string()),
          .probe = plan::EncryptsBy{.access = {config::paths::adminConf, manifests::ownApiServers(setup).url()}, .file = manifests::encryptionFile(setup.cluster)},
          .patience = loading,
          .hint = "look at the API server's log: why it does not take the file"};
}

plan::Resources forgotten(const Setup& setup, const Keys& keys) { return {keysFile(setup, encryption::withoutKeys(keys))}; }

bool hasKeys(const Intent& intent, const Seen& seen) { return !intent.keysByHand && (seen.keys || areFlagged(intent, seen)); }

bool storesAnew(const Step& step) { return step.name.starts_with(storing); }

std::string secretOf(const std::string& node) { return "kubestrap-keys-" + node; }

std::string_view name(Task task) { return taskNames[static_cast<std::size_t>(task)]; }

std::optional<Task> parseTask(std::string_view name) {
  const auto found = std::ranges::find(taskNames, name);
  if (found == taskNames.end()) return std::nullopt;
  return static_cast<Task>(found - taskNames.begin());
}

plan::RunOnNode runOn(const Intent& intent, const std::string& node, Task task, const std::string& what) {
  std::vector<std::string> command{"kubestrap", "node", "reconfigure", "--task", std::string(name(task)), "--cluster", base64(config::storedText(setupOf(intent).cluster))};
  for (const auto& each : intent.goingNames) command.insert(command.end(), {"--going-name", each});
  return {.access = access(intent),
          .pod = manifests::nodeOpPod(intent.nodes.image, node, intent.planning ? "reconfigure-plan" : "reconfigure", command),
          .what = fmt::format("{}: {}", node, what),
          .patience = onNodePatience};
}

Next next(const Intent& intent, const std::optional<roll::Failure>& failure, const Seen& seen) {
  if (failure)
    if (auto stuck = noWayBack(intent, *failure, seen)) return *std::move(stuck);
  auto coming = roll::next(intent.roll, failure, seen.roll);
  const auto* step = std::get_if<Step>(&coming);
  if (failure || (!step && !std::holds_alternative<plan::Done>(coming)) || (step && !roll::takesEffect(*step))) return coming;
  const bool rolls = step && !roll::isLast(*step);
  if (auto files = filesFollow(intent, seen)) return *std::move(files);
  if (!rolls || comesBeforeRoll(intent, seen))
    if (auto keys = keysFollow(intent, seen)) return *std::move(keys);
  if (!step && seen.joinsWait) return Step{std::string(joinsGoOn), {joins(intent, nullptr)}};
  return coming;
}

namespace {

NodeSeen* nodeOf(Seen& seen, const std::string& step) {
  const auto found = std::ranges::find_if(seen.nodes, [&](const NodeSeen& each) { return step.starts_with(each.name + ": "); });
  return found == seen.nodes.end() ? nullptr : &*found;
}

/// What a step of keys has changed; false: it is none.
bool assumeKeys(const Intent& intent, const Step& step, Seen& seen) {
  if (step.name.starts_with(storing)) {
    seen.storedBy = encryption::writer(*seen.keys);
    return true;
  }
  auto* node = nodeOf(seen, step.name);
  if (!node) return false;
  const auto said = step.name.substr(node->name.size() + 2);
  if (said.starts_with("goes by the keys")) node->encryptsByIt = true;
  else if (said.starts_with("knows the keys") || said == "forgets the keys") {
    if (isSelf(intent, *node)) {
      seen.uploadedCerts = false;
      seen.joinsWait = seen.joinsWait || said != "forgets the keys";
      if (said == "forgets the keys") seen.keys.reset();
      else
        for (const auto& resource : step.work)
          if (const auto* file = std::get_if<plan::File>(&resource)) seen.keys = encryption::parse(file->content, file->path.string());
      seen.rotated = seen.rotated || (seen.keys && encryption::rotates(*seen.keys));
    }
    node->keysDigest = digestOf(seen.keys);
    node->writingKey = seen.keys ? encryption::writingKey(*seen.keys) : "";
    node->encryptsByIt = false;
  } else return false;
  return true;
}

} // namespace

Seen assumed(const Intent& intent, Seen seen, const Next& done) {
  const auto* step = std::get_if<Step>(&done);
  if (!step) return seen;
  if (step->name.ends_with(filesSaid)) {
    if (auto* node = nodeOf(seen, step->name)) node->settled = true;
    return seen;
  }
  if (step->name == joinsGoOn) {
    seen.joinsWait = false;
    return seen;
  }
  if (step->name == carriersGone) {
    seen.carriers.clear();
    return seen;
  }
  if (assumeKeys(intent, *step, seen)) return seen;
  seen.roll = roll::assumed(intent.roll, std::move(seen.roll), done);
  if (areFlagged(intent, seen) && roll::takesEffect(*step) && !roll::isLast(*step))
    for (auto& node : seen.nodes) node.encryptsByIt = true; // it has read the file when it began
  return seen;
}

} // namespace kubestrap::phases::reconfigure
