#include "cmd/reset_verify.hpp"

#include "cmd/output.hpp"
#include "plan/journal.hpp"
#include "plan/recorded.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

std::string_view verdict(const plan::Deviation& deviation) {
  return deviation.before.empty() ? "is left" : deviation.now.empty() ? "is missing" : "differs";
}

} // namespace

ExitCode verifyReset(Machine& machine) {
  const auto before = plan::Journal::inventory(machine.host());
  if (!before.is_object())
    throw Error("nobody has looked at this machine before it became a node", "only what kubestrap's init or join has begun can be compared");
  if (plan::isOfANode(before))
    throw Error("this machine was a node already when kubestrap looked at it first", "only what kubestrap's init or join has begun can be compared");
  auto found = plan::deviations(before, machine.host().inventory());
  // Processes end some time after they were told to.
  const auto isProcess = [](const plan::Deviation& each) { return each.part == "processes"; };
  for (int look = 0; look < 10 && std::ranges::any_of(found, isProcess); ++look) {
    machine.clock().sleep(std::chrono::milliseconds(500));
    found = plan::deviations(before, machine.host().inventory());
  }
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("ResetVerification");
    document["clean"] = found.empty();
    document["deviations"] = Value::array();
    for (const auto& each : found)
      document["deviations"].push_back({{"part", each.part}, {"name", each.name}, {"verdict", verdict(each)}, {"before", each.before}, {"now", each.now}});
    printResult(document, as);
  } else if (found.empty()) {
    fmt::print("This machine is as it was before it became a node.\n");
  } else {
    std::vector<std::vector<std::string>> rows{{"PART", "NAME", "", "BEFORE", "NOW"}};
    for (const auto& each : found) rows.push_back({each.part, each.name, std::string(verdict(each)), each.before, each.now});
    fmt::print("{}", table(rows));
  }
  return found.empty() ? ExitCode::done : ExitCode::differs;
}

} // namespace kubestrap::cmd
