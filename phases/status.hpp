#pragma once
// status and doctor: what a look at the cluster and at this machine comes to. Pure: what was seen goes in; what is true of each component,
// what is wrong and what to do about it come out. What could not be asked is left empty, and is never a reason for a finding by itself.

#include "phases/pivot.hpp"
#include "plan/phase.hpp"
#include "support/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kubestrap::phases::status {

// ---- what is seen of the cluster

/// The annotation of a Node by which kubestrap knows which labels it has given it.
inline constexpr std::string_view givenLabelsNotice = "kubestrap.io/labels";

struct NodeSeen {
  std::string name, address, kubelet; ///< "v1.37.2"
  bool controlPlane = false, ready = false, schedulable = true;
  std::string trouble; ///< what its condition Ready says when it is not
  Value labels = Value::object();
  std::string givenLabels; ///< names of those that a cluster.yaml gave it, by commas
  std::vector<std::string> addresses; ///< all that are internal
  Value taints = Value::array();
  std::string givenTaints; ///< likewise, by key and effect
  bool settingsFollow = false; ///< a plain control plane that has not been given the cluster's settings yet (config/reconfiguring.hpp)
};

/// A pod of the control plane.
struct PodSeen {
  std::string node, component;
  std::string slot;    ///< "blue"; of a static pod in slots "rescue" or "previous"; empty in the plain layout
  std::string version; ///< of its image: "v1.37.2"
  bool ready = false;
  std::string trouble; ///< "CrashLoopBackOff", "Failed"
};

struct EtcdMemberSeen {
  std::string name, id, endpoint, version;
  bool learner = false, leads = false, seesLeader = true;
  std::int64_t size = 0, inUse = 0, quota = 0; ///< octets
  std::vector<std::string> alarms;             ///< "NOSPACE", "CORRUPT"
  std::string silent;                          ///< why it does not answer; empty: it does
};

struct EtcdSeen {
  std::vector<EtcdMemberSeen> members;
  std::string silent; ///< why nobody could say who the members are; empty: somebody did, or nobody was asked
};

/// An operation over several nodes, as kube-system/kubestrap-plan tells.
struct PlanSeen {
  std::string operation, state, holder, step;
  std::optional<TimePoint> since, refreshed;
  bool underWay() const { return !operation.empty() && state != "done" && state != "aborted"; }
};

/// A webhook of the API server that is asked about what happens in kube-system.
struct WebhookSeen {
  std::string configuration, kind, name; ///< "policy", "ValidatingWebhookConfiguration", "pods.policy.example.org"
  bool failsClosed = false, catchesPods = false;
  std::optional<bool> served; ///< whether somebody is behind its Service; nothing: it is elsewhere
  std::string backend;        ///< "policy/webhook", "https://policy.example.org/check"
};

// ---- what is seen of this machine

struct UnitSeen {
  std::string name;
  bool active = false;
  std::string words; ///< "failed (exit-code), 7 restarts"
};

struct ContainerSeen {
  std::string component, version, pod;
  bool running = false;
  std::string ended; ///< "exit code 1: ..."
};

struct StandbySeen {
  std::string component, slot, revision, image;
  std::string unfit;              ///< why it cannot be promoted; empty: it can
  std::optional<bool> imageThere; ///< whether the runtime has its image
};

struct CertificateSeen {
  std::string name;
  TimePoint begins{}, ends{};
  bool authority = false;
};

struct DiskSeen {
  std::string folder, holds;
  std::uint64_t bytes = 0, free = 0;
};

struct MachineSeen {
  std::string name;
  bool isNode = false, controlPlane = false;
  bool selfHosted = false; ///< as its guard has kept
  std::string convertsTo;  ///< "hosted": a conversion of layouts has begun here, and not ended; empty: none has
  std::optional<pivot::GuardReport> guard; ///< of the file by which the guard tells of itself here
  bool guardRuns = true;
  std::vector<ContainerSeen> containers; ///< of the control plane, the newest of each component
  std::vector<StandbySeen> standbys;
  std::vector<CertificateSeen> certificates;
  std::vector<UnitSeen> units;
  std::vector<DiskSeen> disks;
  std::optional<bool> clockKept;
  std::string runtime; ///< why it does not answer
};

struct Seen {
  TimePoint now{};
  MachineSeen machine;
  std::string silent; ///< why no API server answers; empty: one does
  // Of the cluster's configuration; empty where it is not known.
  std::string cluster, version, layout, hosting, endpoint;
  pivot::Seen controlPlane;
  std::vector<NodeSeen> nodes;
  std::vector<PodSeen> pods;
  std::optional<PlanSeen> plan;
  EtcdSeen etcd;
  std::vector<WebhookSeen> webhooks;
  std::map<std::string, Duration> clocks; ///< by node: how far it is ahead of the API server's
  bool hosted() const { return layout == "hosted"; }
};

// ---- what that comes to

/// One component on one node.
struct Row {
  std::string node, component;
  std::string hosting; ///< static, self, rescue, held, or "-": none of it serves
  std::string slot, version;
  std::string health;  ///< "ready", "unready", "draining", "down", "not known"
  std::string standby; ///< revision of what stands by
};
std::vector<Row> rows(const Seen& seen);

struct Finding {
  std::string name; ///< "StandbyMissing"
  plan::Severity severity = plan::Severity::error;
  std::string where;    ///< a node, or what else it is about; may be empty
  std::string cause;    ///< a sentence: what is wrong, and what comes of it
  std::string evidence; ///< what was seen
  std::string remedy;
};
std::vector<Finding> judge(const Seen& seen);
/// As its rule says.
bool mayPass(const Finding& finding);

/// A row of the table of findings.
struct Rule {
  std::string_view name;
  plan::Severity severity = plan::Severity::error;
  std::string_view cause, remedy; ///< of a finding that has none of its own
  void (*judge)(const Seen& seen, const Rule& rule, std::vector<Finding>& findings) = nullptr;
  bool mayPass = false; ///< it may be nothing but what was just changed, and pass by itself within a minute
};
std::span<const Rule> rules();

} // namespace kubestrap::phases::status
