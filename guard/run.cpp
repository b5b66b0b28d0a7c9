#include "guard/run.hpp"

#include "config/rolling.hpp"
#include "guard/disk.hpp"
#include "guard/healer.hpp"
#include "guard/put_back.hpp"
#include "guard/report.hpp"
#include "guard/told.hpp"
#include "guard/watcher.hpp"
#include "host/host.hpp"
#include "kube/reading.hpp"
#include "manifests/components.hpp"
#include "manifests/guard.hpp"
#include "manifests/second_etcd.hpp"
#include "support/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace kubestrap::guard {

using phases::guard::Decision;
using phases::guard::nameOf;
using phases::guard::Seen;

namespace {

constexpr Duration turnLength = std::chrono::seconds(1), shortestPause = std::chrono::milliseconds(100);
/// While etcd begins, after a power loss: each second counts, and there is nothing yet to be asked that costs anything. Not for ever: etcd may not come.
constexpr Duration beginningTurn = std::chrono::milliseconds(200), beginning = std::chrono::minutes(1);
const config::Path statusFile = config::Path(manifests::guardStatusFolder) / "guard.json";
const config::Path memoryFile = config::Path(manifests::guardStatusFolder) / "guard-memory.json";

kube::Kubeconfig identityIn(host::Host& host, const std::string& file) {
  const auto text = host.read(file);
  if (!text) throw Error(fmt::format("{} is absent", file));
  auto identity = kube::parseKubeconfig(*text, file);
  kube::readCredentials(identity, [&](const auto& each) { return host.read(each); });
  // Every API server has that name, whatever its address (decision D21).
  identity.tlsServerName = "kubernetes";
  return identity;
}

std::string revisionOf(const std::optional<Value>& standby) {
  return standby ? kube::annotationOf(*standby, config::revisionAnnotation).value_or("") : "";
}

class Loop {
public:
  Loop(const Options& options, host::Host& host, const std::stop_token& stop)
      : options_(options), host_(host), stop_(stop), disk_(host), state_(phases::guard::begin(sinceBoot())),
        identity_(identityIn(host, options.kubeconfig)), asking_(options.targets, identity_, stop),
        watcher_(options.node, identity_, options.targets.front, stop),
        healer_(identity_, options.targets.front, options.address, options.targets.apiServerPort, stop) {
    try {
      if (const auto text = host.read(memoryFile)) recall(parseJson(*text, memoryFile.string()), state_);
    } catch (const Error& error) {
      log::warn(error.message());
    }
    log::info(0, "the guard of {} begins", options.node);
  }

  void turn() {
    auto seen = look();
    auto decision = phases::guard::decide(seen, state_, sinceBoot(), options_.timings);
    if (decision.asksPeers) {
      seen.peerReady = asking_.anyReady(others_);
      seen.stopping = stop_.stop_requested();
      decision = phases::guard::decide(seen, state_, sinceBoot(), options_.timings);
    }
    tell(decision);
    state_ = decision.state;
    for (const auto& action : decision.actions)
      if (!stop_.stop_requested()) act(action);
    publish(seen, decision);
    waitsForEtcd_ = !seen.etcdReady && !seen.apiAnswers;
  }

  Duration turnLasts() const { return waitsForEtcd_ && sinceBoot() - state_.began < beginning ? beginningTurn : turnLength; }

  /// What it goes with has been renewed, or whom it trusts. Throws Error while it cannot be read; looks into it only when it was written.
  bool hasOtherIdentity() {
    const auto written = identityWritten();
    if (written == identityWritten_) return false;
    identityWritten_ = written;
    const auto now = identityIn(host_, options_.kubeconfig);
    return !(now.clientKey == identity_.clientKey) || now.authorities != identity_.authorities;
  }

private:
  /// When its kubeconfig and the file that this names were written last.
  TimePoint identityWritten() const {
    TimePoint last{};
    for (const auto& file : {options_.kubeconfig, identity_.clientKeyFile})
      if (const auto status = file.empty() ? std::nullopt : host_.status(file)) last = std::max(last, status->modified);
    return last;
  }

