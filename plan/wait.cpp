// Conditions: no sleep and no retry loop of a workflow lives anywhere else.
#include "plan/fatal_signs.hpp"
#include "plan/kinds.hpp"

#include "kube/client.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

/// What a probe saw: nothing when it holds, else the reason why not, in a few words.
using Lack = std::optional<std::string>;

net::Request getRequest(const std::string& url) {
  net::Request request{.url = url, .timeout = std::chrono::seconds(5)};
  request.tls.verify = net::TlsIdentity::Verify::no; // health ports show certificates that the component signed itself
  return request;
}

Lack lackOf(const net::Response& response) {
  if (response.status == 200) return std::nullopt;
  return fmt::format("answers {}", response.status);
}

struct Ask {
  World& world;

  Lack operator()(const KubeletHealthy& probe) const { return lackOf(world.http.perform(getRequest(probe.url))); }
  Lack operator()(const ComponentHealthy& probe) const { return lackOf(world.http.perform(getRequest(probe.url))); }
  Lack operator()(const FileExists& probe) const {
    if (world.host.read(probe.path)) return std::nullopt;
    return "not there yet";
  }
  Lack operator()(const ApiServerAnswers& probe) const {
    auto client = connect(probe.access);
    if (!client) return probe.access.kubeconfig.string() + " is absent";
    return lackOf(client->raw("GET", probe.path));
  }
  Lack operator()(const ObjectExists& probe) const {
    auto client = connect(probe.access);
    if (!client) return probe.access.kubeconfig.string() + " is absent";
    if (client->get({probe.apiVersion, probe.kind, probe.nameSpace, probe.name})) return std::nullopt;
    return "not there yet";
  }

  std::optional<kube::Client> connect(const Access& access) const {
    const auto text = world.host.read(access.kubeconfig);
    if (!text) return std::nullopt;
    return kube::Client(world.http, kube::parseKubeconfig(*text, access.kubeconfig.string()), access.server);
  }
};

Lack ask(const Condition& condition, World& world) {
  try {
    return std::visit(Ask{world}, condition.probe);
  } catch (const net::TransportError& error) {
    return error.kind() == net::TransportError::Kind::refused ? "nobody listens there yet" : error.message();
  } catch (const kube::ApiError& error) {
    return error.message();
  }
}

std::optional<Failure> firstFailure(const Condition& wanted, World& world, TimePoint since) {
  for (const auto& sign : wanted.fatal)
    if (auto failure = look(sign, world, since)) return failure;
  return std::nullopt;
}

[[noreturn]] void fail(const Condition& wanted, const Failure& failure) {
  throw Error(fmt::format("waiting until {} is in vain: {}{}", wanted.what, failure.cause,
                          failure.evidence.empty() ? "" : "\n  evidence: " + failure.evidence),
              failure.remedy);
}

} // namespace

Change diff(const Condition& wanted, const Context& context) {
  Change change{.subject = subject(wanted)};
  if (const auto lack = ask(wanted, context.world)) {
    change.verb = Verb::wait;
    change.reason = *lack;
  }
  return change;
}

void enact(const Condition& wanted, const Change& change, const Context& context) {
  auto& world = context.world;
  constexpr auto glance = std::chrono::milliseconds(100); // between two probes
  constexpr auto closeLook = std::chrono::seconds(1);     // between two searches for fatal signs
  const auto begin = world.clock.now();
  auto nextLook = begin + closeLook;
  for (;;) {
    const auto lack = ask(wanted, world);
    if (!lack) return;
    const auto now = world.clock.now();
    if (now >= nextLook) {
      if (const auto failure = firstFailure(wanted, world, begin)) fail(wanted, *failure);
      nextLook = now + closeLook;
    }
    if (now - begin >= wanted.patience)
      throw Error(fmt::format("gave up after {} waiting until {}: {}", humanDuration(wanted.patience), wanted.what, *lack), wanted.hint);
    if (context.reporter) context.reporter->waiting(context.phase, change, now - begin, wanted.patience, *lack);
    world.clock.sleep(glance);
  }
}

} // namespace kubestrap::plan
