#include "config/inputs.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::config {

namespace {

/// Puts a value into a document as long as the way there is one of mappings and lists; elsewhere the schema complains
/// anyway.
void place(Value& document, const std::string& pointer, Value value) {
  try {
    document[Pointer(pointer)] = std::move(value);
  } catch (const Value::exception&) {
  }
}

} // namespace

std::string memberPath(std::string_view pointer) {
  return replaceAll(replaceAll(std::string(pointer.substr(1)), "/0/", "[0]."), "/", ".");
}

std::string Input::where(std::string pointer) const {
  for (std::string at = pointer; !at.empty(); at.resize(at.rfind('/')))
    if (auto flag = flagAt.find(at); flag != flagAt.end()) return flag->second;
  return document ? document->where(pointer) : "";
}

schema::Report Input::report(std::vector<Problem>& problems) const {
  return {.where = [this](const std::string& pointer) { return where(pointer); }, .problems = problems};
}

Inputs gather(const std::vector<Document>& documents, const Reads& reads, const std::optional<std::string>& fileName,
              std::vector<Problem>& problems, std::vector<std::string>& warnings) {
  Inputs inputs;
  for (const auto kind : reads.needed) inputs[kind];
  for (const auto kind : reads.also) inputs[kind];
  bool anyNeeded = false;
  for (const auto& [kind, document] : recognise(documents, Foreign::warn, problems, warnings)) {
    schema::check(
        document->value, *kind->type,
        {.where = [at = document](const std::string& pointer) { return at->where(pointer); }, .problems = problems});
    const auto input = inputs.find(kind->kind);
    if (input == inputs.end()) {
      warnings.push_back(fmt::format("{}: {} is not for {}, and is ignored", document->where(""), kind->kind, reads.command));
      continue;
    }
    anyNeeded = anyNeeded || std::ranges::find(reads.needed, kind->kind) != reads.needed.end();
    input->second.document = document;
    input->second.value = document->value;
  }
  if ((fileName || !documents.empty()) && !anyNeeded && problems.empty())
    problems.push_back({.where = fileName.value_or(""),
                        .message = fmt::format("there is nothing for {} in this file", reads.command),
                        .expected = fmt::format("{}", fmt::join(reads.needed, " or "))});
  return inputs;
}

void overlay(Inputs& inputs, std::string_view flag, std::string_view kind, std::string_view pointer, bool allowed,
             std::optional<Value> value, std::vector<Problem>& problems) {
  if (!value) return;
  if (!allowed) {
    problems.push_back({.where = std::string(flag),
                        .message = "cannot be given together with --config",
                        .expected = fmt::format("{} in the file", memberPath(pointer))});
    return;
  }
  Input& input = inputs.at(kind);
  // Nothing can be put below an empty list by "/0": it has to be an array first.
  if (const auto item = pointer.find("/0/"); item != std::string_view::npos)
    if (const std::string list(pointer.substr(1, item - 1)); !input.value.contains(list))
      input.value[list] = Value::array({Value::object()});
  place(input.value, std::string(pointer), std::move(*value));
  input.flagAt[std::string(pointer)] = flag;
}

void checkOverlaid(const Inputs& inputs, std::initializer_list<std::string_view> kinds, std::vector<Problem>& problems) {
  std::vector<Problem> all;
  for (const auto kind : kinds) schema::check(inputs.at(kind).value, *findKind(kind)->type, inputs.at(kind).report(all));
  std::ranges::copy_if(all, std::back_inserter(problems),
                       [](const Problem& problem) { return problem.where.starts_with("--"); });
}

} // namespace kubestrap::config
