#include "plan/change.hpp"

namespace kubestrap::plan {

std::string_view name(Verb verb) {
  switch (verb) {
  case Verb::wait: return "wait";
  case Verb::run: return "run";
  default: return futureTense(verb);
  }
}

std::string_view futureTense(Verb verb) {
  switch (verb) {
  case Verb::keep: return "keep";
  case Verb::create: return "create";
  case Verb::update: return "update";
  case Verb::remove: return "remove";
  case Verb::start: return "start";
  case Verb::stop: return "stop";
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
  case Verb::start: return "started";
  case Verb::stop: return "stopped";
  case Verb::wait: return "ready:";
  case Verb::run: return "done:";
  case Verb::unknown: return "applied";
  }
  return "";
}

} // namespace kubestrap::plan
