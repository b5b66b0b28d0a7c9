#include "support/yaml.hpp"

#include "support/text.hpp"
#include "support/yaml_builder.hpp"
#include "support/yaml_json.hpp"
#include "support/yaml_scalar.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace kubestrap {

std::string Document::where(const std::string& pointer) const {
  for (auto known = pointer;; known.resize(known.rfind('/'))) {
    if (auto found = positions.find(known); found != positions.end() && found->second.line > 0)
      return fmt::format("{}:{}:{}", source, found->second.line, found->second.column);
    if (known.find('/') == known.npos) return source;
  }
}

namespace {
constexpr std::string_view listTag = "tag:yaml.org,2002:seq", mappingTag = "tag:yaml.org,2002:map";
bool isPlain(const std::string& tag) { return tag.empty() || tag == "?"; }
bool isQuoted(const std::string& tag) { return tag == "!"; }

/// "!!int" for "tag:yaml.org,2002:int"
std::string shortTag(const std::string& tag) {
  constexpr std::string_view prefix = "tag:yaml.org,2002:";
  return tag.starts_with(prefix) ? "!!" + tag.substr(prefix.size()) : tag;
}

/// yaml-cpp turns the escapes \\N and \\_ into one octet where UTF-8 has two. The input was UTF-8, so these are the
/// only ones.
std::string repaired(std::string text) {
  auto isHigh = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
  if (std::none_of(text.begin(), text.end(), isHigh)) return text;
  for (std::size_t i = 0; i < text.size();) {
    auto first = static_cast<unsigned char>(text[i]);
    bool isStray = first >= 0x80 && first < 0xc0;
    if (isStray) text.insert(i, 1, '\xc2');
    i += isStray || (first >= 0xc0 && first < 0xe0) ? 2 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 1;
  }
  return text;
}

/// Receives yaml-cpp's events, resolves scalars, and checks what yaml-cpp does not.
class YamlReader : public YAML::EventHandler {
public:
  /// `offset` is where in the input the parser's text starts.
  YamlReader(Input& input, std::size_t offset, std::vector<Document>& documents)
      : input_(input), offset_(offset), documents_(documents), builder_(input) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    builder_ = DocumentBuilder(input_);
    anchors_.clear();
    open_.clear();
    flowDepth_ = 0;
    isEmpty_ = false;
    checkDocumentStart(mark);
  }

