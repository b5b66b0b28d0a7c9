#include "guard/disk.hpp"

#include "config/assemble.hpp"
#include "config/paths.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "manifests/second_etcd.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::guard {

namespace {

namespace paths = config::paths;
using phases::guard::nameOf;

const config::Path folder = paths::nodeState.parent_path();
const config::Path fence = folder / "fence", peersFile = folder / "peers.json", counter = folder / "activation";

const manifests::Component& rowOf(Component component) { return manifests::component(nameOf(component)); }

std::vector<std::string> namesOf(const std::set<Component>& components) {
  std::vector<std::string> names;
  for (const auto each : components) names.emplace_back(nameOf(each));
  return names;
}

std::string activationOf(const Value& pod) { return kube::annotationOf(pod, manifests::activationAnnotation).value_or(""); }

/// Each folder that a container mounts is one that the machine gives.
bool volumesCoverMounts(const Value& spec, const Value& container) {
  std::set<std::string> given;
  for (const auto& volume : spec.value("volumes", Value::array()))
    if (!stringAt(volume, "hostPath.path").empty() || !volume.contains("hostPath")) given.insert(stringAt(volume, "name"));
  const auto mounts = container.value("volumeMounts", Value::array());
  return std::ranges::all_of(mounts, [&](const Value& mount) { return given.contains(stringAt(mount, "name")); });
}

} // namespace

NodeState parseNodeState(const std::string& text) {
  const auto document = parseJson(text, paths::nodeState.string());
  NodeState state{.mode = stringAt(document, "mode"), .held = {}};
  if (state.mode != "bootstrap" && state.mode != "selfhosted" && state.mode != "leaving")
    throw Error(fmt::format("{} has no mode that is known: \"{}\"", paths::nodeState.string(), state.mode));
  const auto* held = find(document, "held");
  if (!held || !held->is_array()) throw Error(fmt::format("{} does not say what is held", paths::nodeState.string()));
  std::vector<std::string> names;
  for (const auto& each : *held)
    if (each.is_string()) names.push_back(each.get<std::string>());
  state.held = componentsIn(join(names, ","));
  return state;
}

std::string emitNodeState(const NodeState& state) { return manifests::nodeState(state.mode, namesOf(state.held)).dump() + "\n"; }

std::set<Component> componentsIn(const std::string& names) {
  std::set<Component> components;
  for (const auto& each : split(names, ','))
    for (Component component = 0; component < phases::guard::count; ++component)
      if (trim(each) == nameOf(component)) components.insert(component);
  return components;
}

namespace {

std::string unfit(Component component, Slot slot, const Value& pod) {
  if (stringAt(pod, "kind") != "Pod") return "no Pod";
  if (auto reason = manifests::notFitForStaticPod(pod); !reason.empty()) return reason;
  const auto* spec = find(pod, "spec");
  if (spec->value("hostNetwork", false) == false) return "no network of the machine";
  const auto address = fmt::format("--bind-address={}", manifests::slotAddress(slot));
  for (const auto& container : spec->value("containers", Value::array())) {
    if (stringAt(container, "name") != nameOf(component)) continue;
    const auto command = container.value("command", Value::array());
    if (stringAt(container, "image").empty() || std::ranges::find(command, Value(address)) == command.end())
      return fmt::format("a container without image or {}", address);
    return volumesCoverMounts(*spec, container) ? "" : "a mount without a volume";
  }
  return "no container of its name";
}

} // namespace

std::string unfitStandby(Component component, Slot slot, const Value& pod) {
  try {
    return unfit(component, slot, pod);
  } catch (const Value::exception&) {
    return "something of another form than a Pod's"; // a file that was cut off or written by hand
  }
}

NodeState Disk::nodeState() {
  try {
    if (const auto text = host_.read(paths::nodeState)) last_ = parseNodeState(*text);
    trouble_.clear();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    if (trouble_ != error.message()) log::warn(error.message());
    trouble_ = error.message();
  }
  return last_;
}

