#pragma once

#include "support/error.hpp"
#include "support/value.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap {

struct Position {
  int line = 0, column = 0; ///< counted from 1; 0: unknown
};

/// A parsed YAML (or JSON) document that knows where each member stood.
struct Document {
  Value value;
  std::string source; ///< file name as the operator gave it, or "standard input"
  /// JSON pointer ("/networking/podSubnet") -> where its key (or item) stands
  std::map<std::string, Position> positions;

  /// "cluster.yaml:14:3" for the nearest known ancestor of `pointer`.
  std::string where(const std::string& pointer) const;
};

/// All documents of a YAML stream. Empty documents are left out. Scalars are resolved by the YAML 1.2 core schema; a
/// plain yes/no/on/off stays a string. Duplicate keys, merge keys, custom tags, tabs, documents that grow beyond their
/// budget by aliases (100,000 nodes) or are nested deeper than 100 levels are problems, and so is an integer like 0644,
/// which Go's readers take for octal. A byte order mark and Windows line ends are accepted. Throws Problems with
/// everything found.
std::vector<Document> parseYaml(std::string_view text, const std::string& source);

/// Exactly one document, else an Error.
Value parseYamlValue(std::string_view text, const std::string& source);

/// YAML text of one document: block style, two spaces, list items not indented below their key (as Go's
/// sigs.k8s.io/yaml writes), keys in the order of the value, the same bytes for the same value. Strings that a YAML 1.1
/// or 1.2 reader would take for something else are quoted; strings with line breaks become literal blocks where they
/// can.
std::string emitYaml(const Value& value);
/// Documents separated by "---" lines.
std::string emitYamlStream(const std::vector<Value>& values);

} // namespace kubestrap
