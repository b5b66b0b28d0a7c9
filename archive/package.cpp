#include "archive/package.hpp"

#include "archive/reader.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

namespace kubestrap::archive {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t textLimit = std::size_t{1} << 20;

/// Names of licences in Debian's copyright files, in lower case, and SPDX's for them. GNU's are taken apart.
struct LicenceName {
  std::string_view debian, spdx;
};
constexpr LicenceName licenceNames[] = {
    {"apache-2.0", "Apache-2.0"},       {"artistic-2.0", "Artistic-2.0"}, {"bsd-2-clause", "BSD-2-Clause"}, {"bsd-3-clause", "BSD-3-Clause"}, {"cc0-1.0", "CC0-1.0"},
    {"expat", "MIT"},                   {"isc", "ISC"},                   {"mit", "MIT"},                   {"mpl-1.1", "MPL-1.1"},           {"mpl-2.0", "MPL-2.0"},
    {"curl", "curl"},                   {"zlib", "Zlib"},
};
constexpr std::string_view gnuLicences[] = {"GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-3.0"};

/// "GPL-2.0-or-later" of "GPL-2+".
std::string gnuLicence(std::string name) {
  std::string which = "-only";
  for (const auto& [ending, means] : {std::pair<std::string_view, const char*>{"+", "-or-later"}, {"-or-later", "-or-later"}, {"-only", "-only"}})
    if (name.ends_with(ending)) {
      name.resize(name.size() - ending.size());
      which = means;
      break;
    }
  if (name.find('.') == std::string::npos) name += ".0";
  const auto* found = std::ranges::find_if(gnuLicences, [&](std::string_view each) { return lower(each) == name; });
  return found == std::end(gnuLicences) ? "" : std::string(*found) + which;
}

/// "GPL-2.0-or-later OR MIT" of "GPL-2+ or Expat": in both, and binds tighter. Empty where a word of it is none of SPDX's.
std::string spdxExpression(std::string_view debian) {
  std::vector<std::string> parts;
  for (const auto& word : words(lower(debian))) {
    if (parts.size() % 2 == 1) {
      if (word != "and" && word != "or") return {};
      parts.emplace_back(word == "and" ? "AND" : "OR");
      continue;
    }
    const auto* known = std::ranges::find(licenceNames, word, &LicenceName::debian);
    parts.push_back(known == std::end(licenceNames) ? gnuLicence(word) : std::string(known->spdx));
    if (parts.back().empty()) return {};
  }
  return parts.size() % 2 == 1 ? join(parts, " ") : "";
}

using Paragraph = std::map<std::string, std::string>; ///< by the names of fields, in lower case

/// Paragraphs of fields, as Debian's control and copyright files are. A field goes on in lines that begin with white space.
std::vector<Paragraph> paragraphsOf(std::string_view text) {
  std::vector<Paragraph> paragraphs(1);
  std::string* field = nullptr;
  for (const auto& line : split(text, '\n')) {
    if (trim(line).empty()) {
      if (!paragraphs.back().empty()) paragraphs.emplace_back();
      field = nullptr;
    } else if (line.front() == ' ' || line.front() == '\t') {
      if (field) *field += "\n" + std::string(trim(line));
    } else if (const auto colon = line.find(':'); line.front() != '#' && colon != std::string::npos) {
      field = &(paragraphs.back()[lower(line.substr(0, colon))] = trim(line.substr(colon + 1)));
    }
  }
  return paragraphs;
}

std::string fieldOf(const Paragraph& paragraph, const std::string& name) {
  const auto found = paragraph.find(name);
  return found == paragraph.end() ? "" : found->second;
}

/// Its text, as far as it is a small file.
std::string textOf(TarReader& tar, const TarEntry& entry) {
  std::string text;
  if (entry.type != TarEntry::Type::file || entry.size > textLimit) return text;
  for (auto piece = tar.read(); !piece.empty(); piece = tar.read()) text += piece;
  return text;
}

void takeControl(TarReader& control, PackageDescription& description) {
  while (const auto entry = control.next()) {
    if (fs::path(entry->path).lexically_normal() != "control") continue;
    const auto fields = paragraphsOf(textOf(control, *entry)).front();
    description.name = fieldOf(fields, "package");
    description.version = fieldOf(fields, "version");
    description.architecture = fieldOf(fields, "architecture");
    return;
  }
}

void takeCopyright(TarReader& data, PackageDescription& description) {
  const auto wanted = fs::path("usr/share/doc") / description.name / "copyright";
  while (const auto entry = data.next()) {
    if (fs::path(entry->path).lexically_normal() != wanted) continue;
    description.licence = licenceIn(textOf(data, *entry));
    return;
  }
}

} // namespace

std::string licenceIn(std::string_view copyright) {
  const auto paragraphs = paragraphsOf(copyright);
  if (fieldOf(paragraphs.front(), "format").find("copyright-format") == std::string::npos) return {};
  for (const auto& each : paragraphs)
    if (const auto licence = fieldOf(each, "license"); trim(fieldOf(each, "files")) == "*") return spdxExpression(std::string_view(licence).substr(0, licence.find('\n')));
  return {};
}

PackageDescription describePackage(const fs::path& file) {
  PackageDescription description;
  try {
    TarReader package(bytesOf(file), TarReader::Packing::none, TarReader::Form::ar);
    while (const auto entry = package.next()) {
      const bool control = entry->path.starts_with("control.tar"), data = entry->path.starts_with("data.tar");
      if (!control && !data) continue;
      TarReader within([&] { return package.read(); }, TarReader::Packing::debian);
      if (control) takeControl(within, description);
      else takeCopyright(within, description);
    }
  } catch (const Error&) {
    // What was read until then is what it says: whether it can be installed is for dpkg to say.
  }
  return description;
}

} // namespace kubestrap::archive
