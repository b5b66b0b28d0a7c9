#pragma once
// What is seen of workers that get another kubelet, from a control plane; and the asking of their pods to move.

#include "kube/client.hpp"
#include "phases/workers.hpp"
#include "plan/drain.hpp"
#include "plan/world.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// Which workers are meant. With neither: all.
struct Workers {
  std::vector<std::string> names;
  std::string selector; ///< of labels
};

/// Looks again and again, and remembers what clocks of other machines cannot tell: since when something is so.
class WorkersLook {
public:
  WorkersLook(Workers meant, phases::workers::Intent intent, plan::Clock& clock) : meant_(std::move(meant)), intent_(std::move(intent)), clock_(clock) {}

  /// Throws Error (usage) for a name that is no worker's.
  phases::workers::Seen look(kube::Client& client);

  /// Asks the pods on these nodes to move, each every few seconds, and puts into `seen` why those that may not do not.
  void empty(const std::set<std::string>& nodes, phases::workers::Seen& seen, kube::Client& client, plan::Evicting how = plan::Evicting::really);

private:
  std::set<std::string> meantIn(const std::vector<Value>& nodes, kube::Client& client) const;
  phases::workers::OpSeen opSeen(const Value& pod, kube::Client& client, bool first);
  void lookAtOps(phases::workers::Seen& seen, kube::Client& client);
  bool mayBeginTurns(const phases::workers::Seen& seen) const;
  void lookAtPods(phases::workers::Seen& seen, kube::Client& client);
  void lookAtHomeless(phases::workers::Seen& seen, kube::Client& client);
  void lookAtTimes(phases::workers::Seen& seen);
  Duration lasts(const std::string& what, bool holds);

  Workers meant_;
  phases::workers::Intent intent_;
  plan::Clock& clock_;
  bool first_ = true;
  std::map<std::string, TimePoint> since_;   ///< what holds, and since when
  std::set<std::string> stale_, homeless_;   ///< pods that were so at the first look, by uid
  std::map<std::string, phases::workers::Report> reports_;
  std::map<std::string, std::string> refused_; ///< by pod
  std::map<std::string, TimePoint> asked_;
  std::map<std::string, std::vector<Value>> pods_; ///< that have to move, by node
};

/// The report of a worker, for the log of the pod that asks it; and back. Throws Error where a log has none.
std::string reportOf(const phases::workers::Report& report);
phases::workers::Report workersReportIn(const std::string& log);

} // namespace kubestrap::cmd
