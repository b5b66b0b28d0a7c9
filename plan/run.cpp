#include "plan/run.hpp"

#include "plan/journal.hpp"
#include "plan/kinds.hpp"
#include "plan/upgrading.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

bool isWithin(std::string_view phase, std::string_view parent) {
  return phase == parent || (phase.size() > parent.size() && phase.starts_with(parent) && phase[parent.size()] == '/');
}

bool touchesThisMachineOnly(const Resource& resource) {
  // What is in a folder is seen when those before it have had their turn, and takes what others would look at with it.
  if (const auto* absent = std::get_if<Absent>(&resource)) return absent->depth == Absent::Depth::entry;
  return std::holds_alternative<File>(resource) || std::holds_alternative<Folder>(resource) || std::holds_alternative<Certificate>(resource) ||
         std::holds_alternative<KeyPair>(resource) || std::holds_alternative<Kubeconfig>(resource);
}

/// An object that can only be looked at once others are there.
bool refersToAnother(const Resource& resource) {
  const auto* object = std::get_if<Object>(&resource);
  if (object && object->mode == ApplyMode::mark) return true;
  return object && std::any_of(object->fills.begin(), object->fills.end(),
                               [](const Fill& fill) { return std::holds_alternative<UidOf>(fill.with); });
}

/// A certificate or kubeconfig whose authority's file is written just before: who is to sign it is seen only then.
bool followsItsAuthority(const Resource& resource, std::span<const Resource> before) {
  std::vector<Path> authorities;
  if (const auto* certificate = std::get_if<Certificate>(&resource)) authorities = {certificate->spec.issuerCertificate};
  if (const auto* kubeconfig = std::get_if<Kubeconfig>(&resource)) authorities = {kubeconfig->authority};
  return std::ranges::any_of(before, [&](const Resource& each) {
    const auto* file = std::get_if<File>(&each);
    return file && std::ranges::find(authorities, file->path) != authorities.end();
  });
}

/// Resources that are compared together and recorded by one write of the journal: neighbours of this machine, or neighbours of the
/// cluster. Everything else stands alone, since what follows it sees another world.
std::size_t groupEnd(const Resources& resources, std::size_t begin) {
  const auto alike = [&](const Resource& each) {
    return (touchesThisMachineOnly(resources[begin]) && touchesThisMachineOnly(each)) ||
           (std::holds_alternative<Object>(resources[begin]) && std::holds_alternative<Object>(each) && !refersToAnother(each));
  };
  auto end = begin + 1;
  while (end < resources.size() && alike(resources[end]) && !followsItsAuthority(resources[end], std::span(resources).subspan(begin, end - begin))) ++end;
  return end;
}

std::optional<certs::KeyAlgorithm> keyNeededBy(const Resource& resource) {
  if (const auto* certificate = std::get_if<Certificate>(&resource)) return certificate->spec.algorithm;
  if (const auto* pair = std::get_if<KeyPair>(&resource)) return pair->algorithm;
  if (const auto* kubeconfig = std::get_if<Kubeconfig>(&resource))
    if (const auto* embedded = std::get_if<EmbeddedCertificate>(&kubeconfig->credential)) return embedded->spec.algorithm;
  return std::nullopt;
}

std::string remedyOf(const Finding& finding) {
  return finding.remedy + (finding.fixable ? "; or: kubestrap preflight --fix" : "");
}

/// While it lives, names in folders are synced later.
class LateNames {
public:
  explicit LateNames(host::Host& host) : host_(host) { host_.setNamesDurable(host::Host::Durable::later); }
  ~LateNames() { host_.setNamesDurable(host::Host::Durable::now); }
  LateNames(const LateNames&) = delete;
  LateNames& operator=(const LateNames&) = delete;

private:
  host::Host& host_;
};

/// One pass over a workflow.
class Pass {
public:
  Pass(const Selection& selection, const config::Setup& setup, const config::Facts& facts, World& world, Mode mode,
       Reporter& reporter, const std::string& command)
      : selection_(selection), setup_(setup), facts_(facts), world_(world), mode_(mode), reporter_(reporter),
        journal_(world.host, command) {}

