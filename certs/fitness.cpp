#include "certs/fitness.hpp"

#include "certs/verify.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::certs {

namespace {

std::string text(const Subject& subject) {
  return subject.organizations.empty() ? "CN=" + subject.commonName : fmt::format("O={}, CN={}", join(subject.organizations, ","), subject.commonName);
}

void judgeDates(std::span<const X509Certificate> chain, TimePoint now, std::vector<std::string>& flaws) {
  for (const auto& each : chain) {
    const auto whose = &each == &chain.front() ? std::string() : fmt::format(" ({})", text(each.subject()));
    if (each.notBefore() > now) flaws.push_back(fmt::format("begins at {} only{}; is the clock right?", formatRfc3339(each.notBefore()), whose));
    if (each.notAfter() <= now) flaws.push_back(fmt::format("ended at {}{}", formatRfc3339(each.notAfter()), whose));
  }
}

void judgeUsages(const CertSpec& wanted, std::span<const X509Certificate> chain, std::span<const X509Certificate> roots, std::vector<std::string>& flaws) {
  const auto& leaf = chain.front();
  const auto between = chain.subspan(1);
  if (const auto why = whyUntrusted(leaf, between, roots, Purpose::any, std::nullopt)) {
    flaws.push_back(fmt::format("is signed by {}, and does not lead to {}: {}", text(leaf.issuer()), wanted.issuer, *why));
    return;
  }
  const auto usages = leaf.usages();
  for (const auto usage : wanted.usages) {
    const bool server = usage == ExtendedUsage::serverAuth;
    if (std::ranges::find(usages, usage) == usages.end()) flaws.emplace_back(server ? "has no usage \"server auth\"" : "has no usage \"client auth\"");
    else if (const auto why = whyUntrusted(leaf, between, roots, server ? Purpose::server : Purpose::client, std::nullopt))
      flaws.push_back(fmt::format("would not be accepted of a {}: {}", server ? "server" : "client", *why));
  }
}

void judgeNames(const CertSpec& wanted, const X509Certificate& leaf, std::vector<std::string>& flaws) {
  const auto lacking = leaf.lacks(wanted.names);
  auto names = lacking.dns;
  for (const auto& ip : lacking.ips) names.push_back(ip.string());
  if (!names.empty()) flaws.push_back("is not for " + join(names, ", "));
}

} // namespace

std::vector<std::string> flaws(const CertSpec& wanted, KnownBy knownBy, std::span<const X509Certificate> chain,
                               std::span<const X509Certificate> roots, TimePoint now) {
  std::vector<std::string> found;
  const auto& leaf = chain.front();
  if (wanted.authority != leaf.isAuthority()) found.emplace_back(wanted.authority ? "is no certificate of an authority" : "is one of an authority");
  judgeDates(chain, now, found);
  if (!wanted.authority) {
    judgeUsages(wanted, chain, roots, found);
    judgeNames(wanted, leaf, found);
  }
  if (knownBy == KnownBy::subject && !sameUser(leaf.subject(), wanted.subject))
    found.push_back(fmt::format("is for {}, not {}", text(leaf.subject()), text(wanted.subject)));
  return found;
}

} // namespace kubestrap::certs
