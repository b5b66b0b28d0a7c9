// What is wrong: one row of the table for each thing that can be.
#include "phases/conversion.hpp"
#include "phases/status.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kubestrap::phases::status {

namespace {

using namespace std::chrono_literals;
using plan::Severity;
using Findings = std::vector<Finding>;

/// A driver refreshes its plan every few seconds, and another may follow one that has been silent for this long.
constexpr Duration abandoned = 5min;
/// A month is enough to renew by hand what nobody renews by itself.
constexpr Duration endsSoon = std::chrono::hours(24 * 30), authorityEndsSoon = std::chrono::hours(24 * 180);
/// etcd complains of a peer whose clock differs by more (etcd: rafthttp/probing_status.go); certificates begin five minutes early.
constexpr Duration clockTolerated = 2s, clockFatal = 5min;
constexpr std::uint64_t mebibyte = 1024 * 1024, diskFull = 256 * mebibyte;

void say(const Rule& rule, Findings& findings, std::string where, std::string evidence, std::string remedy = {}) {
  findings.push_back({.name = std::string(rule.name), .severity = rule.severity, .where = std::move(where), .cause = std::string(rule.cause),
                      .evidence = std::move(evidence), .remedy = remedy.empty() ? std::string(rule.remedy) : std::move(remedy)});
}

std::string place(const std::string& node, std::string_view component) { return fmt::format("{} {}", node, component); }

bool isUnderWay(const Seen& seen) { return seen.plan && seen.plan->underWay(); }

/// What each guard reports: of all nodes, or of this machine alone while there is no API.
std::vector<std::pair<std::string, pivot::GuardReport>> reports(const Seen& seen) {
  std::vector<std::pair<std::string, pivot::GuardReport>> all;
  if (seen.silent.empty()) {
    for (const auto& node : seen.controlPlane.nodes)
      if (node.guard) all.emplace_back(node.name, *node.guard);
  } else if (seen.machine.guard && seen.machine.guardRuns) {
    all.emplace_back(seen.machine.name, *seen.machine.guard);
  }
  return all;
}

bool expectsDaemonSets(const Seen& seen) { return seen.hosting == "self" || std::ranges::any_of(seen.controlPlane.nodes, &pivot::NodeSeen::selfHosted); }

bool hasDaemonSet(const Seen& seen, std::string_view component) { return seen.controlPlane.daemonSets.contains(std::string(component)); }

// ---- the cluster

void apiUnreachable(const Seen& seen, const Rule& rule, Findings& findings) {
  if (!seen.silent.empty()) say(rule, findings, {}, seen.silent);
}

void unitDown(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& unit : seen.machine.units)
    if (!unit.active)
      say(rule, findings, place(seen.machine.name, unit.name), unit.words, fmt::format("journalctl -u {0} says why it ended; then: systemctl start {0}", unit.name));
}

void runtimeSilent(const Seen& seen, const Rule& rule, Findings& findings) {
  if (!seen.machine.runtime.empty()) say(rule, findings, seen.machine.name, seen.machine.runtime);
}

void containerDown(const Seen& seen, const Rule& rule, Findings& findings) {
  if (seen.silent.empty()) return;
  for (const auto& container : seen.machine.containers)
    if (!container.running)
      say(rule, findings, place(seen.machine.name, container.component), container.ended,
          fmt::format("look at its log: /var/log/pods/kube-system_{}_*/{}/", container.pod, container.component));
}

void nodeNotReady(const Seen& seen, bool controlPlane, const Rule& rule, Findings& findings) {
  for (const auto& node : seen.nodes)
    if (node.controlPlane == controlPlane && !node.ready) say(rule, findings, node.name, node.trouble.empty() ? "its kubelet does not say that it is ready" : node.trouble);
}
void controlPlaneNotReady(const Seen& seen, const Rule& rule, Findings& findings) { nodeNotReady(seen, true, rule, findings); }
void workerNotReady(const Seen& seen, const Rule& rule, Findings& findings) { nodeNotReady(seen, false, rule, findings); }

