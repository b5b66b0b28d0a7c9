#include "certs/overrides.hpp"

#include "certs/catalogue.hpp"
#include "certs/fields.hpp"
#include "certs/policy.hpp"
#include "certs/request.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace kubestrap::certs {

namespace {

/// What a certificate is, of which somebody wants something.
struct Kind {
  std::string name;
  bool authority = false;
  std::vector<ExtendedUsage> usages;
  std::string user; ///< of a client that Kubernetes knows by its name; empty: it may have any
};

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const auto& row : catalogue())
    all.push_back({std::string(row.name), row.authority(), row.usages(), std::string(row.isUser() ? row.commonName : "")});
  for (const auto rows : {kubeconfigs(), hostedKubeconfigs()})
    for (const auto& row : rows) all.push_back({.name = std::string(row.file), .usages = {ExtendedUsage::clientAuth}, .user = std::string(row.user)});
  return all;
}

const Kind* findKind(const std::vector<Kind>& all, std::string_view name) {
  const auto found = std::ranges::find(all, name, &Kind::name);
  return found == all.end() ? nullptr : &*found;
}

std::string oneOf(const std::vector<Kind>& all, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& each : all) names.push_back(each.name);
  const auto near = nearest(name, names);
  return near.empty() ? "one of " + join(names, ", ") : near;
}

/// Of a node's own user only the beginning is known here.
bool isUser(const Kind& kind, std::string_view name) {
  return kind.user.empty() || name.empty() || (kind.user.ends_with(':') ? name.starts_with(kind.user) : name == kind.user);
}

std::optional<KeyAlgorithm> algorithmOf(const KeyRequest& request) {
  for (const auto each : {KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096, KeyAlgorithm::ecdsaP256, KeyAlgorithm::ecdsaP384})
    if (keyRequest(each) == request) return each;
  return std::nullopt;
}

class Reader {
public:
  Reader(const Kind& kind, const std::string& where, std::vector<Problem>& problems) : kind_(kind), where_(where), problems_(problems) {}

  Override read(const Value& document) {
    const auto request = readRequest(document, where_);
    std::vector<Problem> ignored; // the document is known to be good
    Fields fields(document, "", where_, ignored);
    Override wish;
    takeSubject(request, wish);
    takeNames(request.hosts, wish);
    if (fields.any("key")) takeKey(request.key, wish);
    if (request.authority) takeAuthority(*request.authority, wish);
    if (request.delegation) problem("delegation_enabled", "is nothing for a cluster's certificate");
    if (!request.extensions.empty()) problem("extensions", "cannot be had in a cluster's certificate");
    if (!request.revocationList.empty()) problem("crl_url", "cannot be had in a cluster's certificate");
    return wish;
  }

private:
  void problem(std::string field, std::string message, std::string expected = "to be left out") {
    problems_.push_back({.where = where_, .field = std::move(field), .message = std::move(message), .expected = std::move(expected)});
  }

  void takeSubject(const Request& request, Override& wish) {
    for (const auto& part : request.subject.parts) {
      if (part.type == attribute::organization) wish.subject.organizations.push_back(part.value);
      else if (part.type != attribute::commonName) wish.subject.others.push_back(part);
    }
    const auto name = request.subject.first(attribute::commonName);
    if (isUser(kind_, name)) wish.subject.commonName = name;
    else problem("CN", fmt::format("\"{}\" is another user, who has no rights", name), kind_.user.ends_with(':') ? kind_.user + "NODE" : kind_.user);
  }

  void takeNames(const Hosts& hosts, Override& wish) {
    wish.names = {hosts.dns, hosts.ips};
    if (!hosts.emails.empty() || !hosts.uris.empty())
      problem("hosts", "has mail addresses or URIs, which no component looks at", "DNS names and addresses");
  }

  void takeKey(const KeyRequest& key, Override& wish) {
    wish.algorithm = algorithmOf(key);
    if (!wish.algorithm) problem("key", "is of a kind that not all components take", "rsa of 2048, 3072 or 4096, or ecdsa of 256 or 384");
  }

  void takeAuthority(const AuthorityRequest& authority, Override& wish) {
    if (!kind_.authority) return problem("ca", fmt::format("{} is no authority", kind_.name));
    if (authority.pathLength) problem("ca.pathlen", "cannot be had for a cluster's authority");
    if (authority.backdate) problem("ca.backdate", "cannot be had for a cluster's authority");
    wish.life = authority.expiry;
  }

