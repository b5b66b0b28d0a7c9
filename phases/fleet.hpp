#pragma once
// A cluster's machines as a file wants them: what is to be done on which, and in which order. Pure: what was seen of all machines goes in,
// steps come out. Between machines there is no other order than the one that next() keeps.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases::fleet {

/// Those of a Node, and the names of those that it got from a file like this one.
struct Labels {
  std::map<std::string, std::string> all;
  std::vector<std::string> given;
};
/// What of the labels has to change: a value, or nothing for one that the file does not have any more. Others' labels are left alone.
std::map<std::string, std::optional<std::string>> labelChanges(const std::map<std::string, std::string>& wanted, const Labels& has);

/// By key and effect, "example.org/gpu:NoSchedule", which is what the names of those that were given are, too.
using Taints = std::map<std::string, std::string>;

struct HostWish {
  std::string name, address;
  bool controlPlane = false;
  std::map<std::string, std::string> labels = {};
  std::optional<Taints> taints = {}; ///< nothing: the file does not say
  bool ownNodeIp = false;            ///< the kubelet is told another address than this one
};

/// Something that is brought to the machines. What is there already is known by its digest.
struct Load {
  std::string digest; ///< empty: nothing is brought
  bool wanted() const { return !digest.empty(); }
  bool is(const std::string& other) const { return digest == other; }
};

struct HostSeen {
  std::string unreachable, hint; ///< why; empty: it answers
  std::string machine, kernel;   ///< "x86_64", "Linux 6.12.1"
  std::string binary, image, bundle; ///< digests of what is there; empty: nothing
  std::vector<std::string> authorities; ///< of the cluster, by their public keys; several while they change
  bool node = false, controlPlane = false; ///< by its kubeconfigs
  std::string advertised;        ///< the address that its API server's static pod tells others; empty: it has none
  std::string apiServer;         ///< version of its API server as its static pod has it; empty: it has none
  std::string begun;             ///< "init", "join" or "upgrade" that has not come to its end
  std::string busy;              ///< the command of a kubestrap that is at work there
  std::map<std::string, std::string> manifests = {}; ///< of the file's add-ons, where bundles put them: digests by name; those that are not there are empty
};

/// What machines of one architecture get.
struct Brought {
  Load binary, image, bundle;
  std::string kubelet; ///< of the bundle; empty: it has none
  std::map<std::string, std::string> manifests = {}; ///< of the bundle: digests of those by which the file's add-ons are made, by name
};

struct Wish {
  std::vector<HostWish> hosts; ///< in the file's order
  std::string machine;         ///< for which the common program was built: "x86_64"; empty: not known
  Brought common = {};
  std::string version;         ///< of Kubernetes: "v1.37.2"; empty: as it is
  bool selfHosted = false;     ///< the control plane shall run in its own cluster
  bool addons = false;         ///< the file says which add-ons there shall be
  bool prune = false;
  std::vector<std::string> notes = {}; ///< of what is brought, to be told with the plan
  std::map<std::string, Brought> others = {}; ///< by `machine`, in place of what is common

  const Brought& broughtTo(const HostSeen& host) const;
  bool bringsBundle() const; ///< to any
};

struct NodeSeen {
  std::string name, version, address; ///< the kubelet's version; its first address
  bool controlPlane = false, ready = false;
  std::vector<std::string> addresses = {}; ///< all of them that are internal; none: an older kubestrap has told
  Labels labels = {};
  std::optional<Labels> taints = {}; ///< nothing: an older kubestrap has told, which does not say
  bool settingsFollow = false; ///< a plain control plane that has not been given yet what the cluster keeps
};

/// What `reconfigure` says, on the control plane that speaks for the cluster, of the file's settings, or `addons apply` of its add-ons.
struct SettingsSeen {
  std::vector<std::string> steps; ///< by which they would come; none: they are as the file says
  std::string refused;            ///< why they cannot come; empty: they can
  std::string failed;             ///< why that could not be seen; empty: it was
  std::string hint;               ///< of either
  std::vector<std::string> beyond = {}; ///< add-ons that are there, and that the file does not have
};

struct Seen {
  std::map<std::string, HostSeen> hosts;
  std::string asked; ///< the control plane that told of the nodes; empty: no API server answers
  std::string version; ///< of the cluster, as it keeps it; empty: not known
  bool hosted = false, selfHosted = false; ///< its layout; and that it runs in its own cluster
  std::vector<NodeSeen> nodes;
  SettingsSeen settings = {}, addons = {};

  const HostSeen& of(const std::string& host) const;
  const NodeSeen* node(std::string_view name) const;
};

enum class Task { copyBinary, copyImage, copyBundle, load, loadAhead, prepare, forget, upgrade, upgradeNode, init, join, pivot, settings, settingsNode, addons, label, taint, remove, reset };
/// "copy kubestrap"
std::string_view nameOf(Task task);

struct Step {
  std::string host; ///< which it is for; also of nodes that are not in the file
  Task task = Task::prepare;
  std::string reason;
  bool controlPlane = false;
  bool last = false;      ///< after all others
  bool apiServer = false; ///< of `upgrade node`: the API server there changes with it
  std::string machine = {}; ///< of what is brought: for which of `others`; empty: for none of them
  bool operator==(const Step&) const = default;
};

/// Why nothing can be done on a machine, or at all.
struct Trouble {
  std::string host; ///< empty: all of them
  std::string cause, remedy;
  bool operator==(const Trouble&) const = default;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<Trouble> troubles;
  std::vector<std::string> notes; ///< what is not as the file has it, and is left so
  std::vector<std::string> busy;  ///< machines where another kubestrap is at work: look again when it has ended
  bool stuck() const; ///< some trouble is everybody's
};

Plan planApply(const Wish& wish, const Seen& seen);
/// Every machine of the file is made bare: workers, then control planes one by one, the first of the file at the end.
Plan planDestroy(const Wish& wish, const Seen& seen);

/// How far a step is. `left`: it was not begun, since what it needs has failed.
enum class State { waiting, running, done, failed, left };
using Progress = std::vector<State>;

/// What may begin now, and what never will, with the step that it needed.
struct Next {
  std::vector<std::size_t> begin;
  std::map<std::size_t, std::size_t> left;
};
Next next(const Plan& plan, const Progress& progress);

} // namespace kubestrap::phases::fleet
