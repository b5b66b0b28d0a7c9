#include "cmd/workflow.hpp"

#include "cmd/globals.hpp"
#include "certs/x509.hpp"
#include "manifests/front.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

/// kubeadm's other names for phases.
constexpr std::pair<std::string_view, std::string_view> phaseAliases[] = {{"bootstrap-token", "bootstraptoken"},
                                                                          {"upload-config", "uploadconfig"},
                                                                          {"preflight", "pre-flight"},
                                                                          {"cleanup-node", "cleanupnode"}};

Command runnable(const std::string& name, std::string_view summary, const std::string& phase, const PhaseRun& phaseRun) {
  return {.name = name,
          .summary = std::string(summary),
          .flags = [flags = phaseRun.flags, phase] { return flags(phase); },
          .arguments = phaseRun.arguments,
          .run = [run = phaseRun.run, phase](const auto& given) { return run(given, phase); }};
}

Command phaseCommand(const plan::Phase& phase, const std::string& name, const PhaseRun& phaseRun) {
  Command command = phase.children.empty() ? runnable(std::string(phase.name), phase.summary, name, phaseRun)
                                           : Command{.name = std::string(phase.name), .summary = std::string(phase.summary)};
  for (const auto& [of, alias] : phaseAliases)
    if (of == name) command.aliases.emplace_back(alias);
  if (phase.children.empty()) return command;
  command.children.push_back(runnable("all", "All of them", name, phaseRun));
  for (const auto& child : phase.children)
    command.children.push_back(phaseCommand(child, name + "/" + std::string(child.name), phaseRun));
  return command;
}

void collectPatchFiles(host::Host& host, const host::Path& folder, std::vector<config::PatchFile>& files) {
  for (const auto& name : host.list(folder)) {
    const auto path = folder / name;
    const auto status = host.status(path);
    if (!status) continue;
    if (status->type == host::FileStatus::Type::folder) collectPatchFiles(host, path, files);
    else if (auto text = host.read(path)) files.push_back({name, std::move(*text)});
  }
}

/// HAProxy's checks go up to a root, and where the authority's root is kept elsewhere there is none (seen with 2.6 and 3.0: no option of a
/// server line ends them at an authority).
std::string trustedWhereNoRoot(const config::Setup& setup, host::Host& host) {
  const auto file = manifests::frontAuthorityFile(setup);
  const auto& told = setup.request.joining.authorities;
  const auto pem = told.empty() ? host.read(file).value_or("") : told;
  if (pem.empty() || !manifests::hasFront(setup.cluster)) return {};
  const auto authorities = certs::X509Certificate::parseAll(pem, file.string());
  if (std::ranges::all_of(authorities, [](const auto& each) { return each.signedBy(each); })) return {};
  std::string trusted;
  for (const auto& each : authorities) trusted += each.trustedPem();
  return trusted;
}

} // namespace

std::vector<config::Patch> readPatches(host::Host& host, const host::Path& folder, std::vector<std::string>& warnings) {
  std::vector<config::PatchFile> files;
  collectPatchFiles(host, folder, files);
  return config::parsePatches(std::move(files), warnings);
}

void lookAtFront(config::Setup& setup, host::Host& host) {
  setup.node.hostsFile = host.read(config::paths::hosts).value_or("");
  for (const auto slot : manifests::frontSlots)
    if (auto manifest = host.read(manifests::frontManifest(slot))) setup.node.fronts[std::string(slot)] = std::move(*manifest);
  setup.node.hosting = host.read(config::paths::nodeState).value_or("");
  setup.node.frontAuthority = trustedWhereNoRoot(setup, host);
  setup.request.ownImage = "kubestrap.io/kubestrap:v" KUBESTRAP_VERSION;
  std::error_code none;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", none);
  for (const auto& folder : {host::Path("/usr/lib/kubestrap"), program.parent_path()})
    if (const auto archive = folder / "kubestrap-image.tar"; std::filesystem::exists(archive, none)) {
      setup.request.ownImageArchive = archive;
      return;
    }
}

std::unique_ptr<plan::Reporter> reporterFor(plan::Mode mode) {
  if (format(globals()) != Format::text) return plan::jsonReporter(stderr);
  return plan::textReporter(mode == plan::Mode::plan ? stdout : stderr, globals().verbosity.value_or(0));
}

Command phaseCommands(const plan::Workflow& workflow, const PhaseRun& phaseRun) {
  Command phases{.name = "phase", .summary = fmt::format("Run a single phase of {}", workflow.command)};
  for (const auto& phase : workflow.phases) phases.children.push_back(phaseCommand(phase, std::string(phase.name), phaseRun));
  return phases;
}

std::string phaseTable(const plan::Workflow& workflow) {
  std::string text = fmt::format("Phases, in order; --skip-phases and \"{} phase\" take their names:\n", workflow.command);
  for (const auto& phase : workflow.phases) {
    text += fmt::format("  {:<24}{}\n", phase.name, phase.summary);
    for (const auto& child : phase.children) text += fmt::format("    /{:<29}{}\n", child.name, child.summary);
  }
  return text;
}

} // namespace kubestrap::cmd
