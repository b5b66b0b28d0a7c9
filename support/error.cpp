#include "support/error.hpp"

#include <fmt/format.h>

namespace kubestrap {

Error::Error(std::string message, std::string hint, ExitCode exitCode)
    : message_(std::move(message)), hint_(std::move(hint)), exitCode_(exitCode) {}

std::string describe(const Problem& problem) {
  std::string text;
  if (!problem.where.empty()) text += problem.where + ": ";
  if (!problem.field.empty()) text += problem.field + ": ";
  text += problem.message;
  if (!problem.expected.empty()) text += fmt::format(" (expected {})", problem.expected);
  return text;
}

namespace {
std::string joinDescriptions(const std::vector<Problem>& problems) {
  std::string text;
  for (const auto& problem : problems) {
    if (!text.empty()) text += '\n';
    text += describe(problem);
  }
  return text;
}
} // namespace

Problems::Problems(std::vector<Problem> problems, ExitCode exitCode)
    : Error(joinDescriptions(problems), {}, exitCode), problems_(std::move(problems)) {}

} // namespace kubestrap
