#pragma once

#include "config/addon.hpp"
#include "config/schema.hpp"

#include <optional>
#include <string>
#include <vector>

// kubestrap.io/v1alpha1: what kubeadm's documents have no field for. Every name of the whole design is in the schema;
// one that does nothing yet is reserved, and giving it is an error that says so.
namespace kubestrap::config::v1alpha1 {

inline constexpr std::string_view apiVersion = "kubestrap.io/v1alpha1";
inline constexpr std::string_view kind = "KubestrapConfiguration";

struct Vip {
  std::string address, interface;
  int routerID = 0, priority = 0;
};

struct Endpoint {
  std::string mode;
  std::optional<Vip> vip;
};

struct Images {
  std::string front, vip;
};

struct Preflight {
  std::optional<std::vector<std::string>> fix;
};

struct Pki {
  std::string requests, policy;
};

struct EncryptionAtRest {
  std::string provider;
  std::optional<std::vector<std::string>> resources;
};

struct Audit {
  std::string policyFile, maxSize;
  std::optional<int> maxBackups; ///< 0 means all
};

struct Security {
  std::optional<EncryptionAtRest> encryptionAtRest;
  std::optional<Audit> audit;
};

struct KubestrapConfiguration {
  std::string layout, hosting;
  Endpoint endpoint;
  std::optional<Images> images;
  std::optional<Preflight> preflight;
  std::optional<Pki> pki;
  std::vector<Addon> addons;
  std::optional<Security> security;
  std::string bundle;   ///< of the machine that the command runs on, and not kept in the cluster
  bool offline = false; ///< the same
};

extern const schema::Type kubestrapConfiguration;

KubestrapConfiguration decode(const Value& document);
Value encode(const KubestrapConfiguration& configuration);
/// Those that were given, by their names.
Value encode(const AddonValues& values);
void applyDefaults(KubestrapConfiguration& configuration);

} // namespace kubestrap::config::v1alpha1
