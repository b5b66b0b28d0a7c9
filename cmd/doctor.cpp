// doctor: status's judgement with all its evidence, after a longer look, and the one thing that it may do in an emergency.
#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/status_look.hpp"
#include "cmd/status_text.hpp"

#include "kube/client.hpp"
#include "plan/leaving.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

struct DoctorOptions {
  std::optional<std::string> kubeconfig, disableWebhook;
  bool exitCode = false;
};

const config::Path savedWebhooks = config::paths::state / "webhooks";

/// The webhook configurations of that name; there may be one of each kind.
std::vector<kube::ObjectKey> configurationsOf(kube::Client& client, const std::string& name) {
  std::vector<kube::ObjectKey> found;
  for (const auto* kind : {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"})
    if (const kube::ObjectKey key{"admissionregistration.k8s.io/v1", kind, "", name}; client.get(key)) found.push_back(key);
  if (found.empty())
    throw Error(fmt::format("there is no webhook configuration {}", name), "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations", ExitCode::usage);
  return found;
}

/// What the API server has put in by itself would keep it from being made again.
Value asGiven(Value object) {
  for (const auto* field : {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}) object["metadata"].erase(field);
  return object;
}

ExitCode disable(const std::string& name, const DoctorOptions& options) {
  Machine machine(globals().rootfs);
  const auto path = options.kubeconfig ? std::filesystem::absolute(*options.kubeconfig) : config::paths::adminConf;
  const auto text = machine.host().read(path);
  if (!text) throw Error(fmt::format("{} is absent", path.string()), "name another one with --kubeconfig");
  machine.useRuntime(foundSocket({}));
  auto world = machine.world();
  const auto kubeconfig = kube::parseKubeconfig(*text, path.string());
  kube::Client client(machine.http(), kubeconfig, plan::answeringServer(kubeconfig, world));
  auto document = result("DisabledWebhooks");
  document["webhooks"] = Value::array();
  for (const auto& key : configurationsOf(client, name)) {
    const auto file = savedWebhooks / fmt::format("{}-{}.yaml", key.kind, name);
    machine.host().write(file, emitYaml(asGiven(client.get(key).value())), 0600, 0700);
    client.remove(key);
    document["webhooks"].push_back({{"kind", key.kind}, {"name", name}, {"saved", file.string()}});
    if (format(globals()) == Format::text) fmt::print("{} is removed; to have it again: kubectl apply -f {}\n", key.string(), file.string());
  }
  if (const auto as = format(globals()); as != Format::text) printResult(document, as);
  return ExitCode::done;
}

ExitCode runDoctor(const DoctorOptions& options) {
  if (options.disableWebhook) return disable(*options.disableWebhook, options);
  Machine machine(globals().rootfs);
  const auto seen = lookForStatus(machine, options.kubeconfig, Depth::thorough);
  const auto findings = phases::status::judge(seen);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("Diagnosis");
    document["healthy"] = findings.empty();
    document["apiServer"] = {{"answers", seen.silent.empty()}, {"message", seen.silent}};
    document["findings"] = asValue(findings);
    printResult(document, as);
  } else {
    fmt::print("{}", findings.empty() ? "nothing is wrong\n" : describe(findings, Telling::fully));
  }
  return options.exitCode && !findings.empty() ? ExitCode::differs : ExitCode::done;
}

} // namespace

Command doctorCommand() {
  const auto options = std::make_shared<DoctorOptions>();
  return {.name = "doctor",
          .summary = "Find out what is wrong with the cluster, why, and what to do",
          .description = "Asks what status asks, and looks further: webhooks that could keep the control plane's pods from being made, clocks, disks, images and "
                         "standbys of this machine. Says of all that is wrong the cause, what was seen, and the remedy. It changes nothing, unless "
                         "--disable-webhook names a webhook configuration that has to go.",
          .flags = [options] {
            return std::vector<Flag>{{.name = "disable-webhook", .into = &options->disableWebhook,
                                      .doc = "In an emergency: remove the webhook configuration of this name, after a copy of it is on the disk", .value = "NAME"},
                                     {.name = "exit-code", .into = &options->exitCode, .doc = "End with 4 when something is wrong, warnings too"},
                                     kubeconfigFlag(options->kubeconfig)};
          },
          .run = [options](const auto&) { return runDoctor(*options); }};
}

} // namespace kubestrap::cmd