  Outcome over(const Workflow& workflow) {
    recording_ = workflow.undoing.empty();
    undoing_ = workflow.undoing;
    try {
      for (const auto& phase : workflow.phases) enter(phase, std::string(phase.name));
    } catch (const Error& error) {
      if (applying()) recordEnd(error);
      throw;
    }
    if (applying()) recordDone();
    return std::move(outcome_);
  }

  Outcome over(const Resources& resources, const std::string& step) {
    try {
      while_("in step " + step, [&] { realise(resources, step); });
    } catch (const Error& error) {
      if (applying()) recordEnd(error);
      throw;
    }
    if (applying()) recordDone();
    return std::move(outcome_);
  }

private:
  bool applying() const { return mode_ == Mode::apply; }

  void recordDone() {
    world_.host.syncFolders();
    journal_.end("done", world_.clock.now());
  }

  void recordEnd(const Error& error) {
    try {
      world_.host.syncFolders();
      journal_.end(error.exitCode() == ExitCode::interrupted ? "interrupted" : "failed: " + error.message(), world_.clock.now());
    } catch (const Error&) {
      // The disk that made the run fail may refuse this line as well; the first error is the one to tell.
    }
  }

  void enter(const Phase& phase, const std::string& name) {
    if (std::find(selection_.skip.begin(), selection_.skip.end(), name) != selection_.skip.end()) {
      reporter_.phaseSkipped(name);
      return;
    }
    if (applying() && selection_.runs(name) && phase.looksForOthers) while_("in phase " + name, [&] { seeOthers(phase.looksForOthers(setup_)); });
    if (selection_.runs(name) && (phase.judge || phase.repair || phase.desired)) {
      reporter_.phaseBegins(name, phase.summary);
      while_("in phase " + name, [&] {
        if (phase.judge) judge(phase, name);
        if (phase.repair) realise(phase.repair(setup_, facts_), name);
        replaced_.clear();
        restorable_ = phase.onFailure == OnFailure::restoreFiles;
        if (phase.desired) realiseOrUndo(phase, name);
        if (!applying() || undoing_.empty() || name != undoing_) return;
        world_.host.syncFolders();
        journal_.close(world_.clock.now());
      });
      reporter_.phaseEnds(name);
    }
    for (const auto& child : phase.children) enter(child, name + "/" + std::string(child.name));
  }

  /// What was seen before may do. Where nothing was, nobody would seem to be there.
  void seeOthers(const Access& access) {
    const auto trouble = lookForOthers(setup_, access, world_);
    if (!trouble.empty() && setup_.request.upgrading.nodes.empty()) throw Error("the cluster's nodes cannot be seen: " + trouble, "look at kubectl get nodes, then run the command again: it goes on");
  }

  void warn(const std::string& name, std::string text) {
    reporter_.warning(name, text);
    outcome_.warnings.push_back(std::move(text));
  }

  void judge(const Phase& phase, const std::string& name) {
    std::vector<Problem> refused;
    for (const auto& finding : phase.judge(setup_, facts_)) {
      if (finding.severity == Severity::warning)
        warn(name, fmt::format("{}: {}{}", finding.check, finding.evidence,
                                            finding.remedy.empty() ? "" : " (" + remedyOf(finding) + ")"));
      else refused.push_back({.field = finding.check, .message = finding.evidence, .remedy = remedyOf(finding)});
    }
    if (!refused.empty()) throw Problems(std::move(refused), ExitCode::refused);
  }

  void realiseOrUndo(const Phase& phase, const std::string& name) {
    const bool forced = phase.onFailure == OnFailure::unlessForced && setup_.request.resetting.force;
    if (phase.onFailure == OnFailure::warn || phase.onFailure == OnFailure::goOn || forced)
      return realiseWhatCanBe(phase, name);
    try {
      realise(phase.desired(setup_, phase), name);
    } catch (const Interrupted&) {
      throw; // the next run goes on
    } catch (Error& error) {
      if (!replaced_.empty()) restoreFiles(phase, name, error);
      if (phase.onFailure == OnFailure::unlessForced) error.addContext("what follows relies on it; --force goes on all the same");
      const auto undoing = applying() && phase.undo ? phase.undo(setup_, phase) : Resources{};
      if (undoing.empty()) throw;
      try {
        realise(undoing, name);
        error.addContext("what this phase had begun was taken back");
      } catch (const Error& second) {
        error.addContext("it could not be taken back: " + second.message());
      }
      throw;
    }
  }

