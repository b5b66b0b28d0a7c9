#pragma once
// Units of the machine's own systemd that are made on request: a timer that renews certificates which end soon, and a service that approves
// kubelets' serving certificates.

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

inline constexpr const char* approvalService = "kubestrap-approve";
inline const config::Path approvalServiceFile = "/etc/systemd/system/kubestrap-approve.service";
inline const config::Path approvalStartFile = "/etc/systemd/system/multi-user.target.d/kubestrap-approve.conf";

plan::Resources autoApproval(const config::Path& program);
plan::Resources noAutoApproval();

} // namespace kubestrap::phases
