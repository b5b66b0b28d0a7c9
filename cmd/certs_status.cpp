// certs status: everything by which this machine is known, or knows others, in the cluster: what it says, whether it holds, and whether it
// is what it should be.
#include "cmd/commands.hpp"
#include "cmd/duration.hpp"
#include "cmd/expiries.hpp"
#include "cmd/machine.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"
#include "cmd/wishes.hpp"

#include "certs/catalogue.hpp"
#include "certs/describe.hpp"
#include "certs/verify.hpp"
#include "phases/certificates.hpp"
#include "plan/run.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

using certs::X509Certificate;
using config::Path;

struct StatusOptions {
  config::InitFlags flags; ///< --config
  std::optional<std::string> kubeconfig, failWithin, compat;
};

/// One certificate of this machine, or the service accounts' key.
struct Row {
  std::string name, purpose;
  Path path; ///< of the certificate, or of the kubeconfig that it is in
  std::string manager = "kubestrap";
  std::vector<X509Certificate> chain; ///< empty: it is not there, or is a key
  std::string key;                    ///< "ECDSA-P256"
  std::string signer;                 ///< the authority's name; empty where it signed itself
  std::string trouble;                ///< why it does not hold; empty: it does
  std::string drift;                  ///< why it is not what it should be; empty: it is, or nobody says what it should be
  bool missing = false;
};

constexpr std::string_view externalEtcdAuthority = "external-etcd-ca";

class Look {
public:
  Look(Machine& machine, const config::Setup& setup) : host_(machine.host()), world_(machine.world()), setup_(setup), now_(machine.clock().now()) {}

  std::vector<Row> all(bool controlPlane) {
    if (controlPlane) ofControlPlane();
    else add({.name = "ca", .purpose = "whom this node trusts", .path = authorityFile("ca"), .manager = "elsewhere"}, host_.read(authorityFile("ca")), "ca");
    if (const auto& etcd = setup_.cluster.etcd.external) ofExternalEtcd(*etcd);
    kubelets();
    return std::move(rows_);
  }

private:
  Path authorityFile(std::string_view name) const {
    return name == externalEtcdAuthority ? Path(setup_.cluster.etcd.external->caFile) : phases::certificateFile(setup_.cluster, name);
  }

  std::string managerOf(std::string_view authority) const { return host_.status(phases::keyFile(setup_.cluster, authority)) ? "kubestrap" : "elsewhere"; }

  void ofControlPlane() {
    for (const auto& row : certs::catalogue()) {
      if (!phases::isNeeded(row, setup_.cluster)) continue;
      const auto spec = phases::resolve(row, setup_);
      auto& added = add({.name = std::string(row.name), .purpose = std::string(row.summary), .path = spec.certificate, .manager = managerOf(row.issuer)}, host_.read(spec.certificate), row.issuer);
      compare(added, plan::Certificate{spec});
    }
    for (const auto& row : phases::kubeconfigRows(setup_.cluster)) {
      if (row.name == "kubelet" || (row.firstNodeOnly && !host_.status(phases::kubeconfigFile(row, setup_.cluster)))) continue;
      const auto kubeconfig = phases::resolve(row, setup_);
      auto& added = addKubeconfig({.name = std::string(row.file), .purpose = std::string(row.summary), .path = kubeconfig.path, .manager = managerOf("ca")});
      compare(added, kubeconfig);
    }
    const auto& pki = setup_.cluster.pki;
    Row key{.name = "sa", .purpose = "signs and verifies the tokens of service accounts", .path = pki.folder / "sa.key"};
    if (const auto pem = host_.read(key.path)) {
      const auto parsed = certs::PrivateKey::parse(Secret(*pem), key.path.string());
      key.key = nameOf(parsed.algorithm(), parsed.kind());
    }
    key.missing = key.key.empty();
    compare(rows_.emplace_back(std::move(key)), plan::KeyPair{pki.folder / "sa.key", pki.folder / "sa.pub", pki.algorithm});
  }

  /// The kubelet renews these by itself.
  void kubelets() {
    addKubeconfig({.name = "kubelet.conf", .purpose = "by which the kubelet finds and knows the API server", .path = config::paths::kubeletConf, .manager = "kubelet"});
    const auto client = config::paths::kubeletClientCertificate;
    add({.name = "kubelet-client", .purpose = "what the kubelet shows to the API server", .path = client, .manager = "kubelet"}, host_.read(client), "ca");
    const auto folder = client.parent_path();
    const auto signedByCluster = folder / "kubelet-server-current.pem", own = folder / "kubelet.crt";
    const bool isSigned = host_.status(signedByCluster).has_value();
    const auto& path = isSigned ? signedByCluster : own;
    add({.name = "kubelet-serving", .purpose = "what the kubelet shows to those who ask it", .path = path, .manager = "kubelet"}, host_.read(path), isSigned ? "ca" : "");
  }