void guardSilent(const Seen& seen, const Rule& rule, Findings& findings) {
  if (seen.silent.empty() && seen.hosted())
    for (const auto& node : seen.controlPlane.nodes)
      if (!node.guard || !node.guard->fresh)
        say(rule, findings, node.name, node.guard ? "its Lease has not been renewed for 40 s" : "there is no Lease of it",
            fmt::format("on {0}: ls /etc/kubernetes/manifests/kubestrap-guard.yaml, and its log in /var/log/pods/kube-system_kubestrap-guard-{0}_*/", node.name));
  if (!seen.silent.empty() && seen.machine.guard && !seen.machine.guardRuns)
    say(rule, findings, seen.machine.name, "no container of it runs", "look at /etc/kubernetes/manifests/kubestrap-guard.yaml; kubestrap rescue does without a guard");
}

void componentDown(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& row : rows(seen)) {
    if (row.health != "down" && row.health != "unready") continue;
    std::vector<std::string> words{"it is " + row.health};
    for (const auto& pod : seen.pods)
      if (pod.node == row.node && pod.component == row.component && !pod.trouble.empty()) words.push_back(fmt::format("a pod of it: {}", pod.trouble));
    say(rule, findings, place(row.node, row.component), join(words, "; "));
  }
}

void noLeader(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& [component, leader] : seen.controlPlane.leaders)
    if (!leader.fresh)
      say(rule, findings, component, leader.node.empty() ? "nobody holds its Lease" : fmt::format("its Lease was held by {} and has run out", leader.node));
}

// ---- a control plane in its own cluster

void daemonSetMissing(const Seen& seen, const Rule& rule, Findings& findings) {
  if (!seen.silent.empty() || !expectsDaemonSets(seen) || isUnderWay(seen)) return;
  for (const auto component : manifests::hostedComponents)
    if (!hasDaemonSet(seen, component)) say(rule, findings, std::string(component), "kube-system has no DaemonSet of that name", fmt::format("kubestrap repair {}", component));
}

void daemonSetIncomplete(const Seen& seen, const Rule& rule, Findings& findings) {
  if (isUnderWay(seen)) return;
  for (const auto& [name, set] : seen.controlPlane.daemonSets)
    if (set.available < set.desired) say(rule, findings, name, fmt::format("{} of {} pods are available", set.available, set.desired));
}

void rescueActive(const Seen& seen, const Rule& rule, Findings& findings) {
  if (isUnderWay(seen)) return;
  for (const auto& [node, report] : reports(seen))
    for (const auto& [component, each] : report.components)
      if (each.hosting == "rescue" && hasDaemonSet(seen, component)) say(rule, findings, place(node, component), "its static pod was promoted");
}

void componentHeld(const Seen& seen, const Rule& rule, Findings& findings) {
  if (isUnderWay(seen)) return;
  for (const auto& node : seen.controlPlane.nodes) {
    if (!node.selfHosted || !node.guard) continue;
    for (const auto& component : node.guard->held)
      say(rule, findings, place(node.name, component), fmt::format("the Node's annotation {} names it", manifests::heldAnnotation),
          fmt::format("when the cause is gone, on {}: kubestrap rescue {} --release", node.name, component));
  }
}

/// What a guard says under this name.
void condition(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& [node, report] : reports(seen))
    for (const auto& [name, message] : report.conditions) {
      const auto component = message.substr(0, message.find(':'));
      if (name != rule.name || (name == "ParentMissing" && !hasDaemonSet(seen, component))) continue;
      say(rule, findings, place(node, component), message.substr(std::min(message.size(), component.size() + 2)));
    }
}

void pivotHalfway(const Seen& seen, const Rule& rule, Findings& findings) {
  if (isUnderWay(seen)) return;
  std::vector<std::string> marked, others;
  for (const auto& node : seen.controlPlane.nodes) (node.selfHosted ? marked : others).push_back(node.name);
  if (!marked.empty() && !others.empty())
    say(rule, findings, {}, fmt::format("{} run pods of the DaemonSets, {} static pods", join(marked, ", "), join(others, ", ")));
}

