#pragma once

#include "config/facts.hpp"
#include "config/kinds.hpp"
#include "config/model.hpp"
#include "config/token.hpp"
#include "support/yaml.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// The flags of `init` that say what is wanted, as given; an absent one is empty. `configFile` is the name given with
/// --config.
struct InitFlags {
  std::optional<std::string> configFile;
  std::optional<std::string> apiserverAdvertiseAddress, certDir, certificateKey, controlPlaneEndpoint, criSocket,
      featureGates, imageRepository, kubernetesVersion, layout, nodeName, patches, podNetworkCidr, serviceCidr,
      serviceDnsDomain, token, tokenTtl;
  std::optional<int> apiserverBindPort;
  std::optional<std::vector<std::string>> apiserverCertExtraSans, ignorePreflightErrors, skipPhases;
  /// "NAME=VALUE", of the phases that write the control plane's manifests.
  std::optional<std::vector<std::string>> apiserverExtraArgs, controllerManagerExtraArgs, schedulerExtraArgs;
  bool uploadCerts = false;
};

/// Everything for `init` from a configuration file (no documents: none was given), the flags, and what the machine is
/// like: strict decoding, kubeadm's rules for flags beside a file, defaults, validation. Warnings are sentences for the
/// operator. Throws Problems with everything that is wrong, each with its place and field.
Setup loadInit(const std::vector<Document>& documents, const InitFlags& flags, const Facts& facts,
               const RandomBytes& random, std::vector<std::string>& warnings);

/// All that is wrong with the documents of a file of any kinds, as `config validate` says it; nothing is taken from a
/// machine.
std::vector<Problem> validateDocuments(const std::vector<Document>& documents, std::vector<std::string>& warnings);
std::vector<Problem> validateDocuments(const std::vector<Document>& documents, Foreign foreign,
                                       std::vector<std::string>& warnings);

} // namespace kubestrap::config
