#include "cmd/saved_plan.hpp"

#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kubestrap::cmd {

namespace {

using Named = std::map<std::string, std::string>;

/// "kube-apiserver on n1" -> "v1.36.3".
Named components(const Value& plan) {
  Named found;
  for (const auto& each : plan.value("components", Value::array()))
    found[fmt::format("{} on {}", stringAt(each, "name"), stringAt(each, "node"))] = stringAt(each, "currentVersion");
  return found;
}

/// What is changed -> how, of what is not kept.
Named changes(const Value& plan) {
  Named found;
  for (const auto& each : plan.value("changes", Value::array()))
    if (const auto verb = stringAt(each, "verb"); verb != "keep") found[stringAt(each, "subject")] += verb + "\n" + stringAt(each, "diff") + "\n";
  return found;
}

} // namespace

bool isPlanFile(std::string_view argument) {
  return argument.find('/') != argument.npos || argument.ends_with(".json") || argument.ends_with(".yaml") || argument.ends_with(".yml");
}

Value parsePlan(const std::string& text, const std::string& source) {
  const auto documents = parseYaml(text, source);
  if (documents.size() != 1 || stringAt(documents.front().value, "kind") != "UpgradePlan")
    throw Error(fmt::format("{} is no plan of an upgrade", source), "kubestrap upgrade plan VERSION --save FILE makes one", ExitCode::usage);
  return documents.front().value;
}

std::vector<std::string> moved(const Value& saved, const Value& now) {
  std::vector<std::string> all;
  for (const auto* member : {"from", "to"})
    if (const auto before = stringAt(saved, member), after = stringAt(now, member); before != after)
      all.push_back(fmt::format("it would go {} {}, and was to go {} {}", member, after, member, before));
  const auto hadVersions = components(saved), hasVersions = components(now);
  for (const auto& [what, version] : hadVersions) {
    const auto found = hasVersions.find(what);
    if (found == hasVersions.end()) all.push_back(fmt::format("there is no {} any more", what));
    else if (found->second != version) all.push_back(fmt::format("{} has {}, and had {}", what, found->second, version));
  }
  for (const auto& [what, version] : hasVersions)
    if (!hadVersions.contains(what)) all.push_back(fmt::format("there is a {} ({}) that was not there", what, version));
  const auto before = changes(saved), after = changes(now);
  for (const auto& [subject, how] : after) {
    const auto found = before.find(subject);
    if (found == before.end()) all.push_back(fmt::format("{} would be changed, and was not to be", subject));
    else if (found->second != how) all.push_back(fmt::format("{} would be changed in another way", subject));
  }
  for (const auto& [subject, how] : before)
    if (!after.contains(subject)) all.push_back(fmt::format("{} would not be changed any more", subject));
  return all;
}

std::string withoutPlan(const Value& plan) {
  auto command = fmt::format("kubestrap upgrade apply {}", stringAt(plan, "to"));
  const auto made = plan.value("options", Value::object());
  const bool rolls = plan.contains("steps"); // which leaves certificates alone anyhow
  if (!rolls && !made.value("certificateRenewal", true)) command += " --certificate-renewal=false";
  if (!made.value("etcdUpgrade", true)) command += " --etcd-upgrade=false";
  for (const auto* flag : {"config", "patches"})
    if (const auto path = stringAt(made, flag); !path.empty()) command += fmt::format(" --{} {}", flag, path);
  return command;
}

} // namespace kubestrap::cmd
