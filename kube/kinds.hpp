#pragma once

#include <span>
#include <string_view>

namespace kubestrap::kube {

enum class Scope { nameSpaced, cluster };

/// How the API server calls the objects of one kind in its URLs.
struct Kind {
  std::string_view apiVersion, kind, plural;
  Scope scope = Scope::nameSpaced;
};

/// "apps" of "apps/v1"; "" for the core group.
constexpr std::string_view groupOf(std::string_view apiVersion) {
  const auto slash = apiVersion.find('/');
  return slash == std::string_view::npos ? std::string_view() : apiVersion.substr(0, slash);
}

/// Every kind that a bootstrapper touches.
std::span<const Kind> kinds();
/// nullptr when the table does not have it.
const Kind* findKind(std::string_view apiVersion, std::string_view kind);
const Kind* findPlural(std::string_view apiVersion, std::string_view plural);

} // namespace kubestrap::kube