  void OnDocumentEnd() override {
    if (!isEmpty_) documents_.push_back(builder_.take());
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (builder_.expectsKey())
      return builder_.wrongKey(at(mark), "a key is empty or null: a text that looks like it needs quotes");
    checkNull(mark);
    value(nullptr, mark, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& decoded) override {
    checkIndentation(mark);
    auto text = repaired(decoded);
    if (builder_.expectsKey()) return key(mark, tag, anchor, text);
    value(resolve(mark, tag, text), mark, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    checkIndentation(mark);
    auto known = anchors_.find(anchor);
    bool isKey = builder_.expectsKey();
    if (known == anchors_.end()) {
      if (isKey) return builder_.wrongKey(at(mark), "an alias stands inside of what it repeats");
      builder_.addProblem(at(mark), "an alias stands inside of what it repeats");
      builder_.scalar(nullptr, at(mark));
    } else if (isKey && known->second.value.is_string()) {
      builder_.key(known->second.value, at(mark));
    } else if (isKey) {
      builder_.wrongKey(at(mark), "an alias that is no text stands where a key should");
    } else {
      builder_.repeat(known->second.value, known->second.extent, at(mark));
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    startCollection(mark, tag, listTag, anchor, style);
    builder_.startList(at(mark));
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    startCollection(mark, tag, mappingTag, anchor, style);
    builder_.startMapping(at(mark));
  }
  void OnSequenceEnd() override { endCollection(); }
  void OnMapEnd() override { endCollection(); }

  /// The offset of what was read last.
  std::size_t reached() const { return reached_; }
  bool isInFlow() const { return flowDepth_ > 0; }

private:
  struct Anchor {
    Value value;
    Extent extent;
  };
  struct Open {
    YAML::anchor_t anchor;
    bool isFlowList;
    YAML::Mark key; ///< of a mapping, the one read last
  };

  Input& input_;
  std::size_t offset_;
  std::vector<Document>& documents_;
  DocumentBuilder builder_;
  std::unordered_map<YAML::anchor_t, Anchor> anchors_;
  std::vector<Open> open_;    ///< the collections that are read
  std::size_t flowDepth_ = 0; ///< of those within braces or brackets
  bool isEmpty_ = false, isFirst_ = true;
  std::optional<std::size_t> documentStart_;
  std::size_t reached_ = 0;

  std::size_t offsetOf(const YAML::Mark& mark) const {
    return std::min(offset_ + static_cast<std::size_t>(mark.pos), input_.text.size());
  }
  std::string_view textAt(const YAML::Mark& mark) const { return std::string_view(input_.text).substr(offsetOf(mark)); }
  Position at(const YAML::Mark& mark) { return input_.lines.at(reached_ = offsetOf(mark)); }

  /// yaml-cpp takes what follows a finished document for the next one, whether there is a "---" or not. What no document can begin
  /// with (a comma) it takes for an empty one, and for another one, without end.
  void checkDocumentStart(const YAML::Mark& mark) {
    const auto start = offsetOf(mark);
    if (std::exchange(documentStart_, start) == start) {
      input_.addProblem(at(mark), {}, "no document can begin with this");
      throw Abandoned();
    }
    bool isFirst = std::exchange(isFirst_, false);
    if (isFirst || textAt(mark).starts_with("---")) return;
    std::string_view before = std::string_view(input_.text).substr(0, offsetOf(mark));
    for (auto lines = before; !lines.empty();) { // back over empty lines and comments to an end mark
      auto lineStart = lines.rfind('\n') + 1;    // npos + 1 is 0
      auto line = trim(lines.substr(lineStart));
      if (line.starts_with("...")) return;
      if (!line.empty() && line[0] != '#') break;
      lines = lines.substr(0, lineStart == 0 ? 0 : lineStart - 1);
    }
    input_.addProblem(at(mark), {}, "this does not belong to the document that ends before it",
                      "a line \"---\" between");
    throw Abandoned();
  }

  /// What yaml-cpp lets pass at the start of a line in block style: tabs, and a value that is not indented.
  void checkIndentation(const YAML::Mark& mark) {
    if (flowDepth_ > 0) return;
    auto before = std::string_view(input_.text).substr(0, offsetOf(mark));
    auto indentation = before.substr(before.rfind('\n') + 1); // npos + 1 is 0
    if (indentation.find_first_not_of(" \t") != indentation.npos) return;
    if (auto tab = indentation.find('\t'); tab != indentation.npos)
      return input_.addProblem(input_.lines.at(before.size() - indentation.size() + tab), {},
                               "a tab is used for indentation", "spaces");
    bool isMember = !open_.empty() && !open_.back().key.is_null() && !builder_.expectsKey();
    if (!isMember || mark.column > open_.back().key.column) return;
    bool isExplicitKey = trim(before.substr(0, offsetOf(open_.back().key))).ends_with('?'); // "? key", ":" below it
    if (!isExplicitKey)
      builder_.addProblem(at(mark), "a value on a line of its own has to be indented more than its key");
  }

  /// yaml-cpp gives a null for a document without content, and also where something is missing.
  void checkNull(const YAML::Mark& mark) {
    auto text = textAt(mark);
    bool isWritten = text.starts_with('~') || isAnyOf(text.substr(0, 4), {"null", "Null", "NULL"});
    isEmpty_ = open_.empty() && !isWritten;
    bool isGap = !open_.empty() && open_.back().isFlowList && text.starts_with(',');
    if (isGap) builder_.addProblem(at(mark), "an item is missing before this comma");
    bool lacksColon = flowDepth_ == 0 && !open_.empty() && mark.pos == open_.back().key.pos;
    if (lacksColon) builder_.addProblem(at(mark), "a key lacks its colon");
  }

  void value(Value value, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {value, extentOf(value)};
    builder_.scalar(std::move(value), at(mark));
  }

  void key(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& text) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {text, extentOf(text)};
    open_.back().key = mark;
    if (isPlain(tag) && text == "<<")
      return builder_.wrongKey(at(mark), "merge keys (<<) are not supported: write the members out");
    if (!isPlain(tag)) resolve(mark, tag, text); // for what is wrong with the tag
    builder_.key(text, at(mark));
  }

  Value resolve(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
    auto name = shortTag(tag);
    if (isQuoted(tag) || name == "!!str") return text;
    bool isKnown = isPlain(tag) || isAnyOf(name, {"!!int", "!!float", "!!bool", "!!null"});
    if (!isKnown) {
      builder_.addProblem(at(mark), fmt::format("the tag {} is not supported", name), "a value without a tag");
      return text;
    }
    auto kind = scalarKind(text);
    bool fits = isPlain(tag) || (name == "!!int" && kind == ScalarKind::integer) ||
                (name == "!!float" && (kind == ScalarKind::integer || kind == ScalarKind::decimal)) ||
                (name == "!!bool" && kind == ScalarKind::boolean) || (name == "!!null" && kind == ScalarKind::null);
    if (!fits) builder_.addProblem(at(mark), fmt::format("\"{}\" does not fit its tag {}", text, name));
    return fits ? resolvePlain(mark, kind, text, name == "!!float") : Value(text);
  }

  Value resolvePlain(const YAML::Mark& mark, ScalarKind kind, const std::string& text, bool asDecimal) {
    switch (kind) {
    case ScalarKind::text: return text;
    case ScalarKind::null: return nullptr;
    case ScalarKind::boolean: return text[0] == 't' || text[0] == 'T';
    case ScalarKind::notFinite: break;
    case ScalarKind::integer:
      if (isAmbiguousOctal(text))
        builder_.addProblem(
            at(mark), fmt::format("{} is octal to some readers and decimal to others", text),
            fmt::format("0o{} if it is octal, quotes if it is a text", text.substr(text.find_first_not_of("+-0"))));
      if (!asDecimal) return checkFinite(mark, scalarInteger(text), text);
      [[fallthrough]];
    case ScalarKind::decimal: return checkFinite(mark, scalarDecimal(text), text);
    }
    builder_.addProblem(at(mark), fmt::format("{} cannot be expressed in JSON", text), "a finite number");
    return nullptr;
  }

  Value checkFinite(const YAML::Mark& mark, Value number, const std::string& text) {
    if (!number.is_number_float() || std::isfinite(number.get<double>())) return number;
    builder_.addProblem(at(mark), fmt::format("the number {} is too large", text), "quotes around it if it is a text");
    return nullptr;
  }

  void startCollection(const YAML::Mark& mark, const std::string& tag, std::string_view usualTag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) {
    bool isFlow = style == YAML::EmitterStyle::Flow;
    if (isFlow) checkIndentation(mark);
    if (!isPlain(tag) && !isQuoted(tag) && tag != usualTag)
      builder_.addProblem(at(mark), fmt::format("the tag {} is not supported", shortTag(tag)), "a value without a tag");
    open_.push_back({anchor, isFlow && usualTag == listTag, YAML::Mark::null_mark()});
    if (isFlow || flowDepth_ > 0) ++flowDepth_;
  }

  void endCollection() {
    auto anchor = open_.back().anchor;
    open_.pop_back();
    if (flowDepth_ > 0) --flowDepth_;
    auto extent = builder_.endCollection();
    if (anchor != YAML::NullAnchor && builder_.last()) anchors_[anchor] = {*builder_.last(), extent};
  }
};

/// What yaml-cpp complains of, in words for people.
std::string explain(const std::string& message) {
  namespace yaml = YAML::ErrorMsg;
  static const std::pair<const char*, const char*> explanations[] = {
      {yaml::END_OF_MAP, "this does not fit the mapping around it: look for a missing colon, quote or space before it"},
      {yaml::END_OF_MAP_FLOW, "a { has no }, or a comma is missing"},
      {yaml::END_OF_SEQ, "this does not fit the list around it: look for a missing \"- \" or a wrong indentation"},
      {yaml::END_OF_SEQ_FLOW, "a [ has no ], or a comma is missing"},
      {yaml::TAB_IN_INDENTATION, "a tab is used for indentation"},
      {yaml::MAP_VALUE, "a colon stands where none can: is the indentation wrong, does the line before lack its colon, "
                        "or a text with \": \" its quotes?"},
      {yaml::MAP_KEY, "a key stands where none can: is the indentation wrong?"},
      {yaml::BLOCK_ENTRY, "a list item stands where none can: is the indentation wrong?"},
      {yaml::FLOW_END, "a } or ] has nothing to close"},
      {yaml::UNKNOWN_TOKEN, "no value can start with this character: a text that does needs quotes"},
      {yaml::EOF_IN_SCALAR, "a quoted text has no closing quote"},
      {yaml::DOC_IN_SCALAR, "a quoted text has no closing quote"},
      {yaml::UNKNOWN_ANCHOR, "an alias names an anchor that does not exist: a text that starts with * needs quotes"},
      {yaml::ALIAS_NOT_FOUND, "an alias has no name: a text that starts with * needs quotes"},
      {yaml::ANCHOR_NOT_FOUND, "an anchor has no name: a text that starts with & needs quotes"},
      {yaml::CHAR_IN_ALIAS, "an alias has a character that it cannot have: a text that starts with * needs quotes"},
      {yaml::CHAR_IN_ANCHOR, "an anchor has a character that it cannot have: a text that starts with & needs quotes"},
      {yaml::INVALID_ESCAPE,
       "a text in double quotes has a backslash that starts no escape: write two, or use single quotes"},
      {yaml::INVALID_HEX, "an escape in a text in double quotes lacks hexadecimal digits"},
      {yaml::INVALID_UNICODE, "an escape in a text in double quotes names no character"},
      {yaml::CHAR_IN_BLOCK, "only a comment may follow the | or > of a block of text"},
  };
  for (const auto& [theirs, ours] : explanations)
    if (message.starts_with(theirs)) return ours;
  return message;
}

/// What stopped yaml-cpp. A tab in the indentation of that line is the culprit, whatever yaml-cpp makes of it.
void addSyntaxProblem(Input& input, const YamlReader& reader, std::size_t offset, const std::string& message) {
  std::string_view before = std::string_view(input.text).substr(0, offset);
  auto lineStart = before.rfind('\n') + 1; // npos + 1 is 0
  auto line = std::string_view(input.text).substr(lineStart);
  auto indentation = line.substr(0, line.find_first_not_of(" \t"));
  auto tab = indentation.find('\t');
  if (tab != indentation.npos && !reader.isInFlow())
    return input.addProblem(input.lines.at(lineStart + tab), {}, "a tab is used for indentation", "spaces");
  auto explanation = explain(message);
  bool isOpenQuote = message == YAML::ErrorMsg::EOF_IN_SCALAR || message == YAML::ErrorMsg::DOC_IN_SCALAR;
  if (isOpenQuote)
    explanation += fmt::format(" (it begins on line {} or later)", input.lines.at(reader.reached()).line);
  input.addProblem(input.lines.at(offset), {}, explanation);
}

/// Reads the documents from `offset` on, up to one that cannot be read to its end. Returns where to go on after it, if
/// anywhere.
std::size_t readYaml(Input& input, std::size_t offset, std::vector<Document>& documents) {
  // With an end mark, because yaml-cpp takes the end of the text for the end of an open quote, too.
  std::istringstream stream(input.text.substr(offset) + (input.text.ends_with('\n') ? "...\n" : "\n...\n"));
  YamlReader reader(input, offset, documents);
  std::size_t reached = 0;
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(reader)) {
    }
    return std::string::npos;
  } catch (const YAML::Exception& error) {
    reached = std::min(offset + static_cast<std::size_t>(std::max(error.mark.pos, 0)), input.text.size());
    addSyntaxProblem(input, reader, reached, error.msg);
  } catch (const Abandoned&) {
    reached = reader.reached();
  }
  auto next = input.text.find("\n---", std::max(reached, offset + 1) - 1);
  return next == std::string::npos || input.problems.size() >= Input::enough ? std::string::npos : next + 1;
}

