#include "manifests/kubelet.hpp"

#include "config/patches.hpp"
#include "config/store.hpp"
#include "manifests/flags.hpp"
#include "manifests/front.hpp"
#include "manifests/text.hpp"
#include "support/text.hpp"
#include "templates/templates.hpp"

#include <fmt/format.h>

namespace kubestrap::manifests {

namespace {

/// "key=value:effect" as the kubelet's register-with-taints reads it.
std::string taintText(const Value& taint) {
  std::string key = stringAt(taint, "key"), value = stringAt(taint, "value"), effect = stringAt(taint, "effect");
  if (value.empty()) return effect.empty() ? key : key + ":" + effect;
  return key + "=" + value + ":" + effect;
}

/// In double quotes as systemd's EnvironmentFile reads them; control characters as Go's %q writes them.
std::string environmentQuoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      (result += '\\') += c;
    else if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      result += c;
  }
  return result + "\"";
}

} // namespace

std::string kubeletFlagsEnv(const config::Setup& setup) {
  const config::Node& node = setup.node;
  std::vector<config::Arg> flags;
  if (node.name != node.hostname) flags.push_back({"hostname-override", node.name});
  // By it a static pod learns the address of its machine before there is a Node, and it is the one that others know.
  if (frontHasSlots(setup)) flags.push_back({"node-ip", node.advertiseAddress.string()});
  // A control plane node gets its taints when it is marked, by the API.
  if (!node.controlPlane && !node.taints.empty()) {
    std::vector<std::string> taints;
    for (const Value& taint : node.taints) taints.push_back(taintText(taint));
    flags.push_back({"register-with-taints", join(taints, ",")});
  }
  return "KUBELET_KUBEADM_ARGS=" + environmentQuoted(join(flagList(std::move(flags), node.kubeletExtraArgs), " ")) +
         "\n";
}

Value kubeletInstanceConfig(const config::Setup& setup) {
  return Value::object({{"containerRuntimeEndpoint", setup.node.criSocket}});
}

Value kubeletConfig(const config::Setup& setup) {
  Value document = config::kubeletConfigDocument(setup.cluster);
  if (!setup.node.resolvConf.empty() && !document.contains("resolvConf"))
    document["resolvConf"] = setup.node.resolvConf;
  document = config::applyPatches(document, config::Patch::Target::kubeletConfiguration, setup.request.patches);
  return sorted(applyMergePatch(document, kubeletInstanceConfig(setup)));
}

std::string kubeletUnit(const config::Path& program) {
  return filledText("kubelet.service", {{"kubelet", program.string()}});
}

std::string kubeletOrder() { return std::string(templates::text("kubelet-order.conf")); }

std::string kubeletDropIn(const config::Path& program) {
  return filledText("10-kubeadm.conf", {{"kubelet", program.string()}});
}

} // namespace kubestrap::manifests
