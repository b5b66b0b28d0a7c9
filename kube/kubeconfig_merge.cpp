#include "kube/kubeconfig_merge.hpp"

#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace kubestrap::kube {

namespace {

constexpr const char* lists[] = {"clusters", "contexts", "users"};
using Lines = std::vector<std::string>;

/// What the document says once everything is in it.
Value mergedValue(Value document, const Value& made, Current current) {
  for (const auto* list : lists) {
    auto& items = document[list];
    if (!items.is_array()) items = Value::array();
    const auto& own = made.at(list).at(0);
    const auto same = std::ranges::find_if(items, [&](const Value& each) { return stringAt(each, "name") == stringAt(own, "name"); });
    if (same == items.end()) items.push_back(own);
    else *same = own;
  }
  if (current == Current::yes || stringAt(document, "current-context").empty()) document["current-context"] = made.at("current-context");
  return document;
}

void refuseAnotherCluster(const Value& document, std::string_view source, const Value& made) {
  const auto& own = made.at("clusters").at(0);
  const auto* clusters = find(document, "clusters");
  for (const auto& each : clusters && clusters->is_array() ? *clusters : Value::array()) {
    if (stringAt(each, "name") != stringAt(own, "name")) continue;
    const auto* there = find(each, "cluster");
    if (there && stringAt(*there, "certificate-authority-data") == stringAt(own.at("cluster"), "certificate-authority-data")) continue;
    throw Error(fmt::format("{} has a cluster {} already, which is another one ({})", source, stringAt(own, "name"), there ? stringAt(*there, "server") : "it has no server"),
                "give this one a name of its own: --cluster-name NAME");
  }
}

bool isComment(std::string_view line) {
  const auto words = trim(line);
  return words.empty() || words.front() == '#';
}

/// The lines of a file, edited in place: every edit is of whole lines below a key of the outermost mapping.
class Editor {
public:
  explicit Editor(std::string_view text) : lines_(split(text, '\n')) {
    if (!lines_.empty() && lines_.back().empty()) lines_.pop_back();
  }

  /// False: the list is written in a way that cannot be edited by lines.
  bool put(std::string_view list, const Value& item) {
    const auto key = lineOf(list);
    if (!key) {
      lines_.push_back(fmt::format("{}:", list));
      insert(lines_.size(), item, 0);
      return true;
    }
    const auto rest = trim(std::string_view(lines_[*key]).substr(list.size() + 1));
    if (rest == "[]" || rest == "null" || rest == "~") {
      lines_[*key] = fmt::format("{}:", list);
    } else if (!rest.empty() && rest.front() != '#') {
      return false;
    }
    return putInto(*key + 1, item);
  }

  void setCurrent(const std::string& context) {
    const std::string text(trim(emitYaml({{"current-context", context}})));
    const auto key = lineOf("current-context");
    if (key) lines_[*key] = text;
    else lines_.push_back(text);
  }

  std::string text() const { return join(lines_, "\n") + "\n"; }

private:
  std::optional<std::size_t> lineOf(std::string_view key) const {
    const auto found = std::ranges::find_if(lines_, [&](const std::string& line) { return line.starts_with(fmt::format("{}:", key)); });
    return found == lines_.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - lines_.begin()));
  }

  static std::size_t indentOf(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }

  bool putInto(std::size_t begin, const Value& item) {
    auto end = begin; // of the list; comments before the next key are the next key's
    for (auto i = begin; i < lines_.size(); ++i) {
      if (isComment(lines_[i])) continue;
      if (indentOf(lines_[i]) == 0 && lines_[i].front() != '-') break;
      end = i + 1;
    }
    std::vector<std::size_t> items;
    const auto first = std::find_if(lines_.begin() + static_cast<std::ptrdiff_t>(begin), lines_.begin() + static_cast<std::ptrdiff_t>(end), [](const auto& line) { return !isComment(line); });
    const auto indent = first == lines_.begin() + static_cast<std::ptrdiff_t>(end) ? 0 : indentOf(*first);
    for (auto i = begin; i < end; ++i)
      if (!isComment(lines_[i]) && indentOf(lines_[i]) == indent && lines_[i][indent] == '-') items.push_back(i);
    for (std::size_t i = 0; i < items.size(); ++i) {
      auto last = i + 1 < items.size() ? items[i + 1] : end;
      while (last > items[i] + 1 && isComment(lines_[last - 1])) --last; // a comment before an item is that item's
      if (nameOf(items[i], last) != stringAt(item, "name")) continue;
      lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(items[i]), lines_.begin() + static_cast<std::ptrdiff_t>(last));
      insert(items[i], item, indent);
      return true;
    }
    insert(end, item, indent);
    return true;
  }

  std::string nameOf(std::size_t begin, std::size_t end) const {
    const auto text = join(std::span(lines_).subspan(begin, end - begin), "\n");
    const auto parsed = parseYamlValue(text, "an entry");
    return parsed.is_array() && parsed.size() == 1 ? stringAt(parsed[0], "name") : "";
  }

  void insert(std::size_t at, const Value& item, std::size_t indent) {
    auto made = split(trim(emitYaml(Value::array({item}))), '\n');
    for (auto& line : made) line.insert(0, indent, ' ');
    lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(at), made.begin(), made.end());
  }

  Lines lines_;
};

/// The text with the new entries, if it then says exactly what it shall.
std::optional<std::string> edited(std::string_view text, const Value& made, const Value& wanted) {
  try {
    Editor editor(text);
    for (const auto* list : lists)
      if (!editor.put(list, made.at(list).at(0))) return std::nullopt;
    if (const auto now = stringAt(parseYamlValue(editor.text(), "the file"), "current-context"); now != stringAt(wanted, "current-context"))
      editor.setCurrent(stringAt(wanted, "current-context"));
    auto result = editor.text();
    if (sameDocument(parseYamlValue(result, "the file"), wanted)) return result;
  } catch (const Error&) {
    // edited by lines it is no document any more: it has to be written anew
  }
  return std::nullopt;
}

} // namespace

Merged mergeKubeconfig(std::string_view text, std::string_view source, const Value& made, Current current) {
  if (trim(text).empty()) return {.text = emitYaml(made)};
  const auto document = parseYamlValue(text, std::string(source));
  if (!document.is_object() || stringAt(document, "kind", "Config") != "Config") throw Error(fmt::format("{} is no kubeconfig", source), "name the file of a kubeconfig, or one that is not there yet");
  for (const auto* list : lists)
    if (const auto* items = find(document, list); items && !items->is_null() && !items->is_array()) throw Error(fmt::format("{}: {} is no list", source, list), "mend the file, or name another");
  refuseAnotherCluster(document, source, made);
  const auto wanted = mergedValue(document, made, current);
  if (auto result = edited(text, made, wanted)) return {.text = std::move(*result)};
  return {.text = emitYaml(wanted), .reshaped = true};
}

} // namespace kubestrap::kube
