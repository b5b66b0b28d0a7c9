#include "support/yaml_builder.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap {

namespace {
constexpr std::size_t depthLimit = 100, aliasBudget = 100'000;
} // namespace

Lines::Lines(std::string_view text) : text_(text), starts_{0} {
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', end + 1)) starts_.push_back(end + 1);
}

Position Lines::at(std::size_t offset) {
  offset = std::min(offset, text_.size());
  auto line = std::upper_bound(starts_.begin(), starts_.end(), offset) - starts_.begin();
  auto start = starts_[static_cast<std::size_t>(line - 1)];
  bool isFurtherOn = position_.line == line && offset >= offset_;
  if (!isFurtherOn) offset_ = start, position_ = {static_cast<int>(line), 1};
  for (; offset_ < offset; ++offset_)
    if ((static_cast<unsigned char>(text_[offset_]) & 0xc0) != 0x80) ++position_.column;
  return position_;
}

void Input::addProblem(Position position, std::string field, std::string message, std::string expected) {
  auto where = fmt::format("{}:{}:{}", source, position.line, position.column);
  Problem problem{std::move(where), std::move(field), std::move(message), std::move(expected)};
  bool isKnown = std::find(problems.begin(), problems.end(), problem) != problems.end();
  if (!isKnown && problems.size() < enough) problems.push_back(std::move(problem));
}

Extent extentOf(const Value& scalar) {
  return {.nodes = 1 + (scalar.is_string() ? scalar.get_ref<const std::string&>().size() / 100 : 0)};
}

void DocumentBuilder::key(const std::string& name, Position at) {
  auto& frame = frames_.back();
  frame.hasKey = true;
  frame.key = name;
  pointer_ += '/';
  for (char c : name) c == '~' ? pointer_ += "~0" : c == '/' ? pointer_ += "~1" : pointer_ += c;
  if (frame.isIgnored) return;
  auto [known, isNew] = document_.positions.try_emplace(pointer_, at);
  frame.memberIsIgnored = !isNew;
  if (!isNew) addProblem(at, fmt::format("the key \"{}\" is given twice, before on line {}", name, known->second.line));
}

void DocumentBuilder::wrongKey(Position at, std::string message) {
  addProblem(at, std::move(message));
  auto& frame = frames_.back();
  frame.hasKey = frame.memberIsIgnored = true;
  frame.key.clear();
}

void DocumentBuilder::scalar(Value value, Position at) {
  startNode(at);
  auto extent = extentOf(value);
  add(std::move(value), extent);
}

Extent DocumentBuilder::endCollection() {
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  auto extent = frame.extent;
  ++extent.height;
  last_ = nullptr;
  if (frame.isWrongKey)
    frames_.back().hasKey = frames_.back().memberIsIgnored = true;
  else
    add(std::move(frame.value), extent);
  return extent;
}

void DocumentBuilder::repeat(const Value& value, Extent extent, Position at) {
  startNode(at);
  repeated_ += extent.nodes;
  if (repeated_ > aliasBudget) abandon(at, "aliases make this document grow without end", "aliases used sparingly");
  if (frames_.size() + extent.height > depthLimit) abandonTooDeep(at);
  add(value, extent);
}

void DocumentBuilder::addProblem(Position at, std::string message, std::string expected) {
  input_->addProblem(at, field(), std::move(message), std::move(expected));
}

bool DocumentBuilder::isIgnored() const {
  return !frames_.empty() && (frames_.back().isIgnored || (frames_.back().hasKey && frames_.back().memberIsIgnored));
}

std::string DocumentBuilder::field() const {
  std::string path;
  for (const auto& frame : frames_) {
    if (!frame.isMapping)
      path += fmt::format("[{}]", frame.value.size());
    else if (frame.hasKey)
      path += (path.empty() ? "" : ".") + frame.key;
  }
  return path;
}

void DocumentBuilder::startNode(Position at) {
  if (frames_.empty()) {
    document_.positions.try_emplace("", at);
  } else if (auto& frame = frames_.back(); !frame.isMapping) {
    pointer_ += fmt::format("/{}", frame.value.size());
    if (!frame.isIgnored) document_.positions.try_emplace(pointer_, at);
  }
}

void DocumentBuilder::startCollection(Position at, Value empty) {
  if (frames_.size() >= depthLimit) abandonTooDeep(at);
  Frame frame;
  frame.isWrongKey = expectsKey();
  if (frame.isWrongKey)
    addProblem(at, "a mapping or a list stands where a key should", "a text as key");
  else
    startNode(at);
  frame.isIgnored = frame.isWrongKey || isIgnored();
  frame.isMapping = empty.is_object();
  frame.value = std::move(empty);
  frame.pointerLength = pointer_.size();
  frames_.push_back(std::move(frame));
}

void DocumentBuilder::add(Value value, Extent extent) {
  if (frames_.empty()) {
    document_.value = std::move(value);
    last_ = &document_.value;
    return;
  }
  auto& frame = frames_.back();
  frame.extent.nodes += extent.nodes;
  frame.extent.height = std::max(frame.extent.height, extent.height);
  pointer_.resize(frame.pointerLength);
  if (!frame.isMapping) {
    frame.value.push_back(std::move(value));
    last_ = &frame.value.back();
  } else {
    // Duplicates are known already, and operator[] would search a mapping from its start for each new member.
    auto& members = frame.value.get_ref<Value::object_t&>();
    members.emplace_back(std::move(frame.key), std::move(value));
    last_ = &members.back().second;
    frame.hasKey = frame.memberIsIgnored = false;
    frame.key.clear();
  }
}

void DocumentBuilder::abandon(Position at, std::string message, std::string expected) {
  addProblem(at, std::move(message), std::move(expected));
  throw Abandoned();
}

void DocumentBuilder::abandonTooDeep(Position at) {
  abandon(at, "the document is nested too deep", fmt::format("at most {} levels", depthLimit));
}

} // namespace kubestrap