  /// Of whom etcd is sees to them.
  void ofExternalEtcd(const config::ExternalEtcd& etcd) {
    if (!etcd.caFile.empty()) add({.name = std::string(externalEtcdAuthority), .purpose = "whom the API server trusts to be etcd", .path = etcd.caFile, .manager = "elsewhere"}, host_.read(etcd.caFile), externalEtcdAuthority);
    if (!etcd.certFile.empty()) add({.name = "external-etcd-client", .purpose = "what the API server shows to etcd", .path = etcd.certFile, .manager = "elsewhere"}, host_.read(etcd.certFile), externalEtcdAuthority);
  }

  Row& addKubeconfig(Row row) {
    std::optional<std::string> certificate;
    std::string trouble;
    try {
      if (const auto kubeconfig = readKubeconfig(host_, row.path)) {
        if (!kubeconfig->clientCertificate.empty()) certificate = kubeconfig->clientCertificate;
        trouble = whomItDoesNotTrust(*kubeconfig);
      }
    } catch (const Error& error) {
      row.trouble = error.message();
      return rows_.emplace_back(std::move(row));
    }
    auto& added = add(std::move(row), certificate, "ca");
    if (added.trouble.empty()) added.trouble = trouble;
    return added;
  }

  /// A kubeconfig that does not know the cluster's authority leads nowhere.
  std::string whomItDoesNotTrust(const kube::Kubeconfig& kubeconfig) const {
    const auto pem = host_.read(authorityFile("ca"));
    const auto trusted = kubeconfig.authorityFile.empty() ? kubeconfig.authorities : host_.read(kubeconfig.authorityFile).value_or("");
    if (!pem || trusted.empty()) return {};
    const auto authority = X509Certificate::parse(*pem, authorityFile("ca").string());
    const auto known = X509Certificate::parseAll(trusted, "its authorities");
    return std::ranges::any_of(known, [&](const auto& each) { return each.der() == authority.der(); }) ? "" : "does not trust the cluster's authority";
  }

  Row& add(Row row, const std::optional<std::string>& pem, std::string_view authority) {
    row.missing = !pem;
    try {
      if (pem) row.chain = X509Certificate::parseAll(*pem, row.path.string());
      if (pem) judge(row, authority);
    } catch (const Error& error) {
      row.trouble = error.message();
    }
    return rows_.emplace_back(std::move(row));
  }

  void judge(Row& row, std::string_view authority) const {
    const auto& leaf = row.chain.front();
    row.key = nameOf(leaf.algorithm(), leaf.keyKind());
    if (!leaf.signedBy(leaf)) row.signer = authority;
    const auto path = authority.empty() ? row.path : authorityFile(authority);
    const auto pem = host_.read(path);
    if (!pem) {
      row.trouble = fmt::format("{} is absent", path.string());
      return;
    }
    const auto roots = leaf.signedBy(leaf) ? std::vector{leaf} : X509Certificate::parseAll(*pem, path.string());
    row.trouble = certs::whyUntrusted(leaf, std::span(row.chain).subspan(1), roots, certs::Purpose::any, now_).value_or("");
  }

  void compare(Row& row, const plan::Resource& wanted) {
    if (row.missing) return;
    try {
      if (const auto change = plan::verdict(wanted, world_); change.changes()) row.drift = change.reason;
    } catch (const Error& error) {
      row.drift = error.message();
    }
  }

  /// In kubeadm's words, or, of one that it has no word for, in cfssl's.
  static std::string nameOf(const std::optional<certs::KeyAlgorithm>& known, const certs::KeyRequest& kind) {
    return known ? std::string(certs::name(*known)) : fmt::format("{} {}", kind.algorithm, kind.size);
  }

  host::Host& host_;
  plan::World world_;
  const config::Setup& setup_;
  TimePoint now_;
  std::vector<Row> rows_;
};

std::optional<Duration> left(const Row& row, TimePoint now) { return row.chain.empty() ? std::nullopt : std::optional(row.chain.front().notAfter() - now); }

std::string stateOf(const Row& row) {
  if (row.missing) return "is not there";
  std::vector<std::string> words;
  if (!row.trouble.empty()) words.push_back(row.trouble);
  if (!row.drift.empty()) words.push_back(row.drift);
  return words.empty() ? "ok" : join(words, "; ");
}

