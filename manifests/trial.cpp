#include "manifests/trial.hpp"

#include "support/encoding.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::manifests {

namespace {

Value metadata(const std::string& name, std::string_view label, const Component& component) {
  return Value::object({{"labels", Value::object({{label, component.name}})}, {"name", name}, {"namespace", "kube-system"}});
}

/// To every node, whatever it keeps away, and needing nothing there.
Value modest() {
  return Value::object({{"automountServiceAccountToken", false},
                        {"enableServiceLinks", false},
                        {"hostNetwork", true},
                        {"priorityClassName", "system-cluster-critical"},
                        {"terminationGracePeriodSeconds", 0},
                        {"tolerations", Value::array({Value::object({{"operator", "Exists"}})})}});
}

} // namespace

Value rehearsalPod(const Component& component, const Value& podTemplate, const std::string& node) {
  const auto* original = containerOf(podTemplate, component.name);
  if (!original) throw Error(fmt::format("the template of {} has no container of that name", component.name));
  Value container = Value::object({{"command", original->at("command")}, {"image", original->at("image")}, {"name", component.name}});
  container["command"].push_back("--version");
  for (const auto* member : {"env", "imagePullPolicy"})
    if (original->contains(member)) container[member] = original->at(member);
  const auto what = sha256Hex(container.dump()).substr(0, 8);
  auto spec = modest();
  spec["containers"] = Value::array({std::move(container)});
  spec["nodeName"] = node;
  spec["restartPolicy"] = "Never";
  return sorted(Value::object({{"apiVersion", "v1"},
                               {"kind", "Pod"},
                               {"metadata", metadata(fmt::format("kubestrap-rehearsal-{}-{}", what, node), rehearsalLabel, component)},
                               {"spec", std::move(spec)}}));
}

Value canary(const Component& component, const config::Setup& setup) {
  const auto name = fmt::format("kubestrap-canary-{}", component.name);
  auto spec = modest();
  spec["containers"] = Value::array({Value::object({{"image", setup.cluster.images.pause}, {"name", "canary"}})});
  if (component.name == "kube-scheduler")
    return sorted(Value::object({{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", metadata(name, canaryLabel, component)}, {"spec", std::move(spec)}}));
  if (component.name != "kube-controller-manager") throw Error(fmt::format("{} has no canary", component.name));
  spec["nodeSelector"] = Value::object({{canaryLabel, "none"}});
  const Value labels = Value::object({{canaryLabel, component.name}});
  return sorted(Value::object({{"apiVersion", "apps/v1"},
                               {"kind", "DaemonSet"},
                               {"metadata", metadata(name, canaryLabel, component)},
                               {"spec", Value::object({{"selector", Value::object({{"matchLabels", labels}})},
                                                       {"template", Value::object({{"metadata", Value::object({{"labels", labels}})},
                                                                                   {"spec", std::move(spec)}})}})}}));
}

} // namespace kubestrap::manifests
