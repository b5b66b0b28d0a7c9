#include "plan/netfilter.hpp"

#include "support/text.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace kubestrap::plan {

namespace {

/// The CNI plugins bridge, portmap, firewall and ptp; flannel; Calico.
constexpr std::string_view podNetworks[] = {"CNI-", "FLANNEL-", "cali-"};

bool isClusters(const RemoveClusterRules& wanted, const std::string& chain) {
  if (wanted.keep.contains(chain)) return false;
  if (chain.starts_with("KUBE-")) return true;
  return wanted.ofPodNetwork && std::ranges::any_of(podNetworks, [&](std::string_view each) { return chain.starts_with(each); });
}

/// A rule's words; what is in quotes is one, whatever it says.
std::vector<std::string> wordsOf(std::string_view rule) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (std::size_t i = 0; i < rule.size(); ++i) {
    if (rule[i] == '\\' && quoted && i + 1 < rule.size()) parts.back() += rule[++i];
    else if (rule[i] == '"') quoted = !quoted, parts.back() += '"';
    else if (rule[i] == ' ' && !quoted) parts.emplace_back();
    else parts.back() += rule[i];
  }
  return parts;
}

/// The chain that a rule jumps or goes to.
std::string targetOf(const std::vector<std::string>& rule) {
  for (std::size_t i = 0; i + 1 < rule.size(); ++i)
    if (rule[i] == "-j" || rule[i] == "-g" || rule[i] == "--jump" || rule[i] == "--goto") return rule[i + 1];
  return {};
}

struct Table {
  std::string name;
  std::vector<std::string> chains, jumps;

  std::string removal() const {
    if (chains.empty() && jumps.empty()) return {};
    std::string text = "*" + name + "\n";
    // A chain that is named anew is emptied; one that nobody refers to any more can go.
    for (const auto& chain : chains) text += ":" + chain + " - [0:0]\n";
    for (const auto& rule : jumps) text += "-D" + rule.substr(2) + "\n";
    for (const auto& chain : chains) text += "-X " + chain + "\n";
    return text + "COMMIT\n";
  }
};

} // namespace

std::string removalOf(const RemoveClusterRules& wanted, std::string_view saved) {
  std::string text;
  Table table;
  for (const auto& line : split(saved, '\n')) {
    const auto parts = wordsOf(line);
    if (line.empty()) continue;
    if (line.front() == '*') table = {.name = line.substr(1), .chains = {}, .jumps = {}};
    else if (line == "COMMIT") text += table.removal();
    else if (line.front() == ':' && isClusters(wanted, parts[0].substr(1))) table.chains.push_back(parts[0].substr(1));
    else if (parts[0] == "-A" && parts.size() > 1 && !isClusters(wanted, parts[1]) && isClusters(wanted, targetOf(parts))) table.jumps.push_back(line);
  }
  return text;
}

} // namespace kubestrap::plan
