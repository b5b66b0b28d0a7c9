#include "phases/own_units.hpp"

#include "manifests/text.hpp"

#include <vector>

namespace kubestrap::phases {

namespace {

using manifests::filledText;

plan::File unitFile(const config::Path& path, std::string content) { return {.path = path, .content = std::move(content)}; }

plan::Resources taken(const char* unit, const std::vector<config::Path>& files, const config::Path& start, const std::string& reason) {
  plan::Resources resources{plan::Service{.name = unit, .wanted = plan::Wanted::stopped, .restartWhenChanged = {}, .restartWhenIdle = {}}};
  for (const auto& path : files) resources.push_back(plan::Absent{.path = path, .reason = reason});
  resources.push_back(plan::Absent{.path = start.parent_path(), .depth = plan::Absent::Depth::whenEmpty, .reason = "nothing is in it any more"});
  return resources;
}

} // namespace

plan::Resources autoRenewal(const AutoRenewal& wanted) {
  return {unitFile(renewalServiceFile, filledText("kubestrap-renew.service", {{"kubestrap", wanted.program.string()}, {"within", wanted.within}})),
          unitFile(renewalTimerFile, filledText("kubestrap-renew.timer", {{"schedule", wanted.schedule}})),
          unitFile(renewalStartFile, filledText("wants.conf", {{"unit", renewalTimer}})),
          plan::Service{.name = renewalTimer, .restartWhenChanged = {renewalTimerFile, renewalServiceFile}, .restartWhenIdle = {}}};
}

plan::Resources noAutoRenewal() {
  return taken(renewalTimer, {renewalStartFile, renewalTimerFile, renewalServiceFile}, renewalStartFile, "certificates are not renewed by a timer any more");
}

plan::Resources autoApproval(const config::Path& program) {
  return {unitFile(approvalServiceFile, filledText("kubestrap-approve.service", {{"kubestrap", program.string()}})),
          unitFile(approvalStartFile, filledText("wants.conf", {{"unit", approvalServiceFile.filename().string()}})),
          plan::Service{.name = approvalService, .restartWhenChanged = {approvalServiceFile}, .restartWhenIdle = {}}};
}

plan::Resources noAutoApproval() { return taken(approvalService, {approvalStartFile, approvalServiceFile}, approvalStartFile, "kubelets' requests are not approved by a service any more"); }

} // namespace kubestrap::phases
