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

/// Judges whether this machine can become the first control plane node. Nothing is asked here: all that is known stands
/// in `facts`. Checks that --ignore-preflight-errors names (or "all") give warnings only. Unless root asks, nothing but
/// that is said.
plan::Findings judgeInit(const config::Setup& setup, const config::Facts& facts);

/// What `facts` has to answer for judgeInit besides the machine itself.
struct PreflightQuestions {
  std::vector<std::filesystem::path> files, folders;
  std::vector<std::string> programs, sysctls;
  std::vector<int> ports; ///< whose owners are to be named
};
PreflightQuestions questionsForInit(); ///< before the configuration is known: kubeadm's default paths and ports
PreflightQuestions questionsForInit(const config::Setup& setup);

/// What a row says when it fires. Its name comes from the row, and its remedy too where it has no better one.
struct Observation {
  plan::Severity severity = plan::Severity::error;
  std::string evidence;
  std::string remedy = {};
};
using Observations = std::vector<Observation>;

/// A row of the table of checks. Where a name depends on the configuration, "<...>" stands for that part.
struct Check {
  enum class Level { warning, error, either };

  std::string_view name; ///< kubeadm's where kubeadm has it: "Port-<bindPort>"
  Level level = Level::error;
  std::string_view fires; ///< when it speaks up, for docs/preflight.md
  std::string_view remedy;
  Observations (*judge)(const config::Setup&, const config::Facts&) = nullptr;
  bool (*applies)(const config::Setup&) = nullptr;        ///< nothing: always
  std::string (*nameFor)(const config::Setup&) = nullptr; ///< nothing: `name` as it is
  bool ours = false;                                      ///< kubeadm has no such check

  std::string fullName(const config::Setup& setup) const { return nameFor ? nameFor(setup) : std::string(name); }
};

/// All checks of init in the order in which they speak. The first, IsPrivilegedUser, speaks alone.
std::span<const Check> initChecks();

} // namespace kubestrap::phases
