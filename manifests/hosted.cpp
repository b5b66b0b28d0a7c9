#include "manifests/hosted.hpp"

#include "config/rolling.hpp"
#include "manifests/flags.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::manifests {

namespace {

using config::Path;
using config::Setup;
namespace paths = config::paths;

struct SlotRow {
  Slot slot;
  std::string_view name, address;
};
constexpr SlotRow slotRows[] = {{Slot::blue, "blue", "127.64.43.1"},
                                {Slot::green, "green", "127.64.43.2"},
                                {Slot::rescue, "rescue", "127.64.43.3"},
                                {Slot::previous, "previous", "127.64.43.5"}};

const SlotRow& rowOf(Slot slot) { return *std::ranges::find(slotRows, slot, &SlotRow::slot); }

constexpr std::string_view kubeconfigVolume = "kubeconfig";
constexpr std::string_view kubeconfigFlags[] = {"kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"};

/// How an instance is asked how it does. What makes it ready is asked once, by the startup probe; from then on a blink of etcd must not
/// make it unready, since a DaemonSet's controller deletes at once every pod of an older revision that is (daemon/update.go).
struct ProbeRow {
  std::string_view component, startup, readiness, liveness;
};
constexpr ProbeRow probeRows[] = {{"kube-apiserver", "/readyz", "/livez?exclude=etcd", "/livez?exclude=etcd"},
                                  {"kube-controller-manager", "/healthz", "/healthz", "/healthz"},
                                  {"kube-scheduler", "/readyz", "/healthz", "/livez"}};

const ProbeRow& probesOf(const Component& component) {
  const auto row = std::ranges::find(probeRows, component.name, &ProbeRow::component);
  if (row == std::end(probeRows)) throw Error(fmt::format("{} has no slots", component.name));
  return *row;
}

constexpr std::string_view signerFlag = "cluster-signing-cert-file";

std::optional<std::string> annotationOf(const Value& podTemplate, std::string_view name) {
  const auto* annotations = find(podTemplate, "metadata.annotations");
  if (!annotations || !annotations->contains(name)) return std::nullopt;
  return annotations->at(std::string(name)).get<std::string>();
}

std::string neededAnnotation(const Component& component, const Value& podTemplate, std::string_view name) {
  auto found = annotationOf(podTemplate, name);
  if (!found) throw Error(fmt::format("the template of {} has no annotation {}", component.name, name));
  return *std::move(found);
}

bool isApiServer(const Component& component) { return component.name == "kube-apiserver"; }

Value& ownContainer(const Component& component, Value& spec) {
  for (auto& container : spec.at("containers"))
    if (stringAt(container, "name") == component.name) return container;
  throw Error(fmt::format("the pod of {} has no container of that name", component.name), "look at the patches for it");
}

bool hasFlag(const Value& command, std::string_view name) {
  return std::ranges::any_of(command, [&](const Value& word) { return word.get<std::string>().starts_with(fmt::format("--{}=", name)); });
}

void setFlag(Value& command, std::string_view name, std::string_view value) {
  Value kept = Value::array();
  for (auto& word : command)
    if (const auto text = word.get<std::string>(); !text.starts_with(fmt::format("--{}=", name))) kept.push_back(text);
  kept.push_back(fmt::format("--{}={}", name, value));
  command = std::move(kept);
}

struct ProbeTiming {
  int period, failures;
};

Value probe(std::string_view path, int port, Slot slot, ProbeTiming timing) {
  return Value::object({{"failureThreshold", timing.failures},
                        {"httpGet", Value::object({{"host", slotAddress(slot)}, {"path", path}, {"port", port}, {"scheme", "HTTPS"}})},
                        {"periodSeconds", timing.period},
                        {"timeoutSeconds", 5}});
}

/// Where the pod names the machine's address, it asks for it, so that one text serves all nodes.
Value hostAddress() {
  return Value::object({{"name", "HOST_IP"}, {"valueFrom", Value::object({{"fieldRef", Value::object({{"fieldPath", "status.hostIP"}})}})}});
}

void setFlags(Value& command, const Component& component, Slot slot) {
  setFlag(command, "bind-address", slotAddress(slot));
  if (isApiServer(component)) {
    setFlag(command, "advertise-address", "$(HOST_IP)");
    // While it stops it serves for as long as it takes the front to find that out.
    if (!hasFlag(command, "shutdown-delay-duration")) setFlag(command, "shutdown-delay-duration", "10s");
    if (!hasFlag(command, "shutdown-send-retry-after")) setFlag(command, "shutdown-send-retry-after", "true");
    return;
  }
  for (const auto flag : kubeconfigFlags) setFlag(command, flag, (credentialsFolder(component) / "kubeconfig").string());
}

/// A folder, never a file: a file that is mounted stays what it was when it is replaced by renaming.
void mountCredentials(Value& spec, Value& container, const Component& component) {
  const auto folder = credentialsFolder(component).string();
  for (auto& volume : spec.at("volumes"))
    if (stringAt(volume, "name") == kubeconfigVolume) volume["hostPath"] = Value::object({{"path", folder}, {"type", "Directory"}});
  for (auto& mount : container.at("volumeMounts"))
    if (stringAt(mount, "name") == kubeconfigVolume) mount["mountPath"] = folder;
}

/// What the pods of both kinds have in common, made of the plain layout's pod with the operator's arguments and patches in it.
Value hostedSpec(const Component& component, const Setup& setup, Slot slot, Value spec) {
  auto& container = ownContainer(component, spec);
  const auto& paths = probesOf(component);
  const int port = slotPort(component, setup);
  const auto tries = std::chrono::ceil<std::chrono::duration<int, std::ratio<2>>>(setup.request.timeouts.controlPlaneComponentHealthCheck);
  setFlags(container.at("command"), component, slot);
  if (!isApiServer(component)) mountCredentials(spec, container, component);
  // A port that is declared keeps the scheduler from putting a second instance beside the first.
  for (auto& each : spec.at("containers")) each.erase("ports");
  container["startupProbe"] = probe(paths.startup, port, slot, {.period = 2, .failures = tries.count()});
  container["readinessProbe"] = probe(paths.readiness, port, slot, {.period = 5, .failures = 6});
  container["livenessProbe"] = probe(paths.liveness, port, slot, {.period = 10, .failures = 8});
  auto environment = container.value("env", Value::array());
  environment.insert(environment.begin(), hostAddress());
  container["env"] = std::move(environment);
  spec["dnsPolicy"] = "Default";
  spec["enableServiceLinks"] = false;
  spec["terminationGracePeriodSeconds"] = isApiServer(component) ? 90 : 30;
  return spec;
}

bool isOfOurs(std::string_view name) { return name == "component" || name == "tier" || name.starts_with("kubestrap.io/") || name.starts_with("kubeadm.kubernetes.io/"); }

/// Labels or annotations that the operator's patches have brought, with those that are said here.
Value withPatched(const Value& source, const char* which, Value own) {
  if (const auto* found = find(source, fmt::format("metadata.{}", which)))
    for (const auto& [name, value] : found->items())
      if (!isOfOurs(name)) own[name] = value;
  return own;
}

/// Of a pod of this component that is made of `source`, a pod or a template.
Value metadata(const Component& component, const Value& source, std::string_view hosting, Value annotations) {
  return Value::object({{"annotations", withPatched(source, "annotations", std::move(annotations))},
                        {"labels", withPatched(source, "labels", Value::object({{"component", component.name}, {componentLabel, component.name}, {hostingLabel, hosting}, {"tier", "control-plane"}}))}});
}

/// The same for another slot: every text that is its address, or ends with "=" and its address.
void move(Value& document, std::string_view from, std::string_view to) {
  if (document.is_string()) {
    const auto text = document.get<std::string>();
    if (text == from) document = to;
    else if (text.ends_with(fmt::format("={}", from))) document = fmt::format("{}{}", text.substr(0, text.size() - from.size()), to);
    return;
  }
  if (document.is_structured())
    for (auto& member : document) move(member, from, to);
}

std::string rescueName(const Component& component) { return fmt::format("{}-rescue", component.name); }

/// Made of `source`, a pod or a template, whose patched labels and annotations it keeps.
Value rescuePodWith(const Component& component, const Value& source, std::string_view revision, Value spec) {
  auto own = metadata(component, source, "rescue", Value::object({{activationAnnotation, "0"}, {config::revisionAnnotation, revision}}));
  own["name"] = rescueName(component);
  own["namespace"] = "kube-system";
  return sorted(Value::object({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(own)}, {"spec", std::move(spec)}}));
}

