#pragma once

#include "cmd/globals.hpp"
#include "plan/run.hpp"
#include "support/value.hpp"

#include <vector>

namespace kubestrap::cmd {

/// Prints a result on standard output as JSON or YAML. Results are records with apiVersion output.kubestrap.io/v1alpha1 and a kind.
void printResult(const Value& result, Format format);
/// Prints documents as they are: a YAML stream, or one JSON document after another.
void printDocuments(const std::vector<Value>& documents, Format format);
/// An empty result of that kind, in the words of kubeadm's own output API (output.kubeadm.k8s.io/v1alpha3).
Value kubeadmResult(std::string_view kind);
/// An empty result of that kind.
Value result(std::string_view kind);
/// Prints one word, as `member` of a result of that kind where JSON or YAML is asked for.
void printWord(std::string_view kind, std::string_view member, const std::string& word);
/// A cell of a table: "-" where there is nothing to say.
std::string orDash(std::string_view text);
/// "error", "warning".
std::string_view nameOf(plan::Severity severity);
/// One thing that was found: name, severity, evidence, remedy.
Value findingAsValue(const plan::Finding& finding);
/// Every verdict of a run: phase, verb, subject, reason.
Value changesAsValue(const plan::Outcome& outcome);

} // namespace kubestrap::cmd
