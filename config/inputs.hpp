#pragma once
// What a command was given: the documents of its file, and the flags that stand for members of them.

#include "config/kinds.hpp"
#include "config/schema.hpp"
#include "support/yaml.hpp"

#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// A document of one kind with what flags put into it; knows for every member where it came from.
struct Input {
  Value value = Value::object();
  const Document* document = nullptr;        ///< nothing: the file has none of this kind
  std::map<std::string, std::string> flagAt; ///< pointer -> "--pod-network-cidr"

  std::string where(std::string pointer) const;
  schema::Report report(std::vector<Problem>& problems) const;
};

/// By kind: those that a command reads, given or not.
using Inputs = std::map<std::string_view, Input>;

/// The kinds that a command reads of its file. One of the `needed` has to be there when there is a file.
struct Reads {
  std::string_view command; ///< "init"
  std::vector<std::string_view> needed, also;
};

/// Strictly checks the documents and puts each where it belongs; other kinds are passed over with a warning.
Inputs gather(const std::vector<Document>& documents, const Reads& reads, const std::optional<std::string>& fileName,
              std::vector<Problem>& problems, std::vector<std::string>& warnings);

/// A flag that stands for a member of a document.
template <class Flags> struct FlagRow {
  std::string_view flag; ///< "--node-name"
  std::string_view kind, pointer;
  bool besideFile; ///< may be given together with --config (kubeadm: ValidateMixedArguments)
  std::optional<Value> (*value)(const Flags& flags);
};

template <class Flags, auto Member> std::optional<Value> given(const Flags& flags) {
  const auto& flag = flags.*Member;
  return flag ? std::optional<Value>(Value(*flag)) : std::nullopt;
}

/// "bootstrapTokens[0].token" of "/bootstrapTokens/0/token".
std::string memberPath(std::string_view pointer);

/// Puts one flag's value into its document; beside a file only where that is allowed.
void overlay(Inputs& inputs, std::string_view flag, std::string_view kind, std::string_view pointer, bool allowed,
             std::optional<Value> value, std::vector<Problem>& problems);

template <class Flags, std::size_t count>
void overlayFlags(Inputs& inputs, const FlagRow<Flags> (&rows)[count], const Flags& flags, bool withFile,
                  std::vector<Problem>& problems) {
  for (const auto& row : rows)
    overlay(inputs, row.flag, row.kind, row.pointer, !withFile || row.besideFile, row.value(flags), problems);
}

/// What flags brought, held against the schema: the documents themselves were checked when they were gathered.
void checkOverlaid(const Inputs& inputs, std::initializer_list<std::string_view> kinds, std::vector<Problem>& problems);

} // namespace kubestrap::config
