// Members of etcd: found through the cluster, changed by etcd's own API.
#include "etcd/client.hpp"

#include "kube/reading.hpp"
#include "plan/kinds.hpp"
#include "support/ip.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

constexpr std::string_view clientUrlsAnnotation = "kubeadm.kubernetes.io/etcd.advertise-client-urls";
constexpr std::string_view podLabels = "component=etcd,tier=control-plane";
constexpr int clientPort = 2379;

/// Where the cluster's members are reached. A kubelet that registers before the API server has its PriorityClasses is refused its static pods, and
/// tells of them up to a minute and a half later: until then it is told by the nodes where they are.
std::vector<std::string> endpointsOf(kube::Client& api) {
  std::vector<std::string> endpoints;
  for (const auto& pod : api.list("v1", "Pod", "kube-system", std::string(podLabels))) {
    const auto urls = kube::annotationOf(pod, clientUrlsAnnotation);
    if (!urls) continue;
    for (auto& url : split(*urls, ',')) endpoints.push_back(std::move(url));
  }
  if (endpoints.empty())
    for (const auto& node : api.list("v1", "Node", "", std::string(kube::controlPlaneLabel)))
      if (const auto addresses = kube::internalAddresses(node); !addresses.empty())
        endpoints.push_back("https://" + joinHostPort(addresses.front(), clientPort));
  std::sort(endpoints.begin(), endpoints.end());
  return endpoints;
}

std::string needed(const Path& path, const Context& context) {
  auto content = context.world.host.read(path);
  if (!content) throw NotYet(path.string() + " is absent", "make it first: kubestrap join phase control-plane-prepare certs");
  return *std::move(content);
}

etcd::Identity identityOf(const EtcdAccess& access, const Context& context) {
  return {.authorities = needed(access.authority, context),
          .certificate = needed(access.certificate, context),
          .key = Secret(needed(access.key, context))};
}

/// Why a member is not healthy, in its own words if it answers.
std::optional<std::string> troubleOf(const std::string& endpoint, etcd::Client& client) {
  try {
    const auto status = client.status(endpoint);
    if (status.leaderId != 0 && status.errors.empty()) return std::nullopt;
    return fmt::format("{}: {}", endpoint, status.errors.empty() ? "sees no leader" : join(status.errors, ", "));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    return error.message();
  }
}

const etcd::Member* findMember(const std::vector<etcd::Member>& members, const std::string& peerUrl) {
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& each) { return each.hasPeerUrl(peerUrl); });
  return found == members.end() ? nullptr : &*found;
}

std::string_view standingOf(const etcd::Member* member) {
  return !member ? "" : member->learner ? "learner" : "voter";
}

/// "has applied 1200 of 5400 entries": how far a learner has caught up; empty when nobody says.
std::string progressOf(etcd::Client& client, const etcd::Member& learner) {
  std::uint64_t leader = 0, own = 0;
  for (const auto& endpoint : client.endpoints()) {
    try {
      leader = std::max(leader, client.status(endpoint).raftIndex);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
    }
  }
  try {
    if (!learner.clientUrls.empty()) own = client.status(learner.clientUrls.front(), etcd::Client::atOnce).appliedIndex;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
  }
  return own && leader ? fmt::format("has applied {} of {} entries", own, leader) : std::string();
}

/// In which the member runs here; nothing when it does not.
std::optional<host::Container> containerOf(const EtcdMember& member, World& world) {
  for (auto& container : world.cri.containers("kube-system"))
    if (container.name == "etcd" && (member.pod.empty() || container.podName == member.pod) && container.state == host::Container::State::running) return std::move(container);
  return std::nullopt;
}

std::optional<Duration> runsFor(const EtcdMember& member, World& world) {
  const auto container = containerOf(member, world);
  return container ? std::optional(world.clock.now() - container->createdAt) : std::nullopt;
}

/// "2379 and 2380": where it is reached.
std::string portsOf(const EtcdMember& member) {
  std::vector<std::string> ports;
  for (const auto& url : {member.clientUrl, member.peerUrl})
    if (const auto colon = url.rfind(':'); colon != std::string::npos) ports.push_back(url.substr(colon + 1));
  std::ranges::sort(ports);
  return join(ports, " and ");
}

