// What kubestrap asks of a machine before it touches it: two tables of checks, and how they are gone through.
#include "phases/preflight.hpp"

#include "phases/preflight_checks.hpp"
#include "support/text.hpp"

#include <algorithm>

namespace kubestrap::phases {

namespace {

bool speaksFor(const Check& check, Purpose purpose, const Setup& setup) {
  return check.on.runsFor(purpose) && (!check.applies || check.applies(setup, purpose));
}

plan::Findings judgeRow(const Check& check, const Setup& setup, const Facts& facts) {
  plan::Findings findings;
  const auto name = check.fullName(setup);
  for (auto& seen : check.judge(setup, facts))
    findings.push_back({.check = name,
                        .severity = isIgnored(setup, name) ? plan::Severity::warning : seen.severity,
                        .evidence = std::move(seen.evidence),
                        .remedy = seen.remedy.empty() ? std::string(check.remedy) : std::move(seen.remedy)});
  if (check.fix && !findings.empty() && !check.fix(setup, facts).empty())
    for (auto& each : findings) each.fixable = true;
  return findings;
}

bool hasError(const plan::Findings& findings) {
  return std::ranges::any_of(findings, [](const auto& each) { return each.severity == plan::Severity::error; });
}

} // namespace

bool isIgnored(const Setup& setup, std::string_view name) {
  return std::ranges::any_of(setup.request.ignorePreflightErrors, [&](const std::string& each) {
    const auto ignored = lower(trim(each));
    return ignored == "all" || ignored == lower(name);
  });
}

Observation error(std::string evidence, std::string remedy) {
  return {plan::Severity::error, std::move(evidence), std::move(remedy)};
}
Observation warning(std::string evidence, std::string remedy) {
  return {plan::Severity::warning, std::move(evidence), std::move(remedy)};
}

std::string flag(const std::vector<config::Arg>& args, std::string_view name) {
  const auto last =
      std::find_if(args.rbegin(), args.rend(), [&](const config::Arg& each) { return each.name == name; });
  return last == args.rend() ? "" : last->value;
}

bool isRecorded(const Facts& facts, const std::filesystem::path& path) {
  return std::ranges::any_of(facts.recorded, [&](const std::string& each) {
    return std::filesystem::path(each).lexically_normal() == path.lexically_normal();
  });
}

std::span<const Check> checks() {
  static const auto all = [] {
    auto rows = kubeadmChecks();
    for (auto& each : kubestrapChecks()) rows.push_back(std::move(each));
    return rows;
  }();
  return all;
}

plan::Findings judge(Purpose purpose, const Setup& setup, const Facts& facts) {
  auto findings = judgeRow(checks().front(), setup, facts);
  if (hasError(findings)) return findings;
  for (const auto& check : checks().subspan(1))
    if (speaksFor(check, purpose, setup))
      for (auto& each : judgeRow(check, setup, facts)) findings.push_back(std::move(each));
  return findings;
}

plan::Findings judgeInit(const Setup& setup, const Facts& facts) { return judge(Purpose::init, setup, facts); }
plan::Findings judgeJoin(const Setup& setup, const Facts& facts) { return judge(joinPurpose(setup), setup, facts); }

Purpose joinPurpose(const Setup& setup) {
  return setup.node.controlPlane ? Purpose::joinControlPlane : Purpose::joinWorker;
}

} // namespace kubestrap::phases