/// What makes pods of that spec a DaemonSet's. They keep what was patched into `source`, a pod or a template.
Value daemonSetWith(const Component& component, const Value& source, Value spec, Slot slot, int revision) {
  spec.erase("priority"); // comes of the class
  spec["automountServiceAccountToken"] = false;
  spec["nodeSelector"] = Value::object({{"node-role.kubernetes.io/control-plane", ""}, {selfHostedLabel, "true"}});
  spec["tolerations"] = Value::array({Value::object({{"operator", "Exists"}})});
  const Value annotations = Value::object({{config::revisionAnnotation, std::to_string(revision)}, {slotAnnotation, slotName(slot)}});
  const Value strategy = Value::object({{"rollingUpdate", Value::object({{"maxSurge", 1}, {"maxUnavailable", 0}})}, {"type", "RollingUpdate"}});
  const Value selector = Value::object({{componentLabel, component.name}, {hostingLabel, "self"}});
  return sorted(Value::object(
      {{"apiVersion", "apps/v1"},
       {"kind", "DaemonSet"},
       {"metadata", Value::object({{"labels", Value::object({{componentLabel, component.name}})},
                                   {"name", component.name},
                                   {"namespace", "kube-system"}})},
       {"spec",
        Value::object({{"minReadySeconds", minReady(component.name).count()},
                       {"revisionHistoryLimit", 10},
                       {"selector", Value::object({{"matchLabels", selector}})},
                       {"template", Value::object({{"metadata", metadata(component, source, "self", annotations)}, {"spec", std::move(spec)}})},
                       {"updateStrategy", strategy}})}}));
}

