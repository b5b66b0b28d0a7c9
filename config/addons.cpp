#include "config/addons.hpp"

#include "config/rules.hpp"
#include "config/v1alpha1.hpp"
#include "config/validate.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kubestrap::config {

namespace {

using schema::Place;
using schema::Report;

constexpr std::string_view ofFlannel[] = {"backend", "interfaces", "nftables"};
constexpr std::string_view ofCalico[] = {"encapsulation", "interfaces"};
constexpr std::string_view ofMetallb[] = {"controlPlanes", "interfaces", "mode", "pools"};
constexpr std::string_view ofIngress[] = {"exposure", "externalIPs", "nodePorts"};
constexpr std::string_view ofMetricsServer[] = {"kubeletInsecureTLS"};
constexpr std::string_view ofLocalPath[] = {"default", "path"};
constexpr std::string_view ofAll[] = {"imageRegistry", "images"};

const AddonRow rows[] = {
    {.name = "flannel", .summary = "flannel, a pod network", .podNetwork = true, .values = ofFlannel},
    {.name = "calico", .summary = "Calico, a pod network with policies", .podNetwork = true, .values = ofCalico},
    {.name = "cilium", .summary = "Cilium, a pod network with policies", .podNetwork = true, .values = {}},
    {.name = "metallb", .summary = "MetalLB, which gives addresses to services", .values = ofMetallb},
    {.name = "traefik", .summary = "Traefik, an ingress controller", .values = ofIngress},
    {.name = "ingress-nginx", .summary = "ingress-nginx, an ingress controller", .values = ofIngress},
    {.name = "metrics-server", .summary = "metrics-server, for kubectl top and autoscaling", .values = ofMetricsServer},
    {.name = "local-path", .summary = "local-path, volumes in folders of the nodes", .values = ofLocalPath},
};

Place placeOf(std::size_t index) { return Place{}.member("addons").item(index); }

const AddonRow* rowOf(std::string_view name) {
  const auto row = std::ranges::find(rows, name, &AddonRow::name);
  return row == std::end(rows) ? nullptr : &*row;
}

bool isAmong(std::string_view name, std::span<const std::string_view> names) { return std::ranges::find(names, name) != names.end(); }

/// Values of others are told, lest somebody relies on them.
void checkNames(const AddonRow& row, const AddonValues& values, const Report& report, const Place& place) {
  const auto given = v1alpha1::encode(values);
  for (const auto& [name, value] : given.items()) {
    if (isAmong(name, row.values) || isAmong(name, ofAll)) continue;
    std::vector<std::string_view> known(row.values.begin(), row.values.end());
    known.insert(known.end(), std::begin(ofAll), std::end(ofAll));
    report.add(place.member(name), fmt::format("{} has no such value", row.name), fmt::format("of {}", fmt::join(known, ", ")));
  }
}

void checkImages(const AddonValues& values, const Report& report, const Place& place) {
  for (const auto& [image, instead] : values.images)
    if (!rules::isImageReference(instead)) report.add(place.member("images").member(image), fmt::format("\"{}\" is no name of an image", instead), "a name like 10.0.0.5:5000/metallb/speaker:v0.16.2");
}

void checkExposure(const AddonValues& values, const Report& report, const Place& place) {
  const auto& exposure = values.exposure;
  if (exposure == "externalIPs" && values.externalIPs.empty())
    report.add(place.member("externalIPs"), "exposure externalIPs needs addresses that lead to a node", "a list of addresses; or another exposure");
  if (!values.externalIPs.empty() && exposure != "externalIPs" && exposure != "loadBalancer")
    report.add(place.member("externalIPs"), "are for exposure externalIPs, or for loadBalancer", "exposure: externalIPs");
  if (values.nodePorts && exposure != "nodePort") report.add(place.member("nodePorts"), "are for exposure nodePort", "exposure: nodePort");
}

void checkPools(const AddonValues& values, const Report& report, const Place& place) {
  struct Range {
    std::pair<IpAddress, IpAddress> ends;
    std::string text, pool;
  };
  std::vector<Range> ranges;
  std::set<std::string> names;
  for (std::size_t at = 0; at < values.pools.size(); ++at) {
    const auto& pool = values.pools[at];
    const auto here = place.member("pools").item(at);
    if (!names.insert(pool.name).second) report.add(here.member("name"), fmt::format("\"{}\" is the name of another pool, too", pool.name), "each pool a name of its own");
    if (pool.addresses.empty()) report.add(here.member("addresses"), "the pool has no addresses", "a list of ranges like 10.0.0.240-10.0.0.250");
    for (std::size_t i = 0; i < pool.addresses.size(); ++i) {
      const auto ends = rules::parseAddressRange(pool.addresses[i]);
      if (!ends) continue;
      for (const auto& other : ranges)
        if (ends->first.family() == other.ends.first.family() && ends->first <= other.ends.second && other.ends.first <= ends->second)
          report.add(here.member("addresses").item(i), fmt::format("{} overlaps {} of the pool {}", pool.addresses[i], other.text, other.pool), "each address in one pool only");
      ranges.push_back({*ends, pool.addresses[i], pool.name});
    }
  }
}

/// The network that has an address of the range; empty: none.
std::string networkWith(const std::pair<IpAddress, IpAddress>& ends, const v1beta4::ClusterConfiguration& cluster) {
  for (const auto& [what, text] : {std::pair{"services", cluster.networking.serviceSubnet}, {"pods", cluster.networking.podSubnet}})
    for (const auto& subnet : parseSubnets(text).value_or(std::vector<Cidr>{}))
      if (subnet.contains(ends.first) || subnet.contains(ends.second) || (ends.first <= subnet.base() && subnet.base() <= ends.second && ends.first.family() == subnet.base().family()))
        return fmt::format("the cluster's {}, {}", what, subnet.string());
  return {};
}

} // namespace

