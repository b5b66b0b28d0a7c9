#include "certs/policy.hpp"

#include "certs/fields.hpp"
#include "certs/name.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::certs {

namespace {

struct KeyUsageRow {
  std::string_view name;
  int bit;
};
constexpr KeyUsageRow keyUsages[] = {{"signing", 0},           {"digital signature", 0}, {"content commitment", 1}, {"key encipherment", 2},
                                     {"data encipherment", 3}, {"key agreement", 4},     {"cert sign", 5},          {"crl sign", 6},
                                     {"encipher only", 7},     {"decipher only", 8}};

struct ExtendedUsageRow {
  std::string_view name, id;
};
constexpr ExtendedUsageRow extendedUsageRows[] = {{"any", "2.5.29.37.0"},
                                                  {"server auth", "1.3.6.1.5.5.7.3.1"},
                                                  {"client auth", "1.3.6.1.5.5.7.3.2"},
                                                  {"code signing", "1.3.6.1.5.5.7.3.3"},
                                                  {"email protection", "1.3.6.1.5.5.7.3.4"},
                                                  {"s/mime", "1.3.6.1.5.5.7.3.4"},
                                                  {"ipsec end system", "1.3.6.1.5.5.7.3.5"},
                                                  {"ipsec tunnel", "1.3.6.1.5.5.7.3.6"},
                                                  {"ipsec user", "1.3.6.1.5.5.7.3.7"},
                                                  {"timestamping", "1.3.6.1.5.5.7.3.8"},
                                                  {"ocsp signing", "1.3.6.1.5.5.7.3.9"},
                                                  {"microsoft sgc", "1.3.6.1.4.1.311.10.3.3"},
                                                  {"netscape sgc", "2.16.840.1.113730.4.1"}};

/// Members of cfssl's that do something else than making a certificate of a request, or that we cannot do.
constexpr std::pair<std::string_view, std::string_view> beyond[] = {
    {"auth_key", "is of cfssl's server, which asks its clients for it"},
    {"prev_auth_key", "is of cfssl's server, which asks its clients for it"},
    {"remote", "names another signer; kubestrap signs itself"},
    {"auth_remote", "names another signer; kubestrap signs itself"},
    {"ct_log_servers", "cannot be honoured: kubestrap speaks to no log of certificate transparency"},
    {"cert_store", "cannot be honoured: kubestrap keeps no store of certificates"},
    {"allowed_extensions", "is about requests to cfssl's server"},
    {"name_whitelist", "cannot be honoured: kubestrap reads no regular expressions"},
    {"lint_error_level", "cannot be honoured: kubestrap has no lints"},
    {"ignored_lints", "cannot be honoured: kubestrap has no lints"},
    {"ignored_lint_sources", "cannot be honoured: kubestrap has no lints"},
    {"ClientProvidesSerialNumbers", "is about requests to cfssl's server"}};

std::optional<TimePoint> moment(Fields& fields, std::string_view name) {
  const auto text = fields.string(name);
  if (text.empty() || text == "0001-01-01T00:00:00Z") return std::nullopt;
  try {
    return parseRfc3339(text);
  } catch (const Error& error) {
    fields.problem(name, error.message(), "a moment like 2027-01-31T12:00:00Z");
    return std::nullopt;
  }
}

std::vector<std::string> readUsages(Fields& fields) {
  auto usages = fields.strings("usages");
  const auto known = usageNames();
  for (std::size_t i = 0; i < usages.size(); ++i) {
    if (std::ranges::find(known, usages[i]) != known.end()) continue;
    const auto near = nearest(usages[i], known);
    fields.problem(fmt::format("usages[{}]", i), fmt::format("there is no usage \"{}\"", usages[i]), near.empty() ? "one of " + join(known, ", ") : near);
  }
  return usages;
}

void readConstraint(const Value& value, Fields& parent, Profile& profile, const std::string& where, std::vector<Problem>& problems) {
  Fields fields(value, parent.path("ca_constraint"), where, problems);
  profile.authority = fields.boolean("is_ca");
  const int length = fields.integer("max_path_len", 0);
  const bool zero = fields.boolean("max_path_len_zero");
  fields.done();
  if (length < 0) fields.problem("max_path_len", "is less than nothing", "0 or more");
  if (length != 0 && zero) fields.problem("max_path_len_zero", fmt::format("contradicts max_path_len, which is {}", length));
  if (!profile.authority && (length != 0 || zero)) fields.problem("is_ca", "is false, and so a path has no length", "true, or nothing about the path");
  if (length > 0) profile.pathLength = length;
  else if (zero) profile.pathLength = 0;
}

CertificatePolicy readPolicyInformation(const Value& value, const std::string& path, const std::string& where, std::vector<Problem>& problems) {
  CertificatePolicy policy;
  Fields fields(value, path, where, problems);
  policy.id = fields.string("ID");
  if (!isObjectIdentifier(policy.id)) fields.problem("ID", "is no object identifier", "numbers with dots");
  const auto* list = fields.array("Qualifiers");
  for (std::size_t i = 0; list && i < list->size(); ++i) {
    Fields each((*list)[i], fields.path(fmt::format("Qualifiers[{}]", i)), where, problems);
    const auto type = each.string("Type");
    if (type != "id-qt-cps" && type != "id-qt-unotice") each.problem("Type", fmt::format("there is no \"{}\"", type), "id-qt-cps or id-qt-unotice");
    policy.qualifiers.push_back({type == "id-qt-cps" ? CertificatePolicy::Qualifier::Kind::statement : CertificatePolicy::Qualifier::Kind::notice, each.string("Value")});
    each.done();
  }
  fields.done();
  return policy;
}

RequestWhitelist readWhitelist(const Value& value, std::string path, const std::string& where, std::vector<Problem>& problems) {
  Fields fields(value, std::move(path), where, problems);
  RequestWhitelist list{.subject = fields.boolean("Subject"),
                        .publicKeyAlgorithm = fields.boolean("PublicKeyAlgorithm"),
                        .publicKey = fields.boolean("PublicKey"),
                        .signatureAlgorithm = fields.boolean("SignatureAlgorithm"),
                        .dnsNames = fields.boolean("DNSNames"),
                        .ipAddresses = fields.boolean("IPAddresses"),
                        .emailAddresses = fields.boolean("EmailAddresses"),
                        .uris = fields.boolean("URIs")};
  fields.done();
  if (!list.publicKey) fields.problem("PublicKey", "must be true: a certificate without the key of its request is none");
  return list;
}

enum class Which { standard, named };

Profile readProfile(const Value& value, const std::string& path, const std::string& where, std::vector<Problem>& problems, Which which) {
  Profile profile;
  Fields fields(value, path, where, problems);
  profile.usages = readUsages(fields);
  profile.issuerUrls = fields.strings("issuer_urls");
  profile.ocspUrl = fields.string("ocsp_url");
  profile.revocationList = fields.string("crl_url");
  if (const auto* constraint = fields.object("ca_constraint")) readConstraint(*constraint, fields, profile, where, problems);
  profile.ocspNoCheck = fields.boolean("ocsp_no_check");
  profile.copyExtensions = fields.boolean("copy_extensions");
  if (const auto expiry = fields.duration("expiry")) profile.expiry = *expiry;
  else if (!fields.any("expiry") || fields.string("expiry").empty()) fields.problem("expiry", "is missing", "a duration like 8760h");
  profile.backdate = fields.duration("backdate");
  profile.notBefore = moment(fields, "not_before");
  profile.notAfter = moment(fields, "not_after");
  if (profile.notBefore && profile.notAfter && *profile.notAfter <= *profile.notBefore) fields.problem("not_after", "is not after not_before");
  const auto* policies = fields.array("Policies");
  for (std::size_t i = 0; policies && i < policies->size(); ++i)
    profile.policies.push_back(readPolicyInformation((*policies)[i], fields.path(fmt::format("Policies[{}]", i)), where, problems));
  if (const auto* list = fields.object("CSRWhitelist")) profile.whitelist = readWhitelist(*list, fields.path("CSRWhitelist"), where, problems);
  for (const auto& [name, why] : beyond) fields.refuse(name, why);
  fields.done();
  if (which == Which::named && profile.usages.empty() && value.is_object()) fields.problem("usages", "is empty: a certificate for nothing", "signing, key encipherment, server auth, ...");
  return profile;
}

} // namespace

