#include "cmd/status_journal.hpp"

#include "cmd/output.hpp"

#include "plan/journal.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <set>

namespace kubestrap::cmd {

namespace {

/// The records of what was to be made, each with its command and whether it is known to be done.
Value entriesOf(const std::vector<Value>& records) {
  std::set<std::uint64_t> done;
  for (const auto& record : records)
    if (stringAt(record, "event") == "done")
      for (const auto& number : record["numbers"]) done.insert(number.get<std::uint64_t>());
  Value entries = Value::array();
  std::string command;
  for (const auto& record : records) {
    const auto event = stringAt(record, "event");
    if (event == "begin") command = stringAt(record, "command");
    if (event == "intent") {
      auto entry = record;
      entry.erase("event");
      entry["command"] = command;
      entry["done"] = done.contains(record["number"].get<std::uint64_t>());
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

void printTable(const Value& entries) {
  std::vector<std::vector<std::string>> rows{{"NUMBER", "TIME", "COMMAND", "WHAT", "", "BEFORE"}};
  for (const auto& entry : entries)
    rows.push_back({std::to_string(entry["number"].get<std::uint64_t>()), stringAt(entry, "time"), stringAt(entry, "command"),
                    stringAt(entry, "verb") + " " + stringAt(entry, "subject"), entry["done"].get<bool>() ? "done" : "perhaps done",
                    entry["before"].is_null() ? "nothing" : stringAt(entry, "before.saved", "something")});
  fmt::print("{}", table(rows));
}

} // namespace

ExitCode showJournal(Machine& machine, JournalPart part) {
  const bool all = part == JournalPart::everything;
  const auto entries = entriesOf(all ? plan::Journal::readAll(machine.host()) : plan::Journal::read(machine.host()));
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("Journal");
    document["records"] = entries;
    printResult(document, as);
  } else if (entries.empty()) {
    fmt::print("kubestrap has made nothing on this machine{}.\n", all ? "" : " that was not undone");
  } else {
    printTable(entries);
  }
  return ExitCode::done;
}

} // namespace kubestrap::cmd
