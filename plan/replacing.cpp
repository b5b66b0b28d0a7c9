// Static pods that are replaced at the same time, and programs that are.
#include "plan/kinds.hpp"
#include "plan/static_pods.hpp"

#include "config/paths.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

using Pod = ReplaceStaticPods::Pod;

bool isHealthy(const std::string& url, World& world) {
  try {
    net::Request request{.url = url, .timeout = std::chrono::seconds(5)};
    request.tls.verify = net::TlsIdentity::Verify::no;
    return world.http.perform(request).status == 200;
  } catch (const net::TransportError&) {
    return false;
  }
}

bool isWanted(const Pod& pod, const std::optional<std::string>& found) {
  if (!found) return false;
  const auto name = pod.pod.manifest.string();
  try {
    return sameDocument(parseYamlValue(*found, name), parseYamlValue(pod.manifest, name));
  } catch (const Error&) {
    return false; // what is there is no document
  }
}

std::optional<host::Container> running(const StaticPod& pod, World& world) {
  std::optional<host::Container> newest;
  for (auto& container : world.cri.containers("kube-system"))
    if (container.name == pod.component && container.state == host::Container::State::running && (!newest || container.createdAt > newest->createdAt))
      newest = std::move(container);
  return newest;
}

/// Whether one runs that was made since its manifest, and what else it reads once, was written. A run that was killed may have ended the
/// former, and the kubelet may let minutes go by before it begins the next.
bool runsByItsFiles(const Pod& pod, const Context& context) {
  const auto written = manifestWritten(pod.pod, context.world);
  const auto found = running(pod.pod, context.world);
  if (!written || !found || found->createdAt < *written) return false;
  return std::ranges::none_of(pod.files, [&](const Path& file) {
    const auto status = context.world.host.status(file);
    return (status && status->modified > found->createdAt) || (context.wouldWrite && context.wouldWrite->contains(file));
  });
}

/// One character a pod: whether its manifest is to be written (w), its pod to be made anew (r), or nothing to be done.
constexpr char kWrite = 'w', kRestart = 'r', kLeave = '-';

std::string namesOf(const ReplaceStaticPods& wanted, const std::string& todo, char which) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < todo.size(); ++i)
    if (todo[i] == which) names.push_back(wanted.pods[i].pod.component);
  return join(names, ", ");
}

/// etcd hands its leadership over when it is asked to end, and an API server answers what it has begun.
Duration graceOf(const StaticPod& pod) { return pod.component == "etcd" ? std::chrono::seconds(5) : std::chrono::seconds(2); }

void end(const StaticPod& pod, World& world) {
  try {
    if (const auto container = running(pod, world)) world.cri.stopContainer(container->id, graceOf(pod));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::info(1, "{} could not be ended: {}; the kubelet does it", pod.component, error.message());
  }
}

std::vector<FatalSign> signsOf(const std::vector<StaticPod>& pods) {
  std::vector<FatalSign> signs{UnitFails{"kubelet"}};
  for (const auto& each : pods) signs.push_back(StaticPodFails{each});
  return signs;
}

/// One that was cut off has another name.
Path wholeCopy(const ReplaceStaticPods::Data& data) { return data.copy / "whole"; }

/// Whether one of the manifest that is there has served, as its log says (etcd: embed/serve.go). Somebody may have been acknowledged a write since, which
/// no copy has, and the former does not start with what a newer one has stored. The kubelet keeps the last one that ended: where a run before this one has
/// begun it, those that are known need not be all.
bool hasServed(const StaticPod& pod, const ReplaceStaticPods::Data& data, World& world) {
  const auto written = manifestWritten(pod, world);
  if (!written) return false;
  std::optional<unsigned> first;
  for (const auto& each : world.cri.containers("kube-system")) {
    if (each.name != pod.component || each.createdAt < *written) continue;
    if (!each.logPath.empty() && world.host.read(each.logPath).value_or("").find("ready to serve client requests") != std::string::npos) return true;
    first = std::min(first.value_or(each.attempt), each.attempt);
  }
  const auto copy = world.host.status(data.copy);
  return copy && copy->modified < data.began && first.value_or(0) > 0;
}

