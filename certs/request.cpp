#include "certs/request.hpp"

#include "certs/fields.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::certs {

namespace {

/// cfssl's member of a name, and what it is in X.509.
constexpr std::pair<std::string_view, std::string_view> nameMembers[] = {{"C", attribute::country},
                                                                         {"ST", attribute::province},
                                                                         {"L", attribute::locality},
                                                                         {"O", attribute::organization},
                                                                         {"OU", attribute::organizationalUnit},
                                                                         {"E", attribute::email}};

void readOids(Fields& name, DistinguishedName& into) {
  const auto* oids = name.object("OID");
  if (!oids) return;
  for (const auto& [oid, value] : oids->items()) {
    const auto field = fmt::format("OID.{}", oid);
    const auto member = std::ranges::find(nameMembers, oid, [](const auto& each) { return each.second; });
    if (!isObjectIdentifier(oid)) name.problem(field, "is no object identifier", "numbers with dots, like 1.3.6.1.4.1.311.60.2.1.3");
    else if (member != std::end(nameMembers)) name.problem(field, "has a member of its own", std::string(member->first));
    else if (oid == attribute::commonName || oid == attribute::serialNumber) name.problem(field, "has a member of its own", "CN or serialnumber");
    else if (!value.is_string() || value.get_ref<const std::string&>().empty()) name.problem(field, "is not a text", "\"...\"");
    else into.add(oid, value.get<std::string>());
  }
}

DistinguishedName readNames(Fields& fields, const std::string& where, std::vector<Problem>& problems) {
  DistinguishedName subject;
  const auto* names = fields.array("names");
  for (std::size_t i = 0; names && i < names->size(); ++i) {
    Fields name((*names)[i], fields.path(fmt::format("names[{}]", i)), where, problems);
    for (const auto& [member, type] : nameMembers) subject.add(type, name.string(member));
    name.refuse("SerialNumber", "is passed over by cfssl here; write serialnumber beside CN");
    readOids(name, subject);
    name.done();
  }
  return subject;
}

AuthorityRequest readAuthority(const Value& value, const std::string& where, std::vector<Problem>& problems) {
  AuthorityRequest request;
  Fields fields(value, "ca", where, problems);
  const int length = fields.integer("pathlen", 0);
  const bool zero = fields.boolean("pathlenzero");
  if (length < 0) fields.problem("pathlen", "is less than nothing", "0 or more");
  if (length != 0 && zero) fields.problem("pathlenzero", fmt::format("contradicts pathlen, which is {}", length));
  if (length > 0) request.pathLength = length;
  else if (zero) request.pathLength = 0;
  request.expiry = fields.duration("expiry");
  request.backdate = fields.duration("backdate");
  fields.done();
  return request;
}

KeyRequest readKey(const Value& value, const std::string& where, std::vector<Problem>& problems) {
  Fields fields(value, "key", where, problems);
  KeyRequest key{.algorithm = fields.string("algo", KeyRequest().algorithm), .size = fields.integer("size", KeyRequest().size)};
  fields.done();
  if (auto why = whyUnusable(key)) fields.problem(why->first, why->second, "rsa of 2048 to 8192, ecdsa of 256, 384 or 521, or ed25519");
  return key;
}

std::string dotted(const Value& numbers) {
  std::vector<std::string> arcs;
  for (const auto& number : numbers) arcs.push_back(number.is_number_unsigned() ? std::to_string(number.get<std::uint64_t>()) : "?");
  return join(arcs, ".");
}

std::vector<Extension> readExtensions(Fields& fields, const std::string& where, std::vector<Problem>& problems) {
  std::vector<Extension> extensions;
  const auto* list = fields.array("extensions");
  for (std::size_t i = 0; list && i < list->size(); ++i) {
    Fields each((*list)[i], fmt::format("extensions[{}]", i), where, problems);
    const auto* id = each.array("Id");
    Extension extension{.type = id ? dotted(*id) : "", .critical = each.boolean("Critical")};
    if (!isObjectIdentifier(extension.type)) each.problem("Id", "is no object identifier", "numbers in a list, like [2,5,29,17]");
    const auto value = fromBase64(each.string("Value"));
    if (!value || value->empty()) each.problem("Value", "is not base64 of something");
    else extension.der = *value;
    each.done();
    extensions.push_back(std::move(extension));
  }
  return extensions;
}

/// The member of a name that holds it; nothing for those that have none.
std::string_view memberOf(std::string_view type) {
  const auto found = std::ranges::find(nameMembers, type, [](const auto& each) { return each.second; });
  return found == std::end(nameMembers) ? std::string_view() : found->first;
}

/// One name for each value: what cfssl's reader puts together again.
Value namesOf(const DistinguishedName& subject) {
  Value names = Value::array();
  for (const auto& [type, value] : subject.parts) {
    if (type == attribute::commonName || type == attribute::serialNumber) continue;
    const std::string member(memberOf(type));
    // Different members share an object as long as none is in it twice.
    const bool joins = !names.empty() && !member.empty() && !names.back().contains(member);
    if (!joins) names.push_back(Value::object());
    if (member.empty()) names.back()["OID"][type] = value;
    else names.back()[member] = value;
  }
  return names;
}

} // namespace

