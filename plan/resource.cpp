#include "plan/resource.hpp"

#include "support/text.hpp"
#include "support/value.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {
std::string objectSubject(const Value& document) {
  const auto nameSpace = stringAt(document, "metadata.namespace");
  const auto name = stringAt(document, "metadata.name");
  return fmt::format("{} {}{}{}", stringAt(document, "kind"), nameSpace, nameSpace.empty() ? "" : "/", name);
}

struct SubjectOfTask {
  std::string operator()(const PullImage& pull) const { return "image " + pull.image; }
  std::string operator()(const LoadImage& load) const { return "image " + load.image; }
  std::string operator()(const SetSysctl& sysctl) const { return fmt::format("{} = {}", sysctl.name, sysctl.value); }
  std::string operator()(const LoadModule& module) const { return "kernel module " + module.name; }
  std::string operator()(const TurnSwapOff&) const { return "swap"; }
  std::string operator()(const RestartStaticPod& restart) const { return "static pod " + restart.pod.component; }
  std::string operator()(const TurnSwapOn& on) const { return "swap on " + on.area; }
  std::string operator()(const RestoreUnit& unit) const { return fmt::format("service {} as it was", unit.name); }
  std::string operator()(const RemovePods&) const { return "pods"; }
  std::string operator()(const Unmount& unmount) const { return fmt::format("mounts below {}", unmount.below.string()); }
  std::string operator()(const RemoveClusterRules&) const { return "packet filter rules of the cluster"; }
  std::string operator()(const RemoveLink& link) const { return "network interface " + link.name; }
  std::string operator()(const Drain& drain) const { return "pods that may move from node " + drain.node; }
  std::string operator()(const ReplaceStaticPods& replace) const {
    std::vector<std::string> names;
    for (const auto& each : replace.pods) names.push_back(each.pod.component);
    return fmt::format("static pod{} {}", names.size() == 1 ? "" : "s", join(names, ", "));
  }
  std::string operator()(const GiveTurnBack& back) const { return "turn " + back.turn.lease; }
  std::string operator()(const SaveEtcdSnapshot& save) const { return fmt::format("snapshot of etcd in {}", save.file.string()); }
  std::string operator()(const MoveEtcdMember& move) const { return fmt::format("etcd member {} at {}", move.name, move.peerUrl); }
  std::string operator()(const Uncordon& uncordon) const { return fmt::format("node {}, for new pods", uncordon.node); }
  std::string operator()(const InstallProgram& install) const { return "program " + install.to.string(); }
  std::string operator()(const KubeletCertificate& wanted) const { return "certificate of the kubelet in " + wanted.file.string(); }
  std::string operator()(const RunOnNode& run) const { return run.what; }
  std::string operator()(const StoreAnew& store) const { return fmt::format("{}, stored anew", join(store.resources, ", ")); }
  std::string operator()(const UnpackBundle& unpack) const { return "bundle " + unpack.file.string(); }
  std::string operator()(const InstallPart& part) const { return "file " + part.to.string(); }
  std::string operator()(const InstallPackages&) const { return "packages of the bundle"; }
  std::string operator()(const RemovePackages& remove) const { return "packages " + join(remove.names, ", "); }
};

struct SubjectOf {
  std::string operator()(const File& file) const { return "file " + file.path.string(); }
  std::string operator()(const Folder& folder) const { return "folder " + folder.path.string(); }
  std::string operator()(const Absent& absent) const { return absent.path.string(); }
  std::string operator()(const Certificate& certificate) const { return "certificate " + certificate.spec.name; }
  std::string operator()(const KeyPair& pair) const { return "key pair " + pair.privateKey.string(); }
  std::string operator()(const Kubeconfig& kubeconfig) const { return "kubeconfig " + kubeconfig.path.string(); }
  std::string operator()(const Service& service) const { return "service " + service.name; }
  std::string operator()(const Object& object) const { return objectSubject(object.document); }
  std::string operator()(const EtcdMember& member) const { return fmt::format("etcd member {}", member.name); }
  std::string operator()(const Condition& condition) const { return condition.what; }
  std::string operator()(const Task& task) const { return std::visit(SubjectOfTask{}, task); }
};
} // namespace

Path bridgeOf(const Path& authority) { return authority.parent_path() / (authority.stem().string() + "-bridge.crt"); }

std::string subject(const Resource& resource) { return std::visit(SubjectOf{}, resource); }

} // namespace kubestrap::plan
