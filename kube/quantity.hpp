#pragma once

#include <string_view>

namespace kubestrap::kube {

/// What a quantity of the API comes to (apimachinery: pkg/api/resource): "100m" is 0.1, "64Mi" 67108864, "1e3" 1000. Throws Error for what is none.
double quantity(std::string_view text);

} // namespace kubestrap::kube