/// yaml-cpp takes a line that starts with % for a directive wherever it stands, and forgets it.
void checkDirectives(Input& input) {
  for (std::size_t start = 0; start < input.text.size();) {
    auto end = std::min(input.text.find('\n', start), input.text.size());
    if (input.text[start] == '%') {
      auto next = input.text.find_first_not_of('\n', end);
      bool isDirective = next != std::string::npos && (input.text[next] == '%' || input.text[next] == '#' ||
                                                       std::string_view(input.text).substr(next).starts_with("---"));
      if (!isDirective) input.addProblem(input.lines.at(start), {}, "no line can start with %, unless \"---\" follows");
    }
    start = end + 1;
  }
}

/// The offset of the first octet that is no UTF-8 or a control character that no text file has.
std::optional<std::size_t> firstForeignOctet(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    auto first = static_cast<unsigned char>(text[i]);
    if (first < 0x80) {
      if (first < 0x20 && first != '\t' && first != '\n') return i;
      ++i;
      continue;
    }
    std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || i + length > text.size()) return i;
    for (std::size_t j = 1; j < length; ++j)
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return i;
    auto second = static_cast<unsigned char>(text[i + 1]);
    bool isOverlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool isBeyond = (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
    if (isOverlong || isBeyond) return i;
    i += length;
  }
  return {};
}