void conversionHalfway(const Seen& seen, const Rule& rule, Findings& findings) {
  if (seen.machine.convertsTo.empty() || isUnderWay(seen)) return;
  say(rule, findings, seen.machine.name, fmt::format("it goes to layout {}, by {}", seen.machine.convertsTo, conversion::underWay.string()),
      fmt::format("on {}: kubestrap convert --to {} goes on, and the other direction goes back", seen.machine.name, seen.machine.convertsTo));
}

void planAbandoned(const Seen& seen, const Rule& rule, Findings& findings) {
  if (!isUnderWay(seen)) return;
  const auto& plan = *seen.plan;
  const auto silence = plan.refreshed ? seen.now - *plan.refreshed : Duration::max();
  if (silence < abandoned) return;
  say(rule, findings, {},
      fmt::format("{} of {}, last heard of {} ago at: {}", plan.operation, plan.holder, plan.refreshed ? humanDuration(silence) : "long", plan.step),
      fmt::format("kubestrap {} goes on where it ended", plan.operation));
}

void versionsDiffer(const Seen& seen, const Rule& rule, Findings& findings) {
  if (isUnderWay(seen)) return;
  std::map<std::string, std::set<std::string>> versions;
  for (const auto& row : rows(seen))
    if (!row.version.empty()) versions[row.component].insert(row.version);
  for (const auto& [component, found] : versions)
    if (found.size() > 1) say(rule, findings, component, join(std::vector<std::string>(found.begin(), found.end()), " and "));
}

// ---- etcd

std::size_t voters(const EtcdSeen& etcd) {
  return static_cast<std::size_t>(std::ranges::count_if(etcd.members, [](const auto& each) { return !each.learner; }));
}

std::size_t healthyVoters(const EtcdSeen& etcd) {
  return static_cast<std::size_t>(std::ranges::count_if(etcd.members, [](const auto& each) { return !each.learner && each.silent.empty() && each.seesLeader; }));
}

std::string nameOf(const EtcdMemberSeen& member) { return member.name.empty() ? member.id : member.name; }

void etcdSilent(const Seen& seen, const Rule& rule, Findings& findings) {
  if (!seen.etcd.silent.empty()) say(rule, findings, {}, seen.etcd.silent);
}

void etcdNoQuorum(const Seen& seen, const Rule& rule, Findings& findings) {
  const auto all = voters(seen.etcd), healthy = healthyVoters(seen.etcd);
  if (all > 0 && healthy < all / 2 + 1) say(rule, findings, {}, fmt::format("{} of {} members answer and see a leader; {} are needed", healthy, all, all / 2 + 1));
}

void etcdMemberSilent(const Seen& seen, const Rule& rule, Findings& findings) {
  const auto all = voters(seen.etcd), healthy = healthyVoters(seen.etcd);
  for (const auto& member : seen.etcd.members) {
    if (member.silent.empty()) continue;
    const auto more = static_cast<long>(healthy) - static_cast<long>(all / 2 + 1);
    say(rule, findings, nameOf(member),
        fmt::format("{}; of {} members {} are well, {}", member.silent, all, healthy, more < 0 ? "too few" : more == 0 ? "and none more may be lost" : fmt::format("and {} more may be lost", more)));
  }
}

void etcdAlarm(std::string_view kind, const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& member : seen.etcd.members)
    if (std::ranges::find(member.alarms, kind) != member.alarms.end())
      say(rule, findings, nameOf(member), fmt::format("alarm {}; its database has {} MiB, {} MiB of it in use, of {} MiB", kind, member.size >> 20, member.inUse >> 20, member.quota >> 20));
}
void etcdNoSpace(const Seen& seen, const Rule& rule, Findings& findings) { etcdAlarm("NOSPACE", seen, rule, findings); }
void etcdCorrupt(const Seen& seen, const Rule& rule, Findings& findings) { etcdAlarm("CORRUPT", seen, rule, findings); }

void etcdQuota(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& member : seen.etcd.members)
    if (member.alarms.empty() && member.quota > 0 && member.size * 10 >= member.quota * 8)
      say(rule, findings, nameOf(member), fmt::format("{} of {} MiB, {} MiB in use", member.size >> 20, member.quota >> 20, member.inUse >> 20));
}

