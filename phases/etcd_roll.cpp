#include "phases/etcd_roll.hpp"

#include "manifests/components.hpp"
#include "manifests/second_etcd.hpp"
#include "manifests/static_pods.hpp"
#include "phases/node.hpp"
#include "support/version.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::phases {

namespace {

using config::Setup;
using plan::Resources;
using plan::Standing;

/// One of the two places in which a member can run on this node.
struct Place {
  std::string name, peerUrl, clientUrl, pod;
  std::string clients; ///< where API servers of this node reach it: "127.0.0.1:2379"
  config::Path manifest, data;
  bool staysAway = false; ///< when its member has gone
};

Place own(const Setup& setup) {
  return {setup.node.name, manifests::etcdPeerUrl(setup.node), manifests::etcdClientUrl(setup.node), fmt::format("etcd-{}", setup.node.name), manifests::etcdForApiServers(setup.node), manifests::manifestPath(manifests::component("etcd")),
          setup.cluster.etcd.local.dataDir};
}

Place second(const Setup& setup) {
  return {manifests::secondEtcdName(setup.node), manifests::secondEtcdPeerUrl(setup.node), manifests::secondEtcdClientUrl(setup.node), fmt::format("etcd-second-{}", setup.node.name),
          manifests::secondEtcdForApiServers(setup.node), manifests::secondEtcdManifest(), manifests::secondEtcdData(setup.cluster.etcd.local), true};
}

plan::EtcdMember member(const Setup& setup, const Place& place, Standing standing) {
  auto member = etcdMemberOf(setup, asAdmin(setup), place.peerUrl, standing);
  member.name = place.name;
  member.pod = place.pod;
  member.clientUrl = place.clientUrl;
  member.fatal = {plan::StaticPodFails{{.component = "etcd", .image = setup.cluster.images.etcd, .manifest = place.manifest}}};
  return member;
}

plan::File manifest(const Setup& setup, const Place& place, Value pod) {
  auto file = staticPod("etcd", std::move(pod));
  file.path = place.manifest;
  file.initialCluster = plan::InitialCluster{etcdAccessOf(setup.cluster, asAdmin(setup)), place.name, place.peerUrl};
  return file;
}

/// A client of etcd comes back to an address at which nobody was by and by: gRPC waits for up to 120 s and a fifth between two attempts
/// (grpc/doc/connection-backoff.md). Nobody may be left with the other place only when that goes.
plan::Condition known(const Place& from, const Place& to) {
  return {.what = fmt::format("every API server here is connected to {}", to.name),
          .probe = plan::ConnectedAsWell{"kube-apiserver", from.clients, to.clients},
          .patience = std::chrono::minutes(3),
          .hint = "look at etcd's log below /var/log/pods/kube-system_etcd-*; its clients are shown by: ss -tnp"};
}

/// A member in that place begins, catches up, and votes.
Resources begun(const Setup& setup, const Place& place, Value pod) {
  return {plan::Folder{place.data, 0700}, member(setup, place, Standing::learner), manifest(setup, place, std::move(pod)), member(setup, place, Standing::voter)};
}

/// A member goes, and what it leaves.
Resources left(const Setup& setup, const Place& place) {
  return {member(setup, place, Standing::absent),
          plan::Absent{.path = place.manifest, .reason = "its member has left etcd"},
          plan::Condition{.what = fmt::format("the pod {} is gone", place.pod),
                          .probe = place.staysAway ? plan::StaticPodGone{.pod = place.pod} : plan::StaticPodGone{.pod = place.pod, .mirror = asAdmin(setup)},
                          .patience = std::chrono::minutes(2),
                          .hint = "look at: crictl ps -a, and at journalctl -u kubelet"},
          plan::Absent{.path = place.data / "member", .depth = plan::Absent::Depth::tree, .reason = "its member has left etcd"}};
}

/// The member in the one place makes room for one in the other. Where it leads, leadership goes over before, since a leader that is taken out leaves
/// the others to find that out.
Resources move(const Setup& setup, const Place& from, const Place& to, bool leads, Value pod) {
  auto serving = member(setup, to, leads ? Standing::leader : Standing::server);
  serving.inPlaceOf = from.peerUrl;
  auto work = begun(setup, to, std::move(pod));
  work.push_back(known(from, to));
  work.push_back(serving);
  append(work, left(setup, from));
  return work;
}

Value etcdPodHere(const Setup& setup) { return manifests::etcdPod(setup, std::string(plan::InitialCluster::placeholder)); }

const EtcdMemberSeen* at(const Place& place, const std::vector<EtcdMemberSeen>& members) {
  const auto found = std::ranges::find(members, place.peerUrl, &EtcdMemberSeen::peerUrl);
  return found == members.end() ? nullptr : &*found;
}

std::string nameOf(const Setup& setup) { return manifests::tagOf(setup.cluster.images.etcd); }

/// Older than it is to be. A learner that has not begun yet is of the new version: it was made by this.
bool isOld(const EtcdMemberSeen& member, const Setup& setup) {
  const auto wanted = readVersion(nameOf(setup)), found = readVersion(member.version); // the tag is a version with a build behind it
  return !member.learner && wanted && found && *found < *wanted;
}

bool areAllHere(const Setup& setup, const std::vector<EtcdMemberSeen>& members) {
  const auto here = own(setup), beside = second(setup);
  return std::ranges::all_of(members, [&](const auto& each) { return each.peerUrl == here.peerUrl || each.peerUrl == beside.peerUrl; });
}

Value secondPod(const Setup& setup) { return manifests::secondEtcdPod(setup, std::string(plan::InitialCluster::placeholder)); }

} // namespace

