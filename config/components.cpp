#include "config/components.hpp"

#include "config/rules.hpp"
#include "config/schema.hpp"
#include "support/ip.hpp"

#include <fmt/format.h>

namespace kubestrap::config {

namespace {

using schema::Field;
using schema::Kind;
using schema::Type;
using schema::Unset;

// The fields are those of k8s.io/kubelet/config/v1beta1, k8s.io/kube-proxy/config/v1alpha1 and what they embed of
// k8s.io/component-base, of 1.37. How an unset one is written follows from its Go type.

/// A plain member with omitempty.
constexpr Field plain(std::string_view name, const Type& type) {
  return {.name = name, .since = {}, .unset = Unset::omittedWhenZero, .type = &type};
}
/// A pointer with omitempty: false and 0 are values of their own.
constexpr Field pointer(std::string_view name, const Type& type) {
  return {.name = name, .since = {}, .unset = Unset::omitted, .type = &type};
}
/// A plain member without omitempty, or a struct (and a metav1.Duration is one), which omitempty does not leave out.
constexpr Field always(std::string_view name, const Type& type, std::string_view zero = {}) {
  return {.name = name, .otherwise = zero, .since = {}, .unset = Unset::zero, .type = &type};
}
/// A pointer or list without omitempty.
constexpr Field nullable(std::string_view name, const Type& type) {
  return {.name = name, .since = {}, .unset = Unset::null, .type = &type};
}
constexpr Field of(const schema::Rule& rule, Field line) {
  line.rule = &rule;
  return line;
}

constexpr Type text{.kind = Kind::text}, boolean{.kind = Kind::boolean}, integer{.kind = Kind::integer};
constexpr Type number{.kind = Kind::number}, duration{.kind = Kind::duration}, anything{.kind = Kind::any};
constexpr Type texts{.kind = Kind::list, .item = &text}, integers{.kind = Kind::list, .item = &integer};
constexpr Type anythings{.kind = Kind::list, .item = &anything};
constexpr Type textByName{.kind = Kind::map, .item = &text}, textsByName{.kind = Kind::map, .item = &texts};
constexpr Type booleanByName{.kind = Kind::map, .item = &boolean}, anythingByName{.kind = Kind::map, .item = &anything};

constexpr Field logOptionFields[] = {
    always("infoBufferSize", anything, "\"0\""),
    plain("splitStream", boolean),
};
constexpr Type logOptions{.kind = Kind::record, .fields = logOptionFields};
constexpr Field logFormatFields[] = {
    always("json", logOptions),
    always("text", logOptions),
};
constexpr Type logFormats{.kind = Kind::record, .fields = logFormatFields};
constexpr Field logVerbosityFields[] = {
    always("filePattern", text),
    always("verbosity", integer),
};
constexpr Type logVerbosity{.kind = Kind::record, .fields = logVerbosityFields};
constexpr Type logVerbosities{.kind = Kind::list, .item = &logVerbosity};
constexpr Field loggingFields[] = {
    always("flushFrequency", anything, "0"), plain("format", text),
    always("options", logFormats),           always("verbosity", integer),
    plain("vmodule", logVerbosities),
};
constexpr Type logging{.kind = Kind::record, .fields = loggingFields};

constexpr Field anonymousAuthenticationFields[] = {
    pointer("enabled", boolean),
};
constexpr Type anonymousAuthentication{.kind = Kind::record, .fields = anonymousAuthenticationFields};
constexpr Field webhookAuthenticationFields[] = {
    always("cacheTTL", duration),
    pointer("enabled", boolean),
};
constexpr Type webhookAuthentication{.kind = Kind::record, .fields = webhookAuthenticationFields};
constexpr Field x509AuthenticationFields[] = {
    plain("clientCAFile", text),
};
constexpr Type x509Authentication{.kind = Kind::record, .fields = x509AuthenticationFields};
constexpr Field authenticationFields[] = {
    always("anonymous", anonymousAuthentication),
    always("webhook", webhookAuthentication),
    always("x509", x509Authentication),
};
constexpr Type authentication{.kind = Kind::record, .fields = authenticationFields};
constexpr Field webhookAuthorizationFields[] = {
    always("cacheAuthorizedTTL", duration),
    always("cacheUnauthorizedTTL", duration),
};
constexpr Type webhookAuthorization{.kind = Kind::record, .fields = webhookAuthorizationFields};
constexpr Field authorizationFields[] = {
    plain("mode", text),
    always("webhook", webhookAuthorization),
};
constexpr Type authorization{.kind = Kind::record, .fields = authorizationFields};
constexpr Field crashLoopBackOffFields[] = {
    pointer("maxContainerRestartPeriod", duration),
};
constexpr Type crashLoopBackOff{.kind = Kind::record, .fields = crashLoopBackOffFields};
constexpr Field memorySwapFields[] = {
    plain("swapBehavior", text),
};
constexpr Type memorySwap{.kind = Kind::record, .fields = memorySwapFields};
constexpr Field memoryReservationFields[] = {
    always("limits", anythingByName),
    always("numaNode", integer),
};
constexpr Type memoryReservation{.kind = Kind::record, .fields = memoryReservationFields};
constexpr Type memoryReservationList{.kind = Kind::list, .item = &memoryReservation};
constexpr Field shutdownGracePeriodByPodPriorityFields[] = {
    always("priority", integer),
    always("shutdownGracePeriodSeconds", integer),
};
constexpr Type shutdownGracePeriodByPodPriority{.kind = Kind::record, .fields = shutdownGracePeriodByPodPriorityFields};
constexpr Type shutdownGracePeriodByPodPriorityList{.kind = Kind::list, .item = &shutdownGracePeriodByPodPriority};
constexpr Field tracingFields[] = {
    pointer("endpoint", text),
    pointer("samplingRatePerMillion", integer),
};
constexpr Type tracing{.kind = Kind::record, .fields = tracingFields};
constexpr Field userNamespacesFields[] = {
    pointer("idsPerPod", integer),
};
constexpr Type userNamespaces{.kind = Kind::record, .fields = userNamespacesFields};
constexpr Field kubeletFields[] = {
    plain("address", text),
    plain("allowedUnsafeSysctls", texts),
    always("authentication", authentication),
    always("authorization", authorization),
    plain("cgroupDriver", text),
    plain("cgroupRoot", text),
    pointer("cgroupsPerQOS", boolean),
    plain("clusterDNS", texts),
    plain("clusterDomain", text),
    plain("configMapAndSecretChangeDetectionStrategy", text),
    pointer("containerLogMaxFiles", integer),
    plain("containerLogMaxSize", text),
    pointer("containerLogMaxWorkers", integer),
    pointer("containerLogMonitorInterval", duration),
    always("containerRuntimeEndpoint", text),
    plain("contentType", text),
    pointer("cpuCFSQuota", boolean),
    pointer("cpuCFSQuotaPeriod", duration),
    plain("cpuManagerPolicy", text),
    plain("cpuManagerPolicyOptions", textByName),
    always("cpuManagerReconcilePeriod", duration),
    always("crashLoopBackOff", crashLoopBackOff),
    plain("defaultPodSysctls", textByName),
    plain("enableContentionProfiling", boolean),
    pointer("enableControllerAttachDetach", boolean),
    pointer("enableDebugFlagsHandler", boolean),
    pointer("enableDebuggingHandlers", boolean),
    pointer("enableProfilingHandler", boolean),
    pointer("enableServer", boolean),
    pointer("enableSystemLogHandler", boolean),
    pointer("enableSystemLogQuery", boolean),
    plain("enforceNodeAllocatable", texts),
    plain("eventBurst", integer),
    pointer("eventRecordQPS", integer),
    plain("evictionHard", textByName),
    plain("evictionMaxPodGracePeriod", integer),
    plain("evictionMinimumReclaim", textByName),
    always("evictionPressureTransitionPeriod", duration),
    plain("evictionSoft", textByName),
    plain("evictionSoftGracePeriod", textByName),
    pointer("failCgroupV1", boolean),
    pointer("failSwapOn", boolean),
    plain("featureGates", booleanByName),
    always("fileCheckFrequency", duration),
    plain("hairpinMode", text),
    plain("healthzBindAddress", text),
    pointer("healthzPort", integer),
    always("httpCheckFrequency", duration),
    pointer("imageGCHighThresholdPercent", integer),
    pointer("imageGCLowThresholdPercent", integer),
    always("imageMaximumGCAge", duration),
    always("imageMinimumGCAge", duration),
    plain("imagePullCredentialsVerificationPolicy", text),
    plain("imageServiceEndpoint", text),
    pointer("iptablesDropBit", integer),
    pointer("iptablesMasqueradeBit", integer),
    plain("kernelMemcgNotification", boolean),
    plain("kubeAPIBurst", integer),
    pointer("kubeAPIQPS", integer),
    plain("kubeReserved", textByName),
    plain("kubeReservedCgroup", text),
    plain("kubeletCgroups", text),
    pointer("localStorageCapacityIsolation", boolean),
    always("logging", logging),
    pointer("makeIPTablesUtilChains", boolean),
    plain("maxOpenFiles", integer),
    pointer("maxParallelImagePulls", integer),
    plain("maxPods", integer),
    plain("memoryManagerPolicy", text),
    plain("memoryReservationPolicy", text),
    always("memorySwap", memorySwap),
    pointer("memoryThrottlingFactor", number),
    pointer("mergeDefaultEvictionSettings", boolean),
    plain("nodeLeaseDurationSeconds", integer),
    pointer("nodeStatusMaxImages", integer),
    always("nodeStatusReportFrequency", duration),
    always("nodeStatusUpdateFrequency", duration),
    pointer("oomScoreAdj", integer),
    plain("podCIDR", text),
    plain("podLogsDir", text),
    pointer("podPidsLimit", integer),
    plain("podsPerCore", integer),
    plain("port", integer),
    plain("preloadedImagesVerificationAllowlist", texts),
    plain("protectKernelDefaults", boolean),
    plain("providerID", text),
    plain("qosReserved", textByName),
    plain("readOnlyPort", integer),
    pointer("registerNode", boolean),
    plain("registerWithTaints", anythings),
    plain("registryBurst", integer),
    pointer("registryPullQPS", integer),
    plain("reservedMemory", memoryReservationList),
    plain("reservedSystemCPUs", text),
    pointer("resolvConf", text),
    plain("rotateCertificates", boolean),
    plain("runOnce", boolean),
    always("runtimeRequestTimeout", duration),
    pointer("seccompDefault", boolean),
    pointer("serializeImagePulls", boolean),
    plain("serverTLSBootstrap", boolean),
    plain("showHiddenMetricsForVersion", text),
    always("shutdownGracePeriod", duration),
    plain("shutdownGracePeriodByPodPriority", shutdownGracePeriodByPodPriorityList),
    always("shutdownGracePeriodCriticalPods", duration),
    pointer("singleProcessOOMKill", boolean),
    plain("staticPodPath", text),
    plain("staticPodURL", text),
    plain("staticPodURLHeader", textsByName),
    always("streamingConnectionIdleTimeout", duration),
    always("syncFrequency", duration),
    plain("systemCgroups", text),
    plain("systemReserved", textByName),
    plain("systemReservedCgroup", text),
    plain("tlsCertFile", text),
    plain("tlsCipherSuites", texts),
    plain("tlsCurvePreferences", integers),
    plain("tlsMinVersion", text),
    plain("tlsPrivateKeyFile", text),
    plain("topologyManagerPolicy", text),
    plain("topologyManagerPolicyOptions", textByName),
    plain("topologyManagerScope", text),
    pointer("tracing", tracing),
    pointer("userNamespaces", userNamespaces),
    plain("volumePluginDir", text),
    always("volumeStatsAggPeriod", duration),
};

constexpr Field clientConnectionFields[] = {
    always("acceptContentTypes", text), always("burst", integer), always("contentType", text),
    always("kubeconfig", text),         always("qps", number),
};
constexpr Type clientConnection{.kind = Kind::record, .fields = clientConnectionFields};
constexpr Field conntrackFields[] = {
    nullable("maxPerCore", integer),
    nullable("min", integer),
    always("tcpBeLiberal", boolean),
    nullable("tcpCloseWaitTimeout", duration),
    nullable("tcpEstablishedTimeout", duration),
    always("udpStreamTimeout", duration),
    always("udpTimeout", duration),
};
constexpr Type conntrack{.kind = Kind::record, .fields = conntrackFields};
constexpr Field detectLocalFields[] = {
    always("bridgeInterface", text),
    always("interfaceNamePrefix", text),
};
constexpr Type detectLocal{.kind = Kind::record, .fields = detectLocalFields};
constexpr Field ipTablesFields[] = {
    nullable("localhostNodePorts", boolean), always("masqueradeAll", boolean), nullable("masqueradeBit", integer),
    always("minSyncPeriod", duration),       always("syncPeriod", duration),
};
constexpr Type ipTables{.kind = Kind::record, .fields = ipTablesFields};
constexpr Field ipvsFields[] = {
    nullable("excludeCIDRs", texts), always("minSyncPeriod", duration), always("scheduler", text),
    always("strictARP", boolean),    always("syncPeriod", duration),    always("tcpFinTimeout", duration),
    always("tcpTimeout", duration),  always("udpTimeout", duration),
};
constexpr Type ipvs{.kind = Kind::record, .fields = ipvsFields};
constexpr Field nfTablesFields[] = {
    always("masqueradeAll", boolean),
    nullable("masqueradeBit", integer),
    always("minSyncPeriod", duration),
    always("syncPeriod", duration),
};
constexpr Type nfTables{.kind = Kind::record, .fields = nfTablesFields};
constexpr Field winkernelFields[] = {
    always("enableDSR", boolean), always("forwardHealthCheckVip", boolean),
    always("networkName", text),  always("rootHnsEndpointName", text),
    always("sourceVip", text),
};
constexpr Type winkernel{.kind = Kind::record, .fields = winkernelFields};
constexpr Field kubeProxyFields[] = {
    always("bindAddress", text),
    always("bindAddressHardFail", boolean),
    always("clientConnection", clientConnection),
    always("clusterCIDR", text),
    always("configSyncPeriod", duration),
    always("conntrack", conntrack),
    always("detectLocal", detectLocal),
    always("detectLocalMode", text),
    always("enableProfiling", boolean),
    plain("featureGates", booleanByName),
    always("healthzBindAddress", text),
    always("hostnameOverride", text),
    always("iptables", ipTables),
    always("ipvs", ipvs),
    always("logging", logging),
    always("metricsBindAddress", text),
    of(rules::proxyMode, always("mode", text)),
    always("nftables", nfTables),
    nullable("nodePortAddresses", texts),
    nullable("oomScoreAdj", integer),
    always("portRange", text),
    always("showHiddenMetricsForVersion", text),
    plain("windowsRunAsService", boolean),
    always("winkernel", winkernel),
};

constexpr std::string_view kubeletKind = "KubeletConfiguration", proxyKind = "KubeProxyConfiguration";
constexpr std::string_view proxyKubeconfig = "/var/lib/kube-proxy/kubeconfig.conf";

bool unset(const Value& document, const Pointer& at) {
  if (!document.contains(at)) return true;
  const Value& value = document.at(at);
  return value.is_null() || value == Value("");
}

/// A value that kubeadm recommends: filled in when nothing was said, and warned of when something else was.
void recommend(Value& document, std::string_view kind, const std::string& pointer, const Value& value,
               std::vector<std::string>& warnings) {
  const Pointer at(pointer);
  if (unset(document, at)) {
    document[at] = value;
  } else if (document.at(at) != value) {
    warnings.push_back(fmt::format("{}: {} is {}, recommended is {}", kind, replaceAll(pointer.substr(1), "/", "."),
                                   document.at(at).dump(), value.dump()));
  }
}

bool isWildcard(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

} // namespace

const Type kubeletConfiguration{.kind = Kind::record, .fields = kubeletFields, .document = true};
const Type kubeProxyConfiguration{.kind = Kind::record, .fields = kubeProxyFields, .document = true};

// kubeadm: componentconfigs/kubelet.go
Value defaultKubelet(Value document, const Cluster& cluster, std::vector<std::string>& warnings) {
  document["apiVersion"] = kubeletApiVersion;
  document["kind"] = kubeletKind;
  const std::pair<const char*, Value> recommended[] = {
      {"/staticPodPath", paths::manifests.string()},
      {"/clusterDNS", Value::array({cluster.networks.dnsServiceAddress().string()})},
      {"/clusterDomain", cluster.networks.dnsDomain},
      {"/authentication/x509/clientCAFile", (cluster.pki.folder / "ca.crt").string()},
      {"/authentication/anonymous/enabled", false},
      {"/authentication/webhook/enabled", true},
      {"/authorization/mode", "Webhook"},
      {"/healthzBindAddress", "127.0.0.1"},
      {"/healthzPort", 10248},
  };
  for (const auto& [pointer, value] : recommended) recommend(document, kubeletKind, pointer, value, warnings);
  if (!unset(document, Pointer("/readOnlyPort")) && document["readOnlyPort"] != 0)
    warnings.push_back(fmt::format("{}: readOnlyPort {} serves without authentication, recommended is 0", kubeletKind,
                                   document["readOnlyPort"].dump()));
  if (!unset(document, Pointer("/rotateCertificates")) && document["rotateCertificates"] == false)
    warnings.push_back(fmt::format(
        "{}: rotateCertificates is always true, since nothing else renews the kubelet's certificate", kubeletKind));
  document["rotateCertificates"] = true;
  if (unset(document, Pointer("/cgroupDriver"))) document["cgroupDriver"] = "systemd";
  return schema::normalize(document, kubeletConfiguration);
}

// kubeadm: componentconfigs/kubeproxy.go
Value defaultProxy(Value document, const Cluster& cluster, const IpAddress& advertised,
                   std::vector<std::string>& warnings) {
  document["apiVersion"] = proxyApiVersion;
  document["kind"] = proxyKind;
  const auto wildcard = [](const IpAddress& like) { return like.isV6() ? "::" : "0.0.0.0"; };
  if (unset(document, Pointer("/bindAddress"))) {
    document["bindAddress"] = wildcard(advertised);
  } else if (const std::string bound = stringAt(document, "bindAddress"); !isWildcard(bound)) {
    auto address = IpAddress::parse(bound);
    warnings.push_back(
        address ? fmt::format("{}: bindAddress is \"{}\", recommended is \"{}\"", proxyKind, bound, wildcard(*address))
                : fmt::format("{}: bindAddress \"{}\" is not an IP address", proxyKind, bound));
  }
  if (!cluster.networks.podSubnet.empty())
    recommend(document, proxyKind, "/clusterCIDR", cluster.networks.podSubnet, warnings);
  recommend(document, proxyKind, "/clientConnection/kubeconfig", proxyKubeconfig, warnings);
  if (stringAt(document, "mode") == "ipvs")
    warnings.push_back(fmt::format(
        "{}: mode \"ipvs\" is deprecated since 1.35; \"nftables\" is its successor, \"iptables\" the default",
        proxyKind));
  if (unset(document, Pointer("/mode"))) document["mode"] = "iptables";
  return schema::normalize(document, kubeProxyConfiguration);
}

} // namespace kubestrap::config
