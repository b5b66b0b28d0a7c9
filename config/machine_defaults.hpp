#pragma once
// What a node's configuration leaves to the machine (kubeadm: util/config/initconfiguration.go). What cannot be found out is a problem
// at the field that would say it.

#include "config/facts.hpp"
#include "config/schema.hpp"
#include "config/v1beta4.hpp"

#include <string>
#include <vector>

namespace kubestrap::config {

/// The address at which others reach this node's API server; the machine's own where none is given.
IpAddress advertiseAddress(const v1beta4::ApiEndpoint& given, const schema::Place& place, const Facts& facts,
                           const schema::Report& report);
/// With its scheme; the runtime that the machine has where none is given.
std::string criSocket(const v1beta4::NodeRegistrationOptions& given, const Facts& facts, const schema::Report& report,
                      std::vector<std::string>& warnings);
/// The machine's host name, unless the configuration says another, unless the kubelet is told a third.
std::string nodeName(const v1beta4::NodeRegistrationOptions& given, const Facts& facts, const schema::Report& report);
/// systemd-resolved's own list of servers where it runs; empty: the machine's /etc/resolv.conf.
std::string resolvConf(const Facts& facts);
/// The kubelet's program where it is systemd that starts it, and its unit does not hand it our settings.
std::optional<Path> kubeletWithoutSettings(const Facts& facts);
/// Of flag and file together, lower-cased and sorted, as kubeadm has them.
std::vector<std::string> ignoredPreflightErrors(const std::optional<std::vector<std::string>>& flag,
                                                const v1beta4::NodeRegistrationOptions& given, const schema::Report& report);
/// The taint that keeps workloads off control planes.
std::vector<Value> defaultControlPlaneTaints();
std::vector<std::string> existingCaFolders(const Facts& facts);

} // namespace kubestrap::config