bool etcdIsUnderWay(const std::vector<EtcdMemberSeen>& members) {
  return std::ranges::any_of(members, [](const auto& each) { return manifests::isSecondEtcd(each.peerUrl); });
}

bool etcdIsOutdated(const Setup& setup, const std::vector<EtcdMemberSeen>& members) {
  return std::ranges::any_of(members, [&](const auto& each) { return isOld(each, setup); }) || etcdIsUnderWay(members);
}

std::string etcdsTurn(const Setup& setup, const std::vector<EtcdMemberSeen>& members) {
  const EtcdMemberSeen* next = nullptr;
  const auto rank = [](const EtcdMemberSeen& each) { return manifests::isSecondEtcd(each.peerUrl) ? 0 : each.leads ? 2 : 1; };
  for (const auto& each : members)
    if ((isOld(each, setup) || manifests::isSecondEtcd(each.peerUrl)) && (!next || rank(each) < rank(*next))) next = &each;
  if (!next) return {};
  // One that has only been added has no name yet; the node's other one has.
  const auto host = next->peerUrl.substr(0, next->peerUrl.rfind(':'));
  for (const auto& each : members)
    if (!each.name.empty() && each.peerUrl.substr(0, each.peerUrl.rfind(':')) == host)
      return manifests::isSecondEtcd(each.peerUrl) ? each.name.substr(0, each.name.size() - manifests::secondEtcdSuffix.size()) : each.name;
  return {};
}

plan::File etcdManifest(const Setup& setup) { return manifest(setup, own(setup), etcdPodHere(setup)); }

std::optional<plan::Step> etcdBeside(const Setup& setup, const std::vector<EtcdMemberSeen>& members) {
  const auto beside = second(setup);
  const auto* first = at(own(setup), members);
  if (!first || !isOld(*first, setup) || !areAllHere(setup, members)) return std::nullopt;
  if (const auto* there = at(beside, members); there && !there->learner && !there->version.empty()) return std::nullopt;
  auto work = begun(setup, beside, secondPod(setup));
  work.push_back(member(setup, beside, Standing::server));
  return plan::Step{fmt::format("etcd {} beside the one that runs", nameOf(setup)), std::move(work)};
}

std::optional<plan::Step> etcdBesideGone(const Setup& setup, const std::vector<EtcdMemberSeen>& members) {
  const auto here = own(setup), beside = second(setup);
  const auto *first = at(here, members), *there = at(beside, members);
  if (!first || !there || first->learner || !isOld(*first, setup) || !areAllHere(setup, members)) return std::nullopt;
  Resources work;
  if (there->leads) work.push_back(member(setup, here, Standing::leader));
  append(work, left(setup, beside));
  return plan::Step{fmt::format("etcd {}, beside the one that runs, goes again", nameOf(setup)), std::move(work)};
}

std::optional<plan::Step> rollEtcd(const Setup& setup, const std::vector<EtcdMemberSeen>& members) {
  const auto here = own(setup), beside = second(setup);
  const auto* first = at(here, members);
  if (first && isOld(*first, setup))
    return plan::Step{fmt::format("etcd {} beside the one that runs, which makes room", nameOf(setup)),
                      move(setup, here, beside, first->leads, secondPod(setup))};
  const auto* other = at(beside, members);
  if (!other) return std::nullopt;
  return plan::Step{fmt::format("etcd {} in its own place again", nameOf(setup)),
                    move(setup, beside, here, other->leads, etcdPodHere(setup))};
}

} // namespace kubestrap::phases
