#include "tests/fakes/fake_etcd.hpp"

#include "net/grpc.hpp"
#include "support/encoding.hpp"

#include <etcd_rpc.pb.h>

#include <algorithm>
#include <stdexcept>

namespace kubestrap::fakes {

namespace {

namespace pb = ::etcdserverpb;

constexpr std::string_view clusterCalls = "/etcdserverpb.Cluster/", maintenanceCalls = "/etcdserverpb.Maintenance/";

void fill(pb::Member& into, const FakeEtcd::Member& member) {
  into.set_id(member.id);
  into.set_name(member.name);
  into.add_peerurls(member.peerUrl);
  if (!member.clientUrl.empty()) into.add_clienturls(member.clientUrl);
  into.set_islearner(member.learner);
}

template <class Message> Message read(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) throw std::logic_error("no message of etcd's");
  return message;
}

net::Response failure(int code, std::string text) {
  return {.status = 200, .headers = {{"grpc-status", std::to_string(code)}, {"grpc-message", std::move(text)}}, .body = {}};
}

} // namespace

std::string FakeEtcd::answer(const std::string& method, const std::string& message) {
  const auto change = [&](const std::string& what) {
    if (onChange) onChange(what);
  };
  const auto byId = [&](std::uint64_t id) {
    const auto found = std::ranges::find(members, id, &Member::id);
    if (found == members.end()) throw std::out_of_range("etcdserver: member not found");
    return found;
  };
  if (method == "MemberAdd") {
    const auto request = read<pb::MemberAddRequest>(message);
    change("add " + request.peerurls(0));
    std::uint64_t next = 1;
    for (const auto& member : members) next = std::max(next, member.id + 1);
    members.push_back({.id = next, .name = {}, .peerUrl = request.peerurls(0), .clientUrl = {}, .learner = request.islearner()});
    pb::MemberAddResponse response;
    fill(*response.mutable_member(), members.back());
    for (const auto& member : members) fill(*response.add_members(), member);
    return response.SerializeAsString();
  }
  if (method == "MemberPromote") {
    const auto member = byId(read<pb::MemberPromoteRequest>(message).id());
    change("promote " + member->peerUrl);
    member->learner = false;
  } else if (method == "MemberRemove") {
    const auto member = byId(read<pb::MemberRemoveRequest>(message).id());
    change("remove " + member->peerUrl);
    members.erase(member);
  }
  pb::MembersResponse response;
  for (const auto& member : members) fill(*response.add_members(), member);
  return response.SerializeAsString();
}

net::Response FakeEtcd::perform(const net::Request& request) {
  for (const auto& member : members)
    if (member.silent && request.url.starts_with(member.clientUrl + "/")) throw net::TransportError(net::TransportError::Kind::refused, member.clientUrl + " refuses");
  std::string message;
  const auto unpack = [&] { net::GrpcDeframer("fake").feed(request.body, [&](std::string_view bytes) { return message = bytes, true; }); };
  if (const auto at = request.url.find(clusterCalls); at != std::string::npos) {
    unpack();
    try {
      const auto method = request.url.substr(at + clusterCalls.size());
      if (method != "MemberList" && refusals > 0 && refusals--) return failure(14, "etcdserver: unhealthy cluster");
      return {.status = 200, .headers = {{"grpc-status", "0"}}, .body = net::grpcFrame(answer(method, message))};
    } catch (const std::out_of_range& error) {
      return failure(5, error.what());
    }
  }
  const auto at = request.url.find(maintenanceCalls);
  if (at == std::string::npos) return others_.perform(request);
  unpack();
  return {.status = 200, .headers = {{"grpc-status", "0"}},
          .body = net::grpcFrame(maintain(request.url.substr(0, at), request.url.substr(at + maintenanceCalls.size()), message))};
}

/// What the member at that URL says of itself, or all say of alarms; or another leads.
std::string FakeEtcd::maintain(const std::string& url, const std::string& method, const std::string& message) {
  if (method == "Alarm") {
    pb::AlarmResponse response;
    for (const auto& member : members) {
      if (!member.full) continue;
      auto& alarm = *response.add_alarms();
      alarm.set_memberid(member.id);
      alarm.set_alarm(pb::NOSPACE);
    }
    return response.SerializeAsString();
  }
  if (method == "MoveLeader") {
    const auto to = read<pb::MoveLeaderRequest>(message).targetid();
    const auto member = std::ranges::find(members, to, &Member::id);
    if (onChange && member != members.end()) onChange("lead " + member->peerUrl);
    leader = to;
    return {};
  }
  if (method == "HashKV") {
    pb::HashKVResponse response;
    for (auto& member : members) {
      if (member.clientUrl != url) continue;
      response.set_hash(member.hash);
      response.set_compact_revision(member.compacting > 0 ? member.compacting-- : 0);
    }
    return response.SerializeAsString();
  }
  pb::StatusResponse status;
  status.set_version(version);
  status.set_leader(leader);
  for (const auto& member : members)
    if (member.clientUrl == url) status.mutable_header()->set_member_id(member.id);
  return status.SerializeAsString();
}

net::Response FakeEtcd::stream(const net::Request& request, const std::function<bool(std::string_view)>& onData) {
  if (!request.url.ends_with("Maintenance/Snapshot")) return others_.stream(request, onData);
  const auto behind = sha256(sum == Sum::right ? database : database + "?");
  for (const auto& piece : {database.substr(0, database.size() / 2), database.substr(database.size() / 2), behind}) {
    pb::SnapshotResponse answer;
    answer.set_blob(piece);
    if (!onData(net::grpcFrame(answer.SerializeAsString()))) break;
  }
  return {.status = 200, .headers = {{"grpc-status", "0"}}, .body = {}};
}

} // namespace kubestrap::fakes