  Seen look() {
    const auto asked = asking_.all(host_.status(manifests::secondEtcdManifest()).has_value());
    const auto told = asked.apiAnswers ? watcher_.told() : std::nullopt;
    for (Component component = 0; component < phases::guard::count; ++component) standbys_[component] = disk_.standby(component, Slot::rescue);
    auto seen = told ? learned(*told) : Seen{};
    seen.etcdReady = asked.etcdReady;
    seen.apiAnswers = asked.apiAnswers;
    lookAtDisk(told, seen);
    for (Component component = 0; component < phases::guard::count; ++component) seen.components[component].slots = asked.slots[component];
    seen.stopping = stop_.stop_requested();
    return seen;
  }

  /// Rendering three templates is most of a turn's work, and a round is gone by several times.
  Seen learned(const Told& told) {
    if (told.at != learnedAt_) {
      learned_ = {};
      put(told, options_.node, standbys_, learned_);
      learnedAt_ = told.at;
    }
    return learned_;
  }

  void lookAtDisk(const std::optional<Told>& told, Seen& seen) {
    auto node = disk_.nodeState();
    if (told) follow(*told, node);
    seen.held = node.held;
    seen.leaving = node.mode == "leaving";
    seen.fenced = disk_.isFenced();
    for (Component component = 0; component < phases::guard::count; ++component) {
      auto& own = seen.components[component];
      own.standbyValid = standbys_[component].has_value();
      own.previousValid = disk_.has(component, Slot::previous);
      const auto promoted = disk_.promoted(component);
      own.promoted = promoted.rescue;
      own.previousPromoted = promoted.previous;
      own.activations = promoted.activations;
    }
    lookForPeers(seen);
  }

  /// The Node says what is held; node.json keeps it for when there is no API.
  void follow(const Told& told, NodeState& node) {
    if (const auto held = heldIn(told.node)) node.held = *held;
    const auto membership = membershipIn(told.node);
    using enum phases::guard::Membership;
    if (node.mode != "leaving" && membership == labelled) node.mode = "selfhosted";
    if (node.mode != "leaving" && membership == unlabelled) node.mode = "bootstrap";
    attempt("node.json", [&] { disk_.keep(node); });
  }

  void lookForPeers(Seen& seen) {
    if (const auto found = watcher_.peers(); !found.empty()) attempt("peers.json", [&] { disk_.keep(found); });
    others_ = disk_.peers();
    seen.rank = static_cast<std::size_t>(std::ranges::count_if(others_, [&](const auto& each) { return each.first < options_.node; }));
    others_.erase(options_.node);
  }

  void tell(const Decision& decision) {
    for (const auto& change : decision.changes) log::info(0, "{}", change);
    for (const auto& condition : decision.conditions)
      if (std::ranges::find(conditions_, condition.name, &phases::guard::Condition::name) == conditions_.end())
        log::warn(fmt::format("{}: {}", condition.name, condition.message));
    conditions_ = decision.conditions;
  }

  void act(const phases::guard::Action& action) {
    if (const auto* promote = std::get_if<phases::guard::Promote>(&action)) {
      log::info(0, "promoting {} ({}), since {}", nameOf(promote->component), manifests::slotName(promote->slot), promote->why);
      attempt("promoting", [&] { disk_.promote(promote->component, promote->slot); });
    } else if (const auto* demote = std::get_if<phases::guard::Demote>(&action)) {
      log::info(0, "demoting {}, since {}", nameOf(demote->component), demote->why);
      attempt("demoting", [&] { disk_.demote(demote->component); });
    } else if (const auto* back = std::get_if<phases::guard::PutBack>(&action)) {
      putBackRevision(*back);
    } else {
      commit(std::get<phases::guard::WriteStandby>(action).component);
    }
  }

  /// In a thread of its own, so that an API that is slow to answer keeps nothing from being promoted. It is over long before it is tried again.
  void putBackRevision(const phases::guard::PutBack& back) {
    const auto& rolling = back.rolling;
    log::info(0, "putting revision {} of {} in force again, since {}", rolling.from, nameOf(rolling.component), back.why);
    puttingBack_ = std::jthread([this, rolling] {
      try {
        net::CurlTransport transport(stop_);
        Limited limited(transport, Watcher::limit);
        kube::Client client(limited, identity_, options_.targets.front);
        if (!putBack(client, rolling)) log::info(0, "{}: another revision than {} is in force by now", nameOf(rolling.component), rolling.to);
      } catch (const std::exception& error) {
        log::warn(fmt::format("putting a revision back: {}", error.what()));
      }
    });
  }