// ---- what a static pod may not have (kubelet: pkg/api/pod/util.go, HasAPIObjectReference)

constexpr std::string_view volumesWithoutObjects[] = {"hostPath", "emptyDir", "downwardAPI", "image"};

std::string unfitVolume(const Value& volume) {
  for (const auto& [kind, unused] : volume.items())
    if (kind != "name" && std::ranges::find(volumesWithoutObjects, kind) == std::end(volumesWithoutObjects))
      return fmt::format("volume {} of kind {}", stringAt(volume, "name"), kind);
  return {};
}

std::string unfitContainer(const Value& container) {
  const auto name = stringAt(container, "name");
  if (container.contains("ports")) return fmt::format("ports of container {}", name);
  if (container.contains("envFrom")) return fmt::format("envFrom of container {}", name);
  for (const auto& variable : container.value("env", Value::array()))
    for (const auto* source : {"valueFrom.secretKeyRef", "valueFrom.configMapKeyRef"})
      if (find(variable, source)) return fmt::format("{} of variable {}", source, stringAt(variable, "name"));
  return {};
}

} // namespace

std::string_view slotName(Slot slot) { return rowOf(slot).name; }
std::string_view slotAddress(Slot slot) { return rowOf(slot).address; }

Slot slotOf(std::string_view name) {
  const auto row = std::ranges::find(slotRows, name, &SlotRow::name);
  if (row == std::end(slotRows)) throw Error(fmt::format("there is no slot {}", name), "known are blue, green, rescue and previous");
  return row->slot;
}

bool isHosted(const config::Cluster& cluster) { return cluster.kubestrap.layout == config::Layout::hosted; }

int slotPort(const Component& component, const Setup& setup) { return isApiServer(component) ? setup.node.bindPort : component.port; }

std::optional<int> servingPort(const Component& component, const Value& pod) {
  const auto* container = manifests::containerOf(pod, component.name);
  if (!container) return std::nullopt;
  const auto text = flagOf(container->at("command").get<std::vector<std::string>>(), "secure-port");
  int port = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), port).ec == std::errc()) return port;
  return std::nullopt;
}

std::string_view readyPath(const Component& component) { return probesOf(component).startup; }

Value rescuePod(const Component& component, const Setup& setup) {
  const auto plain = component.pod(setup);
  return rescuePodWith(component, plain, "0", hostedSpec(component, setup, Slot::rescue, plain.at("spec")));
}