/// Why the copy is not one of what was there; nothing when it is.
std::string whyNotCopied(const ReplaceStaticPods::Data& data, TimePoint began, World& world) {
  const auto begun = data.copy / "begun";
  try {
    world.host.removeTree(data.copy);
    world.host.makeFolder(data.copy, 0700);
    const auto copied = world.host.run({.program = "cp", .arguments = {"--archive", "--reflink=auto", data.folder.string(), begun.string()}, .input = {},
                                        .timeout = std::chrono::minutes(1)});
    if (copied.timedOut) return "it takes too long";
    if (copied.exitCode != 0) return std::string(trim(copied.errors));
    const auto found = running({data.component, {}, {}}, world);
    if (found && found->createdAt >= began) return "it was begun anew meanwhile";
    world.host.rename(begun, wholeCopy(data));
    return {};
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    return error.message();
  }
}

/// The kubelet goes on meanwhile, so that whoever ends here leaves nothing standing still; it needs longer to see what has ended than this
/// takes. If it does not, the copy is worth nothing, which is no reason to stop half-way.
void keep(const ReplaceStaticPods::Data& data, TimePoint began, const Context& context) {
  if (context.world.host.status(wholeCopy(data))) return; // of a run that was stopped: what lies there now may have been touched since
  const auto trouble = whyNotCopied(data, began, context.world);
  if (trouble.empty()) return;
  context.world.host.removeTree(data.copy);
  if (context.reporter)
    context.reporter->warning(context.phase, fmt::format("{} could not be copied ({}); the snapshot is all there is for the way back", data.folder.string(), trouble));
}

void putBack(const ReplaceStaticPods::Data& data, const Context& context) {
  auto& host = context.world.host;
  const auto copy = wholeCopy(data);
  if (!host.status(copy)) return;
  host.service("kubelet", host::Host::ServiceAction::stop);
  end({data.component, {}, {}}, context.world);
  for (const auto& name : host.list(data.folder)) host.removeTree(data.folder / name);
  runOrThrow(host, "cp", {"--archive", "--reflink=auto", "--no-target-directory", copy.string(), data.folder.string()},
             fmt::format("is there room for it? What was stored lies in {}", copy.string()));
}

/// One that is well, or was, has stored more since a copy was made, which is worth nothing any more.
void forgetOutdated(const StaticPod& pod, const ReplaceStaticPods::Data& data, World& world) {
  if (world.host.status(data.copy) && (isHealthy(data.health, world) || hasServed(pod, data, world))) world.host.removeTree(data.copy);
}

bool ends(const std::vector<StaticPod>& pods, std::string_view component) { return std::ranges::find(pods, component, &StaticPod::component) != pods.end(); }

bool serves(const Access& access, const Context& context) {
  try {
    return connect(access, context).raw("GET", "/readyz").status == 200;
  } catch (const net::TransportError&) {
    return false;
  }
}

/// The others are looked at once nobody else may begin: whoever had the turn before may have left them in trouble.
void awaitTurn(const ReplaceStaticPods::Among& among, const std::vector<StaticPod>& ending, const Context& context) {
  if (among.takes == ReplaceStaticPods::Among::Takes::whereItServes && !serves(among.turn.access, context)) return;
  if (takeTurnIfAnswered(among.turn, context) == TurnTaken::nobodyAnswers && context.reporter)
    context.reporter->warning(context.phase, "no API server answers: whether another control plane is being upgraded just now cannot be seen, and this one goes on");
  if (among.member.empty() || !ends(ending, "etcd")) return;
  const Condition spared{.what = "etcd can do without the member of this node for a while",
                         .probe = EtcdHealthy{among.etcd},
                         .patience = among.patience,
                         .hint = "look at etcd on the other control planes: kubectl -n kube-system get pods -l component=etcd"};
  await(spared, {.verb = Verb::wait, .subject = spared.what}, context, [&] { return lackOfOthers(among.etcd, among.member, context); });
}

void awaitAnew(const std::vector<StaticPod>& pods, TimePoint began, const Condition& made, const Context& context) {
  auto& world = context.world;
  await(made, {.verb = Verb::wait, .subject = made.what}, context, [&]() -> std::optional<std::string> {
    std::vector<std::string> lacking;
    for (const auto& each : pods)
      if (const auto found = running(each, world); !found || found->createdAt < began)
        lacking.push_back(fmt::format("{} {}", found ? "the former" : each.component, found ? each.component + " still runs" : "does not run yet"));
    if (lacking.empty()) return std::nullopt;
    return join(lacking, ", ");
  });
}

} // namespace

