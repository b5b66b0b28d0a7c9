#include "phases/auto_renew.hpp"

#include "manifests/text.hpp"

namespace kubestrap::phases {

plan::Resources autoRenewal(const AutoRenewal& wanted) {
  using manifests::filledText;
  const auto unit = [](const config::Path& path, std::string content) { return plan::File{.path = path, .content = std::move(content)}; };
  return {unit(renewalServiceFile, filledText("kubestrap-renew.service", {{"kubestrap", wanted.program.string()}, {"within", wanted.within}})),
          unit(renewalTimerFile, filledText("kubestrap-renew.timer", {{"schedule", wanted.schedule}})), unit(renewalStartFile, filledText("timers.conf", {})),
          plan::Service{.name = renewalTimer, .restartWhenChanged = {renewalTimerFile, renewalServiceFile}, .restartWhenIdle = {}}};
}

plan::Resources noAutoRenewal() {
  plan::Resources resources{plan::Service{.name = renewalTimer, .wanted = plan::Wanted::stopped, .restartWhenChanged = {}, .restartWhenIdle = {}}};
  for (const auto& path : {renewalStartFile, renewalTimerFile, renewalServiceFile}) resources.push_back(plan::Absent{.path = path, .reason = "certificates are not renewed by a timer any more"});
  resources.push_back(plan::Absent{.path = renewalStartFile.parent_path(), .depth = plan::Absent::Depth::whenEmpty, .reason = "nothing is in it any more"});
  return resources;
}

} // namespace kubestrap::phases
