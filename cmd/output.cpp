#include "cmd/output.hpp"

#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

void printResult(const Value& result, Format format) {
  fmt::print("{}", format == Format::yaml ? emitYaml(result) : result.dump(2) + "\n");
}

void printDocuments(const std::vector<Value>& documents, Format format) {
  if (format != Format::json) {
    fmt::print("{}", emitYamlStream(documents));
    return;
  }
  for (const auto& document : documents) fmt::print("{}\n", document.dump(2));
}

Value kubeadmResult(std::string_view kind) { return {{"apiVersion", "output.kubeadm.k8s.io/v1alpha3"}, {"kind", kind}}; }

Value result(std::string_view kind) { return {{"apiVersion", "output.kubestrap.io/v1alpha1"}, {"kind", kind}}; }

void printWord(std::string_view kind, std::string_view member, const std::string& word) {
  const auto as = format(globals());
  if (as == Format::text) return fmt::print("{}\n", word);
  auto document = result(kind);
  document[std::string(member)] = word;
  printResult(document, as);
}

Value changesAsValue(const plan::Outcome& outcome) {
  Value changes = Value::array();
  for (const auto& [phase, change] : outcome.changes)
    changes.push_back({{"phase", phase}, {"verb", plan::name(change.verb)}, {"subject", change.subject}, {"reason", change.reason}});
  return changes;
}

std::string orDash(std::string_view text) { return std::string(text.empty() ? "-" : text); }

std::string_view nameOf(plan::Severity severity) { return severity == plan::Severity::error ? "error" : "warning"; }

Value findingAsValue(const plan::Finding& finding) {
  return {{"name", finding.check}, {"severity", nameOf(finding.severity)}, {"evidence", finding.evidence}, {"remedy", finding.remedy}};
}

} // namespace kubestrap::cmd