Change needed(const ReplaceStaticPods& wanted, const Context& context) {
  auto& world = context.world;
  Change change{.subject = subject(Task{wanted})};
  bool any = false;
  for (const auto& each : wanted.pods) {
    const auto found = world.host.read(each.pod.manifest);
    const bool differs = !isWanted(each, found), hasData = wanted.data && wanted.data->component == each.pod.component;
    const bool left = !each.unlessHealthy.empty() && (isHealthy(each.unlessHealthy, world) || (differs && hasData && hasServed(each.pod, *wanted.data, world)));
    const char todo = left ? kLeave : differs ? kWrite : kRestart;
    change.seen += todo;
    any = any || todo == kWrite || (todo == kRestart && !runsByItsFiles(each, context));
    if (todo != kWrite) continue;
    change.preview += lineDiff(found.value_or(""), each.manifest);
    if (context.wouldWrite) context.wouldWrite->insert(each.pod.manifest);
  }
  if (!any) return change;
  change.verb = Verb::update;
  const auto written = namesOf(wanted, change.seen, kWrite);
  change.reason = written.empty() ? "not all run by their files yet" : fmt::format("the manifest of {} differs", written);
  return change;
}

void perform(const ReplaceStaticPods& wanted, const Change& change, const Context& context) {
  auto& world = context.world;
  std::vector<StaticPod> changed;
  for (std::size_t i = 0; i < wanted.pods.size(); ++i)
    if (change.seen[i] != kLeave) changed.push_back(wanted.pods[i].pod);
  if (wanted.among) awaitTurn(*wanted.among, changed, context);
  if (wanted.data && wanted.data->does == ReplaceStaticPods::Data::Does::keep)
    for (const auto& each : wanted.pods)
      if (each.pod.component == wanted.data->component) forgetOutdated(each.pod, *wanted.data, world);
  if (wanted.kubelet)
    if (const auto kubelet = diff(*wanted.kubelet, context); kubelet.changes()) enact(*wanted.kubelet, kubelet, context);
  // Each manifest is there at any time, as it was or as it shall be: whenever this ends, the kubelet has something to run.
  for (std::size_t i = 0; i < wanted.pods.size(); ++i)
    if (change.seen[i] == kWrite) world.host.write(wanted.pods[i].pod.manifest, wanted.pods[i].manifest, 0600, 0700);
  const auto began = world.clock.now();
  for (const auto& each : changed) end(each, world);
  if (const auto& data = wanted.data; data && ends(changed, data->component)) {
    if (data->does == ReplaceStaticPods::Data::Does::keep) keep(*data, began, context);
    else putBack(*data, context);
  }
  // A kubelet that runs tells the API server of each pod that ends before it begins the next, and there is none; one that begins anew
  // runs what it finds.
  world.host.service("kubelet", host::Host::ServiceAction::restart);
  const Condition made{.what = fmt::format("{} {} made anew", subject(Task{wanted}), changed.size() == 1 ? "is" : "are"),
                       .probe = RuntimeReady{},
                       .patience = wanted.patience,
                       .hint = "look at: journalctl -u kubelet",
                       .fatal = signsOf(changed)};
  awaitAnew(changed, began, made, context);
}

bool isInstalled(const Path& from, const Path& to, host::Host& host) {
  return host.run({.program = "cmp", .arguments = {"-s", from.string(), to.string()}, .input = {}}).exitCode == 0;
}

Change needed(const InstallProgram& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  auto& host = context.world.host;
  if (!host.status(wanted.from)) throw Error(fmt::format("there is no file {}", wanted.from.string()), {}, ExitCode::usage);
  if (isInstalled(wanted.from, wanted.to, host)) return change;
  change.verb = Verb::update;
  change.reason = "as " + wanted.from.string();
  return change;
}

void perform(const InstallProgram& wanted, const Change&, const Context& context) {
  auto& host = context.world.host;
  const auto beside = wanted.to.string() + ".kubestrap-new";
  runOrThrow(host, "install", {"-m", "0755", wanted.from.string(), beside}, "is there room on its file system?");
  host.rename(beside, wanted.to);
}

} // namespace kubestrap::plan
