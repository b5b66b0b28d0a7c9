#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Compiled once, in value.cpp: a fifth of the time of a file that works with documents.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace kubestrap {

/// Any document: JSON's types, mappings keep their order. All of Kubernetes' objects, manifests and configuration are
/// this.
using Value = nlohmann::ordered_json;
/// A place in a document, as RFC 6901 has it.
using Pointer = Value::json_pointer;

/// The member at `path` ("spec.containers"), or nullptr; keys with dots are reached with several calls or by Pointer.
const Value* find(const Value& document, std::string_view dottedPath);
/// The string at `path`, or `otherwise` when it is absent or no string.
std::string stringAt(const Value& document, std::string_view dottedPath, std::string otherwise = {});

/// Equal as Kubernetes sees it: the order of mappings does not matter, the order of lists does.
bool sameDocument(const Value& a, const Value& b);

/// Whether every member that `wanted` names is in `found` with the same value; members that only `found` has do not
/// matter, lists must have the same length and are compared item by item. This is how a declared object is compared
/// with a live one in which the API server has filled defaults. A wanted null is always covered, an empty mapping or
/// list also where `found` has nothing: the server leaves them out. Numbers are compared by value (1 is 1.0).
bool covers(const Value& found, const Value& wanted);
/// The dotted paths at which `found` does not cover `wanted`, for a change's reason; at most `limit` of them.
std::vector<std::string> differences(const Value& found, const Value& wanted, std::size_t limit = 5);

/// Takes out of all mappings what says nothing, as the API server does it.
void dropNulls(Value& value);

/// The document with every mapping's keys in alphabetical order, as Go writes them to YAML ("n2" before "n10").
Value sorted(const Value& document);

/// Patches (kubeadm's three strategies). All throw Error with the reason when the patch does not apply.
Value applyJsonPatch(const Value& document, const Value& patch);  ///< RFC 6902
Value applyMergePatch(const Value& document, const Value& patch); ///< RFC 7386
/// Kubernetes' strategic merge for the kinds that kubeadm patches: lists of containers, env, volumes, volumeMounts,
/// ports and the like are merged by their key, other lists are replaced. New items come before those that only the
/// document has, unless $setElementOrder says otherwise; $patch, $retainKeys and $deleteFromPrimitiveList are honoured,
/// too.
Value applyStrategicMergePatch(const Value& document, const Value& patch);

/// A message of the JSON parser's without the text that it has read: that may be a key.
std::string_view withoutWhatWasRead(std::string_view message);
/// Parses JSON text (answers of the API server). Throws Error with line and column.
Value parseJson(std::string_view text, std::string_view source = "JSON");

} // namespace kubestrap
