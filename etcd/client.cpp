#include "etcd/client.hpp"

#include "support/text.hpp"

#include <etcd_rpc.pb.h>
#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::etcd {

namespace {

namespace pb = ::etcdserverpb;

constexpr auto callTimeout = std::chrono::seconds(5);
constexpr auto hashTimeout = std::chrono::minutes(1);
constexpr auto longTimeout = std::chrono::minutes(10); // defragmentation stops a member for as long as it takes

Member memberOf(const pb::Member& found) {
  return {.id = found.id(),
          .name = found.name(),
          .peerUrls = {found.peerurls().begin(), found.peerurls().end()},
          .clientUrls = {found.clienturls().begin(), found.clienturls().end()},
          .learner = found.islearner()};
}

template <class Answer> Answer parsed(const std::string& bytes, std::string_view method) {
  Answer answer;
  if (!answer.ParseFromString(bytes))
    throw net::GrpcError(net::GrpcCode::internal, method, "the answer is not one of etcd's API v3");
  return answer;
}

std::string nameOf(pb::AlarmType kind) {
  switch (kind) {
  case pb::NOSPACE: return "NOSPACE";
  case pb::CORRUPT: return "CORRUPT";
  default: return fmt::format("alarm {}", static_cast<int>(kind));
  }
}

constexpr std::string_view rangeCall = "/etcdserverpb.KV/Range";
constexpr std::string_view compactCall = "/etcdserverpb.KV/Compact";
constexpr std::string_view memberList = "/etcdserverpb.Cluster/MemberList";
constexpr std::string_view memberAdd = "/etcdserverpb.Cluster/MemberAdd";
constexpr std::string_view memberRemove = "/etcdserverpb.Cluster/MemberRemove";
constexpr std::string_view memberUpdate = "/etcdserverpb.Cluster/MemberUpdate";
constexpr std::string_view memberPromote = "/etcdserverpb.Cluster/MemberPromote";
constexpr std::string_view statusCall = "/etcdserverpb.Maintenance/Status";
constexpr std::string_view alarmCall = "/etcdserverpb.Maintenance/Alarm";
constexpr std::string_view defragmentCall = "/etcdserverpb.Maintenance/Defragment";
constexpr std::string_view moveLeaderCall = "/etcdserverpb.Maintenance/MoveLeader";
constexpr std::string_view hashCall = "/etcdserverpb.Maintenance/HashKV";
constexpr std::string_view snapshotCall = "/etcdserverpb.Maintenance/Snapshot";

bool says(const net::GrpcError& error, std::string_view text) { return error.detail().find(text) != std::string::npos; }

} // namespace

std::string Member::hexId() const { return fmt::format("{:x}", id); }

bool Member::hasPeerUrl(std::string_view url) const { return std::ranges::find(peerUrls, url) != peerUrls.end(); }

Client::Client(net::Transport& transport, std::vector<std::string> endpoints, Identity identity)
    : transport_(transport), endpoints_(std::move(endpoints)), identity_(std::move(identity)) {
  if (endpoints_.empty()) throw Error("no etcd member is known");
}

std::string Client::ask(const std::string& endpoint, std::string_view method, const std::string& message, Duration timeout) {
  return net::GrpcClient(transport_, {.url = endpoint, .tls = identity_}).unary(method, message, timeout);
}

std::string Client::askAny(std::string_view method, const std::string& message) {
  std::vector<std::string> failures;
  std::optional<net::TransportError::Kind> kind;
  for (std::size_t tried = 0; tried < endpoints_.size(); ++tried) {
    const auto index = (last_ + tried) % endpoints_.size();
    try {
      auto answer = ask(endpoints_[index], method, message, callTimeout);
      last_ = index;
      return answer;
    } catch (const net::TransportError& error) {
      kind = error.kind();
      failures.push_back(error.message());
    } catch (const net::GrpcError& error) {
      // A learner speaks for itself only (api/v3rpc/interceptor.go).
      if (!says(error, "rpc not supported for learner")) throw;
      failures.push_back(error.message());
    }
  }
  if (!kind) kind = net::TransportError::Kind::other;
  throw net::TransportError(*kind, "no member of etcd answers: " + join(failures, "; "));
}

std::vector<Member> Client::members(Reading reading) {
  pb::MemberListRequest request;
  request.set_linearizable(reading == Reading::linearizable);
  const auto answer = parsed<pb::MembersResponse>(askAny(memberList, request.SerializeAsString()), memberList);
  std::vector<Member> members;
  for (const auto& found : answer.members()) members.push_back(memberOf(found));
  return members;
}

Member Client::addLearner(const std::string& peerUrl) {
  pb::MemberAddRequest request;
  request.add_peerurls(peerUrl);
  request.set_islearner(true);
  return memberOf(parsed<pb::MemberAddResponse>(askAny(memberAdd, request.SerializeAsString()), memberAdd).member());
}

void Client::promote(std::uint64_t id) {
  pb::MemberPromoteRequest request;
  request.set_id(id);
  askAny(memberPromote, request.SerializeAsString());
}

