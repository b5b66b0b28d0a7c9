#pragma once
// The machines of a cluster.yaml, as the commands of `cluster` reach them.

#include "config/inventory.hpp"
#include "nodes/ssh.hpp"
#include "phases/fleet.hpp"
#include "support/value.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// What is brought to a machine.
struct Cargo {
  std::filesystem::path from, to;
  std::string mode, digest;
};

/// Where a machine has the bundle that was brought.
inline constexpr std::string_view bundlePlace = "/var/lib/kubestrap/cluster.bundle";

/// One look at all of them.
struct FleetLook {
  phases::fleet::Seen seen;
  std::map<std::string, Value> status; ///< of control planes: what `kubestrap status` says there
};

class Fleet {
public:
  Fleet(const std::string& fileName, std::stop_token stop);

  const config::ClusterFile& file() const { return file_; }
  std::stop_token stop() const { return stop_; }
  /// Reads what is to be brought, to know it again.
  phases::fleet::Wish wish(bool prune);
  /// `machine`: as a step has it.
  const Cargo& cargo(phases::fleet::Task task, const std::string& machine = {}) const;
  /// As the machines would, where the plan brings one to any of them: signed by a key that is trusted here, and whole. Each once.
  void judgeBundle(const phases::fleet::Plan& plan);

  /// One connection and one question for each machine, many at once.
  FleetLook look() const;
  /// A question more for the settings, and one for the add-ons of the file, at the control plane that speaks for the cluster.
  void compare(FleetLook& look) const;
  /// Throws Unreachable.
  host::CommandResult run(const std::string& host, const nodes::Errand& errand) const;

private:
  struct Sources {
    std::filesystem::path binary;
    std::string image, bundle;
  };
  /// `architecture`: of the program, and of the bundle, which have to be the same; empty: nobody knows.
  phases::fleet::Brought brought(const Sources& from, const std::string& machine, const std::string& architecture, std::vector<std::string>& notes);
  nodes::Target targetOf(const config::InventoryHost& host) const;
  phases::fleet::SettingsSeen compared(const std::string& host, const std::string& what, std::vector<std::string> words, const std::vector<Value>& documents,
                                       phases::fleet::SettingsSeen (&read)(const host::CommandResult&)) const;

  std::stop_token stop_;
  config::ClusterFile file_;
  nodes::Ssh ssh_;
  std::map<std::pair<phases::fleet::Task, std::string>, Cargo> cargo_;
  std::set<std::string> judged_; ///< bundles
};

/// A cluster.yaml, with paths as programs take them. "-" is standard input. An audit policy that it names by its file stands among its documents: that file is here, and not on the machines.
config::ClusterFile readClusterFile(const std::string& fileName, std::vector<std::string>& warnings);
/// ... warnings are told.
config::ClusterFile readClusterFile(const std::string& fileName);

/// kubestrap's image: that which the file names, else the one beside the program, or that is installed here. Empty: there is none.
std::string imageFor(const config::Inventory& inventory, const std::filesystem::path& binary);

/// Does it for 0 to count - 1, several at once. The first error that `body` throws ends it.
void atOnce(std::size_t count, const std::function<void(std::size_t)>& body);
inline constexpr std::size_t fleetWidth = 32;

/// What a machine's answer to the look comes to.
phases::fleet::HostSeen hostSeen(const Value& answer);
/// What a kubestrap is given on its standard input.
std::string streamOf(const std::vector<Value>& documents);
/// What a kubestrap that failed has said, but for its events.
Error errorOf(const std::string& errors, int code);

/// What says that nothing may be fetched from outside, where the file does.
void offline(const config::ClusterFile& file, std::vector<std::string>& words);
/// How a machine is judged, and put right: by the documents of init, on standard input.
std::vector<std::string> preflightWords(const config::ClusterFile& file, const config::InventoryHost& host, bool begins);
/// What becomes of pods that nobody makes anew elsewhere, where a node is drained for its kubelet.
enum class PodsAlone { refused, ended };
/// What `upgrade apply` or `upgrade node` is told besides. `bundle`: where it lies on the machine; empty: there is none.
std::vector<std::string> upgradeWords(const config::ClusterFile& file, phases::fleet::Task task, const std::string& bundle, PodsAlone alone);
/// How a control plane is told the settings of the file.
std::vector<std::string> settingsCommand(const config::ClusterFile& file);
/// How a further plain one is told to take them.
std::vector<std::string> settingsNodeCommand(const config::ClusterFile& file);
/// What `reconfigure --dry-run` answers.
phases::fleet::SettingsSeen settingsSeen(const host::CommandResult& ended);
/// How a control plane is told the add-ons of the file.
std::vector<std::string> addonsCommand(const config::ClusterFile& file);
/// What `addons apply --dry-run` answers.
phases::fleet::SettingsSeen addonsSeen(const host::CommandResult& ended);
/// Those whose manifest is looked for where bundles put theirs.
std::vector<std::string> addonsByBundle(const config::ClusterFile& file);
/// The control plane whose API server answers, and the nodes that it tells of.
void learnNodes(const config::ClusterFile& file, FleetLook& look);

} // namespace kubestrap::cmd
