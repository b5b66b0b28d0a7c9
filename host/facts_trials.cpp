// What cannot be known without trying it: done in namespaces of its own, which vanish with the trial. The kernel may load
// a module for it, as it would for the first pod.
#include "host/facts.hpp"
#include "host/proc.hpp"
#include "host/process.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace kubestrap::host {

namespace {

constexpr auto patience = std::chrono::seconds(10);

/// What kube-proxy's rules are made of (kubernetes: pkg/proxy/iptables/proxier.go), each as a rule for iptables.
struct Trial {
  std::string_view what, table, rule;
};
constexpr Trial trials[] = {
    {"MASQUERADE", "nat", "-A POSTROUTING -j MASQUERADE"},
    {"MASQUERADE --random-fully", "nat", "-A POSTROUTING -j MASQUERADE --random-fully"},
    {"DNAT", "nat", "-A OUTPUT -p tcp -j DNAT --to-destination 127.0.0.1:1"},
    {"-m comment", "nat", "-A OUTPUT -m comment --comment trial"},
    {"-m conntrack", "filter", "-A FORWARD -m conntrack --ctstate INVALID -j DROP"},
    {"-m mark, MARK", "nat", "-A OUTPUT -m mark ! --mark 0x4000/0x4000 -j MARK --or-mark 0x4000"},
    {"-m statistic", "nat", "-A OUTPUT -m statistic --mode random --probability 0.5"},
    {"-m addrtype", "nat", "-A OUTPUT -m addrtype --dst-type LOCAL"},
    {"-m recent", "nat", "-A OUTPUT -m recent --name trial --set"},
    {"REJECT", "filter", "-A FORWARD -p tcp -j REJECT"},
};

/// All of them for iptables-restore, as words for the shell.
std::string everyRule() {
  std::string words;
  for (const std::string_view table : {"nat", "filter"}) {
    words += fmt::format(" '*{}'", table);
    for (const auto& trial : trials)
      if (trial.table == table) words += fmt::format(" '{}'", trial.rule);
    words += " COMMIT";
  }
  return words;
}

/// Runs a script of the shell; nothing when it could not be run to its end.
std::optional<std::string> script(const Runner& run, std::vector<std::string> namespaces, const std::string& text) {
  namespaces.insert(namespaces.end(), {"sh", "-c", text});
  try {
    const auto result = run({"unshare", std::move(namespaces), "", patience});
    if (result.timedOut || result.exitCode != 0) return {};
    return result.output;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    return {};
  }
}

std::map<std::string, bool> tryRules(const Runner& run) {
  // Where not even an empty table can be listed nothing is known: this process may not be allowed to.
  // The older iptables leaves a lock file in /run, therefore on a memory file system that only the trial sees.
  std::string text = "mount -n -t tmpfs trial /run && iptables -w 5 -t nat -S >/dev/null 2>&1 || exit 1\n";
  // One call for all of them, as a rule; which of them it is that fails, only calls one by one tell.
  text += fmt::format("printf '%s\\n'{} | iptables-restore -w 5 --noflush >/dev/null 2>&1 && echo all && exit 0\n", everyRule());
  for (std::size_t i = 0; i < std::size(trials); ++i)
    text += fmt::format("iptables -w 5 -t {} {} 2>/dev/null && echo {}\n", trials[i].table, trials[i].rule, i);
  const auto output = script(run, {"--net", "--mount"}, text + "exit 0\n");
  std::map<std::string, bool> tried;
  if (!output) return tried;
  const auto works = split(trim(*output), '\n');
  const auto said = [&](const std::string& word) { return std::ranges::find(works, word) != works.end(); };
  for (std::size_t i = 0; i < std::size(trials); ++i)
    tried[std::string(trials[i].what)] = said("all") || said(std::to_string(i));
  return tried;
}

std::optional<unsigned> countLegacyRules(const Runner& run) {
  if (!findProgram("iptables-legacy-save")) return {};
  try {
    const auto result = run({"iptables-legacy-save", {}, "", patience});
    if (result.timedOut || result.exitCode != 0) return {};
    unsigned count = 0;
    for (const auto& line : split(result.output, '\n')) count += line.starts_with("-A ") ? 1 : 0;
    return count;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    return {};
  }
}

} // namespace

void parseIptablesVersion(std::string_view output, config::PacketFilterFacts& facts) {
  const auto fields = words(output); // iptables v1.8.9 (nf_tables)
  if (fields.size() < 2 || !fields[1].starts_with('v')) return;
  facts.version = fields[1];
  facts.backend = fields.size() > 2 && fields[2] == "(nf_tables)" ? "nf_tables" : "legacy";
}

config::PacketFilterFacts lookAtPacketFilter(const Runner& run) {
  config::PacketFilterFacts facts;
  // Tables that nobody has used in this network namespace are not in the list, and looking at it makes none.
  for (auto& table : split(trim(readProc("/proc/net/ip_tables_names")), '\n')) facts.legacyTables.push_back(std::move(table));
  if (!findProgram("iptables")) return facts;
  try {
    parseIptablesVersion(run({"iptables", {"--version"}, "", patience}).output, facts);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    return facts;
  }
  if (!facts.legacyTables.empty()) facts.legacyRules = countLegacyRules(run);
  facts.tried = tryRules(run);
  return facts;
}

std::map<std::string, bool> tryKernelFeatures(const Runner& run) {
  std::map<std::string, bool> tried;
  // On a memory file system that only this trial sees, laid over a folder that every machine has.
  const auto overlay =
      script(run, {"--mount"}, "mount -n -t tmpfs trial /run && cd /run && mkdir a b c d || exit 1\n"
                               "mount -n -t overlay trial -o lowerdir=a,upperdir=b,workdir=c d 2>/dev/null && echo works\nexit 0\n");
  if (overlay) tried["an overlay mount"] = overlay->find("works") != std::string::npos;
  if (!overlay) return tried; // not even a mount of its own is allowed here: nothing is known
  const auto separate = script(run, {"--net", "--ipc", "--uts", "--pid", "--fork"}, "echo works");
  tried["namespaces for network, IPC, host name and processes"] = separate.has_value();
  return tried;
}

} // namespace kubestrap::host