/// A member tells its name to the others as soon as it has heard from the leader. One that runs and does not is not reached.
std::string notHeardFrom(const EtcdMember& wanted, World& world) {
  constexpr auto enough = std::chrono::seconds(20);
  const auto age = runsFor(wanted, world);
  if (!age) return "it has not started yet";
  if (*age > enough)
    throw Error(fmt::format("etcd runs here for {}, but the other members have not heard from it: they cannot reach {}", humanDuration(*age),
                            wanted.peerUrl),
                fmt::format("let ports {} through the firewalls between control planes, in both directions", portsOf(wanted)));
  return "the other members have not heard from it yet";
}

/// The kubelet begins a pod's first container anew at once, and lets a further one wait for ten seconds and more.
enum class Attempt { any, first };

/// Ends its container. Where the runtime does not do it, the kubelet does when the manifest goes.
bool endAtOnce(const EtcdMember& member, Attempt attempt, World& world) {
  try {
    const auto container = containerOf(member, world);
    if (!container || (attempt == Attempt::first && container->attempt > 0)) return false;
    world.cri.stopContainer(container->id, Duration::zero());
    return true;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "etcd's container could not be ended: {}", error.message());
    return false;
  }
}

/// A learner that waits for its own announcement, which lay in the snapshot that it began with: it announces itself again after seven seconds, and
/// serves no client until then (etcd: server/etcdserver/server.go, publishV3). Begun anew, it hears itself at once; and a learner has no vote that
/// would be missed. One that serves is left alone from then on: a promotion whose answer was lost may have given it a vote.
class Unheard {
public:
  /// What is waited for, as long as it is.
  std::optional<std::string> wait(const EtcdMember& wanted, const etcd::Member& member, etcd::Client& client, World& world) {
    if (given_ || member.clientUrls.empty()) return std::nullopt;
    if (client.serves(member.clientUrls.front())) {
      given_ = true;
      return std::nullopt;
    }
    const auto now = world.clock.now();
    if (!since_) since_ = now;
    if (!begunAnew_ && now - *since_ >= enough) {
      begunAnew_ = true;
      if (!isSmall(client)) given_ = true;
      else if (endAtOnce(wanted, Attempt::first, world)) log::info(1, "etcd here has got its own announcement by a snapshot: it begins anew");
    }
    if (now - *since_ >= tooLong) given_ = true;
    return given_ ? std::nullopt : std::optional<std::string>("it does not serve clients yet");
  }

private:
  static constexpr auto enough = std::chrono::milliseconds(500);
  static constexpr auto tooLong = std::chrono::seconds(8);  ///< by then it has announced itself once more
  static constexpr std::int64_t small = std::int64_t{128} << 20; ///< octets: a larger snapshot may be on its way still

  static bool isSmall(etcd::Client& client) {
    for (const auto& endpoint : client.endpoints()) {
      try {
        if (const auto status = client.status(endpoint); status.leaderId == status.memberId) return status.dbSize < small;
      } catch (const Interrupted&) {
        throw;
      } catch (const Error&) {
      }
    }
    return false;
  }

  std::optional<TimePoint> since_;
  bool begunAnew_ = false, given_ = false; ///< given_: it is promoted as it is
};

/// Tries to promote; nothing when it is a voter now.
std::optional<std::string> lackOfPromotion(const EtcdMember& wanted, Unheard& unheard, const Context& context) {
  auto client = connect(wanted.access, context);
  try {
    const auto members = client.members();
    const auto* member = findMember(members, wanted.peerUrl);
    if (!member) throw Error(fmt::format("etcd has no member {} any more", wanted.peerUrl), "run the command again");
    if (!member->learner) return std::nullopt;
    if (member->name.empty()) return notHeardFrom(wanted, context.world);
    if (auto waits = unheard.wait(wanted, *member, client, context.world)) return waits;
    try {
      client.promote(member->id);
      return std::nullopt;
    } catch (const net::GrpcError& error) {
      if (!etcd::isLearnerBehind(error)) throw;
      const auto progress = progressOf(client, *member);
      return progress.empty() ? "it is catching up" : progress;
    }
  } catch (const net::GrpcError& error) {
    if (!etcd::isPassing(error)) throw;
    return error.detail();
  } catch (const net::TransportError& error) {
    return error.message();
  }
}

