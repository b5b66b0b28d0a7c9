#pragma once
// archive/ is the bundle: one file with all that a machine without a network needs. It knows how parts are packed, named, signed and
// verified, and nothing of phases; what a bundle says becomes true by the engine, as everything does.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kubestrap::archive {

namespace fs = std::filesystem;

/// What a part of a bundle is for.
enum class Kind { program, cni, unit, package, manifest, blob, list };

/// A kind: the folder that its parts lie in, in the bundle and in the folder that it is made from, and where they go on a machine.
struct KindRow {
  Kind kind = Kind::program;
  std::string_view name, folder;
  unsigned mode = 0644;
  std::string_view place; ///< empty: nowhere of itself
  enum class Code { machine, any } code = Code::any; ///< whether it is made for one architecture
  std::string_view doc;
};
std::span<const KindRow> kinds();
const KindRow& rowOf(Kind kind);
/// The kind by its name, or nullptr.
const KindRow* findKind(std::string_view name);

inline constexpr std::string_view lockName = "bundle.lock.json", signatureName = "bundle.lock.sig", deltaName = "bundle.delta.json", listName = "bundle.spdx.json";

/// The kind of a part by its path; nothing for a path that no part has: every path is a folder of the table and a plain name in it, so
/// that none can lead elsewhere.
std::optional<Kind> kindOf(std::string_view path);
/// Where a part goes on a machine; nothing: nowhere of itself.
std::optional<fs::path> placeOf(std::string_view path);
std::string blobPath(std::string_view digest); ///< of "sha256:..." or the 64 digits alone

/// Of a program that begins with these octets: "amd64", or "another architecture"; nothing: it does not say, as a script.
std::optional<std::string> programArchitecture(std::string_view head);
/// What `uname -m` says on machines of an architecture: "x86_64".
std::string kernelName(std::string_view architecture);
/// Why a part that begins with these octets does not run on an architecture; nothing: it may.
std::optional<std::string> foreignProgram(std::string_view head, std::string_view architecture);
/// What the name of a package's file says.
struct PackageName {
  std::string name, version, architecture; ///< "conntrack", "1:1.4.7-1", "amd64"; names of files may leave the epoch out
};
/// Nothing for what is neither NAME_VERSION_ARCHITECTURE.deb nor NAME-VERSION-RELEASE.ARCHITECTURE.rpm.
std::optional<PackageName> packageName(std::string_view file);
/// The same of a package, by its file's name: nothing only for one of this architecture, or of all.
std::optional<std::string> foreignPackage(std::string_view name, std::string_view architecture);
/// "amd64" or "arm64", of this machine.
std::string ownArchitecture();
bool isArchitecture(std::string_view text);

} // namespace kubestrap::archive