  /// Puts the files back that this phase has changed, and lets those that read them take them up again.
  void restoreFiles(const Phase& phase, const std::string& name, Error& error) {
    const auto files = std::exchange(replaced_, {});
    try {
      for (auto file = files.rbegin(); file != files.rend(); ++file) {
        if (file->content) world_.host.write(file->path, file->content->reveal(), file->mode);
        else world_.host.remove(file->path);
      }
      error.addContext("the files of this phase were put back as they were");
      if (phase.undo) return; // which sees to those that read them
      Resources readers;
      for (auto& resource : phase.desired(setup_, phase))
        if (std::holds_alternative<Task>(resource) || std::holds_alternative<Condition>(resource)) readers.push_back(std::move(resource));
      realise(readers, name);
    } catch (const Error& second) {
      error.addContext("after that: " + second.message());
    }
  }

  /// What a resource of this machine is about to replace.
  void keepFiles(const Resource& resource) {
    std::vector<Path> paths;
    if (const auto* file = std::get_if<File>(&resource)) paths = {file->path};
    if (const auto* certificate = std::get_if<Certificate>(&resource)) paths = {certificate->spec.key, certificate->spec.certificate};
    if (const auto* kubeconfig = std::get_if<Kubeconfig>(&resource)) {
      paths = {kubeconfig->path};
      if (!kubeconfig->credentialFile.empty()) paths.push_back(kubeconfig->credentialFile);
    }
    for (auto& path : paths) {
      const auto status = world_.host.status(path);
      auto content = world_.host.read(path);
      replaced_.push_back({path, content ? std::optional(Secret(std::move(*content))) : std::nullopt, status ? status->mode : 0600});
    }
  }

  /// Does `body`. In a phase that goes on all the same a failure is told, and what comes next has its turn; an interrupt ends it even so.
  bool attempt(const std::string& name, const std::function<void()>& body) {
    try {
      body();
      return true;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (!goesOn_) throw;
      auto text = error.contexts().empty() ? error.message() : error.contexts().front() + ": " + error.message();
      reporter_.warning(name, text + (error.hint().empty() ? "" : " (" + error.hint() + ")"));
      outcome_.warnings.push_back(text);
      failed_.push_back(std::move(text));
      return false;
    }
  }

  void realiseWhatCanBe(const Phase& phase, const std::string& name) {
    goesOn_ = true;
    failed_.clear();
    realise(phase.desired(setup_, phase), name);
    goesOn_ = false;
    if (phase.onFailure == OnFailure::goOn && !failed_.empty())
      throw Error(fmt::format("{} of the steps of {} failed: {}", failed_.size(), name, join(failed_, "; ")), "mend the cause and run the command again: it goes on");
  }

  void realise(const Resources& resources, const std::string& name) {
    const Context context{.world = world_, .applying = applying(), .apiPatience = setup_.request.timeouts.kubernetesAPICall,
                          .phase = name, .reporter = &reporter_, .keys = &keys_, .kubeconfigs = &kubeconfigs_,
                          .wouldWrite = applying() ? nullptr : &wouldWrite_,
                          .wouldRemove = applying() ? nullptr : &wouldRemove_};
    for (std::size_t begin = 0; begin < resources.size();) {
      const auto end = groupEnd(resources, begin);
      realiseGroup(std::span(resources).subspan(begin, end - begin), name, context);
      begin = end;
    }
  }

