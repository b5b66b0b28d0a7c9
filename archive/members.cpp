#include "archive/members.hpp"

#include "support/text.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>

namespace kubestrap::archive {

namespace {

using Code = KindRow::Code;
constexpr KindRow rows[] = {
    {Kind::program, "program", "bin/", 0755, "/usr/bin/", Code::machine, "programs: kubestrap, kubelet, kubectl, containerd, ctr, runc"},
    {Kind::cni, "cni", "cni/", 0755, "/opt/cni/bin/", Code::machine, "CNI plugins"},
    {Kind::unit, "unit", "units/", 0644, "/etc/systemd/system/", Code::any, "units of systemd"},
    {Kind::package, "package", "packages/", 0644, "/var/lib/kubestrap/packages/", Code::machine, "packages of the distribution"},
    {Kind::manifest, "manifest", "manifests/", 0644, "/var/lib/kubestrap/manifests/", Code::any, "add-ons, for kubectl apply"},
    {Kind::blob, "blob", "images/blobs/sha256/", 0644, "", Code::machine, "what images are made of"},
    {Kind::list, "list", "", 0644, "", Code::any, "the list of contents in SPDX"},
};

struct ArchitectureRow {
  std::string_view name, kernel;
  unsigned elf;                 ///< e_machine
  std::string_view debian, rpm; ///< in the names of packages
};
constexpr ArchitectureRow architectures[] = {
    {"amd64", "x86_64", 62, "amd64", "x86_64"},
    {"arm64", "aarch64", 183, "arm64", "aarch64"},
    {"s390x", "s390x", 22, "s390x", "s390x"},
    {"ppc64le", "ppc64le", 21, "ppc64el", "ppc64le"},
};

/// A kind of package: how its file's name ends, and whom it is for by its name.
struct PackageRow {
  std::string_view ending;
  std::string_view ArchitectureRow::*own;
  std::string_view any; ///< for all architectures
};
constexpr PackageRow packages[] = {{".deb", &ArchitectureRow::debian, "all"}, {".rpm", &ArchitectureRow::rpm, "noarch"}};

const PackageRow* packageRow(std::string_view name) {
  const auto* found = std::ranges::find_if(packages, [&](const PackageRow& row) { return name.ends_with(row.ending); });
  return found == std::end(packages) ? nullptr : found;
}

/// Cuts what stands behind the last `mark` off, and gives it; empty: there is none.
std::string_view cutLast(std::string_view& text, char mark) {
  const auto at = text.rfind(mark);
  if (at == text.npos) return {};
  const auto last = text.substr(at + 1);
  text = text.substr(0, at);
  return last;
}

bool isPlainName(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("._+~:@%-").find(c) != std::string_view::npos; };
  return !name.empty() && name.size() <= 200 && name.front() != '.' && name.front() != '-' && std::ranges::all_of(name, plain);
}

bool isDigest(std::string_view name) {
  return name.size() == 64 && std::ranges::all_of(name, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

} // namespace

std::span<const KindRow> kinds() { return rows; }

const KindRow& rowOf(Kind kind) { return *std::ranges::find(rows, kind, &KindRow::kind); }

const KindRow* findKind(std::string_view name) {
  const auto* found = std::ranges::find(rows, name, &KindRow::name);
  return found == std::end(rows) ? nullptr : found;
}

std::optional<Kind> kindOf(std::string_view path) {
  if (path == listName) return Kind::list;
  for (const auto& row : rows) {
    if (row.folder.empty() || !path.starts_with(row.folder)) continue;
    const auto name = path.substr(row.folder.size());
    if (row.kind == Kind::blob ? isDigest(name) : isPlainName(name)) return row.kind;
  }
  return std::nullopt;
}

std::optional<fs::path> placeOf(std::string_view path) {
  const auto kind = kindOf(path);
  if (!kind || rowOf(*kind).place.empty()) return std::nullopt;
  return fs::path(rowOf(*kind).place) / path.substr(rowOf(*kind).folder.size());
}

std::string blobPath(std::string_view digest) {
  constexpr std::string_view algorithm = "sha256:";
  if (digest.starts_with(algorithm)) digest.remove_prefix(algorithm.size());
  return fmt::format("{}{}", rowOf(Kind::blob).folder, digest);
}

std::optional<std::string> programArchitecture(std::string_view head) {
  if (head.size() < 20 || !head.starts_with("\x7f" "ELF")) return std::nullopt; // a script
  const bool bigEndian = head[5] == 2;
  const auto octet = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(head[at])); };
  const auto machine = bigEndian ? octet(18) << 8 | octet(19) : octet(19) << 8 | octet(18);
  const auto* found = std::ranges::find(architectures, machine, &ArchitectureRow::elf);
  return std::string(found == std::end(architectures) ? "another architecture" : found->name);
}

std::optional<std::string> foreignProgram(std::string_view head, std::string_view architecture) {
  const auto own = programArchitecture(head);
  if (!own || *own == architecture) return std::nullopt;
  return fmt::format("it is a program for {}, not for {}", *own, architecture);
}

std::string kernelName(std::string_view architecture) {
  const auto* found = std::ranges::find(architectures, architecture, &ArchitectureRow::name);
  return std::string(found == std::end(architectures) ? architecture : found->kernel);
}

std::optional<PackageName> packageName(std::string_view file) {
  const auto* row = packageRow(file);
  if (!row) return std::nullopt;
  file.remove_prefix(file.rfind('/') + 1); // npos + 1 is 0
  file.remove_suffix(row->ending.size());
  const bool debian = row->ending == ".deb";
  const auto architecture = cutLast(file, debian ? '_' : '.');
  if (debian) {
    const auto version = cutLast(file, '_');
    if (file.empty() || version.empty() || architecture.empty()) return std::nullopt;
    return PackageName{std::string(file), replaceAll(std::string(version), "%3a", ":"), std::string(architecture)};
  }
  const auto release = cutLast(file, '-'), version = cutLast(file, '-');
  if (file.empty() || version.empty() || release.empty() || architecture.empty()) return std::nullopt;
  return PackageName{std::string(file), fmt::format("{}-{}", version, release), std::string(architecture)};
}

std::optional<std::string> foreignPackage(std::string_view name, std::string_view architecture) {
  const auto* row = packageRow(name);
  if (!row) return "it is no package of Debian's kind (.deb) or of RPM's (.rpm)";
  const auto said = packageName(name);
  if (!said) return "its name does not say what it is: NAME_VERSION_ARCHITECTURE.deb, NAME-VERSION-RELEASE.ARCHITECTURE.rpm";
  if (said->architecture == row->any) return std::nullopt;
  const auto* known = std::ranges::find(architectures, said->architecture, row->own);
  const auto own = known == std::end(architectures) ? std::string_view(said->architecture) : known->name;
  if (known != std::end(architectures) && own == architecture) return std::nullopt;
  return fmt::format("it is a package for {}, not for {}", own, architecture);
}

std::string ownArchitecture() {
  utsname kernel{};
  uname(&kernel);
  const auto* found = std::ranges::find(architectures, std::string_view(kernel.machine), &ArchitectureRow::kernel);
  return std::string(found == std::end(architectures) ? std::string_view(kernel.machine) : found->name);
}

bool isArchitecture(std::string_view text) { return std::ranges::find(architectures, text, &ArchitectureRow::name) != std::end(architectures); }

} // namespace kubestrap::archive