void etcdLearner(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& member : seen.etcd.members)
    if (member.learner) say(rule, findings, nameOf(member), "it has no vote");
}

void etcdEven(const Seen& seen, const Rule& rule, Findings& findings) {
  const auto all = voters(seen.etcd);
  if (all > 0 && all % 2 == 0) say(rule, findings, {}, fmt::format("{} members need {} for a quorum, so {} may be lost, no more than of {}", all, all / 2 + 1, all / 2 - 1, all - 1));
}

// ---- certificates, webhooks, clocks, disks, images

void certificateExpired(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& each : seen.machine.certificates)
    if (each.ends <= seen.now) say(rule, findings, place(seen.machine.name, each.name), fmt::format("since {}", formatRfc3339(each.ends)));
}

void certificateNotYetValid(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& each : seen.machine.certificates)
    if (each.begins > seen.now)
      say(rule, findings, place(seen.machine.name, each.name), fmt::format("it begins {}, and this machine's clock says {}", formatRfc3339(each.begins), formatRfc3339(seen.now)));
}

void certificateEnds(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& each : seen.machine.certificates) {
    const auto left = each.ends - seen.now;
    if (left > Duration::zero() && left < (each.authority ? authorityEndsSoon : endsSoon))
      say(rule, findings, place(seen.machine.name, each.name), fmt::format("it ends in {}", humanDuration(left)));
  }
}

std::string words(const WebhookSeen& hook) {
  return fmt::format("{} {} asks {} about pods of kube-system, and refuses them when nobody answers", hook.kind, hook.configuration, hook.backend);
}

void webhookBlocks(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& hook : seen.webhooks)
    if (hook.failsClosed && hook.catchesPods && hook.served == false)
      say(rule, findings, hook.name, words(hook) + ", as now: its Service has no ready endpoint",
          fmt::format("bring {} back, or in an emergency: kubestrap doctor --disable-webhook {}", hook.backend, hook.configuration));
}

void webhookCatches(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& hook : seen.webhooks)
    if (hook.failsClosed && hook.catchesPods && hook.served != false) say(rule, findings, hook.name, words(hook));
}

void clockDiffers(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& [node, ahead] : seen.clocks) {
    const auto distance = ahead < Duration::zero() ? -ahead : ahead;
    if (distance <= clockTolerated) continue;
    say(rule, findings, node, fmt::format("it is {} {} that of the API server", humanDuration(distance), ahead < Duration::zero() ? "behind" : "ahead of"));
    if (distance < clockFatal) findings.back().severity = Severity::warning;
  }
}

void clockNotKept(const Seen& seen, const Rule& rule, Findings& findings) {
  if (seen.machine.clockKept == false) say(rule, findings, seen.machine.name, "the kernel says that it is not synchronised");
}

std::string words(const DiskSeen& disk) { return fmt::format("{} MiB of {} MiB are free, for {}", disk.free / mebibyte, disk.bytes / mebibyte, disk.holds); }

void diskFullRule(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& disk : seen.machine.disks)
    if (disk.free < diskFull) say(rule, findings, place(seen.machine.name, disk.folder), words(disk));
}

void diskLow(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& disk : seen.machine.disks)
    if (disk.free >= diskFull && disk.free * 10 < disk.bytes) say(rule, findings, place(seen.machine.name, disk.folder), words(disk));
}

void imageMissing(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& standby : seen.machine.standbys)
    if (standby.imageThere == false) say(rule, findings, place(seen.machine.name, standby.component), fmt::format("the runtime has not: {}", standby.image));
}

void standbyInvalid(const Seen& seen, const Rule& rule, Findings& findings) {
  for (const auto& standby : seen.machine.standbys)
    if (!standby.unfit.empty())
      say(rule, findings, place(seen.machine.name, standby.component), fmt::format("{} in the slot {} has {}", standby.component, standby.slot, standby.unfit),
          fmt::format("kubestrap rescue {} --from-config writes it anew", standby.component));
}

