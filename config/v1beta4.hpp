#pragma once

#include "config/model.hpp"
#include "config/schema.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

// kubeadm.k8s.io/v1beta4 as it stands in files: "" and nothing mean "not set". model.hpp is what becomes of it.
namespace kubestrap::config::v1beta4 {

inline constexpr std::string_view apiVersion = "kubeadm.k8s.io/v1beta4";

using config::Arg;
using config::HostPathMount;

struct BootstrapToken {
  std::string token, description;
  std::optional<Duration> ttl;
  std::optional<TimePoint> expires;
  std::vector<std::string> usages, groups;
};

struct NodeRegistrationOptions {
  std::string name, criSocket;
  std::optional<std::vector<Value>> taints; ///< nothing: the role's own taint; empty: none
  std::vector<Arg> kubeletExtraArgs;
  std::vector<std::string> ignorePreflightErrors;
  std::string imagePullPolicy;
  std::optional<bool> imagePullSerial;
};

struct ApiEndpoint {
  std::string advertiseAddress;
  int bindPort = 0;
};

struct Patches {
  std::string directory;
};

struct Timeouts {
  std::optional<Duration> controlPlaneComponentHealthCheck, kubeletHealthCheck, kubernetesAPICall, etcdAPICall,
      tlsBootstrap, discovery, upgradeManifests;
};

struct InitConfiguration {
  std::vector<BootstrapToken> bootstrapTokens;
  bool dryRun = false;
  NodeRegistrationOptions nodeRegistration;
  ApiEndpoint localAPIEndpoint;
  std::string certificateKey;
  std::vector<std::string> skipPhases;
  std::optional<Patches> patches;
  std::optional<Timeouts> timeouts;
};

struct LocalEtcd {
  std::string imageRepository, imageTag, dataDir;
  std::vector<Arg> extraArgs;
  std::vector<Value> extraEnvs;
  std::vector<std::string> serverCertSANs, peerCertSANs;
};

struct ExternalEtcd {
  std::vector<std::string> endpoints, httpEndpoints;
  std::string caFile, certFile, keyFile;
};

struct Etcd {
  std::optional<LocalEtcd> local;
  std::optional<ExternalEtcd> external;
};

struct Networking {
  std::string serviceSubnet, podSubnet, dnsDomain;
};

struct ControlPlaneComponent {
  std::vector<Arg> extraArgs;
  std::vector<HostPathMount> extraVolumes;
  std::vector<Value> extraEnvs;
};

struct ApiServer {
  std::vector<Arg> extraArgs;
  std::vector<HostPathMount> extraVolumes;
  std::vector<Value> extraEnvs;
  std::vector<std::string> certSANs;
};

struct Dns {
  std::string imageRepository, imageTag;
  bool disabled = false;
};

struct Proxy {
  bool disabled = false;
};

struct ClusterConfiguration {
  Etcd etcd;
  Networking networking;
  std::string kubernetesVersion, controlPlaneEndpoint;
  ApiServer apiServer;
  ControlPlaneComponent controllerManager, scheduler;
  Dns dns;
  Proxy proxy;
  std::string certificatesDir, imageRepository;
  std::map<std::string, bool> featureGates;
  std::string clusterName, encryptionAlgorithm;
  std::optional<Duration> certificateValidityPeriod, caCertificateValidityPeriod;
};

struct BootstrapTokenDiscovery {
  std::string token, apiServerEndpoint;
  std::vector<std::string> caCertHashes;
  bool unsafeSkipCAVerification = false;
};

struct FileDiscovery {
  std::string kubeConfigPath;
};

struct Discovery {
  std::optional<BootstrapTokenDiscovery> bootstrapToken;
  std::optional<FileDiscovery> file;
  std::string tlsBootstrapToken;
};

struct JoinControlPlane {
  ApiEndpoint localAPIEndpoint;
  std::string certificateKey;
};

struct JoinConfiguration {
  bool dryRun = false;
  NodeRegistrationOptions nodeRegistration;
  std::string caCertPath;
  Discovery discovery;
  std::optional<JoinControlPlane> controlPlane; ///< set, even to {}: joins as a control plane node
  std::vector<std::string> skipPhases;
  std::optional<Patches> patches;
  std::optional<Timeouts> timeouts;
};

struct ResetConfiguration {
  bool cleanupTmpDir = false;
  std::string certificatesDir, criSocket;
  bool dryRun = false, force = false;
  std::vector<std::string> ignorePreflightErrors, skipPhases, unmountFlags;
  std::optional<Timeouts> timeouts;
};

struct UpgradeApplyConfiguration {
  std::string kubernetesVersion;
  std::optional<bool> allowExperimentalUpgrades, allowRCUpgrades, certificateRenewal, dryRun, etcdUpgrade, forceUpgrade;
  std::vector<std::string> ignorePreflightErrors;
  std::optional<Patches> patches;
  std::optional<bool> printConfig;
  std::vector<std::string> skipPhases;
  std::string imagePullPolicy;
  std::optional<bool> imagePullSerial;
};

struct UpgradeDiffConfiguration {
  std::string kubernetesVersion;
  int contextLines = 0;
};

struct UpgradeNodeConfiguration {
  std::optional<bool> certificateRenewal, dryRun, etcdUpgrade;
  std::vector<std::string> ignorePreflightErrors, skipPhases;
  std::optional<Patches> patches;
  std::string imagePullPolicy;
  std::optional<bool> imagePullSerial;
};

struct UpgradePlanConfiguration {
  std::string kubernetesVersion;
  std::optional<bool> allowExperimentalUpgrades, allowRCUpgrades, dryRun, etcdUpgrade;
  std::vector<std::string> ignorePreflightErrors;
  std::optional<bool> printConfig;
};

struct UpgradeConfiguration {
  UpgradeApplyConfiguration apply;
  UpgradeDiffConfiguration diff;
  UpgradeNodeConfiguration node;
  UpgradePlanConfiguration plan;
  std::optional<Timeouts> timeouts;
};

extern const schema::Type initConfiguration, clusterConfiguration, joinConfiguration, resetConfiguration,
    upgradeConfiguration;

/// The struct that a document says; what does not fit the schema is left unset (schema::check tells of it).
template <class Configuration> Configuration decode(const Value& document);
/// The document with apiVersion and kind, keys in alphabetical order.
template <class Configuration> Value encode(const Configuration& configuration);
/// Fills in every default that does not depend on the machine (kubeadm: v1beta4/defaults.go).
template <class Configuration> void applyDefaults(Configuration& configuration);

} // namespace kubestrap::config::v1beta4
