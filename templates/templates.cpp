#include "templates/templates.hpp"

#include "support/error.hpp"
#include "templates/table.hpp"

#include <string>

namespace kubestrap::templates {

std::string_view text(std::string_view name) {
  for (const Text& row : texts())
    if (row.name == name) return row.content;
  throw Error("no text named " + std::string(name) + " is built into this program",
              "this is a defect; please report it");
}

} // namespace kubestrap::templates