/// Whether it has what the one has in whose place it comes, by their hashes at one revision. etcd says none of a learner (etcd: api/v3rpc/util.go,
/// isRPCSupportedForLearner), so it votes by then, and the other has not gone.
std::optional<std::string> lackOfData(const EtcdMember& wanted, const etcd::Member& member, const std::vector<etcd::Member>& members, etcd::Client& client) {
  const auto* former = findMember(members, wanted.inPlaceOf);
  if (!former || former->clientUrls.empty()) return std::nullopt;
  const auto &own = member.clientUrls.front(), &other = former->clientUrls.front();
  const auto revision = std::min(client.status(own).revision, client.status(other).revision);
  etcd::Hash found, expected;
  try {
    found = client.hash(own, revision), expected = client.hash(other, revision);
  } catch (const net::GrpcError& error) {
    if (error.code() != net::GrpcCode::outOfRange) throw; // compacted just now
    return error.detail();
  }
  if (found.compacted != expected.compacted) return fmt::format("it is compacted to revision {}, and {} to {}", found.compacted, former->name, expected.compacted);
  if (found.hash == expected.hash) return std::nullopt;
  throw Error(fmt::format("etcd member {} has other data than {}, in whose place it was to come: at revision {} their hashes are {:08x} and {:08x}", wanted.name, former->name, revision,
                          found.hash, expected.hash),
              fmt::format("{} is still there, and so is the snapshot that was taken before: find out which of the two is right before either is taken out (kubestrap etcd status; etcd's logs below "
                          "/var/log/pods/kube-system_etcd-*)",
                          former->name));
}

/// Nothing when it serves clients and, where it is to lead, leads: leadership is moved to it. Only one that serves clients is to lead, since others
/// may be taken out then. That can be seven seconds after it has begun to vote (Unheard).
std::optional<std::string> lackOfService(const EtcdMember& wanted, bool& isProved, const Context& context) {
  try {
    auto client = connect(wanted.access, context);
    const auto members = client.members();
    const auto* member = findMember(members, wanted.peerUrl);
    if (!member || member->learner) throw Error(fmt::format("etcd has no voter {}", wanted.peerUrl), "run the command again");
    if (member->clientUrls.empty()) return "it has not told where clients reach it";
    if (!client.serves(member->clientUrls.front())) return "it does not serve clients yet";
    if (!isProved)
      if (auto lack = lackOfData(wanted, *member, members, client)) return lack;
    isProved = true;
    if (wanted.standing == Standing::server) return std::nullopt;
    for (const auto& endpoint : client.endpoints()) {
      const auto status = client.status(endpoint);
      if (status.leaderId == member->id) return std::nullopt;
      if (status.leaderId == status.memberId) client.moveLeader(endpoint, member->id);
    }
    return "another leads still";
  } catch (const net::GrpcError& error) {
    if (!etcd::isPassing(error)) throw;
    return error.detail();
  } catch (const net::TransportError& error) {
    return error.message();
  }
}

/// Tries to take it out; nothing when it is. One that runs beside another here is ended in the same moment: until its process ends it takes
/// requests still, and answers them with "raft: stopped", which no client asks a second time (seen: twelve writes in half a second).
std::optional<std::string> lackOfRemoval(const EtcdMember& wanted, const Context& context) {
  try {
    auto client = connect(wanted.access, context);
    const auto members = client.members();
    const auto* member = findMember(members, wanted.peerUrl);
    if (!member) return std::nullopt;
    client.remove(member->id);
    if (!wanted.pod.empty()) endAtOnce(wanted, Attempt::any, context.world);
    return std::nullopt;
  } catch (const net::GrpcError& error) {
    if (!etcd::isPassing(error)) throw;
    return error.detail();
  } catch (const net::TransportError& error) {
    return error.message();
  }
}

