#pragma once

#include "config/model.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::manifests {

/// "--name=value" for each flag: `base` sorted by name, then value, without the names that the operator sets; then the
/// operator's own in their order, repeats included (kubeadm: util/arguments.go).
std::vector<std::string> flagList(std::vector<config::Arg> base, std::span<const config::Arg> extra);

/// The value of the last flag called `name` (the one that wins), or nullptr.
const std::string* lastValue(std::span<const config::Arg> args, std::string_view name);

/// The value of the last "--name=value" of a command line, or "" when there is none.
std::string flagOf(std::span<const std::string> command, std::string_view name);

} // namespace kubestrap::manifests
