#pragma once

#include "config/model.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// A file of the patches directory as the caller read it; sub-directories are walked.
struct PatchFile {
  std::string name; ///< relative to the directory: "kube-apiserver0+merge.yaml", "more/etcd.json"
  std::string text;
};

/// "kube-apiserver", as it is written in file names.
std::string_view name(Patch::Target target);

/// The patches in those files in the order they are applied: lexical by path, documents in their order. Files with
/// another name or extension, and empty ones, are ignored with a warning. Throws Problems for an unknown patch type
/// after "+" and for files that cannot be parsed (kubeadm: util/patches/patches.go).
std::vector<Patch> parsePatches(std::vector<PatchFile> files, std::vector<std::string>& warnings);

/// The document with all patches for `target` applied in order. Throws Error that names the file of the one that does
/// not fit.
Value applyPatches(const Value& document, Patch::Target target, const std::vector<Patch>& patches);

} // namespace kubestrap::config
