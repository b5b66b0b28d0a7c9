#pragma once

#include "support/yaml.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap {

/// Turns offsets in a text into lines and columns; columns count characters.
class Lines {
public:
  explicit Lines(std::string_view text);
  Position at(std::size_t offset);

private:
  std::string_view text_;
  std::vector<std::size_t> starts_;
  std::size_t offset_ = 0; ///< asked for last, and where it was: counting goes on from there
  Position position_{1, 1};
};

/// The text that is read, and what is wrong with it.
struct Input {
  std::string text; ///< UTF-8, line ends are "\n"
  std::string source;
  Lines lines{text};
  std::vector<Problem> problems; ///< the first `enough`

  static constexpr std::size_t enough = 100;

  Input(std::string input, std::string name) : text(std::move(input)), source(std::move(name)) {}
  Input(const Input&) = delete;
  void addProblem(Position position, std::string field, std::string message, std::string expected = {});
};

/// Leaves the parser when the rest of a document is not worth reading; the reason is among the problems.
struct Abandoned {};

/// How much an alias repeats.
struct Extent {
  std::size_t nodes = 1, height = 0;
};
/// Of a scalar. Long texts count as several nodes.
Extent extentOf(const Value& scalar);

/// Builds one document from what a parser of YAML or JSON sees, in its order. Knows the rules that both have in common:
/// keys are unique, documents neither too deep nor made endless by aliases.
class DocumentBuilder {
public:
  explicit DocumentBuilder(Input& input) : input_(&input) { document_.source = input.source; }

  bool expectsKey() const { return !frames_.empty() && frames_.back().isMapping && !frames_.back().hasKey; }
  void key(const std::string& name, Position at);
  /// A key that cannot be one; its value is read and forgotten.
  void wrongKey(Position at, std::string message);

  void scalar(Value value, Position at);
  void startMapping(Position at) { startCollection(at, Value::object()); }
  void startList(Position at) { startCollection(at, Value::array()); }
  Extent endCollection();
  /// A copy of something that was read before.
  void repeat(const Value& value, Extent extent, Position at);

  /// The value that was finished last, where it is now; nullptr if it was dropped.
  const Value* last() const { return last_; }
  /// What is wrong at the place that was reached.
  void addProblem(Position at, std::string message, std::string expected = {});
  Document take() { return std::move(document_); }

private:
  /// A collection that is being read.
  struct Frame {
    Value value;
    bool isMapping = false, isWrongKey = false;
    bool isIgnored = false; ///< it belongs to a key that was wrong, so its places are of no interest
    bool hasKey = false, memberIsIgnored = false;
    std::string key;
    std::size_t pointerLength = 0;
    Extent extent;
  };

  Input* input_;
  Document document_;
  std::vector<Frame> frames_;
  std::string pointer_; ///< of the collection or member that is read
  std::size_t repeated_ = 0;
  const Value* last_ = nullptr;

  bool isIgnored() const;
  std::string field() const;
  void startNode(Position at);
  void startCollection(Position at, Value empty);
  void add(Value value, Extent extent);
  [[noreturn]] void abandon(Position at, std::string message, std::string expected);
  [[noreturn]] void abandonTooDeep(Position at);
};

} // namespace kubestrap
