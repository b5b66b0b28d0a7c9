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

/// The chain that a rule jumps or goes to.
std::string targetOf(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    if (words[i] == "-j" || words[i] == "-g" || words[i] == "--jump" || words[i] == "--goto") return words[i + 1];
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
    const auto parts = words(line);
    if (parts.empty()) continue;
    if (line.front() == '*') table = {.name = line.substr(1), .chains = {}, .jumps = {}};
    else if (line == "COMMIT") text += table.removal();
    else if (line.front() == ':' && isClusters(wanted, parts[0].substr(1))) table.chains.push_back(parts[0].substr(1));
    else if (parts[0] == "-A" && parts.size() > 1 && !isClusters(wanted, parts[1]) && isClusters(wanted, targetOf(words))) table.jumps.push_back(line);
  }
  return text;
}

} // namespace kubestrap::plan