  void realiseGroup(std::span<const Resource> group, const std::string& name, const Context& context) {
    struct Seen {
      const Resource& resource;
      Change change;
    };
    std::vector<Seen> seen;
    std::vector<Intent> intended;
    std::vector<certs::KeyAlgorithm> keys;
    for (const auto& resource : group) {
      world_.clock.sleep({}); // the place where an interrupt is noticed
      const auto look = [&] { seen.push_back({resource, while_("looking at " + subject(resource), [&] { return diff(resource, context); })}); };
      if (!attempt(name, look) || !applying()) continue;
      const auto& change = seen.back().change;
      if (const auto algorithm = keyNeededBy(resource); algorithm && change.changes()) keys.push_back(*algorithm);
      if (!recording_) continue;
      // A folder that was there, empty, is used from now on: what the next run finds in it is ours.
      const auto* folder = std::get_if<Folder>(&resource);
      const bool adopted = folder && !change.changes() && !journal_.names(folder->path);
      if (!change.changes() && !adopted) continue;
      for (auto& intent : intents(resource, change, context)) add(intended, std::move(intent));
    }
    if (!applying()) {
      for (auto& each : seen) {
        reporter_.planned(name, each.change);
        outcome_.changes.push_back({name, std::move(each.change)});
      }
      return;
    }
    // A power loss leaves none of what reaches further without the files that it goes by.
    const bool here = touchesThisMachineOnly(group.front());
    if (!here) world_.host.syncFolders();
    const auto numbers = journal_.begin(intended, world_.clock.now());
    keys_.fill(keys);
    std::optional<LateNames> lateNames;
    if (here) lateNames.emplace(world_.host);
    // What was seen is not looked at anew after a failure: somebody else's change would be overwritten by the second look.
    for (auto& each : seen)
      if (attempt(name, [&] { perform(each.resource, each.change, name, context); })) outcome_.changes.push_back({name, std::move(each.change)});
    journal_.done(numbers, world_.clock.now());
  }

  void perform(const Resource& resource, const Change& change, const std::string& name, const Context& context) {
    const auto begin = world_.clock.now();
    if (change.changes()) {
      world_.clock.sleep({});
      if (restorable_) keepFiles(resource);
      while_(fmt::format("{} {}", change.verb == Verb::wait ? "waiting until" : "making", change.subject),
             [&] { enact(resource, change, context); });
    }
    reporter_.done(name, change, world_.clock.now() - begin);
  }

  const Selection& selection_;
  config::Setup setup_;
  const config::Facts& facts_;
  World& world_;
  Mode mode_;
  Reporter& reporter_;
  Journal journal_;
  KeyPool keys_;
  Kubeconfigs kubeconfigs_;
  std::set<Path> wouldWrite_, wouldRemove_;
  struct Replaced {
    Path path;
    std::optional<Secret> content; ///< nothing: it was not there
    unsigned mode = 0600;
  };
  bool restorable_ = false;        ///< the present phase puts its files back when it fails
  std::vector<Replaced> replaced_; ///< by such a phase, in that order
  bool goesOn_ = false;             ///< the present phase does what it can
  std::vector<std::string> failed_; ///< what it could not
  bool recording_ = true;
  std::string_view undoing_;
  Outcome outcome_;
};

} // namespace

bool Selection::runs(std::string_view phase) const { return !only || isWithin(phase, *only); }

void check(const Selection& selection, const Workflow& workflow) {
  const auto names = phaseNames(workflow);
  const auto known = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    const auto near = nearest(name, names);
    throw Error(fmt::format("{} has no phase {}", workflow.command, name),
                near.empty() ? fmt::format("see: kubestrap {} phase --help", workflow.command) : fmt::format("did you mean {}?", near),
                ExitCode::usage);
  };
  if (selection.only) known(*selection.only);
  for (const auto& name : selection.skip) known(name);
}

bool Outcome::changed() const {
  return std::any_of(changes.begin(), changes.end(),
                     [](const auto& each) { return each.change.changes() && each.change.verb != Verb::wait; });
}

Outcome run(const Workflow& workflow, const Selection& selection, const config::Setup& setup, const config::Facts& facts,
            World& world, Mode mode, Reporter& reporter, const std::string& command) {
  check(selection, workflow);
  return Pass(selection, setup, facts, world, mode, reporter, command).over(workflow);
}

Outcome enactAll(const Resources& resources, const std::string& step, const std::string& command, World& world, Reporter& reporter) {
  const Selection all;
  const config::Setup usual;
  return Pass(all, usual, {}, world, Mode::apply, reporter, command).over(resources, step);
}

Change verdict(const Resource& resource, World& world) {
  Kubeconfigs kubeconfigs;
  return diff(resource, {.world = world, .kubeconfigs = &kubeconfigs});
}

Outcome planAll(const Resources& resources, const std::string& step, World& world, Reporter& reporter) {
  const Selection all;
  const config::Setup usual;
  return Pass(all, usual, {}, world, Mode::plan, reporter, step).over(resources, step);
}

} // namespace kubestrap::plan