void Disk::keep(const NodeState& state) {
  const auto text = emitNodeState(state);
  if (host_.read(paths::nodeState) != text) host_.write(paths::nodeState, text, 0644, 0700);
}

bool Disk::isFenced() { return host_.status(fence).has_value(); }

std::map<std::string, config::Endpoint> Disk::peers() {
  std::map<std::string, std::string> notices;
  if (const auto& document = this->document(peersFile); document && document->is_object())
    for (const auto& [node, endpoint] : document->items())
      if (endpoint.is_string()) notices[fmt::format("{}{}", config::apiServerNotice, node)] = endpoint.get<std::string>();
  return config::apiServersIn(notices);
}

void Disk::keep(const std::map<std::string, config::Endpoint>& peers) {
  Value document = Value::object();
  for (const auto& [node, endpoint] : peers) document[node] = endpoint.string();
  const auto text = document.dump() + "\n";
  if (host_.read(peersFile) != text) host_.write(peersFile, text, 0644, 0700);
}

const std::optional<Value>& Disk::document(const config::Path& path) {
  const auto status = host_.status(path);
  if (!status) {
    auto& gone = cache_[path];
    gone = {};
    return gone.value;
  }
  auto& cached = cache_[path];
  if (cached.modified == status->modified && cached.size == status->size) return cached.value;
  cached = {status->modified, status->size, std::nullopt};
  try {
    if (const auto text = host_.read(path)) cached.value = parseYamlValue(*text, path.string());
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::warn(fmt::format("{} cannot be read: {}", path.string(), error.message()));
  }
  return cached.value;
}

bool Disk::has(Component component, Slot slot) {
  const auto& pod = document(manifests::standby(rowOf(component), slot));
  return pod && unfitStandby(component, slot, *pod).empty();
}

std::optional<Value> Disk::standby(Component component, Slot slot) {
  if (!has(component, slot)) return {};
  return document(manifests::standby(rowOf(component), slot));
}

Promoted Disk::promoted(Component component) {
  Promoted promoted;
  for (const auto slot : {Slot::rescue, Slot::previous}) {
    const auto path = manifests::rescueManifest(rowOf(component), slot);
    if (!host_.status(path)) continue;
    (slot == Slot::rescue ? promoted.rescue : promoted.previous) = true;
    if (const auto& pod = document(path)) promoted.activations.insert(activationOf(*pod));
  }
  promoted.activations.erase("");
  return promoted;
}

void Disk::promote(Component component, Slot slot) {
  const auto pod = standby(component, slot);
  if (!pod) throw Error(fmt::format("there is no standby of {} that fits", nameOf(component)));
  int activation = 0;
  const auto text = host_.read(counter).value_or("0");
  std::from_chars(text.data(), text.data() + text.size(), activation);
  host_.write(counter, std::to_string(++activation), 0600, 0700);
  auto made = manifests::activated(*pod, activation);
  // On its way to another version etcd's member here may be in either place, or vote in one only; a standby knows the usual one.
  if (component == phases::guard::apiServer && host_.status(manifests::secondEtcdManifest())) made = manifests::knowingBothEtcds(std::move(made));
  host_.write(manifests::rescueManifest(rowOf(component), slot), emitYaml(made), 0600, 0700);
}

void Disk::demote(Component component) {
  for (const auto slot : {Slot::rescue, Slot::previous}) host_.remove(manifests::rescueManifest(rowOf(component), slot));
}

void Disk::writeStandby(Component component, const Value& pod) {
  const auto& row = rowOf(component);
  if (const auto reason = unfitStandby(component, Slot::rescue, pod); !reason.empty())
    throw Error(fmt::format("no standby of {} can be made: {}", nameOf(component), reason));
  if (const auto present = standby(component, Slot::rescue))
    host_.write(manifests::standby(row, Slot::previous), emitYaml(manifests::previousPodOf(row, *present)), 0600, 0700);
  host_.write(manifests::standby(row, Slot::rescue), emitYaml(pod), 0600, 0700);
}

} // namespace kubestrap::guard