std::vector<std::string> usageNames() {
  std::vector<std::string> names;
  for (const auto& row : keyUsages) names.emplace_back(row.name);
  for (const auto& row : extendedUsageRows) names.emplace_back(row.name);
  return names;
}

std::vector<int> Profile::keyUsageBits() const {
  std::vector<int> bits;
  for (const auto& row : keyUsages)
    if (std::ranges::find(usages, row.name) != usages.end()) bits.push_back(row.bit);
  return bits;
}

std::vector<std::string> Profile::extendedUsages() const {
  std::vector<std::string> ids;
  for (const auto& usage : usages) {
    const auto row = std::ranges::find(extendedUsageRows, usage, &ExtendedUsageRow::name);
    if (row != std::end(extendedUsageRows) && std::ranges::find(ids, row->id) == ids.end()) ids.emplace_back(row->id);
  }
  return ids;
}

Profile Policy::profile(std::string_view name) const {
  Profile found = standard;
  if (!name.empty()) {
    const auto at = profiles.find(std::string(name));
    if (at == profiles.end()) {
      std::vector<std::string> names;
      for (const auto& each : profiles) names.push_back(each.first);
      throw Error(fmt::format("the signing policy has no profile {}", name),
                  names.empty() ? "it has none but the default" : "it has " + join(names, ", "), ExitCode::usage);
    }
    found = at->second;
    if (found.issuerUrls.empty()) found.issuerUrls = standard.issuerUrls;
    if (found.revocationList.empty()) found.revocationList = standard.revocationList;
    if (found.ocspUrl.empty()) found.ocspUrl = standard.ocspUrl;
  }
  if (found.usages.empty())
    throw Error("the signing policy's default has no usages", "name a profile that has some, or give the default usages", ExitCode::usage);
  return found;
}

