#include "cmd/roll_look.hpp"

#include "cmd/control_plane.hpp"
#include "cmd/etcd_access.hpp"
#include "cmd/own_cluster.hpp"
#include "config/paths.hpp"
#include "config/rolling.hpp"
#include "config/store.hpp"
#include "etcd/health.hpp"
#include "kube/reading.hpp"
#include "kube/revisions.hpp"
#include "manifests/guard.hpp"
#include "manifests/hosted.hpp"
#include "manifests/trial.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/time.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

using phases::roll::PodSeen;
using phases::roll::Seen;

namespace {

/// Why a container waits that will not start by itself (kubelet: images/types.go, container/sync_result.go).
constexpr std::string_view hopelessReasons[] = {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"};

/// The last lines that a container said before it ended; nothing where they cannot be had.
std::string lastWords(kube::Client& client, const std::string& pod) {
  for (const auto* previous : {"&previous=true", ""}) {
    const auto answer = client.raw("GET", fmt::format("/api/v1/namespaces/kube-system/pods/{}/log?tailLines=20{}", percentEncode(pod), previous));
    if (answer.status != 200) continue;
    // Programs print their usage after what was wrong with their flags.
    std::string last;
    for (const auto& line : split(answer.body, '\n')) {
      if (line.find("rror:") != line.npos || line.starts_with("E") || line.starts_with("F")) last = std::string(trim(line));
    }
    if (last.empty()) last = std::string(trim(answer.body.substr(0, answer.body.find('\n'))));
    return last.substr(0, 400);
  }
  return {};
}

void lookAtContainers(const Value& pod, kube::Client& client, PodSeen& seen) {
  const auto* containers = find(pod, "status.containerStatuses");
  if (!containers) return;
  for (const auto& container : *containers) {
    seen.restarts += static_cast<int>(kube::numberAt(container, "restartCount"));
    const auto reason = stringAt(container, "state.waiting.reason");
    if (std::ranges::find(hopelessReasons, reason) != std::end(hopelessReasons)) seen.hopeless = true;
    if (seen.ready || seen.phase == "Succeeded") continue;
    if (!reason.empty() && reason != "ContainerCreating" && reason != "PodInitializing" && reason != "CrashLoopBackOff")
      seen.trouble = fmt::format("{}: {}", reason, stringAt(container, "state.waiting.message"));
    for (const auto* state : {"state.terminated", "lastState.terminated"})
      if (const auto* ended = find(container, state); ended && seen.trouble.empty())
        seen.trouble = fmt::format("exit code {}: {}", kube::numberAt(*ended, "exitCode"), lastWords(client, seen.name));
  }
}

PodSeen podSeen(const Value& pod, kube::Client& client, Watched& watched) {
  PodSeen seen{.name = stringAt(pod, "metadata.name"), .node = stringAt(pod, "spec.nodeName"), .uid = stringAt(pod, "metadata.uid"),
               .revision = kube::annotationOf(pod, config::revisionAnnotation).value_or(""), .phase = stringAt(pod, "status.phase"),
               .ready = kube::isReady(pod), .ending = find(pod, "metadata.deletionTimestamp") != nullptr, .trouble = {}};
  lookAtContainers(pod, client, seen);
  watched.put(seen);
  seen.made = watched.now() - parseRfc3339(stringAt(pod, "metadata.creationTimestamp"));
  return seen;
}

/// The template that a DaemonSet had before the present one; null: it has had none.
Value templateBefore(const std::string& daemonSet, const std::vector<Value>& revisions) {
  const auto templates = kube::templatesKept(daemonSet, revisions);
  return templates.size() < 2 ? Value() : templates[templates.size() - 2];
}

void lookAtCanaries(kube::Client& client, Watched& watched, Seen& seen) {
  for (const auto& set : client.list("apps/v1", "DaemonSet", "kube-system", std::string(manifests::canaryLabel)))
    seen.canaries[*kube::labelOf(set, manifests::canaryLabel)] = {.exists = true, .taken = kube::numberAt(set, "status.observedGeneration") > 0,
                                                                  .age = watched.age(stringAt(set, "metadata.uid"))};
  for (const auto& pod : client.list("v1", "Pod", "kube-system", std::string(manifests::canaryLabel)))
    seen.canaries[*kube::labelOf(pod, manifests::canaryLabel)] = {.exists = true, .taken = !stringAt(pod, "spec.nodeName").empty(),
                                                                  .age = watched.age(stringAt(pod, "metadata.uid"))};
}

} // namespace

Seen lookAtRoll(kube::Client& client, const config::Cluster& wanted, TimePoint now, Watched& watched) {
  Seen seen{.controlPlane = lookAtControlPlane(client, now), .components = {}, .rehearsals = {}, .canaries = {}};
  const auto revisions = client.list("apps/v1", "ControllerRevision", "kube-system", std::string(manifests::componentLabel));
  for (const auto& set : client.list("apps/v1", "DaemonSet", "kube-system", std::string(manifests::componentLabel))) {
    const auto name = stringAt(set, "metadata.name");
    const auto nudges = kube::annotationOf(set, phases::roll::nudgedAnnotation).value_or("");
    seen.components[name] = {.podTemplate = set.at("spec").at("template"),
                             .spec = fmt::format("{}, generation {}", stringAt(set, "metadata.uid"), kube::numberAt(set, "metadata.generation")), .before = templateBefore(name, revisions),
                             .updated = static_cast<int>(kube::numberAt(set, "status.updatedNumberScheduled")),
                             .nudges = nudges, .nudgedFor = nudges.empty() ? std::chrono::hours(1) : watched.age(fmt::format("{} nudged {}", name, nudges)),
                             .proved = kube::annotationOf(set, manifests::provedAnnotation).value_or(""),
                             .pods = {}};
  }
  for (const auto& pod : client.list("v1", "Pod", "kube-system", fmt::format("{}=self", manifests::hostingLabel)))
    if (const auto component = seen.components.find(kube::labelOf(pod, manifests::componentLabel).value_or("")); component != seen.components.end())
      component->second.pods.push_back(podSeen(pod, client, watched));
  for (const auto& pod : client.list("v1", "Pod", "kube-system", std::string(manifests::rehearsalLabel))) seen.rehearsals.push_back(podSeen(pod, client, watched));
  lookAtCanaries(client, watched, seen);
  // The Role comes before the RoleBinding, and goes after it.
  seen.mayPutBack = client.get({"rbac.authorization.k8s.io/v1", "Role", "kube-system", std::string(manifests::putBackRole)}).has_value();
  if (const auto stored = storedCluster(client))
    seen.stored = config::storedDocuments(*stored) == config::storedDocuments(wanted);
  return seen;
}

namespace {

/// It is tried out only, and never there.
Value triedOut() {
  return Value::object({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", Value::object({{"name", "kubestrap-tried-out"}, {"namespace", "kube-system"}})}});
}

/// One that is busy, or lacks etcd's leader for the moment, says so.
bool isRefusal(int status) { return status >= 400 && status != 429 && status != 502 && status != 503 && status != 504; }

phases::roll::AnswerSeen answerOf(kube::Client client) {
  try {
    for (const auto* path : {"/readyz", "/api/v1/namespaces/kube-system/configmaps?limit=1"}) {
      const auto answer = client.raw("GET", path);
      if (answer.status != 200) return {.trouble = fmt::format("answers GET {} with {}", path, answer.status), .refuses = isRefusal(answer.status)};
    }
    client.apply(triedOut(), kube::DryRun::yes);
    return {};
  } catch (const kube::ApiError& error) {
    return {.trouble = fmt::format("refuses a write that was tried out: {}", error.message()), .refuses = isRefusal(error.status())};
  } catch (const net::TransportError& error) {
    return {.trouble = fmt::format("does not answer: {}", error.message()), .refuses = false, .silent = true};
  }
}

} // namespace

void askApiServers(const phases::roll::Intent& intent, const std::function<kube::Client(const std::string& url)>& connect, Watched& watched, Seen& seen) {
  for (const auto& each : phases::roll::toAsk(intent, seen)) {
    const auto what = fmt::format("revision {} at {}", each.revision, each.url);
    if (watched.wasWell(what)) {
      seen.answers[each.node] = {};
      continue;
    }
    auto answer = answerOf(connect(each.url));
    if (answer.trouble.empty()) watched.isWell(what);
    const auto lacking = watched.lasts(what, !answer.trouble.empty()), refusing = watched.lasts(what + " refuses", answer.refuses);
    answer.lasts = answer.refuses ? refusing : lacking;
    if (answer.silent) log::info(1, "the API server of {} {}", each.node, answer.trouble);
    seen.answers[each.node] = std::move(answer);
  }
}

std::function<kube::Client(const std::string& url)> reachedWith(const plan::Access& access, Machine& machine) {
  return [access, &machine](const std::string& url) {
    // An operator's own may trust his balancer, and not them.
    const auto path = machine.host().status(config::paths::adminConf) ? config::paths::adminConf : access.kubeconfig;
    auto kubeconfig = kube::parseKubeconfig(machine.host().read(path).value_or(""), path.string());
    if (url.starts_with("https://127.")) kubeconfig.tlsServerName = "kubernetes"; // no certificate names a slot
    return kube::Client(machine.http(), kubeconfig, url);
  };
}

std::vector<phases::EtcdMemberSeen> lookAtEtcd(Machine& machine, const config::Cluster& cluster, kube::Client& client) {
  auto etcd = connectEtcd(machine, cluster, &client);
  std::vector<phases::EtcdMemberSeen> members;
  for (const auto& each : etcd::look(etcd))
    members.push_back({.name = each.member.name, .peerUrl = each.member.peerUrls.empty() ? "" : each.member.peerUrls.front(), .version = each.status ? each.status->version : "",
                       .learner = each.member.learner, .leads = each.leads()});
  return members;
}

} // namespace kubestrap::cmd
