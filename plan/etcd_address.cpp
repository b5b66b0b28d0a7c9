// A member of etcd whose machine has another address (etcd: "Update a member", op-guide/runtime-configuration).
#include "etcd/client.hpp"

#include "plan/kinds.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

/// Throws NotYet where etcd does not know the name: a member tells it when it has begun.
etcd::Member memberOf(const MoveEtcdMember& wanted, etcd::Client& client) {
  const auto members = client.members();
  const auto found = std::ranges::find(members, wanted.name, &etcd::Member::name);
  if (found == members.end()) throw NotYet(fmt::format("etcd has no member {}", wanted.name), "see: kubestrap etcd members");
  return *found;
}

/// "https://10.0.0.22:2379" of "https://10.0.0.22:2380".
std::string clientUrlOf(const std::string& peerUrl) { return replaceAll(peerUrl, ":2380", ":2379"); }

/// A kubelet that began etcd's pod while there was no API server tells of it up to a minute and a half later: until then the member itself is asked.
etcd::Client connectToAny(const MoveEtcdMember& wanted, const Context& context) {
  try {
    return connect(wanted.access, context);
  } catch (const NotYet&) {
    const auto content = [&](const Path& path) { return context.world.host.read(path).value_or(""); };
    etcd::Identity identity{.authorities = content(wanted.access.authority), .certificate = content(wanted.access.certificate), .key = Secret(content(wanted.access.key))};
    if (identity.certificate.empty()) throw;
    return {context.world.http, {clientUrlOf(wanted.peerUrl)}, std::move(identity)};
  }
}

bool isThere(const MoveEtcdMember& wanted, const etcd::Member& member) { return member.peerUrls == std::vector{wanted.peerUrl}; }

} // namespace

Change needed(const MoveEtcdMember& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  try {
    std::optional<etcd::Member> member;
    withPatience(context, change.subject, [&] {
      auto client = connectToAny(wanted, context);
      member = memberOf(wanted, client);
    });
    if (member && isThere(wanted, *member)) return change;
    change.verb = Verb::update;
    if (member) change.reason = "is at " + join(member->peerUrls, ", ");
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    if (context.applying) throw;
    change.verb = Verb::unknown;
    change.reason = error.message();
  }
  return change;
}

void perform(const MoveEtcdMember& wanted, const Change& change, const Context& context) {
  await({.what = fmt::format("etcd knows {} at {}", wanted.name, wanted.peerUrl),
         .probe = EtcdHealthy{wanted.access},
         .patience = wanted.patience,
         .hint = "look at etcd's log on the control planes, below /var/log/pods/kube-system_etcd-*",
         .fatal = {}},
        change, context, [&]() -> std::optional<std::string> {
          try {
            auto client = connectToAny(wanted, context);
            const auto member = memberOf(wanted, client);
            if (!isThere(wanted, member)) client.updatePeerUrls(member.id, {wanted.peerUrl});
            return std::nullopt;
          } catch (const net::GrpcError& error) {
            if (!etcd::isPassing(error)) throw;
            return error.detail();
          } catch (const net::TransportError& error) {
            return error.message();
          }
        });
}

} // namespace kubestrap::plan