Policy parsePolicy(std::string_view json, std::string_view source) {
  std::vector<Problem> problems;
  const std::string where(source);
  const auto value = parseStrictJson(json, source);
  Policy policy = standardPolicy();
  Fields fields(value, "", where, problems);
  for (const auto* name : {"auth_keys", "remotes", "ocsp"}) fields.refuse(name, "is of cfssl's server; kubestrap signs itself");
  const auto* signing = fields.object("signing");
  if (!signing && value.is_object() && problems.empty()) fields.problem("signing", "is missing", "{\"default\": {...}, \"profiles\": {...}}");
  if (signing) {
    Fields parts(*signing, "signing", where, problems);
    if (const auto* standard = parts.object("default")) policy.standard = readProfile(*standard, "signing.default", where, problems, Which::standard);
    if (const auto* profiles = parts.object("profiles"))
      for (const auto& [name, profile] : profiles->items())
        policy.profiles[name] = readProfile(profile, "signing.profiles." + name, where, problems, Which::named);
    parts.done();
  }
  fields.done();
  if (!problems.empty()) throw Problems(std::move(problems));
  return policy;
}

Policy standardPolicy() {
  Policy policy;
  policy.standard.usages = {"signing", "key encipherment", "server auth", "client auth"};
  policy.standard.expiry = std::chrono::hours(8760);
  return policy;
}

Profile authorityProfile() {
  Profile profile;
  profile.usages = {"cert sign", "crl sign"};
  profile.expiry = std::chrono::hours(43800);
  profile.authority = true;
  return profile;
}

} // namespace kubestrap::certs