Value daemonSet(const Component& component, const Setup& setup, Slot slot, int revision) {
  const auto plain = component.pod(setup);
  return daemonSetWith(component, plain, hostedSpec(component, setup, slot, plain.at("spec")), slot, revision);
}

Value daemonSetOf(const Component& component, const Value& standby, Slot of, Slot slot, int revision) {
  auto spec = standby.at("spec");
  move(spec, slotAddress(of), slotAddress(slot));
  return daemonSetWith(component, standby, std::move(spec), slot, revision);
}

Value daemonSetReading(const Component& component, const Value& podTemplate, const Reading& reading, Slot slot, int revision) {
  auto document = daemonSetOf(component, podTemplate, slotOf(neededAnnotation(component, podTemplate, slotAnnotation)), slot, revision);
  auto& made = document["spec"]["template"];
  made["metadata"]["annotations"][std::string(readAnnotation)] = reading.sign;
  if (!reading.signer.empty()) setFlag(ownContainer(component, made["spec"]).at("command"), signerFlag, reading.signer);
  return sorted(std::move(document));
}

bool hasRead(const Component& component, const Value& podTemplate, const Reading& reading) {
  const auto found = annotationOf(podTemplate, readAnnotation);
  const bool ofThis = found && found->starts_with(reading.sign.substr(0, reading.sign.find(':') + 1));
  return (ofThis ? *found : reading.before) == reading.sign && (reading.signer.empty() || signerOf(component, podTemplate) == reading.signer);
}

std::string signerOf(const Component& component, const Value& podTemplate) {
  const auto* container = containerOf(podTemplate, component.name);
  return container ? flagOf(container->at("command").get<std::vector<std::string>>(), signerFlag) : "";
}

Value rescuePodOf(const Component& component, const Value& podTemplate) {
  const auto annotation = [&](std::string_view name) { return neededAnnotation(component, podTemplate, name); };
  auto spec = podTemplate.at("spec");
  // Only API servers understand these.
  for (const auto* field : {"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "nodeSelector", "affinity",
                            "topologySpreadConstraints", "tolerations", "schedulerName", "schedulingGates"})
    spec.erase(field);
  move(spec, slotAddress(slotOf(annotation(slotAnnotation))), slotAddress(Slot::rescue));
  spec["priority"] = 2000001000; // the kubelet does not resolve the class
  auto rescue = rescuePodWith(component, podTemplate, annotation(config::revisionAnnotation), std::move(spec));
  if (const auto unfit = notFitForStaticPod(rescue); !unfit.empty())
    throw Error(fmt::format("no static pod can be made of the template of {}: it has {}", component.name, unfit));
  return rescue;
}

Value previousPodOf(const Component& component, const Value& rescuePod) {
  auto previous = rescuePod;
  move(previous.at("spec"), slotAddress(Slot::rescue), slotAddress(Slot::previous));
  previous["metadata"]["name"] = fmt::format("{}-prev", rescueName(component));
  return previous;
}

Value activated(Value rescuePod, int activation) {
  rescuePod["metadata"]["annotations"][std::string(activationAnnotation)] = std::to_string(activation);
  return rescuePod;
}

std::string notFitForStaticPod(const Value& pod) {
  const auto* spec = find(pod, "spec");
  if (!spec) return "no spec";
  for (const auto* field : {"serviceAccountName", "resourceClaims", "nodeSelector", "affinity"})
    if (spec->contains(field)) return field;
  for (const auto& volume : spec->value("volumes", Value::array()))
    if (auto unfit = unfitVolume(volume); !unfit.empty()) return unfit;
  for (const auto* list : {"initContainers", "containers"})
    for (const auto& container : spec->value(list, Value::array()))
      if (auto unfit = unfitContainer(container); !unfit.empty()) return unfit;
  return {};
}

Path rescueManifest(const Component& component, Slot slot) {
  return paths::manifests / fmt::format("rescue-{}{}.yaml", slot == Slot::previous ? "prev-" : "", component.name);
}

Path standby(const Component& component, Slot slot) {
  return paths::standbys / (slot == Slot::previous ? "previous" : "current") / fmt::format("{}.yaml", component.name);
}

Path credentialsFolder(const Component& component) { return paths::credentials / component.name; }

} // namespace kubestrap::manifests
