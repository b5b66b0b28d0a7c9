// Files, folders and services of this machine.
#include "plan/kinds.hpp"

#include "plan/static_pods.hpp"
#include "support/encoding.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

bool sameContent(const File& wanted, const std::string& content, const std::string& found) {
  if (found == content || wanted.compare == Compare::presence) return true;
  if (wanted.compare == Compare::bytes) return false;
  try {
    return sameDocument(parseYamlValue(found, wanted.path.string()), parseYamlValue(content, wanted.path.string()));
  } catch (const Error&) {
    return false; // what is there is no document: it differs
  }
}

std::string previewOf(const File& wanted, const std::string& content, const std::string& found) {
  if (wanted.secrecy == Secrecy::open) return lineDiff(found, content);
  return fmt::format("secret, fingerprint {}\n", sha256Hex(content).substr(0, 8));
}

} // namespace

std::string seenAt(const Path& path, host::Host& host) {
  const auto status = host.status(path);
  return status && status->type == host::FileStatus::Type::folder ? "folder" : fingerprint(host.read(path));
}

void expectUnchanged(const Path& path, const std::string& seen, host::Host& host) {
  if (seenAt(path, host) != seen) throw changedMeanwhile(path);
}

Conflict changedMeanwhile(const Path& path) { return Conflict(fmt::format("{} was changed by somebody else just now", path.string()), "run the command again"); }

Change diff(const File& wanted, const Context& context) {
  auto& host = context.world.host;
  const auto found = host.read(wanted.path);
  const auto content = completed(wanted, found, context);
  Change change{.subject = subject(wanted), .seen = fingerprint(found)};
  if (context.wouldWrite && !(found && sameContent(wanted, content, *found))) context.wouldWrite->insert(wanted.path);
  if (!found) {
    change.verb = Verb::create;
    change.reason = "missing";
    change.preview = previewOf(wanted, content, {});
    return change;
  }
  if (!sameContent(wanted, content, *found)) {
    change.verb = Verb::update;
    change.reason = "content differs";
    change.preview = previewOf(wanted, content, *found);
    return change;
  }
  if (const auto status = host.status(wanted.path); status && status->type == host::FileStatus::Type::file && status->mode != wanted.mode) {
    change.verb = Verb::update;
    change.reason = fmt::format("mode is {:04o}, not {:04o}", status->mode, wanted.mode);
  }
  return change;
}

void enact(const File& wanted, const Change& change, const Context& context) {
  auto& host = context.world.host;
  expectUnchanged(wanted.path, change.seen, host);
  const auto found = host.read(wanted.path);
  const auto content = completed(wanted, found, context);
  if (found && sameContent(wanted, content, *found)) host.setMode(wanted.path, wanted.mode);
  else host.write(wanted.path, content, wanted.mode, wanted.folderMode);
}

Change diff(const Folder& wanted, const Context& context) {
  const auto status = context.world.host.status(wanted.path);
  Change change{.subject = subject(wanted)};
  if (!status) {
    change.verb = Verb::create;
    change.reason = "missing";
  } else if (status->type == host::FileStatus::Type::file || status->type == host::FileStatus::Type::other) {
    throw Error(fmt::format("{} is not a folder", wanted.path.string()), "move it away and run the command again");
  } else if (status->type == host::FileStatus::Type::folder && status->mode != wanted.mode) {
    change.verb = Verb::update;
    change.reason = fmt::format("mode is {:04o}, not {:04o}", status->mode, wanted.mode);
  } else if (status->type == host::FileStatus::Type::folder && wanted.owner && status->uid != *wanted.owner) {
    change.verb = Verb::update;
    change.reason = fmt::format("belongs to user {}, not {}", status->uid, *wanted.owner);
  }
  return change;
}

void enact(const Folder& wanted, const Change& change, const Context& context) {
  auto& host = context.world.host;
  if (change.verb == Verb::create) host.makeFolder(wanted.path, wanted.mode);
  else host.setMode(wanted.path, wanted.mode);
  if (wanted.owner) host.setOwner(wanted.path, *wanted.owner);
}

namespace {

struct Restart {
  Verb verb = Verb::keep;
  std::string reason;
};

/// Why a service that shall run has to be started or started again.
Restart needsRestart(const Service& wanted, const host::ServiceState& state, World& world) {
  const bool alive = state.active == "active" || state.active == "activating" || state.active == "reloading";
  if (!alive || !state.startedAt) {
    if (state.sub == "auto-restart") return {Verb::start, "it fails and is being restarted"};
    return {Verb::start, "was not running"};
  }
  for (const auto& path : wanted.restartWhenChanged)
    if (const auto status = world.host.status(path); status && status->modified > *state.startedAt)
      return {Verb::start, fmt::format("{} is newer than the running process", path.string())};
  for (const auto& pod : wanted.restartWhenIdle)
    if (auto why = whyIdle(pod, world)) return {Verb::start, std::move(*why)};
  return {};
}

/// What a plan cannot see on the machine: the file that its earlier part would write and this service reads when it starts.
const Path* firstThatWouldChange(const Service& wanted, const Context& context) {
  if (!context.wouldWrite) return nullptr;
  const auto& files = wanted.restartWhenChanged;
  const auto found = std::find_if(files.begin(), files.end(), [&](const auto& path) { return context.wouldWrite->contains(path); });
  return found == files.end() ? nullptr : &*found;
}

} // namespace

Change diff(const Service& wanted, const Context& context) {
  auto& host = context.world.host;
  const auto state = host.service(wanted.name);
  Change change{.subject = subject(wanted), .seen = state.active};
  if (wanted.wanted == Wanted::stopped) {
    if (state.active == "inactive" || state.active == "failed" || !state.exists) return change;
    change.verb = Verb::stop;
    change.reason = "is " + state.active;
    return change;
  }
  if (const Path unit = "/etc/systemd/system/" + wanted.name + ".service"; !state.exists && context.wouldWrite && context.wouldWrite->contains(unit)) {
    change.verb = Verb::start;
    change.reason = fmt::format("{} will be there", unit.string());
    return change;
  }
  if (!state.exists)
    throw Error(fmt::format("there is no service {} on this machine", wanted.name),
                fmt::format("install {} (on Debian and Ubuntu: the package {} of pkgs.k8s.io)", wanted.name, wanted.name));
  if (const auto restart = needsRestart(wanted, state, context.world); restart.verb != Verb::keep) {
    change.verb = restart.verb;
    change.reason = restart.reason;
  } else if (const auto* file = firstThatWouldChange(wanted, context)) {
    change.verb = Verb::start;
    change.reason = fmt::format("{} will be newer than the running process", file->string());
  } else if (!state.enabled) {
    change.verb = Verb::update;
    change.reason = "not enabled: it would not come back after a reboot";
  }
  return change;
}

void enact(const Service& wanted, const Change&, const Context& context) {
  using Action = host::Host::ServiceAction;
  auto& host = context.world.host;
  if (wanted.wanted == Wanted::stopped) {
    host.service(wanted.name, Action::stop);
    return;
  }
  const auto state = host.service(wanted.name);
  if (!state.enabled) host.service(wanted.name, Action::enable);
  if (needsRestart(wanted, state, context.world).verb != Verb::keep) host.service(wanted.name, Action::restart);
}

} // namespace kubestrap::plan