Request readRequest(const Value& document, std::string_view source) {
  std::vector<Problem> problems;
  const std::string where(source);
  Request request;
  Fields fields(document, "", where, problems);
  request.subject.add(attribute::commonName, fields.string("CN"));
  const auto names = readNames(fields, where, problems);
  request.subject.parts.insert(request.subject.parts.end(), names.parts.begin(), names.parts.end());
  request.subject.add(attribute::serialNumber, fields.string("serialnumber"));
  request.hosts = parseHosts(fields.strings("hosts"), where, "hosts", problems);
  if (const auto* key = fields.object("key")) request.key = readKey(*key, where, problems);
  if (const auto* authority = fields.object("ca")) request.authority = readAuthority(*authority, where, problems);
  request.delegation = fields.boolean("delegation_enabled");
  request.extensions = readExtensions(fields, where, problems);
  request.revocationList = fields.string("crl_url");
  fields.done();
  if (!problems.empty()) throw Problems(std::move(problems));
  return request;
}

Request parseRequest(std::string_view json, std::string_view source) { return readRequest(parseStrictJson(json, source), source); }

DistinguishedName parseSubject(std::string_view json, std::string_view source) {
  std::vector<Problem> problems;
  const std::string where(source);
  const auto value = parseStrictJson(json, source);
  Fields fields(value, "", where, problems);
  DistinguishedName subject;
  subject.add(attribute::commonName, fields.string("CN"));
  const auto names = readNames(fields, where, problems);
  subject.parts.insert(subject.parts.end(), names.parts.begin(), names.parts.end());
  subject.add(attribute::serialNumber, fields.string("SerialNumber"));
  fields.done();
  if (!problems.empty()) throw Problems(std::move(problems));
  return subject;
}

Value document(const Request& request) {
  Value written{{"CN", request.subject.first(attribute::commonName)}, {"hosts", request.hosts.all()}};
  written["key"] = {{"algo", request.key.algorithm}, {"size", request.key.size}};
  written["names"] = namesOf(request.subject);
  if (const auto serial = request.subject.first(attribute::serialNumber); !serial.empty()) written["serialnumber"] = serial;
  if (const auto& authority = request.authority) {
    written["ca"] = Value::object();
    if (authority->pathLength) written["ca"][*authority->pathLength == 0 ? "pathlenzero" : "pathlen"] = *authority->pathLength == 0 ? Value(true) : Value(*authority->pathLength);
    if (authority->expiry) written["ca"]["expiry"] = formatDuration(*authority->expiry);
    if (authority->backdate) written["ca"]["backdate"] = formatDuration(*authority->backdate);
  }
  if (request.delegation) written["delegation_enabled"] = true;
  if (!request.revocationList.empty()) written["crl_url"] = request.revocationList;
  for (const auto& extension : request.extensions) {
    Value id = Value::array();
    for (const auto& arc : split(extension.type, '.')) id.push_back(std::stoul(arc));
    written["extensions"].push_back({{"Id", std::move(id)}, {"Critical", extension.critical}, {"Value", base64(extension.der)}});
  }
  return written;
}

} // namespace kubestrap::certs
