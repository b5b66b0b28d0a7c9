#include "support/tar.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::tar {

namespace {

struct Field {
  std::size_t at, length;
};
constexpr Field nameField{0, 100}, modeField{100, 8}, uidField{108, 8}, gidField{116, 8}, sizeField{124, 12}, timeField{136, 12}, sumField{148, 8}, typeField{156, 1},
    magicField{257, 6}, versionField{263, 2};
constexpr std::string_view magic("ustar\0", 6);

void put(std::string& into, Field field, std::string_view text) { into.replace(field.at, text.size(), text); }

void putOctal(std::string& into, Field field, std::uint64_t number) { put(into, field, fmt::format("{:0{}o}", number, field.length - 1)); }

std::string_view at(std::string_view from, Field field) { return from.substr(field.at, field.length); }

std::uint64_t octal(std::string_view text, std::string_view what) {
  const auto begin = text.find_first_not_of(' ');
  text = begin == text.npos ? std::string_view() : text.substr(begin);
  text = text.substr(0, std::min(text.size(), text.find_first_of(std::string_view(" \0", 2))));
  std::uint64_t number = 0;
  if (const auto [rest, failed] = std::from_chars(text.data(), text.data() + text.size(), number, 8); failed != std::errc() || rest != text.data() + text.size())
    throw Error(fmt::format("the archive is damaged: it has no {}", what));
  return number;
}

/// The sum of all octets, those of the field itself taken for blanks.
std::uint64_t sum(std::string_view header) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < block; ++i) total += i >= sumField.at && i < sumField.at + sumField.length ? ' ' : static_cast<unsigned char>(header[i]);
  return total;
}

bool leadsOut(const std::string& name) {
  const auto parts = split(name, '/');
  return name.empty() || name.front() == '/' || std::ranges::find(parts, "..") != parts.end();
}

} // namespace

std::string header(const Entry& entry) {
  if (entry.name.size() > nameField.length) throw Error(fmt::format("the name {} is too long for the archive", entry.name));
  if (entry.size >= std::uint64_t{1} << 33) throw Error(fmt::format("{} is too large for the archive", entry.name));
  std::string text(block, '\0');
  put(text, nameField, entry.name);
  putOctal(text, modeField, entry.mode);
  putOctal(text, uidField, 0);
  putOctal(text, gidField, 0);
  putOctal(text, sizeField, entry.size);
  putOctal(text, timeField, static_cast<std::uint64_t>(std::max<std::int64_t>(0, entry.modified)));
  put(text, typeField, "0");
  put(text, magicField, magic);
  put(text, versionField, "00");
  put(text, sumField, fmt::format("{:06o}", sum(text)) + std::string("\0 ", 2));
  return text;
}

std::string padding(std::uint64_t size) { return std::string((block - size % block) % block, '\0'); }

std::string end() { return std::string(2 * block, '\0'); }

std::optional<Entry> parseHeader(std::string_view text) {
  if (text.size() != block) throw Error("the archive is cut off");
  if (text.find_first_not_of('\0') == text.npos) return std::nullopt;
  if (at(text, magicField).substr(0, 5) != magic.substr(0, 5) || octal(at(text, sumField), "checksum") != sum(text)) throw Error("this is no archive, or it is damaged");
  const auto name = at(text, nameField);
  if (const auto type = text[typeField.at]; type != '0' && type != '\0') throw Error("the archive holds something that is no file");
  return Entry{.name = std::string(name.substr(0, std::min(name.size(), name.find('\0')))),
               .mode = static_cast<unsigned>(octal(at(text, modeField), "mode")),
               .size = octal(at(text, sizeField), "size"),
               .modified = static_cast<std::int64_t>(octal(at(text, timeField), "time"))};
}

std::vector<std::pair<Entry, std::string_view>> read(std::string_view archive) {
  std::vector<std::pair<Entry, std::string_view>> files;
  for (;;) {
    const auto entry = parseHeader(archive.substr(0, block));
    if (!entry) return files;
    if (leadsOut(entry->name)) throw Error(fmt::format("the archive holds a file whose name leads out of it: {}", entry->name));
    archive.remove_prefix(block);
    const auto whole = entry->size + padding(entry->size).size();
    if (archive.size() < whole) throw Error("the archive is cut off");
    files.emplace_back(*entry, archive.substr(0, entry->size));
    archive.remove_prefix(whole);
  }
}

} // namespace kubestrap::tar
