// What of a Corefile a CoreDNS does not know: by the words that lines begin with, and not by the grammar of each directive.
#include "phases/corefile.hpp"

#include "config/versions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kubestrap::phases {

namespace {

/// coredns: core/dnsserver/zdirectives.go; "import" is the parser's own.
constexpr std::string_view directives[] = {
    "acl",    "any",      "auto",   "autopath", "azure",     "bind",         "bufsize",    "cache",       "cancel",      "chaos",  "clouddns", "debug",
    "dns64",  "dnssec",   "dnstap", "erratic",  "errors",    "etcd",         "file",       "forward",     "geoip",       "grpc",   "grpc_server", "header",
    "health", "hosts",    "https",  "https3",   "import",    "k8s_external", "kubernetes", "loadbalance", "local",       "log",    "loop",     "metadata",
    "minimal", "multisocket", "nomad", "nsid",  "on",        "pprof",        "prometheus", "proxyproto",  "quic",        "ready",  "reload",   "rewrite",
    "root",   "route53",  "secondary", "sign",  "template",  "timeouts",     "tls",        "trace",       "transfer",    "tsig",   "view",     "whoami"};

struct NewerRow {
  std::string_view directive, lacksIt; ///< the tag that is without it
};
constexpr NewerRow newer[] = {{"proxyproto", "v1.14.2"}};

struct OptionRow {
  std::string_view directive, option;
};
/// What directives have lost (coredns: plugin/kubernetes/setup.go).
constexpr OptionRow gone[] = {{"kubernetes", "resyncperiod"}, {"kubernetes", "transfer"}, {"kubernetes", "upstream"}};

constexpr std::string_view quoted = "\"\""; ///< whatever it says, it is neither a brace nor one of these words

struct Word {
  std::string text;
  bool beginsLine = false;
};

/// As CoreDNS reads them (caddy: caddyfile/lexer.go): a word that begins with a quote ends with the next one, and # is the end of a line.
std::vector<Word> wordsOf(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n\v\f";
  std::vector<Word> words;
  bool beginsLine = true;
  for (std::size_t at = 0; at < text.size();) {
    if (spaces.find(text[at]) != spaces.npos) {
      beginsLine = beginsLine || text[at] == '\n';
      ++at;
    } else if (text[at] == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (text[at] == '"') {
      auto end = at + 1;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      words.push_back({std::string(quoted), std::exchange(beginsLine, false)});
      at = end + 1;
    } else {
      const auto end = std::min(text.find_first_of(" \t\r\n\v\f#", at), text.size());
      words.push_back({std::string(text.substr(at, end - at)), std::exchange(beginsLine, false)});
      at = end;
    }
  }
  return words;
}

bool knows(std::string_view tag, const std::string& directive) {
  if (std::ranges::any_of(newer, [&](const auto& row) { return row.directive == directive && row.lacksIt == tag; })) return false;
  return std::ranges::find(directives, directive) != std::end(directives);
}

bool isGone(const std::string& directive, const std::string& option) {
  return std::ranges::any_of(gone, [&](const auto& row) { return row.directive == directive && row.option == option; });
}

} // namespace

std::vector<std::string> unknownIn(std::string_view corefile, std::string_view tag) {
  if (std::ranges::find(config::supportedMinors(), tag, &config::SupportedMinor::coreDnsTag) == config::supportedMinors().end()) return {};
  std::vector<std::string> unknown;
  const auto add = [&](std::string name) {
    if (std::ranges::find(unknown, name) == unknown.end()) unknown.push_back(std::move(name));
  };
  int depth = 0;
  bool snippet = false;
  std::string directive; // that the present line belongs to
  for (const auto& word : wordsOf(corefile)) {
    if (word.text == "{") {
      ++depth;
    } else if (word.text == "}") {
      --depth;
    } else if (word.beginsLine && depth == 0) {
      snippet = word.text.starts_with('('); // what it has may be options of a directive that imports it
    } else if (word.beginsLine && depth == 1 && !snippet) {
      directive = word.text;
      if (!knows(tag, directive) && directive != quoted) add(directive);
    } else if (word.beginsLine && depth == 2 && isGone(directive, word.text)) {
      add(fmt::format("{} in {}", word.text, directive));
    }
  }
  return unknown;
}

} // namespace kubestrap::phases