/// "the learner n2 at https://10.0.0.12:2380": the one that stands in the way of another.
std::string learnerAmong(const std::vector<etcd::Member>& members) {
  const auto found = std::find_if(members.begin(), members.end(), [](const auto& each) { return each.learner; });
  return found == members.end() ? "another member" : fmt::format("the learner {} at {}", found->name, join(found->peerUrls, ","));
}

void addLearner(const EtcdMember& wanted, const Context& context) {
  takeTurn(wanted.turn, context);
  const Condition added{.what = fmt::format("etcd takes {} as a learner", wanted.peerUrl),
                       .probe = EtcdHealthy{wanted.access},
                       .patience = wanted.patience,
                       .hint = "a learner whose node is gone has to be taken out of etcd first; else look at etcd's log on the other control planes"};
  await(added, {.verb = Verb::wait, .subject = added.what}, context, [&]() -> std::optional<std::string> {
    auto client = connect(wanted.access, context);
    try {
      const auto members = client.members();
      if (findMember(members, wanted.peerUrl)) return std::nullopt;
      try {
        client.addLearner(wanted.peerUrl);
        return std::nullopt;
      } catch (const net::GrpcError& error) {
        if (!etcd::isTooManyLearners(error)) throw;
        return learnerAmong(members) + " has to become a voter first";
      }
    } catch (const net::GrpcError& error) {
      if (!etcd::isPassing(error)) throw;
      return error.detail();
    } catch (const net::TransportError& error) {
      return error.message();
    }
  });
}

} // namespace

etcd::Client connect(const EtcdAccess& access, const Context& context) {
  auto identity = identityOf(access, context);
  auto api = connect(access.api, context);
  auto endpoints = endpointsOf(api);
  if (endpoints.empty()) throw NotYet("neither a pod of etcd nor a control plane says where it is", "see: kubectl -n kube-system get pods -l component=etcd");
  return {context.world.http, std::move(endpoints), std::move(identity)};
}

std::optional<std::string> lackOfHealth(etcd::Client& client) {
  std::size_t healthy = 0;
  std::vector<std::string> troubles;
  for (const auto& endpoint : client.endpoints()) {
    if (auto trouble = troubleOf(endpoint, client)) troubles.push_back(*std::move(trouble));
    else ++healthy;
  }
  if (healthy * 2 > client.endpoints().size()) return std::nullopt;
  return fmt::format("{} of {} members are healthy: {}", healthy, client.endpoints().size(), join(troubles, "; "));
}

std::optional<std::string> lackOfOthers(const EtcdAccess& access, const std::string& own, const Context& context) {
  etcd::Client client(context.world.http, {own}, identityOf(access, context));
  std::uint64_t ownId = 0;
  std::vector<etcd::Member> members;
  try {
    ownId = client.status(own).memberId;
    members = client.members(etcd::Client::Reading::local);
  } catch (const net::TransportError&) {
    return std::nullopt; // to begin it anew can only help
  } catch (const net::GrpcError& error) {
    if (!etcd::isPassing(error)) throw;
    return error.detail();
  }
  std::size_t voters = 0, healthy = 0;
  std::vector<std::string> troubles;
  for (const auto& member : members) {
    if (member.learner) continue;
    ++voters;
    if (member.id == ownId) continue;
    auto trouble = member.clientUrls.empty() ? fmt::format("{} has not started yet", join(member.peerUrls, ",")) : troubleOf(member.clientUrls.front(), client);
    if (trouble) troubles.push_back(*std::move(trouble));
    else ++healthy;
  }
  if (troubles.empty() || healthy * 2 > voters) return std::nullopt;
  return fmt::format("{} of {} other members are healthy: {}", healthy, voters - 1, join(troubles, "; "));
}

std::string initialCluster(const InitialCluster& wanted, const Context& context) {
  auto client = connect(wanted.access, context);
  std::vector<std::string> entries;
  bool itself = false;
  for (const auto& member : client.members()) {
    const bool own = member.hasPeerUrl(wanted.peerUrl);
    itself = itself || own;
    const auto name = own ? wanted.name : member.name.empty() ? member.hexId() : member.name;
    for (const auto& url : member.peerUrls) entries.push_back(name + "=" + url);
  }
  if (!itself) entries.push_back(wanted.name + "=" + wanted.peerUrl);
  std::sort(entries.begin(), entries.end());
  return join(entries, ",");
}

