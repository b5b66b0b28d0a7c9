// How systemd starts the kubelet, by the unit's files: what they say holds at the next start, whatever systemd has loaded so far.
#include "host/facts.hpp"

#include "config/paths.hpp"
#include "support/text.hpp"

namespace kubestrap::host {

namespace {

constexpr auto unitName = "kubelet.service";
/// systemd.unit(5), "unit search path"; a file of an earlier folder hides those of its name in later ones.
constexpr const char* unitFolders[] = {"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
                                       "/usr/lib/systemd/system", "/lib/systemd/system"};

/// The value of "Name=value"; nothing for other lines and comments.
std::optional<std::string_view> valueOf(std::string_view line, std::string_view name) {
  line = trim(line);
  if (!line.starts_with(name)) return {};
  line = trim(line.substr(name.size()));
  if (!line.starts_with('=')) return {};
  return trim(line.substr(1));
}

/// "/usr/bin/kubelet" of "-/usr/bin/kubelet --v=2".
std::string_view programOf(std::string_view command) {
  command.remove_prefix(std::min(command.find_first_not_of("@-:+!|"), command.size()));
  return command.substr(0, command.find_first_of(" \t"));
}

bool isComment(std::string_view line) {
  line = trim(line);
  return line.starts_with('#') || line.starts_with(';');
}

} // namespace

config::KubeletUnitFacts parseKubeletUnit(const std::vector<std::string>& texts, const std::function<std::string(const Path&)>& read) {
  config::KubeletUnitFacts facts{.exists = !texts.empty()};
  const auto lookFor = [&](std::string_view text) { facts.readsSettings |= text.find(config::paths::kubeletConfig.native()) != text.npos; };
  for (const auto& text : texts)
    for (const auto& line : split(text, '\n')) {
      if (isComment(line)) continue;
      lookFor(line);
      if (const auto command = valueOf(line, "ExecStart"))
        if (const Path program = programOf(*command); program.is_absolute() && program.filename() == "kubelet") facts.program = program;
      if (auto file = valueOf(line, "EnvironmentFile"); file && !file->empty()) {
        if (file->starts_with('-')) file->remove_prefix(1);
        lookFor(read(Path(*file)));
      }
    }
  return facts;
}

config::KubeletUnitFacts lookAtKubeletUnit(Host& host) {
  std::string unit;
  std::map<std::string, std::string> dropIns; // systemd reads them in the order of their names, whatever their folders
  for (const Path folder : unitFolders) {
    if (unit.empty()) unit = host.read(folder / unitName).value_or("");
    const auto own = folder / (std::string(unitName) + ".d");
    for (const auto& name : host.list(own))
      if (name.ends_with(".conf") && own / name != config::paths::kubeletDropIn) dropIns.try_emplace(name, host.read(own / name).value_or(""));
  }
  if (unit.empty()) return {}; // there is none, or it is masked
  std::vector<std::string> texts{std::move(unit)};
  for (auto& [name, text] : dropIns) texts.push_back(std::move(text));
  return parseKubeletUnit(texts, [&](const Path& path) { return path.is_absolute() ? host.read(path).value_or("") : ""; });
}

} // namespace kubestrap::host
