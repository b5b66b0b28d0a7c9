#pragma once

#include "config/schema.hpp"
#include "config/v1alpha1.hpp"
#include "config/v1beta4.hpp"
#include "support/ip.hpp"
#include "support/version.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// "10.96.0.0/12" or "10.96.0.0/12,fd00:10:96::/112"; nothing when one is no range.
std::optional<std::vector<Cidr>> parseSubnets(std::string_view text);

/// The value of the last argument of that name.
std::optional<std::string> lastArgument(const std::vector<Arg>& arguments, std::string_view name);

// What concerns several fields at once, or more than a field's own rule (kubeadm: apis/kubeadm/validation). The
// configuration has its static defaults; what schema::check has already complained of is not complained of again.
void validate(const v1beta4::ClusterConfiguration& configuration, const schema::Report& report,
              std::vector<std::string>& warnings);
void validate(const v1beta4::InitConfiguration& configuration, const schema::Report& report,
              std::vector<std::string>& warnings);
void validate(const v1beta4::JoinConfiguration& configuration, const schema::Report& report,
              std::vector<std::string>& warnings);
void validate(const v1beta4::ResetConfiguration& configuration, const schema::Report& report,
              std::vector<std::string>& warnings);
void validate(const v1beta4::UpgradeConfiguration& configuration, const schema::Report& report,
              std::vector<std::string>& warnings);

/// API servers do not begin by a file that encrypts nothing, or one thing twice.
void validateSecurity(const v1alpha1::KubestrapConfiguration& kubestrap, const schema::Report& report);
/// How the control plane is reached, and at which name.
void validate(const v1alpha1::KubestrapConfiguration& kubestrap, const v1beta4::ClusterConfiguration& cluster,
              const schema::Report& kubestrapReport, const schema::Report& clusterReport);

/// Feature gates must be known to the bootstrapper of that Kubernetes version.
void validateFeatureGates(const std::map<std::string, bool>& gates, const Version& version,
                          const schema::Report& report, std::vector<std::string>& warnings);

} // namespace kubestrap::config
