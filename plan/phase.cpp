#include "plan/phase.hpp"

namespace kubestrap::plan {

namespace {
void collect(const Phase& phase, const std::string& name, std::vector<std::string>& names) {
  names.push_back(name);
  for (const auto& child : phase.children) collect(child, name + "/" + std::string(child.name), names);
}
} // namespace

std::vector<std::string> phaseNames(const Workflow& workflow) {
  std::vector<std::string> names;
  for (const auto& phase : workflow.phases) collect(phase, std::string(phase.name), names);
  return names;
}

} // namespace kubestrap::plan