  const Kind& kind_;
  const std::string& where_;
  std::vector<Problem>& problems_;
};

void readRequests(const Wishes& wishes, const std::vector<Kind>& all, std::map<std::string, Override>& into, std::vector<Problem>& problems) {
  for (const auto& [file, text] : wishes.requests) {
    if (file == policyFile || !file.ends_with(".json")) continue;
    const auto where = (std::filesystem::path(wishes.folder) / file).string();
    const auto name = file.substr(0, file.size() - std::string_view(".json").size());
    const auto* kind = findKind(all, name);
    if (!kind) {
      problems.push_back({.where = where, .message = fmt::format("there is no certificate {}", name), .expected = oneOf(all, name)});
      continue;
    }
    try {
      into[name] = Reader(*kind, where, problems).read(parseStrictJson(text, where));
    } catch (const Problems& found) {
      problems.insert(problems.end(), found.list().begin(), found.list().end());
    }
  }
}

/// What of a profile cannot be had in a certificate that is made after kubeadm's.
std::vector<std::string> beyond(const Profile& profile) {
  std::vector<std::string> found;
  const auto add = [&](bool given, const char* member) {
    if (given) found.emplace_back(member);
  };
  add(!profile.issuerUrls.empty(), "issuer_urls");
  add(!profile.ocspUrl.empty(), "ocsp_url");
  add(!profile.revocationList.empty(), "crl_url");
  add(profile.authority, "ca_constraint");
  add(profile.ocspNoCheck, "ocsp_no_check");
  add(profile.copyExtensions, "copy_extensions");
  add(profile.backdate.has_value(), "backdate");
  add(profile.notBefore.has_value(), "not_before");
  add(profile.notAfter.has_value(), "not_after");
  add(!profile.policies.empty(), "Policies");
  add(profile.whitelist.has_value(), "CSRWhitelist");
  return found;
}

void readPolicy(const Wishes& wishes, const std::vector<Kind>& all, std::map<std::string, Override>& into, std::vector<Problem>& problems) {
  const auto policy = parsePolicy(wishes.policy, wishes.policySource);
  std::vector<Problem> ignored; // the document is known to be good
  const auto value = parseStrictJson(wishes.policy, wishes.policySource);
  if (const auto* signing = Fields(value, "", "", ignored).object("signing"); signing && Fields(*signing, "", "", ignored).any("default"))
    problems.push_back({.where = wishes.policySource, .field = "signing.default", .message = "is for certificates that nobody names", .expected = "profiles with the certificates' names"});
  for (const auto& [name, profile] : policy.profiles) {
    const auto field = "signing.profiles." + name;
    const auto problem = [&](std::string member, std::string message, std::string expected) {
      problems.push_back({.where = wishes.policySource, .field = field + std::move(member), .message = std::move(message), .expected = std::move(expected)});
    };
    const auto* kind = findKind(all, name);
    if (!kind || kind->authority) {
      problem("", kind ? "is an authority, whose request says how long it is valid" : fmt::format("there is no certificate {}", name),
              kind ? fmt::format("ca.expiry in {}.json", name) : oneOf(all, name));
      continue;
    }
    for (const auto& member : beyond(profile)) problem("." + member, "cannot be had in a certificate that init makes", "to be left out, or the certificate to be signed elsewhere and imported");
    if (auto wanted = usagesFor(kind->usages), given = profile.usages; !std::ranges::is_permutation(wanted, given))
      problem(".usages", "are not those of this certificate", join(wanted, ", "));
    into[name].life = profile.expiry;
  }
}

} // namespace

std::vector<std::string> usagesFor(std::span<const ExtendedUsage> usages) {
  std::vector<std::string> names{"signing", "key encipherment"};
  for (const auto usage : usages) names.emplace_back(usage == ExtendedUsage::serverAuth ? "server auth" : "client auth");
  return names;
}

std::map<std::string, Override> parseWishes(const Wishes& wishes) {
  const auto all = kinds();
  std::vector<Problem> problems;
  std::map<std::string, Override> found;
  readRequests(wishes, all, found, problems);
  try {
    if (!wishes.policy.empty()) readPolicy(wishes, all, found, problems);
  } catch (const Problems& more) {
    problems.insert(problems.end(), more.list().begin(), more.list().end());
  }
  if (!problems.empty()) throw Problems(std::move(problems));
  return found;
}

} // namespace kubestrap::certs