/// Without what Windows adds to a text.
std::string normalized(std::string_view text) {
  constexpr std::string_view byteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(byteOrderMark)) text.remove_prefix(byteOrderMark.size());
  if (text.find('\r') == text.npos) return std::string(text);
  return replaceAll(replaceAll(std::string(text), "\r\n", "\n"), "\r", "\n");
}

std::vector<Document> readDocuments(Input& input) {
  std::vector<Document> documents;
  try {
    if (auto document = readJson(input)) {
      documents.push_back(std::move(*document));
      return documents;
    }
  } catch (const Abandoned&) {
    return documents;
  }
  checkDirectives(input);
  auto offset = input.problems.empty() ? 0 : std::string::npos;
  while (offset != std::string::npos) offset = readYaml(input, offset, documents);
  return documents;
}
} // namespace

std::vector<Document> parseYaml(std::string_view text, const std::string& source) {
  Input input(normalized(text), source);
  std::vector<Document> documents;
  if (auto foreign = firstForeignOctet(input.text)) {
    auto octet = static_cast<unsigned char>(input.text[*foreign]);
    auto what = octet < 0x20 ? "a control character" : "an octet that is not UTF-8";
    input.addProblem(input.lines.at(*foreign), {}, fmt::format("{} (0x{:02x}) is no part of a text", what, octet),
                     "UTF-8");
  } else {
    documents = readDocuments(input);
  }
  if (!input.problems.empty()) throw Problems(std::move(input.problems));
  return documents;
}

Value parseYamlValue(std::string_view text, const std::string& source) {
  auto documents = parseYaml(text, source);
  if (documents.empty()) throw Error(fmt::format("{} holds no document", source));
  if (documents.size() > 1)
    throw Error(fmt::format("{} holds {} documents where one is expected", source, documents.size()));
  return std::move(documents[0].value);
}

} // namespace kubestrap
