// Kubelets' serving certificates: their requests are approved by a strict judge, or denied with the reason on them.
#include "cmd/commands.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"

#include "certs/signing_request.hpp"
#include "config/paths.hpp"
#include "kube/client.hpp"
#include "phases/kubelet_serving.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

namespace serving = phases::kubelet_serving;
constexpr const char* api = "certificates.k8s.io/v1";
constexpr const char* kind = "CertificateSigningRequest";

struct ApproveOptions {
  std::optional<std::string> kubeconfig;
  bool watch = false, dryRun = false;
};

std::vector<std::string> texts(const Value& document, const char* at) {
  std::vector<std::string> found;
  const auto* list = find(document, at);
  for (const auto& each : list && list->is_array() ? *list : Value::array())
    if (each.is_string()) found.push_back(each.get<std::string>());
  return found;
}

serving::Request read(const Value& object) {
  const auto pem = fromBase64(stringAt(object, "spec.request"));
  const auto asked = certs::SigningRequest::parse(pem.value_or(""), stringAt(object, "metadata.name"));
  const auto hosts = asked.hosts();
  serving::Request request{.requester = stringAt(object, "spec.username"), .groups = texts(object, "spec.groups"), .subject = {}, .names = {hosts.dns, hosts.ips},
                           .otherNames = !hosts.emails.empty() || !hosts.uris.empty(), .usages = texts(object, "spec.usages")};
  request.subject.commonName = asked.subject().first(certs::attribute::commonName);
  request.subject.organizations = asked.subject().all(certs::attribute::organization);
  return request;
}

serving::Verdict judge(const Value& object, const std::vector<Value>& nodes) {
  try {
    return serving::judge(read(object), nodes);
  } catch (const Error& error) {
    return serving::Deny{error.message()};
  }
}

bool isOpen(const Value& object) {
  const auto* conditions = find(object, "status.conditions");
  return stringAt(object, "spec.signerName") == serving::signer && (!conditions || conditions->empty());
}

/// With the version that was judged: a request that changed meanwhile is looked at again.
void record(kube::Client& client, Value object, const char* type, const std::string& message, TimePoint now) {
  const auto name = stringAt(object, "metadata.name");
  object["apiVersion"] = api;
  object["kind"] = kind;
  object["status"]["conditions"] = Value::array({{{"type", type}, {"status", "True"}, {"reason", "KubestrapKubeletServing"}, {"message", message}, {"lastUpdateTime", formatRfc3339(now)}}});
  const auto answer = client.raw("PUT", kube::pathOf({api, kind, "", name}) + "/approval", object.dump(), "application/json");
  if (answer.status == 409) log::info(1, "{} was changed meanwhile", name);
  else if (answer.status / 100 != 2) throw Error(fmt::format("{} could not be marked: the API server answers with {}", name, answer.status), "the kubeconfig's user has to be one that may approve for " + std::string(serving::signer));
}

/// What is open now, each with what became of it.
Value round(const ApproveOptions& options, kube::Client& client, TimePoint now) {
  Value items = Value::array();
  const auto nodes = client.list("v1", "Node", "");
  for (const auto& object : client.list(api, kind, "")) {
    if (!isOpen(object)) continue;
    const auto verdict = judge(object, nodes);
    const auto* denied = std::get_if<serving::Deny>(&verdict);
    const auto* waits = std::get_if<serving::Wait>(&verdict);
    const std::string reason = denied ? denied->reason : waits ? waits->reason : "the names and addresses are those of its Node";
    if (!options.dryRun && !waits) record(client, object, denied ? "Denied" : "Approved", reason, now);
    items.push_back({{"name", stringAt(object, "metadata.name")}, {"requester", stringAt(object, "spec.username")}, {"verdict", denied ? "Denied" : waits ? "Waiting" : "Approved"}, {"reason", reason}});
  }
  return items;
}

void tell(const Value& items) {
  for (const auto& item : items)
    fmt::print("{} of {}: {} ({})\n", stringAt(item, "name"), stringAt(item, "requester"), lower(stringAt(item, "verdict")), stringAt(item, "reason"));
  std::fflush(stdout);
}

[[noreturn]] void watch(const ApproveOptions& options, kube::Client& client, Machine& machine) {
  for (;;) {
    try {
      auto items = round(options, client, machine.clock().now());
      std::erase_if(items.get_ref<Value::array_t&>(), [](const Value& item) { return stringAt(item, "verdict") == "Waiting"; });
      tell(items);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log::warn(error.message());
    }
    machine.clock().sleep(std::chrono::seconds(5));
  }
}

ExitCode approve(const ApproveOptions& options) {
  Machine machine(globals().rootfs);
  const auto path = options.kubeconfig ? std::filesystem::absolute(*options.kubeconfig) : config::paths::adminConf;
  const auto text = machine.host().read(path);
  if (!text) throw Error(fmt::format("{} is absent", path.string()), "run it on a control plane node, or give --kubeconfig", ExitCode::usage);
  kube::Client client(machine.http(), kube::parseKubeconfig(*text, path.string()));
  if (options.watch) watch(options, client, machine);
  auto answer = result("KubeletServingApprovals");
  answer["items"] = round(options, client, machine.clock().now());
  if (const auto as = format(globals()); as != Format::text) printResult(answer, as);
  else tell(answer["items"]);
  return ExitCode::done;
}

std::vector<Flag> approveFlags(ApproveOptions& options) {
  return {{.name = "watch", .into = &options.watch, .doc = "Go on, with a look every five seconds, until it is stopped"},
          {.name = "dry-run", .into = &options.dryRun, .doc = "Only say what would be approved and denied"},
          kubeconfigFlag(options.kubeconfig)};
}

} // namespace

Command approveCommand() {
  const auto options = std::make_shared<ApproveOptions>();
  return {.name = "approve",
          .summary = "Approve kubelets' requests for serving certificates, if they are for their own Nodes",
          .description = "Looks at the open requests for the signer kubernetes.io/kubelet-serving, which kubelets make with serverTLSBootstrap and nobody approves by himself. A "
                         "request is approved if a kubelet makes it for its own Node, with names and addresses that this Node has and no other; else it is denied, with the "
                         "reason on it. One whose Node is not there yet is left. Requests for other signers are not touched.",
          .flags = [options] { return approveFlags(*options); },
          .run = [options](const auto&) { return approve(*options); }};
}

} // namespace kubestrap::cmd