std::span<const AddonRow> addonRows() { return rows; }

const Addon* findAddon(const std::vector<Addon>& addons, std::string_view name) {
  const auto found = std::ranges::find(addons, name, &Addon::name);
  return found == addons.end() ? nullptr : &*found;
}

Path manifestOf(const Addon& addon) { return addon.source.empty() ? paths::state / "manifests" / (addon.name + ".yaml") : Path(addon.source); }

std::vector<Value> documentsWithin(const Value& configMap) {
  std::vector<Value> documents;
  const auto* data = find(configMap, "data");
  if (stringAt(configMap, "kind") != "ConfigMap" || !data || !data->is_object()) return documents;
  for (const auto& [name, content] : data->items()) {
    if (!content.is_string() || !(name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"))) continue;
    try {
      for (auto& document : parseYaml(content.get<std::string>(), name)) documents.push_back(std::move(document.value));
    } catch (const Error&) {
      // A template, or a file of somebody's own kind.
    }
  }
  return documents;
}

void validateAddons(const std::vector<Addon>& addons, const Report& report) {
  const Addon* network = nullptr;
  std::set<std::string> names;
  for (std::size_t at = 0; at < addons.size(); ++at) {
    const auto& addon = addons[at];
    const auto* row = rowOf(addon.name);
    if (!row) continue; // the schema has complained
    if (!names.insert(addon.name).second) report.add(placeOf(at).member("name"), fmt::format("{} is in the list already", addon.name), "each add-on once");
    else if (row->podNetwork && network) report.add(placeOf(at).member("name"), fmt::format("{} is a pod network, and so is {}", addon.name, network->name), "one of them");
    if (row->podNetwork) network = &addon;
    if (!addon.values) continue;
    const auto place = placeOf(at).member("values");
    checkNames(*row, *addon.values, report, place);
    checkImages(*addon.values, report, place);
    checkExposure(*addon.values, report, place);
    checkPools(*addon.values, report, place);
    if (row->podNetwork && addon.values->interfaces.size() > 1)
      report.add(place.member("interfaces"), fmt::format("{} takes one interface", addon.name), "a list of one");
  }
}

void validateAddons(const std::vector<Addon>& addons, const v1beta4::ClusterConfiguration& cluster, const Report& report) {
  validateAddons(addons, report);
  for (std::size_t at = 0; at < addons.size(); ++at) {
    const auto* row = rowOf(addons[at].name);
    if (row && row->podNetwork && cluster.networking.podSubnet.empty())
      report.add(placeOf(at), fmt::format("{} has to know the range of pods, and nothing says it", row->name), "networking.podSubnet in the ClusterConfiguration, like 10.244.0.0/16");
    if (!addons[at].values) continue;
    for (std::size_t pool = 0; pool < addons[at].values->pools.size(); ++pool)
      for (std::size_t i = 0; i < addons[at].values->pools[pool].addresses.size(); ++i) {
        const auto& text = addons[at].values->pools[pool].addresses[i];
        const auto ends = rules::parseAddressRange(text);
        const auto network = ends ? networkWith(*ends, cluster) : "";
        if (!network.empty())
          report.add(placeOf(at).member("values").member("pools").item(pool).member("addresses").item(i), fmt::format("{} has addresses of {}", text, network),
                     "unused addresses of the nodes' own network");
      }
  }
}

} // namespace kubestrap::config