void Client::remove(std::uint64_t id) {
  pb::MemberRemoveRequest request;
  request.set_id(id);
  askAny(memberRemove, request.SerializeAsString());
}

void Client::updatePeerUrls(std::uint64_t id, const std::vector<std::string>& peerUrls) {
  pb::MemberUpdateRequest request;
  request.set_id(id);
  for (const auto& url : peerUrls) request.add_peerurls(url);
  askAny(memberUpdate, request.SerializeAsString());
}

std::vector<Alarm> Client::alarms() {
  pb::AlarmRequest request;
  const auto answer = parsed<pb::AlarmResponse>(askAny(alarmCall, request.SerializeAsString()), alarmCall);
  std::vector<Alarm> alarms;
  for (const auto& found : answer.alarms()) alarms.push_back({found.memberid(), nameOf(found.alarm())});
  return alarms;
}

void Client::disarm(const Alarm& alarm) {
  pb::AlarmRequest request;
  request.set_action(pb::AlarmRequest::DEACTIVATE);
  request.set_memberid(alarm.memberId);
  request.set_alarm(alarm.kind == "CORRUPT" ? pb::CORRUPT : pb::NOSPACE);
  askAny(alarmCall, request.SerializeAsString());
}

namespace {

/// All keys that begin with `prefix`, counted and not sent (etcd: client/v3, GetPrefixRangeEnd).
pb::RangeRequest countOf(const std::string& prefix) {
  pb::RangeRequest request;
  auto end = prefix;
  ++end.back(); // a prefix of ours ends with "/"
  request.set_key(prefix);
  request.set_range_end(end);
  request.set_count_only(true);
  return request;
}

} // namespace

std::int64_t Client::count(const std::string& prefix) {
  return parsed<pb::RangeResponse>(askAny(rangeCall, countOf(prefix).SerializeAsString()), rangeCall).count();
}

void Client::compact(std::int64_t revision) {
  if (revision == 0) revision = parsed<pb::RangeResponse>(askAny(rangeCall, countOf("/").SerializeAsString()), rangeCall).header().revision();
  pb::CompactionRequest request;
  request.set_revision(revision);
  request.set_physical(true);
  askAny(compactCall, request.SerializeAsString());
}

Status Client::status(const std::string& endpoint, Duration timeout) {
  const auto found = parsed<pb::StatusResponse>(ask(endpoint, statusCall, pb::StatusRequest().SerializeAsString(), timeout), statusCall);
  return {.memberId = found.header().member_id(),
          .leaderId = found.leader(),
          .version = found.version(),
          .revision = found.header().revision(),
          .raftTerm = found.raftterm(),
          .raftIndex = found.raftindex(),
          .appliedIndex = found.raftappliedindex(),
          .dbSize = found.dbsize(),
          .dbSizeInUse = found.dbsizeinuse(),
          .quota = found.dbsizequota(),
          .learner = found.islearner(),
          .errors = {found.errors().begin(), found.errors().end()}};
}

bool Client::serves(const std::string& endpoint) {
  try {
    status(endpoint, atOnce);
  } catch (const net::TransportError&) {
    return false;
  } catch (const net::GrpcError& error) {
    return error.code() != net::GrpcCode::deadlineExceeded && error.code() != net::GrpcCode::unavailable;
  }
  return true;
}

Hash Client::hash(const std::string& endpoint, std::int64_t revision) {
  pb::HashKVRequest request;
  request.set_revision(revision);
  const auto found = parsed<pb::HashKVResponse>(ask(endpoint, hashCall, request.SerializeAsString(), hashTimeout), hashCall);
  return {.hash = found.hash(), .compacted = found.compact_revision()};
}

void Client::defragment(const std::string& endpoint) {
  ask(endpoint, defragmentCall, pb::DefragmentRequest().SerializeAsString(), longTimeout);
}

void Client::moveLeader(const std::string& endpoint, std::uint64_t to) {
  pb::MoveLeaderRequest request;
  request.set_targetid(to);
  ask(endpoint, moveLeaderCall, request.SerializeAsString(), callTimeout);
}

void Client::snapshot(const std::string& endpoint,
                      const std::function<void(std::string_view bytes, std::uint64_t remaining)>& onBytes) {
  net::GrpcClient client(transport_, {.url = endpoint, .tls = identity_});
  client.serverStream(snapshotCall, pb::SnapshotRequest().SerializeAsString(), Duration::zero(), [&](std::string_view message) {
    const auto piece = parsed<pb::SnapshotResponse>(std::string(message), snapshotCall);
    onBytes(piece.blob(), piece.remaining_bytes());
    return true;
  });
}

bool isLearnerBehind(const net::GrpcError& error) { return says(error, "in sync with leader"); }
bool isTooManyLearners(const net::GrpcError& error) { return says(error, "too many learner members"); }

bool isPassing(const net::GrpcError& error) {
  return error.code() == net::GrpcCode::unavailable || error.code() == net::GrpcCode::deadlineExceeded ||
         says(error, "not enough started members") || says(error, "unhealthy cluster");
}

} // namespace kubestrap::etcd
