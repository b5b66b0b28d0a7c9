#include "cmd/status_journal.hpp"

#include "cmd/output.hpp"

#include "plan/journal.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <set>

namespace kubestrap::cmd {

namespace {

std::set<std::uint64_t> numbersDone(const std::vector<Value>& records) {
  std::set<std::uint64_t> done;
  for (const auto& record : records)
    if (stringAt(record, "event") == "done")
      for (const auto& number : record["numbers"]) done.insert(number.get<std::uint64_t>());
  return done;
}

/// The commands that have made something, each with what it made. One that was killed, or is at work still, has no result.
Value runsOf(const std::vector<Value>& records) {
  const auto done = numbersDone(records);
  Value runs = Value::array();
  for (const auto& record : records) {
    const auto event = stringAt(record, "event");
    if (event == "begin") runs.push_back({{"command", stringAt(record, "command")}, {"time", stringAt(record, "time")}, {"result", nullptr}, {"records", Value::array()}});
    if (runs.empty()) continue; // a line that a power loss tore
    if (event == "end") runs.back()["result"] = stringAt(record, "result");
    if (event == "closed") runs.back()["result"] = "done: what stands above was undone";
    if (event != "intent") continue;
    auto entry = record;
    entry.erase("event");
    entry["done"] = done.contains(record["number"].get<std::uint64_t>());
    runs.back()["records"].push_back(std::move(entry));
  }
  return runs;
}

/// What was there before, in a few words.
std::string beforeOf(const Value& record) {
  const auto& before = record["before"];
  if (!before.is_object()) return stringAt(record, "verb") == "run" ? "" : "nothing";
  std::vector<std::string> words;
  for (const auto& [key, value] : before.items()) {
    if (key == "sha256") continue;
    if (key == "enabled") words.emplace_back(value == Value(true) ? "enabled" : "not enabled");
    else if (key == "saved") words.push_back("kept as " + value.get<std::string>());
    else if (key == "areas") words.push_back(value.dump());
    else if (key == "mode" || key == "resourceVersion") words.push_back((key == "mode" ? "mode " : "version ") + value.get<std::string>());
    else if (value.is_string()) words.push_back(value.get<std::string>());
  }
  return join(words, ", ");
}

/// "create key /etc/kubernetes/pki/ca.key": by its path where it has one, since a certificate's key is made with it.
std::string whatOf(const Value& record) {
  const auto path = stringAt(record, "target.path");
  return stringAt(record, "verb") + " " + (path.empty() ? stringAt(record, "subject") : lower(stringAt(record, "kind")) + " " + path);
}

std::string describe(const Value& run) {
  const auto result = stringAt(run, "result");
  auto text = fmt::format("{}, {}: {}\n", stringAt(run, "command"), stringAt(run, "time"), result.empty() ? "it did not come to its end, or is at work still" : result);
  if (run["records"].empty()) return text;
  std::vector<std::vector<std::string>> rows{{"NUMBER", "WHAT", "STATE", "BEFORE"}};
  for (const auto& record : run["records"])
    rows.push_back({std::to_string(record["number"].get<std::uint64_t>()), whatOf(record), record["done"].get<bool>() ? "done" : "perhaps", beforeOf(record)});
  return text + table(rows);
}

} // namespace

ExitCode showJournal(Machine& machine, JournalPart part) {
  const bool all = part == JournalPart::everything;
  const auto runs = runsOf(all ? plan::Journal::readAll(machine.host()) : plan::Journal::read(machine.host()));
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("Journal");
    document["runs"] = runs;
    printResult(document, as);
  } else if (runs.empty()) {
    fmt::print("kubestrap has made nothing on this machine{}.\n", all ? "" : " that was not undone");
  } else {
    std::vector<std::string> texts;
    for (const auto& run : runs) texts.push_back(describe(run));
    fmt::print("{}", join(texts, "\n"));
  }
  return ExitCode::done;
}

} // namespace kubestrap::cmd
