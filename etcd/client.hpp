#pragma once
// etcd/ speaks to etcd members: who they are, how they do, and the few calls that change membership. It knows the wire (net/), and
// neither this machine nor what should be true.

#include "net/grpc.hpp"
#include "support/time.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::etcd {

/// A member of a cluster, as its other members know it.
struct Member {
  std::uint64_t id = 0;
  std::string name; ///< empty until it was started for the first time
  std::vector<std::string> peerUrls, clientUrls;
  bool learner = false;
  std::string hexId() const; ///< "8e9e05c52164694d", as etcdctl shows it
  bool hasPeerUrl(std::string_view url) const;
};

/// How one member does, in its own words.
struct Status {
  std::uint64_t memberId = 0, leaderId = 0; ///< leaderId 0: it sees no leader
  std::string version;                      ///< "3.7.0"
  std::int64_t revision = 0;                ///< up to which it has stored what was written
  std::uint64_t raftTerm = 0, raftIndex = 0, appliedIndex = 0;
  std::int64_t dbSize = 0, dbSizeInUse = 0, quota = 0; ///< octets; quota 0: it does not say
  bool learner = false;
  std::vector<std::string> errors; ///< "NOSPACE", "CORRUPT", "etcdserver: no leader"
};

/// What a member has stored up to a revision. That of another one is comparable where both are compacted to the same.
struct Hash {
  std::uint32_t hash = 0;
  std::int64_t compacted = 0; ///< revision
};

struct Alarm {
  std::uint64_t memberId = 0;
  std::string kind; ///< "NOSPACE", "CORRUPT"
};

/// Certificates for all members of a cluster.
using Identity = net::TlsIdentity;

/// The members behind a list of client URLs ("https://10.0.0.11:2379"). A call goes to the first that answers, beginning with the
/// one that did last time. One call, one attempt a member: throws net::GrpcError when a member answers with a failure, and
/// net::TransportError naming every member when none can be reached.
class Client {
public:
  Client(net::Transport& transport, std::vector<std::string> endpoints, Identity identity);

  const std::vector<std::string>& endpoints() const { return endpoints_; }

  /// `local`: as the member that answers knows them, which needs no quorum.
  enum class Reading { linearizable, local };
  std::vector<Member> members(Reading reading = Reading::linearizable);
  /// Adds a learner, which has no vote until it is promoted. Its name stays empty until it runs.
  Member addLearner(const std::string& peerUrl);
  void promote(std::uint64_t id);
  void remove(std::uint64_t id);
  void updatePeerUrls(std::uint64_t id, const std::vector<std::string>& peerUrls);
  std::vector<Alarm> alarms();
  void disarm(const Alarm& alarm);
  /// How many keys begin like this.
  std::int64_t count(const std::string& prefix);
  /// Forgets what was before a revision; that of now, where it is 0. Returns when all is gone from the disk.
  void compact(std::int64_t revision = 0);

  // These speak to one member.
  Status status(const std::string& endpoint, Duration timeout = std::chrono::seconds(5));
  /// One that has begun takes connections a while before it serves them: a question whose answer is not waited for goes with this.
  static constexpr auto atOnce = std::chrono::milliseconds(300);
  /// Whether it answers at once.
  bool serves(const std::string& endpoint);
  /// Reads all that it has stored, and lets writes to it wait meanwhile. A learner refuses it. Fails (outOfRange) where that revision is compacted already.
  Hash hash(const std::string& endpoint, std::int64_t revision);
  void defragment(const std::string& endpoint);
  /// `endpoint` has to be the leader's.
  void moveLeader(const std::string& endpoint, std::uint64_t to);
  /// Streams the database file with the SHA-256 that etcd puts behind it (etcdutl checks it); `remaining` is how many octets follow.
  void snapshot(const std::string& endpoint, const std::function<void(std::string_view bytes, std::uint64_t remaining)>& onBytes);

private:
  std::string askAny(std::string_view method, const std::string& message);
  std::string ask(const std::string& endpoint, std::string_view method, const std::string& message, Duration timeout);
  net::Transport& transport_;
  std::vector<std::string> endpoints_;
  Identity identity_;
  std::size_t last_ = 0; ///< index of the endpoint that answered last
};

/// What a promotion is refused for while the learner has not caught up yet (etcd: api/v3rpc/rpctypes/error.go).
bool isLearnerBehind(const net::GrpcError& error);
/// A second learner is refused while there is one.
bool isTooManyLearners(const net::GrpcError& error);
/// What passes by itself: no leader, a changed leader, a time-out, a member that is not healthy enough for a change just now.
bool isPassing(const net::GrpcError& error);

} // namespace kubestrap::etcd
