#include "cmd/wishes.hpp"

#include "certs/overrides.hpp"
#include "config/audit.hpp"
#include "config/v1alpha1.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

[[noreturn]] void missing(const std::string& field, const std::string& path) {
  throw Error(fmt::format("{} names {}, and it is not there", field, path), "each control plane needs its own copy; bring it, or take the field out of the KubestrapConfiguration",
              ExitCode::usage);
}

} // namespace

void takeWishes(config::PkiPolicy& pki, host::Host& host) {
  certs::Wishes wishes{.requests = {}, .folder = pki.requests, .policy = {}, .policySource = pki.policy};
  if (!pki.requests.empty()) {
    const auto status = host.status(pki.requests);
    if (!status || status->type != host::FileStatus::Type::folder) missing("pki.requests", pki.requests);
    for (const auto& name : host.list(pki.requests))
      if (name.ends_with(".json"))
        if (auto text = host.read(host::Path(pki.requests) / name)) wishes.requests[name] = std::move(*text);
  }
  if (!pki.policy.empty()) {
    auto text = host.read(pki.policy);
    if (!text) missing("pki.policy", pki.policy);
    wishes.policy = std::move(*text);
  }
  pki.overrides = certs::parseWishes(wishes);
}

std::vector<Document> withAuditPolicy(std::vector<Document> documents, host::Host& host) {
  std::string file;
  for (const auto& document : documents) {
    if (stringAt(document.value, "kind") == config::auditPolicyKind) return documents;
    if (stringAt(document.value, "kind") == config::v1alpha1::kind) file = stringAt(document.value, "security.audit.policyFile");
  }
  if (file.empty()) return documents;
  const auto text = host.read(file);
  if (!text)
    throw Error(fmt::format("security.audit.policyFile names {}, and it is not there", file), "put it there, or the policy itself beside the KubestrapConfiguration", ExitCode::usage);
  auto policies = parseYaml(*text, file);
  if (policies.size() != 1 || stringAt(policies.front().value, "apiVersion") != config::auditApiVersion || stringAt(policies.front().value, "kind") != config::auditPolicyKind)
    throw Error(fmt::format("{} is to hold one Policy of {}, and nothing else", file, config::auditApiVersion), {}, ExitCode::usage);
  documents.push_back(std::move(policies.front()));
  return documents;
}

} // namespace kubestrap::cmd
