#include "etcd/health.hpp"

namespace kubestrap::etcd {

namespace {

void askOne(Client& client, MemberHealth& health) {
  if (health.member.clientUrls.empty()) health.silent = "it has not started yet";
  for (const auto& url : health.member.clientUrls) {
    try {
      health.status = client.status(url);
      health.silent.clear();
      return;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      health.silent = error.message();
    }
  }
}

/// Without a quorum nobody tells of alarms.
std::vector<Alarm> alarmsOf(Client& client) {
  try {
    return client.alarms();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    return {};
  }
}

} // namespace

std::vector<MemberHealth> look(Client& client) {
  std::vector<MemberHealth> found;
  for (auto& member : client.members(Client::Reading::local)) found.push_back({.member = std::move(member), .status = {}, .silent = {}, .alarms = {}});
  for (auto& each : found) askOne(client, each);
  for (const auto& alarm : alarmsOf(client))
    for (auto& each : found)
      if (each.member.id == alarm.memberId) each.alarms.push_back(alarm.kind);
  return found;
}

} // namespace kubestrap::etcd
