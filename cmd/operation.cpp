#include "cmd/operation.hpp"

#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/workflow.hpp"
#include "manifests/hosted.hpp"
#include "phases/node.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

Value stepsAsValue(const std::vector<std::string>& steps) {
  auto list = Value::array();
  for (const auto& step : steps) list.push_back(Value::object({{"name", step}}));
  return list;
}

namespace {

Value asValue(const std::vector<std::string>& steps, std::string_view kind) {
  auto document = result(kind);
  document["changed"] = !steps.empty();
  document["steps"] = stepsAsValue(steps);
  return document;
}

} // namespace

ControlPlane ownControlPlane(const std::optional<std::string>& kubeconfig, Machine& machine) {
  const auto own = ownCluster({}, kubeconfig, machine);
  if (!own.known) throw Error("the cluster's configuration cannot be read", "run this on a control plane node whose API server answers");
  config::Setup setup{.cluster = own.cluster, .node = {}, .request = {}};
  setup.node = ownNode(machine, setup.cluster);
  if (kubeconfig) setup.request.kubeconfig = std::filesystem::absolute(*kubeconfig);
  const auto access = phases::asAdmin(setup);
  const auto text = machine.host().read(access.kubeconfig);
  if (!text) throw Error(fmt::format("{} is absent", access.kubeconfig.string()), "name another one with --kubeconfig");
  return {std::move(setup), access, kube::Client(machine.http(), kube::parseKubeconfig(*text, access.kubeconfig.string()), access.server)};
}

ControlPlane hostedControlPlane(const std::string& command, const std::optional<std::string>& kubeconfig, Machine& machine) {
  auto own = ownControlPlane(kubeconfig, machine);
  if (!manifests::isHosted(own.setup.cluster))
    throw Error(fmt::format("{} needs control planes of layout hosted, and this cluster's are plain", command),
                "first: kubestrap convert --to hosted (docs/convert.md)", ExitCode::refused);
  return own;
}

std::vector<std::string> stepsPlanned(const std::function<plan::Next()>& next, const std::function<void(const plan::Next&)>& assume) {
  std::vector<std::string> steps;
  for (;;) {
    const auto coming = next();
    if (const auto* stuck = std::get_if<plan::Stuck>(&coming)) throw Error(stuck->cause, stuck->remedy);
    if (std::holds_alternative<plan::Done>(coming)) break;
    if (const auto* waiting = std::get_if<plan::Waiting>(&coming)) {
      steps.push_back("wait until " + waiting->what);
      break; // what comes after it hangs on what is seen then
    }
    const auto& name = std::get<plan::Step>(coming).name;
    if (!steps.empty() && steps.back() == name) break; // what it changes is not foreseen
    steps.push_back(name);
    assume(coming);
  }
  return steps;
}

ExitCode planOperation(const std::function<plan::Next()>& next, const std::function<void(const plan::Next&)>& assume) {
  const auto steps = stepsPlanned(next, assume);
  if (const auto as = format(globals()); as != Format::text) printResult(asValue(steps, "OperationPlan"), as);
  else fmt::print("{}\n", steps.empty() ? "nothing to do" : fmt::format("{}", fmt::join(steps, "\n")));
  return ExitCode::done;
}

std::vector<std::string> stepsPerformed(plan::Operation operation, Machine& machine) {
  machine.useRuntime(foundSocket({}));
  auto world = machine.world();
  const auto reporter = reporterFor(plan::Mode::apply);
  const auto lock = machine.host().lock(operation.name);
  std::vector<std::string> steps;
  const auto noted = [&steps](plan::Next coming) {
    if (const auto* step = std::get_if<plan::Step>(&coming)) steps.push_back(step->name);
    return coming;
  };
  if (operation.next) operation.next = [noted, next = std::move(operation.next)] { return noted(next()); };
  if (operation.nextByAsking) operation.nextByAsking = [noted, next = std::move(operation.nextByAsking)](plan::Reporter& asking) { return noted(next(asking)); };
  plan::perform(operation, world, *reporter);
  return steps;
}

ExitCode tellPerformed(const std::vector<std::string>& steps, std::string_view outcome, bool exitCode) {
  if (const auto as = format(globals()); as != Format::text) printResult(asValue(steps, "OperationResult"), as);
  else fmt::print(stderr, "{}\n", outcome);
  return exitCode && !steps.empty() ? ExitCode::differs : ExitCode::done;
}

ExitCode performOperation(plan::Operation operation, Machine& machine, std::string_view outcome) {
  return tellPerformed(stepsPerformed(std::move(operation), machine), outcome, false);
}

} // namespace kubestrap::cmd
