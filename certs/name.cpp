#include "certs/name.hpp"

#include "certs/openssl.hpp"
#include "support/text.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <fmt/format.h>

namespace kubestrap::certs {

using namespace openssl;

namespace {

constexpr std::string_view order[] = {attribute::country,    attribute::province,     attribute::locality,
                                      attribute::street,     attribute::postalCode,   attribute::organization,
                                      attribute::organizationalUnit, attribute::commonName, attribute::serialNumber};

/// PrintableString where the characters allow it, UTF8String otherwise, of any length, as Go writes them.
void write(X509_NAME* name, const Attribute& part, bool samePart) {
  const auto what = fmt::format("write \"{}\" into a subject", part.value);
  const ObjectId type{require(OBJ_txt2obj(part.type.c_str(), 1), what)};
  const int form = ASN1_PRINTABLE_type(octets(part.value), length(part.value)) == V_ASN1_PRINTABLESTRING ? V_ASN1_PRINTABLESTRING
                                                                                                         : V_ASN1_UTF8STRING;
  require(X509_NAME_add_entry_by_OBJ(name, type.get(), form, octets(part.value), length(part.value), -1, samePart ? -1 : 0), what);
}

bool isMailAddress(std::string_view text) {
  const auto at = text.find('@');
  return at != std::string_view::npos && at > 0 && at + 1 < text.size() && text.find('@', at + 1) == std::string_view::npos &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && std::string_view("<>()[]\\,;:\"/").find(c) == std::string_view::npos; });
}

bool isUri(std::string_view text) {
  const auto mark = text.find("://");
  const auto isScheme = [](std::string_view scheme) {
    return !scheme.empty() && std::isalpha(static_cast<unsigned char>(scheme[0])) &&
           std::ranges::all_of(scheme, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '-' || c == '.'; });
  };
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; })) return false;
  return (mark != std::string_view::npos && mark + 3 < text.size() && isScheme(text.substr(0, mark))) || lower(text).starts_with("urn:");
}

bool isName(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != ':' && c != '/' && c != '@' && c != ','; });
}

} // namespace

std::vector<std::string> DistinguishedName::all(std::string_view type) const {
  std::vector<std::string> values;
  for (const auto& part : parts)
    if (part.type == type) values.push_back(part.value);
  return values;
}

std::string DistinguishedName::first(std::string_view type) const {
  const auto values = all(type);
  return values.empty() ? std::string() : values.front();
}

void DistinguishedName::add(std::string_view type, std::string value) {
  if (!value.empty()) parts.push_back({std::string(type), std::move(value)});
}

std::string DistinguishedName::string() const {
  static constexpr std::pair<std::string_view, std::string_view> letters[] = {
      {attribute::country, "C"}, {attribute::organization, "O"}, {attribute::organizationalUnit, "OU"}, {attribute::locality, "L"},
      {attribute::province, "ST"}, {attribute::commonName, "CN"}};
  std::vector<std::string> texts;
  for (const auto& part : parts) {
    const auto known = std::ranges::find(letters, part.type, [](const auto& each) { return each.first; });
    texts.push_back(fmt::format("{}={}", known == std::end(letters) ? std::string_view(part.type) : known->second, part.value));
  }
  return join(texts, ", ");
}

DistinguishedName overlaid(DistinguishedName given, const DistinguishedName& base) {
  const auto own = given.parts;
  for (const auto& part : base.parts)
    if (std::ranges::find(own, part.type, &Attribute::type) == own.end()) given.parts.push_back(part);
  return given;
}

DistinguishedName readDistinguishedName(const X509_NAME* name) {
  clearErrors();
  DistinguishedName found;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    found.parts.push_back({dotted(X509_NAME_ENTRY_get_object(entry)), utf8(X509_NAME_ENTRY_get_data(entry))});
  }
  return found;
}

void writeDistinguishedName(X509_NAME* name, const DistinguishedName& from) {
  for (const auto type : order) {
    bool samePart = false;
    for (const auto& part : from.parts)
      if (part.type == type) write(name, part, std::exchange(samePart, true));
  }
  for (const auto& part : from.parts)
    if (std::ranges::find(order, part.type) == std::end(order)) write(name, part, false);
}

std::vector<std::string> Hosts::all() const {
  auto texts = dns;
  for (const auto& ip : ips) texts.push_back(ip.string());
  texts.insert(texts.end(), emails.begin(), emails.end());
  texts.insert(texts.end(), uris.begin(), uris.end());
  return texts;
}

Hosts parseHosts(std::span<const std::string> given, std::string_view where, std::string_view field, std::vector<Problem>& problems) {
  Hosts hosts;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto& text = given[i];
    if (text.empty()) continue;
    if (const auto ip = IpAddress::parse(text)) hosts.ips.push_back(*ip);
    else if (isMailAddress(text)) hosts.emails.push_back(text);
    else if (isUri(text)) hosts.uris.push_back(text);
    else if (isName(text)) hosts.dns.push_back(text);
    else
      problems.push_back({.where = std::string(where), .field = fmt::format("{}[{}]", field, i), .message = fmt::format("\"{}\" is no name that a certificate can hold", text),
                          .expected = "a DNS name without port, an address, a mail address or a URI"});
  }
  return hosts;
}

bool isObjectIdentifier(std::string_view text) {
  const auto isArc = [](const std::string& arc) {
    return !arc.empty() && arc.size() <= 9 && std::ranges::all_of(arc, [](char c) { return c >= '0' && c <= '9'; });
  };
  const auto arcs = split(text, '.');
  if (arcs.size() < 2 || text.size() > 100 || !std::ranges::all_of(arcs, isArc)) return false;
  return arcs[0].size() == 1 && arcs[0][0] <= '2' && (arcs[0] == "2" || std::stoi(arcs[1]) < 40);
}

} // namespace kubestrap::certs
