// Every command, alias and flag of kubeadm is here too, or a table in docs/differences.md says why not.
#include "cmd/commands.hpp"
#include "cmd/globals.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace kubestrap::cmd {

namespace {

using Words = std::vector<std::string>;

std::string file(const std::string& name) {
  std::ifstream stream(std::string(KUBESTRAP_SOURCE_DIR "/") + name);
  REQUIRE_MESSAGE(stream, name);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// ---- what kubeadm has

/// A command, or something about a command: "--flag", "--flag=value" or "(alias)".
struct Item {
  std::string command, detail;
  std::string text() const { return command.empty() || detail.empty() ? command + detail : command + " " + detail; }
};

/// A flag as the list has it ("-o,--output=text|json") as items: the flag, its letter, its values.
void addFlag(std::vector<Item>& items, const std::string& command, const std::string& written) {
  const auto equals = written.find('=');
  const auto comma = written.find(',');
  const std::string name = written.substr(comma == std::string::npos ? 0 : comma + 1, equals - (comma == std::string::npos ? 0 : comma + 1));
  items.push_back({command, name});
  if (comma != std::string::npos) items.push_back({command, written.substr(0, comma)});
  if (equals == std::string::npos) return;
  for (const auto& value : split(written.substr(equals + 1), '|')) items.push_back({command, name + "=" + value});
}

std::vector<Item> kubeadm() {
  std::vector<Item> items;
  for (const auto& line : split(file("tests/unit/cmd/kubeadm-1.37.2.txt"), '\n')) {
    if (line.empty() || line.starts_with('#')) continue;
    const auto colon = line.find(':');
    auto path = line.substr(0, colon);
    std::vector<std::string> aliases;
    if (const auto bracket = path.find(" (or "); bracket != std::string::npos) {
      aliases = split(path.substr(bracket + 5, path.size() - bracket - 6), ',');
      path.resize(bracket);
    }
    if (!path.empty()) items.push_back({path, ""});
    for (const auto& alias : aliases) items.push_back({path, "(" + std::string(trim(alias)) + ")"});
    for (const auto& flag : split(line.substr(colon + 1), ' '))
      if (!flag.empty()) addFlag(items, path, flag);
  }
  return items;
}

// ---- what kubestrap has

/// What is a command of its own in kubeadm may be an argument here: "certs renew apiserver".
const Command* findCommand(const Command& root, const std::string& path) {
  const Command* at = &root;
  for (const auto& word : split(path, ' ')) {
    const auto child = std::ranges::find(at->children, word, &Command::name);
    if (child != at->children.end()) at = &*child;
    else if (std::ranges::find(at->choices, word) == at->choices.end()) return nullptr;
  }
  return at;
}

bool hasFlag(const Command& command, const std::string& written) {
  const auto equals = written.find('=');
  const auto name = written.substr(0, equals);
  auto flags = globalFlags(globals());
  if (command.flags)
    for (auto& flag : command.flags()) flags.push_back(std::move(flag));
  return std::ranges::any_of(flags, [&](const Flag& flag) {
    if (name != "--" + flag.name && !(flag.letter && name == std::string("-") + flag.letter)) return false;
    if (equals == std::string::npos) return true;
    const auto value = written.substr(equals + 1);
    return value == command.furtherFormat || std::ranges::find(flag.choices, value) != flag.choices.end();
  });
}

bool has(const Command& root, const Item& item) {
  const auto* command = findCommand(root, item.command);
  if (!command || item.detail.empty()) return command;
  if (item.detail.starts_with('('))
    return std::ranges::find(command->aliases, item.detail.substr(1, item.detail.size() - 2)) != command->aliases.end();
  return hasFlag(*command, item.detail);
}

// ---- the tables

/// A first cell names things in backquotes: a command, "COMMAND ..." for it and everything below, "COMMAND --flag", or "--flag" for every
/// command.
bool means(const std::string& pattern, const Item& item) {
  if (pattern.ends_with(" ...")) {
    const auto command = pattern.substr(0, pattern.size() - 4);
    return item.command == command || item.command.starts_with(command + " ");
  }
  return pattern == item.text() || pattern == item.detail;
}

struct Row {
  Words patterns;
  std::string reason;
};

std::vector<Row> rows() {
  const auto document = file("docs/differences.md");
  const auto begin = document.find("\n## Command line\n");
  REQUIRE(begin != std::string::npos);
  const auto end = document.find("\n## ", begin + 1);
  std::vector<Row> found;
  for (const auto& line : split(document.substr(begin, end - begin), '\n')) {
    if (!line.starts_with("| `")) continue;
    const auto cells = split(line, '|');
    REQUIRE(cells.size() >= 4);
    Row row{.patterns = {}, .reason = std::string(trim(cells[3]))};
    const auto quoted = split(cells[1], '`');
    for (std::size_t i = 1; i < quoted.size(); i += 2) row.patterns.push_back(quoted[i]);
    found.push_back(std::move(row));
  }
  return found;
}

/// What is wrong between kubeadm's list, our tree and the tables.
Words faults(const Command& root, const std::vector<Item>& items, const std::vector<Row>& table) {
  Words wrong;
  const auto explained = [&](const Item& item) {
    return std::ranges::any_of(table, [&](const Row& row) {
      return std::ranges::any_of(row.patterns, [&](const auto& pattern) { return means(pattern, item); });
    });
  };
  for (const auto& item : items) {
    if (!item.detail.empty() && !findCommand(root, item.command)) continue; // the command is missed as a whole
    if (!has(root, item) && !explained(item)) wrong.push_back("neither here nor in the table: " + item.text());
  }
  for (const auto& row : table) {
    if (row.reason.empty()) wrong.push_back("without a reason: " + join(row.patterns, ", "));
    for (const auto& pattern : row.patterns) {
      bool needed = false;
      for (const auto& item : items) {
        if (!means(pattern, item)) continue;
        if (has(root, item) && !(pattern == item.detail && !pattern.starts_with('('))) wrong.push_back("has a row, but exists: " + item.text());
        needed = needed || !has(root, item);
      }
      if (!needed) wrong.push_back("a row that nothing needs: " + pattern);
    }
  }
  return wrong;
}

} // namespace

TEST_CASE("what kubeadm's command line has and ours has not stands in the tables, and nothing else does") {
  const auto wrong = faults(rootCommand(), kubeadm(), rows());
  CHECK_MESSAGE(wrong.empty(), join(wrong, "\n"));
}

TEST_CASE("a lack without a row, a row without a lack and a row without a reason are found") {
  const Command root{.name = "x", .children = {{.name = "make", .flags = [] { return std::vector<Flag>{{.name = "dry-run", .into = static_cast<bool*>(nullptr)}}; }}}};
  const std::vector<Item> items{{"make", ""}, {"make", "--dry-run"}, {"make", "--loud"}, {"undo", ""}, {"undo all", ""}};
  CHECK(faults(root, items, {{{"undo ..."}, "later"}, {{"make --loud"}, "noise"}}).empty());
  CHECK(faults(root, items, {{{"undo ..."}, "later"}}) == Words{"neither here nor in the table: make --loud"});
  CHECK(faults(root, items, {{{"undo ...", "--loud"}, "later"}, {{"make --dry-run"}, "x"}}) ==
        Words{"has a row, but exists: make --dry-run", "a row that nothing needs: make --dry-run"});
  CHECK(faults(root, items, {{{"undo ...", "--loud", "make --quiet"}, ""}}) ==
        Words{"without a reason: undo ..., --loud, make --quiet", "a row that nothing needs: make --quiet"});
}

TEST_CASE("every command and flag of ours has a sentence for its help") {
  const std::function<void(const Command&, const std::string&)> visit = [&](const Command& command, const std::string& path) {
    CHECK_MESSAGE(!command.summary.empty(), path);
    CHECK_MESSAGE((command.run || !command.children.empty()), path);
    if (command.flags)
      for (const auto& flag : command.flags()) CHECK_MESSAGE(!flag.doc.empty(), path << " --" << flag.name);
    for (const auto& child : command.children) visit(child, path + " " + child.name);
  };
  visit(rootCommand(), "kubestrap");
}

TEST_CASE("no help has a heading with nothing below it") {
  const std::function<void(const Command&, const std::string&)> visit = [&](const Command& command, const std::string& path) {
    const auto lines = split(help(command, path, globalFlags(globals())), '\n');
    for (std::size_t i = 0; i + 1 < lines.size(); ++i)
      if (lines[i].ends_with(":") && !lines[i].starts_with(" ")) CHECK_MESSAGE(!lines[i + 1].empty(), path << " --help: " << lines[i]);
    for (const auto& child : command.children) visit(child, path + " " + child.name);
  };
  visit(rootCommand(), "kubestrap");
}

} // namespace kubestrap::cmd