Value asValue(const Row& row, TimePoint now) {
  Value item{{"name", row.name}, {"purpose", row.purpose}, {"path", row.path.string()}, {"missing", row.missing}, {"managedBy", row.manager}};
  if (!row.key.empty()) item["key"] = row.key;
  if (!row.chain.empty()) {
    item["issuer"] = row.signer.empty() ? row.name : row.signer;
    item["notBefore"] = formatRfc3339(row.chain.front().notBefore());
    item["notAfter"] = formatRfc3339(row.chain.front().notAfter());
    item["residualSeconds"] = std::chrono::duration_cast<std::chrono::seconds>(*left(row, now)).count();
    item["chain"] = {{"length", row.chain.size()}, {"valid", row.trouble.empty()}};
    if (!row.trouble.empty()) item["chain"]["reason"] = row.trouble;
    item["certificate"] = certs::describe(row.chain.front());
  }
  if (!row.drift.empty()) item["drift"] = row.drift;
  return item;
}

std::vector<std::string> asCells(const Row& row, TimePoint now) {
  const auto rest = left(row, now);
  const auto ends = rest ? formatRfc3339(row.chain.front().notAfter()).substr(0, 10) : "-";
  return {row.name, ends, !rest ? "-" : *rest > Duration::zero() ? humanDuration(*rest) : "ended", orDash(row.key), orDash(row.signer), row.manager, stateOf(row)};
}

ExitCode status(const StatusOptions& options) {
  if (options.compat && *options.compat != "kubeadm") throw Error(fmt::format("there is no output of {}", *options.compat), "kubeadm", ExitCode::usage);
  Machine machine(globals().rootfs);
  machine.useRuntime(foundSocket({}));
  auto& host = machine.host();
  const bool controlPlane = isControlPlane(host);
  if (!controlPlane && !host.status(config::paths::kubeletClientCertificate))
    throw Error("this machine is no node", "run this on a node; kubestrap certs certinfo shows single certificates", ExitCode::refused);
  config::Setup setup;
  if (controlPlane) {
    setup.cluster = ownCluster(options.flags, options.kubeconfig, machine).cluster;
    setup.node = ownNode(machine, setup.cluster);
    takeWishes(setup.cluster.pki, host);
  }
  const auto now = machine.clock().now();
  const auto limit = options.failWithin ? parseDays(*options.failWithin) : Duration::zero();
  const auto rows = Look(machine, setup).all(controlPlane);
  const bool fails = options.failWithin && std::ranges::any_of(rows, [&](const Row& row) {
    const auto rest = left(row, now);
    return row.missing || !row.trouble.empty() || (rest && *rest <= limit);
  });
  if (options.compat) {
    printExpiries(lookAtCertificates(host, setup.cluster, setup.cluster.pki.folder), now);
  } else if (const auto as = format(globals()); as != Format::text) {
    auto document = result("CertificateStatus");
    document["items"] = Value::array();
    for (const auto& row : rows) document["items"].push_back(asValue(row, now));
    printResult(document, as);
  } else {
    std::vector<std::vector<std::string>> cells{{"NAME", "ENDS", "LEFT", "KEY", "SIGNED BY", "MANAGED BY", "STATE"}};
    for (const auto& row : rows) cells.push_back(asCells(row, now));
    fmt::print("{}", table(cells));
  }
  return fails ? ExitCode::differs : ExitCode::done;
}

} // namespace

Command certsStatusCommand() {
  const auto options = std::make_shared<StatusOptions>();
  return {.name = "status",
          .summary = "Show every certificate of this node: what it is for, how long it holds, who sees to it, and whether it is what it should be",
          .description = "Shows every certificate of this node, those in kubeconfigs and the kubelet's with them: what it is for, how long it holds, whether "
                         "it leads to its authority, who sees to its renewal, and how it differs from what the cluster's configuration wants.",
          .flags = [options]() -> std::vector<Flag> {
            return {{.name = "config", .into = &options->flags.configFile, .doc = "The cluster's configuration, in place of what the cluster keeps", .value = "FILE"},
                    kubeconfigFlag(options->kubeconfig),
                    {.name = "fail-within", .into = &options->failWithin, .doc = "End with 4 when something ends within this time, is missing or does not hold: 30d, 12h", .value = "DURATION"},
                    {.name = "compat", .into = &options->compat, .doc = "Print what check-expiration prints, kubeadm's form", .value = "kubeadm", .choices = {"kubeadm"}}};
          },
          .run = [options](const auto&) { return status(*options); }};
}

} // namespace kubestrap::cmd
