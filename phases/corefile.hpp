#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases {

/// What CoreDNS of that image tag ("v1.14.6") does not know of a Corefile: "federation", "upstream in kubernetes". Nothing for tags other than
/// those that are deployed. Snippets and files that are imported are not looked into.
std::vector<std::string> unknownIn(std::string_view corefile, std::string_view tag);

} // namespace kubestrap::phases
