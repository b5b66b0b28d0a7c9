#include "plan/change.hpp"

namespace kubestrap::plan {

std::string_view futureTense(Verb verb) {
  switch (verb) {
  case Verb::keep: return "keep";
  case Verb::create: return "create";
  case Verb::update: return "update";
  case Verb::remove: return "remove";
  case Verb::wait: return "wait until";
  case Verb::run: return "do";
  case Verb::unknown: return "apply";
  }
  return "";
}

std::string_view pastTense(Verb verb) {
  switch (verb) {
  case Verb::keep: return "kept";
  case Verb::create: return "created";
  case Verb::update: return "updated";
  case Verb::remove: return "removed";
  case Verb::wait: return "ready:";
  case Verb::run: return "done:";
  case Verb::unknown: return "applied";
  }
  return "";
}

} // namespace kubestrap::plan
