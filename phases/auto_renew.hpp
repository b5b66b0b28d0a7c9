#pragma once
// Renewal by the machine's own timer: a look every day, and new certificates for what ends soon.

#include "config/paths.hpp"
#include "plan/resource.hpp"

#include <string>

namespace kubestrap::phases {

/// The unit, as services are named: with its ending, since it is a timer.
inline constexpr const char* renewalTimer = "kubestrap-renew.timer";
inline const config::Path renewalTimerFile = "/etc/systemd/system/kubestrap-renew.timer";
inline const config::Path renewalServiceFile = "/etc/systemd/system/kubestrap-renew.service";
/// What starts the timer with the machine. It is a file, as the others are, so that reset knows what to remove.
inline const config::Path renewalStartFile = "/etc/systemd/system/timers.target.d/kubestrap-renew.conf";

struct AutoRenewal {
  config::Path program;             ///< kubestrap
  std::string within = "30d";       ///< as --if-within
  std::string schedule = "daily";   ///< as systemd's OnCalendar
};

plan::Resources autoRenewal(const AutoRenewal& wanted);
plan::Resources noAutoRenewal();

} // namespace kubestrap::phases
