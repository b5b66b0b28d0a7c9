#pragma once

#include "plan/run.hpp"

namespace kubestrap::plan {

/// Says nothing: what is planned is only counted.
class Silent : public Reporter {
public:
  void phaseBegins(std::string_view, std::string_view) override {}
  void phaseEnds(std::string_view) override {}
  void phaseSkipped(std::string_view) override {}
  void planned(std::string_view, const Change&) override {}
  void done(std::string_view, const Change&, Duration) override {}
  void waiting(std::string_view, const Change&, Duration, Duration, std::string_view) override {}
  void warning(std::string_view, std::string_view) override {}
};

} // namespace kubestrap::plan
