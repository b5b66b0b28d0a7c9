#pragma once

#include "support/time.hpp"
#include "support/version.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::config {

/// What `upgrade` is to do, and what was learned of this node and its cluster before anything was changed. What it leads to is the
/// Cluster of the Setup.
struct Upgrading {
  // asked for
  bool renewsCertificates = true;
  bool upgradesEtcd = true;
  bool force = false, experimental = false, releaseCandidates = false;
  std::string kubeletProgram; ///< a file that takes the place of the kubelet's program; empty: it stays
  Duration drainPatience = std::chrono::minutes(5);
  std::vector<std::string> unheeded; ///< what was asked for and is not done, in sentences

  // this node
  Version from; ///< what the cluster's configuration says
  /// The manifests of its static pods by component ("etcd"), as they were before the upgrade began, be it in an earlier run.
  std::map<std::string, std::string> manifests;
  bool goesOn = false;       ///< an earlier run of it was stopped, and has left what it began with
  std::string configuration; ///< the documents that this upgrade goes by, for a run that finds no API server
  bool addonsNow = true;     ///< no other control plane is left to be upgraded
  std::string addonsWaitFor; ///< else those that are

  // the cluster
  std::string unreachable; ///< why it could not be asked; empty: it answered
  struct Node {
    std::string name;
    std::string kubelet; ///< "v1.36.3"
    bool ready = false, controlPlane = false;
    bool lacksPodNetwork = false; ///< that is all it lacks to be Ready, and a control plane's pods do without
    bool diskPressure = false; ///< its kubelet says that its disks have too little room, and removes images and pods
    std::optional<std::string> settingsFollow = {}; ///< it has not been given the cluster's settings yet (config/reconfiguring.hpp)
    std::map<std::string, std::string> versions; ///< of its components by their images' tags: "kube-apiserver" -> "v1.36.3"
  };
  std::vector<Node> nodes;
  std::string server; ///< the version that its API server says: "v1.36.3"
  struct Etcd {
    std::vector<std::string> members; ///< client URLs
    std::vector<std::string> silent;  ///< those of them that do not answer, or see no leader
    std::string version;              ///< the lowest among those that answer: "3.6.8"
    std::string trouble;              ///< why most are not healthy; empty: they are
    std::vector<std::string> alarms;  ///< "NOSPACE"
    std::int64_t size = 0;            ///< of the database, octets
  } etcd;
  std::string othersTurn; ///< another control plane that is away for its upgrade just now, and will be waited for
  /// One that refuses when it does not answer, and is asked about something that an upgrade writes.
  struct Webhook {
    std::string name; ///< "ValidatingWebhookConfiguration policy, webhook pods.example.org"
    std::string service; ///< "policy/webhook"; empty: it is elsewhere
    bool unready = false; ///< nobody is behind that service
  };
  std::vector<Webhook> webhooks;
  struct Api {
    std::string name;      ///< "flowschemas.v1beta3.flowcontrol.apiserver.k8s.io"
    std::string removedIn; ///< "1.37"; empty: not known
  };
  std::vector<Api> deprecated; ///< that were asked for since API servers started
  std::map<std::string, std::string> unasked; ///< by node: why its API server could not be asked for them
  std::string corefile; ///< as the cluster has it; empty: it has none
  std::map<std::string, TimePoint> certificateEnds; ///< of files of this node
  struct Shown {
    std::string endpoint; ///< "10.0.0.12:6443"
    TimePoint end{};
  };
  std::map<std::string, Shown> shownCertificates; ///< by other control planes to which a roll goes: what their API servers show
  std::vector<std::string> disruptionBudgets; ///< that allow no pod to go: "default/web"
  std::vector<std::string> alone; ///< pods on this node that nobody makes anew elsewhere, where a kubelet is to be put in place: "default/web"
  TimePoint now{};
};

} // namespace kubestrap::config
