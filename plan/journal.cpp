#include "plan/journal.hpp"

#include "config/paths.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

const host::Path kJournal = config::paths::state / "journal";
const host::Path kBefore = config::paths::state / "before";
const host::Path kInventory = config::paths::state / "inventory";

} // namespace

Journal::Journal(host::Host& host, std::string command) : host_(host), command_(std::move(command)) {}

void Journal::start(TimePoint now) {
  if (started_) return;
  host_.makeFolder(config::paths::state, 0700);
  host_.makeFolder(kBefore, 0700);
  if (read(host_).empty()) host_.write(kInventory, host_.inventory().dump(1) + '\n', 0600, 0700);
  for (const auto& record : readAll(host_))
    if (record.contains("number")) next_ = std::max(next_, record["number"].get<std::uint64_t>() + 1);
  std::string line = Value{{"event", "begin"}, {"time", formatRfc3339(now)}, {"command", command_}}.dump() + '\n';
  // A line that a power loss tore is closed first, so that it spoils nothing but itself.
  if (const auto text = host_.read(kJournal); text && !text->empty() && text->back() != '\n') line.insert(line.begin(), '\n');
  host_.append(kJournal, line, 0600);
  started_ = true;
}

std::vector<std::uint64_t> Journal::begin(const std::vector<Intent>& intents, TimePoint now) {
  std::vector<std::uint64_t> numbers;
  if (intents.empty()) return numbers;
  start(now);
  std::string lines;
  for (const auto& intent : intents) {
    const auto number = next_++;
    numbers.push_back(number);
    Value record{{"event", "intent"},          {"number", number},       {"time", formatRfc3339(now)},
                 {"kind", intent.kind},        {"subject", intent.subject}, {"verb", name(intent.verb)},
                 {"target", intent.target},    {"before", intent.before}};
    if (intent.saveContent) {
      const auto saved = kBefore / fmt::format("{:06}", number);
      host_.write(saved, intent.savedContent, 0600, 0700);
      record["before"]["saved"] = saved.string();
    }
    lines += record.dump() + '\n';
  }
  host_.append(kJournal, lines, 0600);
  return numbers;
}

void Journal::done(const std::vector<std::uint64_t>& numbers, TimePoint now) {
  if (numbers.empty()) return;
  host_.append(kJournal, Value{{"event", "done"}, {"time", formatRfc3339(now)}, {"numbers", numbers}}.dump() + '\n', 0600, host::Host::Durable::later);
}

void Journal::end(const std::string& result, TimePoint now) {
  if (!started_) return;
  host_.append(kJournal, Value{{"event", "end"}, {"time", formatRfc3339(now)}, {"result", result}}.dump() + '\n', 0600);
}

bool Journal::names(const host::Path& path) const {
  const auto records = read(host_);
  return std::any_of(records.begin(), records.end(), [&](const Value& record) { return stringAt(record, "target.path") == path.string(); });
}

void Journal::close(TimePoint now) {
  if (read(host_).empty()) return;
  std::string lines = "\n"; // a line that a power loss tore is closed first
  for (const auto& record : {Value{{"event", "begin"}, {"time", formatRfc3339(now)}, {"command", command_}},
                             Value{{"event", "closed"}, {"time", formatRfc3339(now)}}})
    lines += record.dump() + '\n';
  host_.append(kJournal, lines, 0600);
  for (const auto& name : host_.list(kBefore)) host_.remove(kBefore / name);
}

std::vector<Value> Journal::read(host::Host& host) {
  auto records = readAll(host);
  const auto closed = std::find_if(records.rbegin(), records.rend(), [](const Value& record) { return stringAt(record, "event") == "closed"; });
  records.erase(records.begin(), closed.base());
  return records;
}

Value Journal::inventory(host::Host& host) {
  const auto text = host.read(kInventory);
  auto inventory = text ? Value::parse(*text, nullptr, false) : Value();
  return inventory.is_discarded() ? Value() : inventory;
}

std::vector<Value> Journal::readAll(host::Host& host) {
  std::vector<Value> records;
  const auto text = host.read(kJournal);
  if (!text) return records;
  for (const auto& line : split(*text, '\n')) {
    if (line.empty()) continue;
    auto record = Value::parse(line, nullptr, false);
    if (!record.is_discarded()) records.push_back(std::move(record));
  }
  return records;
}

} // namespace kubestrap::plan
