#pragma once
// templates/ holds texts that are easier to read as files than as code: documents of the addons, the kubelet's unit,
// what init says at its end. They are embedded at build. There is no logic here; who uses a text puts the values in:
// into parsed documents, or in place of names like {{dnsDomain}}.

#include <string_view>

namespace kubestrap::templates {

/// The text of the file templates/`name`. Throws Error for a name that does not exist.
std::string_view text(std::string_view name);

} // namespace kubestrap::templates
