#pragma once

#include <string>
#include <string_view>

namespace kubestrap::plan {

/// The verdict on one resource. `unknown`: the world cannot be seen yet ("no API server yet"); enacting is right all the same,
/// since it is idempotent.
enum class Verb { keep, create, update, remove, start, stop, wait, run, unknown };

struct Change {
  Verb verb = Verb::keep;
  std::string subject; ///< "certificate apiserver"
  std::string reason;  ///< "missing", "lacks SAN 10.0.0.9"; for keep: a fact worth knowing, or empty
  std::string preview; ///< what would be written, as a diff; secrets only as fingerprints; may be empty
  /// Fingerprint of what was seen: where the world no longer fits it, enact throws Conflict and overwrites nothing.
  std::string seen;

  bool changes() const { return verb != Verb::keep; }
};

std::string_view name(Verb verb);        ///< "create", "wait": for records and JSON
std::string_view futureTense(Verb verb); ///< "create", "wait for"
std::string_view pastTense(Verb verb);   ///< "created", "waited for"

} // namespace kubestrap::plan
