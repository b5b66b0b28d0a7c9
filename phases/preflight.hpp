#pragma once

#include "config/facts.hpp"
#include "config/model.hpp"
#include "plan/phase.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases {

/// What a machine is to become; each check says for which of them it speaks.
enum class Purpose { init, joinControlPlane, joinWorker };

/// Judge whether this machine can become the first control plane node, a further one, or a worker. Nothing is asked
/// here: all that is known stands in `facts`. Checks that --ignore-preflight-errors names (or "all") give warnings only.
/// Unless root asks, nothing but that is said.
plan::Findings judgeInit(const config::Setup& setup, const config::Facts& facts);
plan::Findings judgeJoin(const config::Setup& setup, const config::Facts& facts);
plan::Findings judge(Purpose purpose, const config::Setup& setup, const config::Facts& facts);
/// What a machine that joins is to become, by its configuration.
Purpose joinPurpose(const config::Setup& setup);

/// What puts those findings right that `preflight --fix` can do and preflight.fix admits.
plan::Resources repairs(Purpose purpose, const config::Setup& setup, const config::Facts& facts);
/// Its workflow, of one phase.
const plan::Workflow& repairWorkflow(Purpose purpose);
/// Throws Error (usage) for a name in preflight.fix that no check has, or whose finding only people can put right.
void checkFixNames(const config::Setup& setup);

/// What `facts` has to answer for these besides the machine itself.
struct PreflightQuestions {
  std::vector<std::filesystem::path> files, folders;
  std::vector<std::filesystem::path> texts; ///< small files whose content is wanted
  std::vector<std::filesystem::path> disks; ///< folders, for the room on what they lie on
  std::vector<std::string> programs, sysctls, images;
  std::vector<int> ports; ///< whose owners are to be named
};
PreflightQuestions questionsForInit(); ///< before the configuration is known: kubeadm's default paths and ports
PreflightQuestions questionsForInit(const config::Setup& setup);
PreflightQuestions questionsFor(Purpose purpose, const config::Setup& setup);
/// Whether --ignore-preflight-errors names a check, or all of them.
bool isIgnored(const config::Setup& setup, std::string_view check);
/// The registry that an image comes from: "registry.k8s.io".
std::string registryOf(std::string_view image);

/// What a row says when it fires. Its name comes from the row, and its remedy too where it has no better one.
struct Observation {
  plan::Severity severity = plan::Severity::error;
  std::string evidence;
  std::string remedy = {};
};
using Observations = std::vector<Observation>;

/// Which commands a check runs for.
struct Runs {
  bool init = true, joinControlPlane = true, joinWorker = true;
  bool runsFor(Purpose purpose) const {
    return purpose == Purpose::init ? init : purpose == Purpose::joinWorker ? joinWorker : joinControlPlane;
  }
};
inline constexpr Runs onEveryNode{}, onControlPlanes{.joinWorker = false}, onJoin{.init = false},
    onFirst{.joinControlPlane = false, .joinWorker = false}, onWorkers{.init = false, .joinControlPlane = false};

/// A row of the table of checks. Where a name depends on the configuration, "<...>" stands for that part.
struct Check {
  enum class Level { warning, error, either };
  enum class From { kubeadm, kubestrap }; ///< whose check it is

  std::string_view name; ///< kubeadm's where kubeadm has it: "Port-<bindPort>"
  Runs on;
  Level level = Level::error;
  std::string_view fires; ///< when it speaks up, for docs/preflight.md
  std::string_view remedy;
  Observations (*judge)(const config::Setup&, const config::Facts&) = nullptr;
  bool (*applies)(const config::Setup&, Purpose) = nullptr; ///< nothing: always
  std::string (*nameFor)(const config::Setup&) = nullptr; ///< nothing: `name` as it is
  /// What puts it right, where that is safe; no resources when it is not safe on this machine.
  plan::Resources (*fix)(const config::Setup&, const config::Facts&) = nullptr;
  From from = From::kubeadm;

  std::string fullName(const config::Setup& setup) const { return nameFor ? nameFor(setup) : std::string(name); }
};

/// All checks in the order in which they speak. The first, IsPrivilegedUser, speaks alone.
std::span<const Check> checks();

} // namespace kubestrap::phases
