#pragma once

#include "support/value.hpp"

#include <string>
#include <string_view>

namespace kubestrap::kube {

/// Whether what is merged becomes the current context.
enum class Current { whenNone, yes };

struct Merged {
  std::string text;
  bool reshaped = false; ///< written anew as a whole: its layout and comments could not be kept
};

/// A kubeconfig with what `made` has in place of entries of the same names; `made` is a document with one cluster, user and context. All
/// else stays, and so do comments and order, but for flow style and the like. An empty text is no kubeconfig yet. Throws Error naming
/// `source` for what is none, and for a cluster of that name that is another one: its contexts would lead elsewhere.
Merged mergeKubeconfig(std::string_view text, std::string_view source, const Value& made, Current current);

} // namespace kubestrap::kube
