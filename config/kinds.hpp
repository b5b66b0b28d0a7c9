#pragma once

#include "config/schema.hpp"
#include "support/yaml.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::config {

/// A kind of document that kubestrap reads.
struct DocumentKind {
  std::string_view apiVersion, kind;
  const schema::Type* type;
  std::string_view doc;
  std::string_view reference = {}; ///< where a component explains its own fields
};

std::span<const DocumentKind> documentKinds();
const DocumentKind* findKind(std::string_view kind);

/// What happens to documents of groups that belong to nobody here: `init` reads past them as kubeadm does.
enum class Foreign { warn, refuse };

/// A document with the kind it is of.
struct Recognised {
  const DocumentKind* kind;
  const Document* document;
};

/// The documents of known kinds. Old, experimental, unknown and repeated ones are problems.
std::vector<Recognised> recognise(const std::vector<Document>& documents, Foreign foreign,
                                  std::vector<Problem>& problems, std::vector<std::string>& warnings);

} // namespace kubestrap::config
