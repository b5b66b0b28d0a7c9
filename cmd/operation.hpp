#pragma once
// What the commands that change a hosted control plane over all of its nodes have in common (plan/operation.hpp).

#include "cmd/globals.hpp"
#include "cmd/machine.hpp"
#include "kube/client.hpp"
#include "plan/operation.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kubestrap::cmd {

/// A control plane, as one of its nodes sees it.
struct ControlPlane {
  config::Setup setup;
  plan::Access access;
  kube::Client client;
};
/// Throws Error where there is none.
ControlPlane ownControlPlane(const std::optional<std::string>& kubeconfig, Machine& machine);
/// Throws Error where there is none of layout hosted, `command` being what needs one.
ControlPlane hostedControlPlane(const std::string& command, const std::optional<std::string>& kubeconfig, Machine& machine);

/// As `steps[]` with `name`, for -o json and yaml.
Value stepsAsValue(const std::vector<std::string>& steps);

/// Every step there would be. `assume` is told of each as if it had gone well.
std::vector<std::string> stepsPlanned(const std::function<plan::Next()>& next, const std::function<void(const plan::Next&)>& assume);
/// Does it, and tells the steps that it took.
std::vector<std::string> stepsPerformed(plan::Operation operation, Machine& machine);

/// Prints every step there would be. `assume` is told of each as if it had gone well.
ExitCode planOperation(const std::function<plan::Next()>& next, const std::function<void(const plan::Next&)>& assume);

/// Tells what was done: `outcome` on standard error, or the steps where JSON or YAML is asked for. With `exitCode` it is another one when there was a step.
ExitCode tellPerformed(const std::vector<std::string>& steps, std::string_view outcome, bool exitCode);

/// Does it, with a line on standard error when it is done, `outcome`; where JSON or YAML is asked for the steps go to standard output.
ExitCode performOperation(plan::Operation operation, Machine& machine, std::string_view outcome);

} // namespace kubestrap::cmd