std::string completed(const File& wanted, const std::optional<std::string>& found, const Context& context) {
  if (!wanted.initialCluster) return wanted.content;
  // The flag is read when the data folder is empty, and never again: what is there stays, or etcd would be restarted for nothing.
  constexpr std::string_view flag = "--initial-cluster=";
  const auto fill = [&](const std::string& value) { return replaceAll(wanted.content, std::string(InitialCluster::placeholder), value); };
  if (found)
    for (const auto& line : split(*found, '\n'))
      if (const auto at = line.find(flag); at != std::string::npos) return fill(std::string(trim(line.substr(at + flag.size()))));
  try {
    return fill(initialCluster(*wanted.initialCluster, context));
  } catch (const NotYet&) {
    if (context.applying) throw;
  } catch (const net::TransportError&) {
    if (context.applying) throw;
  }
  return fill(fmt::format("...,{}={}", wanted.initialCluster->name, wanted.initialCluster->peerUrl));
}

Change diff(const EtcdMember& wanted, const Context& context) {
  Change change{.subject = subject(wanted)};
  std::vector<etcd::Member> members;
  try {
    withPatience(context, change.subject, [&] { members = connect(wanted.access, context).members(); });
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    if (context.applying) throw;
    return {.verb = Verb::unknown, .subject = change.subject, .reason = error.message()};
  }
  const auto* member = findMember(members, wanted.peerUrl);
  change.seen = standingOf(member);
  switch (wanted.standing) {
  case Standing::learner:
    if (member) change.reason = fmt::format("{} {}", standingOf(member), member->hexId());
    else change.verb = Verb::create, change.reason = "as a learner";
    return change;
  case Standing::voter:
    if (member && !member->learner) change.reason = "voter " + member->hexId();
    else change.verb = Verb::update, change.reason = "to be promoted once it has caught up";
    return change;
  case Standing::server:
    change.verb = Verb::wait, change.reason = "until it serves clients";
    return change;
  case Standing::leader:
    change.verb = Verb::update, change.reason = "to lead once it serves clients, unless it does";
    return change;
  case Standing::absent:
    if (member) change.verb = Verb::remove, change.reason = fmt::format("{} {}", standingOf(member), member->hexId());
    return change;
  }
  return change;
}

void enact(const EtcdMember& wanted, const Change& change, const Context& context) {
  switch (wanted.standing) {
  case Standing::learner: return addLearner(wanted, context);
  case Standing::voter: {
    Unheard unheard;
    await({.what = fmt::format("etcd member {} has caught up and votes", wanted.name),
                  .probe = EtcdHealthy{wanted.access},
                  .patience = wanted.patience,
                  .hint = fmt::format("do the other control planes reach {}? look at its log below /var/log/pods/kube-system_etcd-*", wanted.peerUrl),
                  .fatal = wanted.fatal},
          change, context, [&] { return lackOfPromotion(wanted, unheard, context); });
    return endTurn(wanted.turn, context);
  }
  case Standing::server:
  case Standing::leader: {
    bool isProved = wanted.inPlaceOf.empty();
    return await({.what = fmt::format("etcd member {} {}", wanted.name, wanted.standing == Standing::leader ? "leads" : "serves clients"),
                  .probe = EtcdHealthy{wanted.access},
                  .patience = wanted.patience,
                  .hint = "look at etcd's log on the control planes, below /var/log/pods/kube-system_etcd-*",
                  .fatal = wanted.fatal},
                 change, context, [&] { return lackOfService(wanted, isProved, context); });
  }
  case Standing::absent:
    // A member that has only just begun to vote cannot be spared for some seconds, for all etcd knows.
    await({.what = fmt::format("etcd is without {}", wanted.peerUrl),
           .probe = EtcdHealthy{wanted.access},
           .patience = wanted.patience,
           .hint = "look at etcd's log on the other control planes, below /var/log/pods/kube-system_etcd-*"},
          change, context, [&] { return lackOfRemoval(wanted, context); });
    return endTurn(wanted.turn, context);
  }
}

} // namespace kubestrap::plan
