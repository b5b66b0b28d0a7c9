#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "cmd/status_journal.hpp"
#include "cmd/status_look.hpp"
#include "cmd/status_text.hpp"

#include <fmt/format.h>

#include <memory>

namespace kubestrap::cmd {

namespace {

struct StatusOptions {
  std::optional<std::string> kubeconfig;
  bool journal = false, all = false, exitCode = false;
};

ExitCode runStatus(const StatusOptions& options) {
  Machine machine(globals().rootfs);
  if (options.journal) return showJournal(machine, options.all ? JournalPart::everything : JournalPart::standing);
  const auto seen = lookForStatus(machine, options.kubeconfig, Depth::glance);
  const auto findings = phases::status::judge(seen);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("Status");
    document["healthy"] = findings.empty();
    put(seen, document);
    document["findings"] = asValue(findings);
    printResult(document, as);
  } else {
    fmt::print("{}\n{}", describe(seen), findings.empty() ? "nothing is wrong\n" : describe(findings, Telling::briefly));
  }
  return options.exitCode && !findings.empty() ? ExitCode::differs : ExitCode::done;
}

} // namespace

Command statusCommand() {
  const auto options = std::make_shared<StatusOptions>();
  return {.name = "status",
          .summary = "Show how the cluster and its control plane do, what is wrong and what to do",
          .description = "Shows the cluster, its control plane's components on each node, etcd's members, and the nodes; then what is wrong, and what to do "
                         "about it. Without an API server that answers it shows what this machine tells by itself. kubestrap doctor looks further. With "
                         "--journal it shows what kubestrap has made or changed on this machine, in order, and what was there before.",
          .flags = [options] {
            return std::vector<Flag>{{.name = "all", .into = &options->all, .doc = "With --journal: also what a reset has undone"},
                                     {.name = "exit-code", .into = &options->exitCode, .doc = "End with 4 when something is wrong, warnings too"},
                                     {.name = "journal", .into = &options->journal, .doc = "What kubestrap has recorded on this machine"},
                                     kubeconfigFlag(options->kubeconfig)};
          },
          .run = [options](const auto&) { return runStatus(*options); }};
}

} // namespace kubestrap::cmd
