// Conditions: no sleep and no retry loop of a workflow lives anywhere else.
#include "plan/fatal_signs.hpp"
#include "plan/kinds.hpp"

#include "certs/x509.hpp"
#include "kube/client.hpp"
#include "kube/reading.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

/// What a probe saw that keeps its condition from holding.
struct Lack {
  std::string seen; ///< in a few words
  /// Why waiting is in vain once it has been seen for as long as `settling`, without anything else between.
  std::optional<Failure> lasting = {};
  Duration settling{};
};
using Seen = std::optional<Lack>; ///< nothing: the condition holds

constexpr auto kHandshakesSettle = std::chrono::seconds(3); // a server that is being replaced by the right one
constexpr auto kPodsSettle = std::chrono::seconds(60); // a container that ends a few times until what it needs is there
constexpr std::string_view kHopeless[] = {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CrashLoopBackOff"};
constexpr auto kRightsSettle = std::chrono::seconds(10);    // as in withPatience: rights that were just granted

net::Request getRequest(const std::string& url) {
  net::Request request{.url = url, .timeout = std::chrono::seconds(5)};
  request.tls.verify = net::TlsIdentity::Verify::no; // health ports show certificates that the component signed itself
  return request;
}

/// What a status means that does not pass by itself, of a server that knows us by `kubeconfig`, or not at all when that is empty.
std::optional<Failure> failureOf(int status, const std::string& evidence, const std::string& kubeconfig) {
  if (status != 401 && status != 403) return std::nullopt;
  if (kubeconfig.empty())
    return Failure{"its health is not shown to everybody", evidence,
                   "leave the health path in authorization-always-allow-paths of the component's extraArgs"};
  if (status == 401)
    return Failure{"the server does not know whom " + kubeconfig + " speaks for", evidence,
                   fmt::format("it trusts another authority, or the credentials have expired: move {} away and run the command again, "
                               "so that it is made anew",
                               kubeconfig)};
  return Failure{"the user of " + kubeconfig + " may not ask that", evidence,
                 "see that it has its rights in this cluster, or run the command again when they have been given"};
}

std::optional<Failure> failureOf(const net::TransportError& error, const std::string& kubeconfig) {
  using Kind = net::TransportError::Kind;
  if (error.kind() == Kind::clientCertificateRefused)
    return Failure{"the server refuses our client certificate", error.message(), error.hint()};
  if (error.kind() != Kind::tls) return std::nullopt;
  if (kubeconfig.empty())
    return Failure{"who listens there speaks no TLS that we know", error.message(), "see who it is: ss -ltnp"};
  return Failure{"who listens there cannot be trusted", error.message(),
                 fmt::format("see who it is: ss -ltnp; the authority in {} must have signed its certificate, for the name or address by "
                             "which it is called",
                             kubeconfig)};
}

Lack lackOf(std::string seen, std::optional<Failure> lasting, Duration settling) {
  return {.seen = std::move(seen), .lasting = std::move(lasting), .settling = settling};
}

Seen seenIn(const net::Response& response, const std::string& url, const std::string& kubeconfig = {}) {
  if (response.status == 200) return std::nullopt;
  auto answer = fmt::format("answers {}", response.status);
  auto lasting = failureOf(response.status, fmt::format("{} {}", url, answer), kubeconfig);
  return lackOf(std::move(answer), std::move(lasting), kRightsSettle);
}

struct Ask {
  const Context& context;
  World& world;

  Seen operator()(const KubeletHealthy& probe) const { return seenIn(world.http.perform(getRequest(probe.url)), probe.url); }
  Seen operator()(const ComponentHealthy& probe) const { return seenIn(world.http.perform(getRequest(probe.url)), probe.url); }
  Seen operator()(const FileExists& probe) const {
    if (world.host.read(probe.path)) return std::nullopt;
    return Lack{"not there yet"};
  }
  Seen operator()(const ApiServerAnswers& probe) const {
    auto client = connect(probe.access, context);
    return seenIn(client.raw("GET", probe.path, {}, {}, probe.onBehalfOf), client.server() + probe.path, probe.access.kubeconfig.string());
  }
  Seen operator()(const ObjectExists& probe) const {
    if (connect(probe.access, context).get({probe.apiVersion, probe.kind, probe.nameSpace, probe.name})) return std::nullopt;
    return Lack{"not there yet"};
  }
  Seen operator()(const RuntimeReady&) const {
    const auto runtime = world.cri.facts();
    if (!runtime.reachable) return Lack{runtime.error};
    if (!runtime.ready) return Lack{runtime.notReadyReason};
    return std::nullopt;
  }

  Seen operator()(const ServesCertificate& probe) const {
    const auto wanted = world.host.read(probe.certificate);
    if (!wanted) return Lack{fmt::format("{} is absent", probe.certificate.string())};
    const auto source = fmt::format("{}:{}", probe.host, probe.port);
    const auto shown = world.http.peerCertificates(probe.host, probe.port, std::chrono::seconds(5));
    if (certs::X509Certificate::parse(shown.front(), source).der() == certs::X509Certificate::parse(*wanted, probe.certificate.string()).der())
      return std::nullopt;
    return Lack{"shows another certificate still"};
  }

  Seen operator()(const StaticPodGone& probe) const {
    for (const auto& container : world.cri.containers("kube-system"))
      if (container.podName == probe.pod && container.state == host::Container::State::running) return Lack{fmt::format("{} still runs", container.name)};
    if (probe.mirror && hasMirror(probe.pod, *probe.mirror)) return Lack{"the kubelet is not through with it"};
    return std::nullopt;
  }

  bool hasMirror(const std::string& pod, const Access& access) const {
    try {
      return connect(access, context).get({"v1", "Pod", "kube-system", pod}).has_value();
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      return false;
    }
  }

  Seen operator()(const EtcdHealthy& probe) const {
    auto client = connect(probe.access, context);
    if (auto lack = lackOfHealth(client)) return Lack{*std::move(lack)};
    return std::nullopt;
  }

  Seen operator()(const EncryptsBy& probe) const {
    if (auto lack = lackOf(probe, context)) return Lack{*std::move(lack)};
    return std::nullopt;
  }

  Seen operator()(const ConnectedAsWell& probe) const {
    const auto wanted = connections(probe.program, probe.from), found = connections(probe.program, probe.to);
    if (found >= wanted) return std::nullopt;
    return Lack{fmt::format("{} has {} connections there, and {} to {}", probe.program, found, wanted, probe.from)};
  }

  Seen operator()(const KindsServed& probe) const {
    auto client = connect(probe.access, context);
    for (const auto& name : probe.definitions) {
      const auto definition = client.get({"apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name});
      if (!definition) return Lack{fmt::format("{} is not there yet", name)};
      if (const auto refused = condition(*definition, "NamesAccepted"); refused && stringAt(*refused, "status") == "False")
        return Lack{fmt::format("{}: {}", name, stringAt(*refused, "message"))};
      const auto served = condition(*definition, "Established");
      if (!served || stringAt(*served, "status") != "True") return Lack{fmt::format("{} is not established yet", name)};
    }
    return std::nullopt;
  }

  Seen operator()(const RolledOut& probe) const {
    auto client = connect(probe.access, context);
    for (const auto& workload : probe.workloads) {
      const auto found = client.get({"apps/v1", workload.kind, workload.nameSpace, workload.name});
      const auto name = fmt::format("{} {}/{}", workload.kind, workload.nameSpace, workload.name);
      if (!found) return Lack{fmt::format("{} is not there", name)};
      if (const auto lacking = lackOfPods(*found); !lacking.empty()) return lackOf(fmt::format("{}: {}", name, lacking), troubleOf(*found, client), kPodsSettle);
    }
    return std::nullopt;
  }

  static std::optional<Value> condition(const Value& object, std::string_view type) {
    const auto* conditions = find(object, "status.conditions");
    if (!conditions || !conditions->is_array()) return std::nullopt;
    const auto found = std::find_if(conditions->begin(), conditions->end(), [&](const Value& each) { return stringAt(each, "type") == type; });
    return found == conditions->end() ? std::nullopt : std::optional<Value>(*found);
  }

  /// "1 of 2 pods are ready"; empty: all are, and none is of an older template.
  static std::string lackOfPods(const Value& workload) {
    const bool onNodes = stringAt(workload, "kind") == "DaemonSet";
    if (kube::numberAt(workload, "status.observedGeneration") < kube::numberAt(workload, "metadata.generation")) return "its controller has not seen it yet";
    const auto wanted = onNodes ? kube::numberAt(workload, "status.desiredNumberScheduled") : find(workload, "spec.replicas") ? kube::numberAt(workload, "spec.replicas") : 1;
    const auto updated = kube::numberAt(workload, onNodes ? "status.updatedNumberScheduled" : "status.updatedReplicas");
    const auto ready = kube::numberAt(workload, onNodes ? "status.numberAvailable" : stringAt(workload, "kind") == "Deployment" ? "status.availableReplicas" : "status.readyReplicas");
    if (updated < wanted) return fmt::format("{} of {} pods are of the present template", updated, wanted);
    // Those that are available may be of the former template, which stay until new ones are ready.
    const auto former = kube::numberAt(workload, "status.replicas") - updated;
    if (stringAt(workload, "kind") == "Deployment" && former > 0) return fmt::format("{} of an older template are there still", former);
    if (ready < wanted) return fmt::format("{} of {} pods are ready", ready, wanted);
    return {};
  }

  /// Why a pod of it will not get ready by itself.
  std::optional<Failure> troubleOf(const Value& workload, kube::Client& client) const {
    std::string selector;
    if (const auto* labels = find(workload, "spec.selector.matchLabels"); labels && labels->is_object())
      for (const auto& [name, value] : labels->items()) selector += fmt::format("{}{}={}", selector.empty() ? "" : ",", name, value.get<std::string>());
    if (selector.empty()) return std::nullopt;
    const auto nameSpace = stringAt(workload, "metadata.namespace");
    for (const auto& pod : client.list("v1", "Pod", nameSpace, selector))
      for (const auto* member : {"status.initContainerStatuses", "status.containerStatuses"})
        if (const auto* containers = find(pod, member))
          for (const auto& container : *containers) {
            const auto reason = stringAt(container, "state.waiting.reason");
            if (std::ranges::find(kHopeless, reason) == std::end(kHopeless)) continue;
            const auto name = stringAt(pod, "metadata.name");
            return Failure{fmt::format("the container {} of pod {} does not start: {}", stringAt(container, "name"), name, reason), stringAt(container, "state.waiting.message"),
                           reason.find("Image") != std::string::npos ? std::string("see that the nodes can have this image; values.imageRegistry and values.images name another one")
                                                                     : fmt::format("look at: kubectl -n {} logs {} --previous", nameSpace, name)};
          }
    return std::nullopt;
  }

  /// How many a program's processes hold.
  long connections(const std::string& program, const std::string& address) const {
    const auto shown = world.host.run({.program = "ss", .arguments = {"-Htnp", "state", "established", "dst", address}, .input = {}});
    if (shown.exitCode != 0) throw Error(fmt::format("ss does not tell connections to {}: {}", address, trim(shown.errors)), "ss is part of iproute2");
    return std::ranges::count_if(split(shown.output, '\n'), [&](const auto& line) { return line.find('"' + program + '"') != std::string::npos; });
  }
};

/// With which credentials a probe asks; empty for those that need none.
struct KubeconfigOf {
  std::string operator()(const ApiServerAnswers& probe) const { return probe.access.kubeconfig.string(); }
  std::string operator()(const ObjectExists& probe) const { return probe.access.kubeconfig.string(); }
  std::string operator()(const KindsServed& probe) const { return probe.access.kubeconfig.string(); }
  std::string operator()(const RolledOut& probe) const { return probe.access.kubeconfig.string(); }
  std::string operator()(const EncryptsBy& probe) const { return probe.access.kubeconfig.string(); }
  std::string operator()(const auto&) const { return {}; }
};

Seen ask(const Condition& condition, const Context& context) {
  const auto kubeconfig = std::visit(KubeconfigOf{}, condition.probe);
  try {
    return std::visit(Ask{context, context.world}, condition.probe);
  } catch (const net::TransportError& error) {
    const bool refused = error.kind() == net::TransportError::Kind::refused;
    return lackOf(refused ? "nobody listens there yet" : error.message(), failureOf(error, kubeconfig), kHandshakesSettle);
  } catch (const kube::ApiError& error) {
    return lackOf(error.message(), failureOf(error.status(), error.message(), kubeconfig), kRightsSettle);
  } catch (const net::GrpcError& error) {
    return Lack{error.message()};
  } catch (const NotYet& error) {
    return Lack{error.message()};
  }
}

/// Since when the same lasting lack has been seen.
class Steadiness {
public:
  /// Whether it has been there for long enough.
  bool sees(const Lack& lack, TimePoint now) {
    if (!lack.lasting) {
      cause_.clear();
      return false;
    }
    if (cause_ != lack.lasting->cause) cause_ = lack.lasting->cause, since_ = now;
    return now - since_ >= lack.settling;
  }

private:
  std::string cause_;
  TimePoint since_;
};

std::optional<Failure> firstFailure(const Condition& wanted, World& world, Watch& watch) {
  for (const auto& sign : wanted.fatal)
    if (auto failure = look(sign, world, watch)) return failure;
  return std::nullopt;
}

[[noreturn]] void fail(const Condition& wanted, const Failure& failure) {
  throw Error(fmt::format("waiting until {} is in vain: {}{}", wanted.what, failure.cause,
                          failure.evidence.empty() ? "" : "\n  evidence: " + failure.evidence),
              failure.remedy);
}

/// Looks until nothing is lacking any more.
void awaitNothing(const Condition& wanted, const Change& change, const Context& context, const std::function<Seen()>& look) {
  auto& world = context.world;
  constexpr auto glance = std::chrono::milliseconds(100); // between two probes
  constexpr auto closeLook = std::chrono::seconds(1);     // between two searches for fatal signs
  const auto begin = world.clock.now();
  auto nextLook = begin + closeLook;
  Watch watch{.since = begin};
  Steadiness steadiness;
  for (;;) {
    const auto lack = look();
    if (!lack) return;
    const auto now = world.clock.now();
    if (now >= nextLook) {
      if (const auto failure = firstFailure(wanted, world, watch)) fail(wanted, *failure);
      nextLook = now + closeLook;
    }
    if (steadiness.sees(*lack, now)) fail(wanted, *lack->lasting);
    if (now - begin >= wanted.patience)
      throw Error(fmt::format("gave up after {} waiting until {}: {}", humanDuration(wanted.patience), wanted.what, lack->seen), wanted.hint);
    if (context.reporter) context.reporter->waiting(context.phase, change, now - begin, wanted.patience, lack->seen);
    world.clock.sleep(glance);
  }
}

} // namespace

Change diff(const Condition& wanted, const Context& context) {
  Change change{.subject = subject(wanted)};
  if (const auto lack = ask(wanted, context)) {
    change.verb = Verb::wait;
    change.reason = lack->seen;
  }
  return change;
}

void enact(const Condition& wanted, const Change& change, const Context& context) {
  awaitNothing(wanted, change, context, [&] { return ask(wanted, context); });
}

void await(const Condition& wanted, const Change& change, const Context& context,
           const std::function<std::optional<std::string>()>& lack) {
  awaitNothing(wanted, change, context, [&]() -> Seen {
    try {
      if (auto seen = lack()) return Lack{*std::move(seen)};
      return std::nullopt;
    } catch (const net::TransportError& error) {
      return Lack{error.message()};
    } catch (const kube::ApiError& error) {
      if (!error.retriable()) throw;
      return Lack{error.message()};
    }
  });
}

} // namespace kubestrap::plan
