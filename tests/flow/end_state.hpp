#pragma once
// What a machine and its cluster look like in the end, as text that two runs can be compared by: bytes that chance made
// are replaced by what they mean.

#include "tests/flow/machine.hpp"

#include <map>
#include <string>

namespace kubestrap::flow {

/// By path or by the object's URL. kubestrap's own journal is left out; so are uids, dates and resourceVersions.
std::map<std::string, std::string> endState(Machine& machine);

/// The entries that are in one only, or differ: "only in the first: ...".
std::vector<std::string> differing(const std::map<std::string, std::string>& a,
                                   const std::map<std::string, std::string>& b);

} // namespace kubestrap::flow
