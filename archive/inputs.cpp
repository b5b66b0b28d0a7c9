#include "archive/inputs.hpp"

#include "archive/package.hpp"
#include "archive/reader.hpp"
#include "config/load.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::archive {

namespace {

constexpr std::string_view configurationFile = "bundle.yaml", archivesFolder = "images/";

/// Makers whose terms are known: of programs by their names, of images by how they begin.
struct LicenceRow {
  std::string_view begins, licence;
};
constexpr LicenceRow licences[] = {
    {"bin/kube", "Apache-2.0"},     {"bin/containerd", "Apache-2.0"}, {"bin/ctr", "Apache-2.0"},           {"bin/runc", "Apache-2.0"},
    {"bin/crictl", "Apache-2.0"},   {"bin/etcd", "Apache-2.0"},       {"cni/", "Apache-2.0"},              {"registry.k8s.io/", "Apache-2.0"},
    {"kubestrap.io/", "Apache-2.0"},
};

std::vector<fs::path> sortedFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::string fileNameOf(const PackageDescription& package) { return fmt::format("{}_{}_{}.deb", package.name, replaceAll(package.version, ":", "%3a"), package.architecture); }

/// Where it is installed, its file's name says what is to be there: why that would not be so; nothing: it is, or nobody knows.
std::optional<std::string> mislabelled(const std::string& name, const PackageDescription& package) {
  const auto said = packageName(name);
  if (!said || package.name.empty()) return std::nullopt;
  const auto plain = [](const std::string& version) { return version.substr(version.find(':') == std::string::npos ? 0 : version.find(':') + 1); };
  if (said->name == package.name && plain(said->version) == plain(package.version) && said->architecture == package.architecture) return std::nullopt;
  return fmt::format("is called so, and is {} {} for {}", package.name, package.version, package.architecture);
}

std::string versionOf(const Member& member, const std::string& name, const PackageDescription& package, const config::BundleConfiguration& configuration) {
  if (const auto said = configuration.versions.find(member.path); said != configuration.versions.end()) return said->second;
  if (!package.version.empty()) return package.version;
  if (member.kind == Kind::package) return packageName(name).value_or(PackageName{}).version;
  const bool ofKubernetes = member.path == "bin/kubelet" || member.path == "bin/kubectl" || member.path == "bin/kubeadm";
  return ofKubernetes ? configuration.kubernetesVersion : "";
}

config::BundleConfiguration configurationIn(const fs::path& file) {
  config::BundleConfiguration configuration;
  if (!fs::exists(file)) return configuration;
  std::string text;
  const auto next = bytesOf(file);
  for (auto piece = next(); !piece.empty(); piece = next()) text += piece;
  std::vector<std::string> warnings;
  const auto documents = parseYaml(text, file.string());
  if (documents.size() != 1 || stringAt(documents.front().value, "kind") != config::bundleConfigurationKind)
    throw Error(fmt::format("{} is not one {}", file.string(), config::bundleConfigurationKind), "kubestrap config explain BundleConfiguration says what may be in it", ExitCode::usage);
  if (auto problems = config::validateDocuments(documents, config::Foreign::refuse, warnings); !problems.empty()) throw Problems(std::move(problems));
  return config::decodeBundleConfiguration(documents.front().value);
}

void takeFolder(const fs::path& folder, Inputs& inputs, std::vector<Problem>& problems) {
  const auto prefix = folder.filename().string() + "/";
  const auto row = std::ranges::find_if(kinds(), [&](const KindRow& each) { return each.folder == prefix && each.kind != Kind::blob; });
  if (row == kinds().end() && prefix != archivesFolder) {
    problems.push_back({.where = folder.string(), .message = "no part of a bundle lies in a folder of this name", .expected = "bin, cni, units, packages, manifests or images"});
    return;
  }
  for (const auto& file : sortedFiles(folder)) {
    const auto name = file.filename().string();
    if (!fs::is_regular_file(file)) {
      problems.push_back({.where = file.string(), .message = "is no file"});
    } else if (prefix == archivesFolder) {
      inputs.archives.push_back(file);
    } else if (const auto kind = kindOf(prefix + name)) {
      Member member{.path = prefix + name, .kind = *kind, .version = {}, .sha256 = {}, .licence = {}};
      const auto package = *kind == Kind::package ? describePackage(file) : PackageDescription{};
      if (auto problem = mislabelled(name, package)) problems.push_back({.where = file.string(), .message = *problem, .expected = fileNameOf(package)});
      member.version = versionOf(member, name, package, inputs.configuration);
      const auto said = inputs.configuration.licences.find(member.path);
      member.licence = said != inputs.configuration.licences.end() ? said->second : !package.licence.empty() ? package.licence : usualLicence(member.path);
      inputs.files.push_back({file, std::move(member)});
    } else {
      problems.push_back({.where = file.string(), .message = "has a name that no part can have", .expected = "letters, digits, and - . _ + ~ : @ %"});
    }
  }
}

/// What is said of parts that there are not: a typing error.
void checkNames(const std::map<std::string, std::string>& said, std::string_view field, const Inputs& inputs, const fs::path& file, std::vector<Problem>& problems) {
  for (const auto& entry : said) {
    const auto& name = entry.first;
    if (rowOf(kindOf(name).value_or(Kind::list)).kind != Kind::list && std::ranges::none_of(inputs.files, [&](const Input& each) { return each.member.path == name; }))
      problems.push_back({.where = file.string(), .field = fmt::format("{}.{}", field, name), .message = "there is no such part"});
  }
}

} // namespace

std::string usualLicence(std::string_view name) {
  const auto* found = std::ranges::find_if(licences, [&](const LicenceRow& row) { return name.starts_with(row.begins); });
  return found == std::end(licences) ? "NOASSERTION" : std::string(found->licence);
}

Inputs inputsIn(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw Error(fmt::format("there is no folder {}", folder.string()), "kubestrap bundle create FILE --from FOLDER", ExitCode::usage);
  Inputs inputs;
  std::vector<Problem> problems;
  inputs.configuration = configurationIn(folder / configurationFile);
  if (inputs.configuration.architecture.empty()) inputs.configuration.architecture = ownArchitecture();
  if (!isArchitecture(inputs.configuration.architecture))
    problems.push_back({.where = (folder / configurationFile).string(), .field = "architecture", .message = fmt::format("\"{}\" is not known", inputs.configuration.architecture), .expected = "amd64 or arm64"});
  for (const auto& each : sortedFiles(folder)) {
    if (fs::is_directory(each)) takeFolder(each, inputs, problems);
    else if (each.filename() != configurationFile) problems.push_back({.where = each.string(), .message = "does not lie in a folder that says what it is", .expected = "bin, cni, units, packages, manifests or images"});
  }
  checkNames(inputs.configuration.versions, "versions", inputs, folder / configurationFile, problems);
  checkNames(inputs.configuration.licences, "licences", inputs, folder / configurationFile, problems);
  if (!problems.empty()) throw Problems(std::move(problems));
  return inputs;
}

} // namespace kubestrap::archive
