#include "archive/spdx.hpp"

#include "support/encoding.hpp"

#include <fmt/format.h>

namespace kubestrap::archive {

namespace {

constexpr std::string_view document = "SPDXRef-DOCUMENT", noAssertion = "NOASSERTION";

/// Letters, digits, dots and dashes are what an identifier may have.
std::string identifier(std::string_view name) {
  std::string id = "SPDXRef-";
  for (const char c : name) id += std::isalnum(static_cast<unsigned char>(c)) || c == '.' ? c : '-';
  return id + "-" + sha256Hex(name).substr(0, 8);
}

Value package(const std::string& name, const std::string& version, const std::string& licence, std::string_view digest) {
  Value value{{"SPDXID", identifier(name)}, {"name", name}};
  if (!version.empty()) value["versionInfo"] = version;
  value.update({{"downloadLocation", noAssertion},
                {"filesAnalyzed", false},
                {"checksums", Value::array({Value{{"algorithm", "SHA256"}, {"checksumValue", digest}}})},
                {"licenseConcluded", noAssertion},
                {"licenseDeclared", licence},
                {"copyrightText", noAssertion}});
  return value;
}

} // namespace

std::string spdxOf(const Lock& lock, const std::string& created, const std::string& tool) {
  Value packages = Value::array(), relations = Value::array();
  const auto add = [&](Value one) {
    relations.push_back({{"spdxElementId", document}, {"relationshipType", "DESCRIBES"}, {"relatedSpdxElement", one["SPDXID"]}});
    packages.push_back(std::move(one));
  };
  for (const auto& member : lock.members)
    if (member.kind != Kind::blob && member.kind != Kind::list) add(package(member.path, member.version, member.licence, member.sha256));
  for (const auto& image : lock.images) add(package(image.name, image.version, image.licence, image.manifest.substr(image.manifest.find(':') + 1)));
  Value value{{"spdxVersion", "SPDX-2.3"},
              {"dataLicense", "CC0-1.0"},
              {"SPDXID", document},
              {"name", fmt::format("kubestrap bundle for {}", lock.architecture)},
              {"documentNamespace", fmt::format("https://kubestrap.io/spdx/{}", sha256Hex(packages.dump()))},
              {"creationInfo", {{"created", created}, {"creators", Value::array({"Tool: " + tool})}}},
              {"packages", std::move(packages)},
              {"relationships", std::move(relations)}};
  return value.dump(1) + '\n';
}

} // namespace kubestrap::archive
