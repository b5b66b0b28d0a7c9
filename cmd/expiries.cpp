#include "cmd/expiries.hpp"

#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"

#include "certs/catalogue.hpp"
#include "certs/x509.hpp"
#include "phases/certificates.hpp"
#include "support/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

void read(Expiry& expiry, const std::optional<std::string>& pem, const std::string& source) {
  if (!pem || pem->empty()) return;
  const auto certificate = certs::X509Certificate::parse(*pem, source);
  expiry.begins = certificate.notBefore();
  expiry.ends = certificate.notAfter();
}

} // namespace

Expiries lookAtCertificates(host::Host& host, const config::Cluster& cluster, const config::Path& folder) {
  const auto file = [&](std::string_view name, const char* ending) { return folder / (std::string(name) + ending); };
  const auto keyIsElsewhere = [&](const certs::CertificateRow& authority) { return !host.status(file(authority.file, ".key")); };
  Expiries found;
  for (const auto& row : certs::catalogue()) {
    if (row.localEtcdOnly && !cluster.etcd.isLocal()) continue;
    const auto path = file(row.file, ".crt");
    Expiry expiry{.name = std::string(row.name)};
    read(expiry, host.read(path), path.string());
    const auto& authority = *certs::findRow(row.issuer);
    expiry.managedElsewhere = keyIsElsewhere(authority);
    if (!row.authority()) expiry.issuer = row.issuer;
    (row.authority() ? found.authorities : found.certificates).push_back(std::move(expiry));
  }
  for (const auto& row : phases::kubeconfigRows(cluster)) {
    if (row.name == "kubelet") continue; // the kubelet renews its own
    const auto path = phases::kubeconfigFile(row, cluster);
    Expiry expiry{.name = std::string(row.file), .issuer = "ca", .managedElsewhere = keyIsElsewhere(*certs::findRow("ca"))};
    if (const auto kubeconfig = readKubeconfig(host, path)) read(expiry, kubeconfig->clientCertificate, path.string());
    found.certificates.push_back(std::move(expiry));
  }
  for (auto* list : {&found.certificates, &found.authorities}) std::ranges::sort(*list, {}, &Expiry::name);
  return found;
}

namespace {

Value asValue(const std::vector<Expiry>& list, TimePoint now) {
  Value items = Value::array();
  for (const auto& each : list) {
    Value item{{"name", each.name}};
    item["expirationDate"] = each.ends ? Value(formatRfc3339(*each.ends)) : Value();
    item["residualTime"] = each.ends ? std::chrono::duration_cast<std::chrono::seconds>(*each.ends - now).count() : 0;
    item["externallyManaged"] = each.managedElsewhere;
    if (!each.issuer.empty() && each.ends) item["caName"] = each.issuer;
    item["missing"] = !each.ends;
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<std::string> row(const Expiry& each, TimePoint now) {
  if (!each.ends) return {"!MISSING! " + each.name};
  std::vector<std::string> cells{each.name, fmt::format("{:%b %d, %Y %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(*each.ends))),
                                 *each.ends > now ? humanDuration(*each.ends - now) : "<invalid>"};
  if (!each.issuer.empty()) cells.push_back(each.issuer);
  cells.emplace_back(each.managedElsewhere ? "yes" : "no");
  return cells;
}

} // namespace

void printExpiries(const Expiries& found, TimePoint now) {
  if (const auto as = format(globals()); as != Format::text) {
    auto document = kubeadmResult("CertificateExpirationInfo");
    document["certificates"] = asValue(found.certificates, now);
    document["certificateAuthorities"] = asValue(found.authorities, now);
    printResult(document, as);
    return;
  }
  std::vector<std::vector<std::string>> rows{{"CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"}};
  for (const auto& each : found.certificates) rows.push_back(row(each, now));
  std::vector<std::vector<std::string>> authorities{{"CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"}};
  for (const auto& each : found.authorities) authorities.push_back(row(each, now));
  fmt::print("{}\n{}", table(rows), table(authorities));
}

} // namespace kubestrap::cmd
