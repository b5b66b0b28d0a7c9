#pragma once
// A control plane that runs in its own cluster, on a machine in memory: objects behind the fake API server, and those who work by them: the DaemonSets'
// controller, kubelets, leaders, guards. After each write and each second it is asked whether every component still serves on every node.

#include "kube/client.hpp"
#include "manifests/hosted.hpp"
#include "phases/guard.hpp"
#include "tests/fakes/fake_etcd.hpp"
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include <set>

namespace kubestrap::flow {

/// All of them do something so often; a driver looks no more often either, since its looks are what takes time here.
inline constexpr Duration turn = std::chrono::seconds(5);
inline const Lines kComponents(manifests::hostedComponents.begin(), manifests::hostedComponents.end());

class OwnCluster : public net::Transport {
public:
  /// After pivot, at v1.36.3.
  explicit OwnCluster(std::vector<std::string> nodes);
  /// What is left of `other` when its driver is killed now: the cluster, and the machine's disk.
  OwnCluster(const OwnCluster& other);
  OwnCluster& operator=(const OwnCluster&) = delete;

  Machine machine;
  fakes::FakeEtcd etcd{machine.api};
  std::pair<std::string, std::string> bad; ///< a component, and that one of its revisions whose pods never get ready
  std::function<void()> onWrite;           ///< before and after each write of a driver, and each snapshot that it takes

  Lines writes;  ///< of drivers: "PATCH /apis/..."
  Lines outages; ///< "kube-scheduler on n1: no pod is ready"

  const std::vector<std::string>& nodes() const { return nodes_; }
  /// As a driver on n1 goes by it: the node is its own, the rest has to be asked of the cluster.
  config::Setup setup() const;
  kube::Client client();
  /// An API server by itself, at one of its addresses.
  kube::Client clientAt(const std::string& url);
  plan::World world() { return {machine.host, machine.cri, *this, machine.clock, machine.entropy}; }
  std::optional<Value> daemonSet(const std::string& component) const;
  std::string revision(const std::string& component) const; ///< that is in force
  /// "v1.36.3 on n1": every pod of the component, those that are not ready as "v1.37.2 on n1, not ready".
  std::set<std::string> pods(const std::string& component) const;

  /// Nobody drives.
  void passes(Duration time, Duration step = turn);

  net::Response perform(const net::Request& request) override;
  net::Response stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) override;

private:
  struct Pod {
    std::string name, component, node;
    std::string made, revision; ///< of which ControllerRevision, and its number as kubestrap counts
    std::string slot, version;
    std::optional<TimePoint> ready, ending;
    bool serves() const { return ready && !ending; }
  };
  struct Guard {
    phases::guard::State state;
    std::array<std::optional<Value>, phases::guard::count> standbys;
    Value report;
    TimePoint renewed{};
  };

  void wire();
  void work();
  void runPods();
  void control(const std::string& component);
  std::string keep(const std::string& component, const Value& daemonSet);
  void begin(const std::string& node, const std::string& component, const std::string& made, const Value& podTemplate);
  void show(const Pod& pod);
  void tryOut();
  void lead();
  void watch();
  void act(const phases::guard::Action& action, Guard& guard, const std::string& node);
  void look();
  bool isServed(const std::string& component) const;
  void change(const std::string& path, const std::function<void(Value&)>& how);
  TimePoint now() const { return machine.host.now; }

  std::vector<std::string> nodes_;
  config::Setup setup_;
  kube::Kubeconfig kubeconfig_;
  std::vector<Pod> pods_; ///< in the order in which they were made
  std::map<std::string, std::vector<std::pair<std::string, int>>> kept_; ///< by component: names of ControllerRevisions, and their numbers
  std::map<std::string, Guard> guards_;
  TimePoint worked_{};
  int count_ = 0;
};

} // namespace kubestrap::flow
