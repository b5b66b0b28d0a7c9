#pragma once
// What becomes of an add-on's manifest: it is read as objects, which are changed where the cluster's networks and the values of the
// configuration say so, never as text.

#include "config/addons.hpp"

#include <map>
#include <string>
#include <vector>

namespace kubestrap::manifests {

/// The objects of an add-on in the order in which they are applied.
struct AddonObjects {
  std::vector<Value> first;             ///< namespaces and CustomResourceDefinitions
  std::vector<std::string> definitions; ///< the latter's names: their kinds have to be served before the rest
  std::vector<Value> rest;
  std::vector<Value> last;              ///< what the API server asks before it answers: webhooks, aggregated APIs
  std::vector<config::ObjectName> ofOthers; ///< of these what was there before: it stays when the add-on goes
  std::map<config::ObjectName, std::string> jobs; ///< the digest of each
  std::map<config::ObjectName, std::string> done; ///< of these the ones that the cluster has recorded just as they are here
};

/// What the API server asks before it answers.
bool isLate(std::string_view kind);
/// What goes with data of others: a namespace, a definition, a volume.
bool holdsData(const config::ObjectName& object);
/// What makes pods, and says how many of them are ready.
bool isWorkload(std::string_view kind);

/// Throws Error where the manifest has not what a value of the configuration belongs to, or contradicts the cluster's networks.
AddonObjects addonObjects(const config::Cluster& cluster, const config::Addon& addon, const config::AddonSeen& seen);

/// In the order in which they are applied.
std::vector<Value> inOrder(const AddonObjects& objects);
config::ObjectName nameOf(const Value& object);
std::vector<config::ObjectName> namesOf(const std::vector<Value>& objects);

/// The ConfigMap in which the cluster has what an add-on consists of; and the opposite.
Value addonRecord(std::string_view name, const std::vector<config::ObjectName>& objects, const std::map<config::ObjectName, std::string>& jobs = {});
void takeRecord(config::AddonSeen& seen, const Value& configMap);
config::ObjectName addonRecordName(std::string_view name);
/// What every object of an add-on is labelled with.
inline constexpr std::string_view addonLabel = "kubestrap.io/addon";

/// The images that pods of these objects name, in their order; also of pods that lie as documents in a ConfigMap.
std::vector<std::string> imagesIn(const std::vector<Value>& objects);

} // namespace kubestrap::manifests
