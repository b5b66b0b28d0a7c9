#include "config/bundle.hpp"

#include "config/rules.hpp"

namespace kubestrap::config {

namespace schema {

namespace {
constexpr std::string_view since = "v1alpha1";
} // namespace

// clang-format off: a line is a field
template <>
inline constexpr auto fieldsOf<BundleConfiguration> = std::array{
    field<&BundleConfiguration::architecture>({.name = "architecture", .doc = "For which machines it is: amd64, arm64. Without it, for those like this one.", .since = since}),
    field<&BundleConfiguration::kubernetesVersion>({.name = "kubernetesVersion", .doc = "The version of Kubernetes that it is for; the images of its control plane are asked for.", .since = since}),
    field<&BundleConfiguration::images>({.name = "images", .doc = "Images that are taken from the container runtime of this machine, which pulls those that it lacks.", .since = since}),
    field<&BundleConfiguration::versions>({.name = "versions", .doc = "Versions of parts, by path: bin/runc.", .since = since}),
    field<&BundleConfiguration::licences>({.name = "licences", .doc = "Licences of parts and images in the words of SPDX, by path or name.", .since = since}),
};
// clang-format on

} // namespace schema

const schema::Type bundleConfiguration{.kind = schema::Kind::record, .fields = schema::fieldsOf<BundleConfiguration>, .document = true};

BundleConfiguration decodeBundleConfiguration(const Value& document) {
  BundleConfiguration configuration;
  schema::get(document, configuration);
  return configuration;
}

} // namespace kubestrap::config
