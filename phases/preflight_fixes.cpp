// What `preflight --fix` does: ordinary resources, so that the plan, the journal and what was there before come by
// themselves. Only what is safe on any machine; whatever would touch running pods stays with people.
#include "phases/preflight_checks.hpp"

#include "support/error.hpp"
#include "support/text.hpp"
#include "support/toml.hpp"
#include "support/value.hpp"

#include <algorithm>

namespace kubestrap::phases {

namespace {

using plan::Resources;
using plan::Task;

// Files come before what makes them true now: a run that was stopped in between still finds what it began with.

constexpr std::string_view heading = "# Written by kubestrap preflight --fix\n";

/// For now, and for after a reboot.
Resources settings(std::string_view name, std::span<const KernelSetting> wanted) {
  std::string text(heading);
  for (const auto& each : wanted) text += fmt::format("{} = {}\n", each.name, each.value);
  Resources resources{plan::File{.path = fmt::format("/etc/sysctl.d/99-kubestrap-{}.conf", name), .content = std::move(text)}};
  for (const auto& each : wanted)
    resources.push_back(Task{plan::SetSysctl{std::string(each.name), std::string(each.value)}});
  return resources;
}

/// The text of /etc/fstab with its swap areas commented out; nothing when it has none.
std::optional<std::string> withoutSwap(const std::string& text) {
  auto lines = split(text, '\n');
  bool found = false;
  for (auto& line : lines) {
    const auto content = trim(line);
    if (content.empty() || content.starts_with('#')) continue;
    std::vector<std::string> fields;
    for (auto& field : split(replaceAll(std::string(content), "\t", " "), ' '))
      if (!field.empty()) fields.push_back(std::move(field));
    if (fields.size() < 3 || fields[2] != "swap") continue;
    line = "# " + line;
    found = true;
  }
  if (!found) return std::nullopt;
  return join(lines, "\n");
}

/// Where a version of containerd's configuration keeps what we change (containerd: docs/cri/config.md).
struct ContainerdLayout {
  std::vector<std::string> images, runtimes;
  std::string sandbox;
};

std::optional<ContainerdLayout> layoutOf(const Value& document) {
  const auto version = document.value("version", 1);
  if (version == 2)
    return ContainerdLayout{{"plugins", "io.containerd.grpc.v1.cri"},
                            {"plugins", "io.containerd.grpc.v1.cri", "containerd"},
                            "sandbox_image"};
  if (version == 3)
    return ContainerdLayout{{"plugins", "io.containerd.cri.v1.images", "pinned_images"},
                            {"plugins", "io.containerd.cri.v1.runtime", "containerd"},
                            "sandbox"};
  return std::nullopt; // version 1, which containerd 2 does not read any more
}

const Value* at(const Value& document, const std::vector<std::string>& names) {
  const Value* value = &document;
  for (const auto& name : names) {
    if (!value->is_object() || !value->contains(name)) return nullptr;
    value = &(*value)[name];
  }
  return value;
}

/// The configuration file as it is; without one, what the same containerd would take as such.
std::string containerdText(const Facts& facts) {
  const auto found = facts.texts.find(containerdConfig.string());
  return found == facts.texts.end() || trim(found->second.content).empty() ? "version = 2\n" : found->second.content;
}

Resources restartedContainerd() {
  return {plan::Service{.name = "containerd", .restartWhenChanged = {containerdConfig}},
          plan::Condition{.what = "the container runtime is ready",
                          .probe = plan::RuntimeReady{},
                          .patience = std::chrono::minutes(1),
                          .hint = "look at: journalctl -u containerd",
                          .fatal = {plan::UnitFails{"containerd"}}}};
}

/// The file with its new text, and containerd with it.
Resources containerdWith(std::optional<std::string> text, const Facts& facts) {
  if (!text) return {};
  const auto found = facts.texts.find(containerdConfig.string());
  auto resources = restartedContainerd();
  resources.insert(resources.begin(), plan::File{.path = containerdConfig,
                                                 .content = std::move(*text),
                                                 .mode = found == facts.texts.end() ? 0644 : found->second.mode});
  return resources;
}

std::optional<std::string> withCgroupDriver(const std::string& text, const std::string& driver) {
  const auto document = parseToml(text);
  const auto layout = document ? layoutOf(*document) : std::nullopt;
  if (!layout) return std::nullopt;
  const auto* containerd = at(*document, layout->runtimes);
  auto runtime = layout->runtimes;
  runtime.emplace_back("runtimes");
  runtime.push_back(containerd ? stringAt(*containerd, "default_runtime_name", "runc") : "runc");
  auto result = std::optional(text);
  // A runtime that is named at all has to be named whole.
  const auto* given = at(*document, runtime);
  if (!given || stringAt(*given, "runtime_type").empty())
    result = withTomlSetting(*result, runtime, "runtime_type", "io.containerd.runc.v2");
  runtime.emplace_back("options");
  return result ? withTomlSetting(*result, runtime, "SystemdCgroup", driver == "systemd") : std::nullopt;
}

} // namespace

Resources fixIpv4Forwarding(const Setup&, const Facts& facts) {
  if (!facts.sysctls.contains(ipv4Forwarding)) return {};
  constexpr KernelSetting wanted[] = {{ipv4Forwarding, "1"}};
  return settings("ipv4-forwarding", wanted);
}

Resources fixIpv6Forwarding(const Setup&, const Facts& facts) {
  if (!facts.sysctls.contains(ipv6Forwarding)) return {};
  constexpr KernelSetting wanted[] = {{ipv6Forwarding, "1"}, {"net.ipv6.conf.all.forwarding", "1"}};
  return settings("ipv6-forwarding", wanted);
}

Resources fixBridgeFilter(const Setup&, const Facts&) {
  auto resources = settings("bridge", bridgeSettings());
  resources.insert(resources.begin() + 1, Task{plan::LoadModule{"br_netfilter"}});
  resources.insert(resources.begin(), plan::File{.path = "/etc/modules-load.d/kubestrap-bridge.conf",
                                                 .content = std::string(heading) + "br_netfilter\n"});
  return resources;
}

Resources fixKernelDefaults(const Setup&, const Facts&) { return settings("kernel-defaults", kernelDefaults()); }

Resources fixSwap(const Setup& setup, const Facts& facts) {
  const auto* fails = find(setup.cluster.kubelet.document, "failSwapOn");
  if (fails && *fails == false) return {}; // it is wanted
  Resources resources;
  if (const auto found = facts.texts.find(fstab.string()); found != facts.texts.end())
    if (auto text = withoutSwap(found->second.content))
      resources.push_back(plan::File{.path = fstab, .content = std::move(*text), .mode = found->second.mode});
  resources.push_back(Task{plan::TurnSwapOff{}});
  return resources;
}

Resources fixSandboxImage(const Setup& setup, const Facts& facts) {
  if (!isContainerd(setup, facts)) return {};
  const auto text = containerdText(facts);
  const auto document = parseToml(text);
  const auto layout = document ? layoutOf(*document) : std::nullopt;
  if (!layout) return {};
  return containerdWith(withTomlSetting(text, layout->images, layout->sandbox, setup.cluster.images.pause), facts);
}

Resources fixRuntimeConfiguration(const Setup&, const Facts&) { return restartedContainerd(); }

Resources fixCgroupDriver(const Setup& setup, const Facts& facts) {
  // Pods that run keep the cgroups that they were made with: on a node this is for people, who drain it first.
  if (!isContainerd(setup, facts) || answer(facts.files, config::paths::kubeletConfig)) return {};
  return containerdWith(
      withCgroupDriver(containerdText(facts), stringAt(setup.cluster.kubelet.document, "cgroupDriver")), facts);
}

// ---- all of them together

namespace {

bool isAdmitted(const Setup& setup, std::string_view name) {
  const auto& only = setup.cluster.kubestrap.preflightFix;
  if (!only) return true;
  return std::ranges::any_of(*only, [&](const std::string& each) { return lower(trim(each)) == lower(name); });
}

/// Adds resources of one more finding. A second version of a file takes the place of the first, which it began with; a
/// service and a wait stand once, behind all files.
void merge(Resources& all, Resources more, Facts& facts) {
  for (auto& each : more) {
    std::erase_if(all, [&](const plan::Resource& earlier) { return plan::subject(earlier) == plan::subject(each); });
    if (const auto* file = std::get_if<plan::File>(&each)) facts.texts[file->path.string()] = {file->content, file->mode};
    all.push_back(std::move(each));
  }
}

template <Purpose purpose> Resources repairsFor(const Setup& setup, const Facts& facts) {
  return repairs(purpose, setup, facts);
}

} // namespace

Resources repairs(Purpose purpose, const Setup& setup, const Facts& facts) {
  Resources all;
  Facts soFar = facts;
  for (const auto& finding : judge(purpose, setup, facts)) {
    if (!finding.fixable || !isAdmitted(setup, finding.check)) continue;
    for (const auto& row : checks())
      if (row.fix && row.fullName(setup) == finding.check) merge(all, row.fix(setup, soFar), soFar);
  }
  return all;
}

const plan::Workflow& repairWorkflow(Purpose purpose) {
  static constexpr std::string_view summary = "Put right what preflight found";
  static const plan::Phase first[] = {{.name = "fix", .summary = summary, .repair = repairsFor<Purpose::init>}};
  static const plan::Phase further[] = {
      {.name = "fix", .summary = summary, .repair = repairsFor<Purpose::joinControlPlane>}};
  static const plan::Phase worker[] = {{.name = "fix", .summary = summary, .repair = repairsFor<Purpose::joinWorker>}};
  static const plan::Workflow workflows[] = {{"preflight init", summary, first},
                                             {"preflight join", summary, further},
                                             {"preflight join", summary, worker}};
  return workflows[static_cast<std::size_t>(purpose)];
}

void checkFixNames(const Setup& setup) {
  if (!setup.cluster.kubestrap.preflightFix) return;
  std::vector<std::string> fixable;
  for (const auto& row : checks())
    if (row.fix) fixable.push_back(row.fullName(setup));
  for (const auto& given : *setup.cluster.kubestrap.preflightFix) {
    const auto name = lower(trim(given));
    if (std::ranges::any_of(fixable, [&](const auto& each) { return lower(each) == name; })) continue;
    throw Error(fmt::format("preflight.fix: kubestrap puts no finding right that is named {}", given),
                "it can do: " + join(fixable, ", "), ExitCode::usage);
  }
}

} // namespace kubestrap::phases