  /// What becomes the standby is the template that was judged, or nothing.
  void commit(Component component) {
    const auto told = watcher_.told();
    const auto* set = told ? &told->daemonSets[component] : nullptr;
    if (!set || !*set || !**set) return;
    attempt("writing a standby", [&] {
      const auto pod = manifests::rescuePodOf(manifests::component(nameOf(component)), (**set)->at("spec").at("template"));
      disk_.writeStandby(component, pod);
      standbys_[component] = pod;
      learnedAt_ = {};
      log::info(0, "{}: revision {} is the standby now", nameOf(component), revisionOf(pod));
    });
  }

  void publish(const Seen& seen, const Decision& decision) {
    std::array<std::string, phases::guard::count> revisions;
    for (Component component = 0; component < phases::guard::count; ++component) revisions[component] = revisionOf(standbys_[component]);
    auto after = seen; // with what was promoted or demoted just now
    for (Component component = 0; component < phases::guard::count; ++component) after.components[component].promoted = disk_.promoted(component).rescue;
    auto document = report(options_.node, after, decision, revisions);
    writeWhenChanged(statusFile, document, status_);
    writeWhenChanged(memoryFile, memory(decision.state), remembered_);
    const bool calm = std::ranges::all_of(decision.state.components, [](const auto& each) { return each.hosting == phases::guard::Hosting::shadow; });
    const auto& slots = seen.components[phases::guard::apiServer];
    healer_.tell(slots.any(phases::guard::SlotState::ready), others_.empty());
    watcher_.tell(std::move(document), others_, calm);
  }

  void writeWhenChanged(const config::Path& file, const Value& document, Value& last) {
    if (document == last) return;
    attempt(file.string(), [&] {
      host_.write(file, document.dump() + "\n", 0644);
      last = document;
    });
  }

  /// A disk that does not take something is told of; the next turn tries again.
  template <typename Body> void attempt(std::string_view what, Body body) {
    try {
      body();
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      log::warn(fmt::format("{}: {}", what, error.what()));
    }
  }

  const Options& options_;
  host::Host& host_;
  std::stop_token stop_;
  Disk disk_;
  phases::guard::State state_;
  kube::Kubeconfig identity_;
  TimePoint identityWritten_{}; ///< as of the last look into it; nothing yet
  Asking asking_;
  std::array<std::optional<Value>, phases::guard::count> standbys_;
  std::map<std::string, config::Endpoint> others_; ///< API servers of other nodes
  std::vector<phases::guard::Condition> conditions_;
  Value status_, remembered_;
  Seen learned_; ///< of the API's last round
  phases::guard::Moment learnedAt_{};
  bool waitsForEtcd_ = false;
  Watcher watcher_;
  Healer healer_;
  std::jthread puttingBack_;
};

} // namespace

namespace {

/// Guards until it is told to end, or other credentials are there (certs renew).
void guardOn(const Options& options, host::Host& host, const std::stop_token& told) {
  std::stop_source own;
  const std::stop_callback link(told, [&own] { own.request_stop(); });
  Loop loop(options, host, own.get_token());
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!own.stop_requested()) {
    const auto begin = sinceBoot();
    try {
      loop.turn();
      if (loop.hasOtherIdentity()) break;
    } catch (const Interrupted&) {
      break;
    } catch (const std::exception& error) { // whatever it is: a guard that ends guards nobody
      log::warn(error.what());
    }
    std::unique_lock lock(mutex);
    wake.wait_for(lock, own.get_token(), std::max(shortestPause, begin + loop.turnLasts() - sinceBoot()), [] { return false; });
  }
  own.request_stop(); // its threads end
}

} // namespace

void run(const Options& options, host::Host& host, const std::stop_token& stop) {
  for (guardOn(options, host, stop); !stop.stop_requested(); guardOn(options, host, stop)) log::info(0, "going on with other credentials");
  log::info(0, "told to end: nothing is promoted any more");
}

} // namespace kubestrap::guard
