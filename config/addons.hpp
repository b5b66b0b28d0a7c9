#pragma once

#include "config/model.hpp"
#include "config/schema.hpp"
#include "config/v1beta4.hpp"

#include <span>
#include <string_view>

namespace kubestrap::config {

/// An add-on that kubestrap can install.
struct AddonRow {
  std::string_view name, summary;
  bool podNetwork = false;
  std::span<const std::string_view> values; ///< of AddonValues, by their names in the document, beside those that all have
};
/// All of them, in the order in which they are installed.
std::span<const AddonRow> addonRows();

/// The one of that name; nullptr: it is not asked for.
const Addon* findAddon(const std::vector<Addon>& addons, std::string_view name);
/// Where its manifest is looked for.
Path manifestOf(const Addon& addon);
/// The documents that files of a ConfigMap are, such as the pod that local-path's controller makes; what cannot be read is none.
std::vector<Value> documentsWithin(const Value& configMap);

/// What the addons say among themselves.
void validateAddons(const std::vector<Addon>& addons, const schema::Report& report);
/// What they say beside the cluster's networks.
void validateAddons(const std::vector<Addon>& addons, const v1beta4::ClusterConfiguration& cluster, const schema::Report& report);

} // namespace kubestrap::config