constexpr Rule table[] = {
    {"ApiUnreachable", Severity::error, "no API server answers: nothing can be asked of the cluster, or changed in it",
     "put right what else is found here; kubestrap rescue promotes what stands by on this node", apiUnreachable, true},
    {"UnitDown", Severity::error, "a service that every node stands on does not run", "journalctl -u NAME says why it ended; then: systemctl start NAME", unitDown},
    {"RuntimeSilent", Severity::error, "the container runtime does not answer: nothing can be started here", "journalctl -u containerd", runtimeSilent},
    {"ContainerDown", Severity::error, "a component of the control plane has ended on this node", "look at its log below /var/log/pods", containerDown, true},
    {"ControlPlaneNotReady", Severity::error, "a control plane node's kubelet does not say that it is well: its pods are not looked after", "journalctl -u kubelet on it",
     controlPlaneNotReady, true},
    {"WorkerNotReady", Severity::warning, "a worker's kubelet does not say that it is well: its pods are not looked after", "journalctl -u kubelet on it", workerNotReady, true},
    {"GuardSilent", Severity::error, "a node's guard gives no sign: nobody promotes its standbys when they are needed", "look at its log on that node", guardSilent, true},
    {"ComponentDown", Severity::error, "a component does not serve on a node", "kubectl -n kube-system get pods -l tier=control-plane -o wide, and its log below /var/log/pods",
     componentDown, true},
    {"NoLeader", Severity::error, "nobody leads: what this component does is not done", "if that lasts for more than a minute, on a control plane node: kubestrap rescue COMPONENT",
     noLeader, true},
    {"DaemonSetMissing", Severity::error, "a DaemonSet of the control plane is gone: only static pods keep the component", "kubestrap repair", daemonSetMissing},
    {"DaemonSetIncomplete", Severity::warning, "pods of a DaemonSet of the control plane are not available", "kubectl -n kube-system describe daemonset COMPONENT; kubectl rollout undo goes back",
     daemonSetIncomplete, true},
    {"RescueActive", Severity::warning, "a static pod serves in place of the DaemonSet's pod, which does not", "kubectl -n kube-system describe pods -l kubestrap.io/hosting=self says what its pod lacks; it is taken away by itself when that serves again",
     rescueActive, true},
    {"ComponentHeld", Severity::warning, "a component is kept as a static pod because somebody has asked for it", "kubestrap rescue COMPONENT --release", componentHeld},
    {"ParentMissing", Severity::error, "a node has no pod of a DaemonSet of the control plane", "kubectl -n kube-system describe daemonset COMPONENT; kubestrap repair makes a ruined one anew", condition, true},
    {"StandbyMissing", Severity::error, "there is nothing to promote on a node: it does not come back from a power loss by itself", "on that node: kubestrap rescue COMPONENT --from-config", condition},
    {"StandbyBroken", Severity::error, "what was promoted on a node does not serve", "on that node: kubestrap rescue COMPONENT --from-config", condition},
    {"StandbyTooOld", Severity::warning, "what stands by on a node is more than a minor version behind the cluster", "bring its pods of the DaemonSets up: what lasts for two minutes becomes the standby", condition},
    {"SlotBusy", Severity::error, "something else listens where a node's static pod would", "ss -ltnp on that node says what it is: end it", condition, true},
    {"StuckStaticPod", Severity::warning, "a static pod that was taken away still runs, or is still listed", "systemctl restart kubelet on that node", condition, true},
    {"StaysPromoted", Severity::warning, "a static pod is not taken away, though the DaemonSet's pod serves", "see what is said of that node besides", condition, true},
    {"TemplateUnfit", Severity::error, "no static pod can be made of a DaemonSet's template: it does not become the standby", "change the template, or kubestrap repair COMPONENT", condition},
    {"RolledBack", Severity::warning, "a roll did not get on, nobody drove it any more, and the revision before is in force again", "look for the cause (kubectl -n kube-system get events), then run the command again", condition},
    {"PivotHalfway", Severity::warning, "some control plane nodes run pods of the DaemonSets, others static pods", "kubestrap pivot goes on, kubestrap unpivot goes back", pivotHalfway},
    {"ConversionHalfway", Severity::error, "a conversion of layouts was stopped on this machine: its API server may be away until it is gone on with",
     "kubestrap convert --to LAYOUT on that node", conversionHalfway},
    {"PlanAbandoned", Severity::warning, "an operation over several nodes has ended in the middle", "run it again: it goes on", planAbandoned},
    {"VersionsDiffer", Severity::warning, "a component has different versions on different nodes", "bring all nodes to one version", versionsDiffer, true},
    {"EtcdSilent", Severity::error, "etcd could not be asked for its members", "look at its log: /var/log/pods/kube-system_etcd-*", etcdSilent, true},
    {"EtcdNoQuorum", Severity::error, "too few members of etcd are well: nothing can be read or written", "bring machines back; if they are lost for good, on one that has a member: kubestrap recover etcd --from-member", etcdNoQuorum, true},
    {"EtcdMemberSilent", Severity::error, "a member of etcd does not answer", "bring its machine back, or take it out: see docs/recovery.md", etcdMemberSilent, true},
    {"EtcdNoSpace", Severity::error, "etcd takes no writes: its database has reached its quota", "kubestrap etcd defrag --disarm; if most of it is in use, delete what fills it, or raise quota-backend-bytes", etcdNoSpace},
    {"EtcdCorrupt", Severity::error, "a member of etcd has other data than the others", "take that member out and let it join anew: see docs/recovery.md", etcdCorrupt},
    {"EtcdQuota", Severity::warning, "etcd's database comes near its quota, at which it takes no more writes", "kubestrap etcd defrag gives back what is not in use; else raise quota-backend-bytes", etcdQuota},
    {"EtcdLearner", Severity::warning, "a member of etcd is a learner still", "kubestrap join on its node goes on where it ended", etcdLearner, true},
    {"EtcdEven", Severity::warning, "etcd has an even number of members, which is no safer than one less", "add or remove a control plane node", etcdEven},
    {"CertificateExpired", Severity::error, "a certificate has ended: who shows it is refused", "kubestrap certs renew NAME", certificateExpired},
    {"CertificateNotYetValid", Severity::error, "a certificate is not valid yet: the clock is wrong, or was when it was made", "set the clock; renew nothing before", certificateNotYetValid},
    {"CertificateEnds", Severity::warning, "a certificate ends soon", "kubestrap certs renew NAME; an authority's needs a new one", certificateEnds},
    {"WebhookBlocks", Severity::error, "no pod of the control plane can be made: a webhook is asked that nobody answers for", "kubestrap doctor --disable-webhook CONFIGURATION", webhookBlocks},
    {"WebhookCatches", Severity::warning, "no pod of the control plane could be made while a webhook of the cluster does not answer", "exclude the namespace kube-system in its namespaceSelector", webhookCatches},
    {"ClockDiffers", Severity::error, "a node's clock is not that of the others: certificates and tokens of the one may not be valid for the other", "see to it that chrony, systemd-timesyncd or ntpd keeps it", clockDiffers},
    {"ClockNotKept", Severity::warning, "nothing keeps this machine's clock", "see to it that chrony, systemd-timesyncd or ntpd keeps it", clockNotKept},
    {"DiskFull", Severity::error, "a disk is full", "make room", diskFullRule},
    {"DiskLow", Severity::warning, "a disk is nearly full: the kubelet evicts pods and removes images", "make room", diskLow},
    {"ImageMissing", Severity::error, "the image of a standby is not on this node: without a registry it does not come back from a power loss", "ctr -n k8s.io images pull IMAGE, or import it", imageMissing},
    {"StandbyInvalid", Severity::error, "a standby of this node cannot be promoted", "kubestrap rescue COMPONENT --from-config", standbyInvalid},
};

} // namespace

std::span<const Rule> rules() { return table; }

bool mayPass(const Finding& finding) {
  const auto found = std::ranges::find(table, finding.name, &Rule::name);
  return found != std::end(table) && found->mayPass;
}

std::vector<Finding> judge(const Seen& seen) {
  Findings findings;
  for (const auto& rule : table) rule.judge(seen, rule, findings);
  std::ranges::stable_sort(findings, {}, [](const Finding& each) { return each.severity != Severity::error; });
  return findings;
}

} // namespace kubestrap::phases::status
