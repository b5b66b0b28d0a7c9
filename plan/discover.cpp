#include "plan/discover.hpp"
#include "plan/kinds.hpp"

#include "certs/x509.hpp"
#include "config/assemble.hpp"
#include "host/facts_remote.hpp"
#include "kube/client.hpp"
#include "kube/discovery.hpp"
#include "kube/jws.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

namespace {

using config::FileDiscovery;
using config::TokenDiscovery;
using kube::ApiError;
using kube::ClusterInfo;
using net::TransportError;

constexpr std::string_view phase = "discovery";
/// A signature for a token that was made a moment ago is written by the controller-manager within a second or two.
constexpr auto signaturePatience = std::chrono::seconds(15);
/// Rights and namespaces that are just being made.
constexpr auto settling = std::chrono::seconds(10);

bool isPassing(const TransportError& error) {
  using Kind = TransportError::Kind;
  return error.kind() == Kind::refused || error.kind() == Kind::timeout || error.kind() == Kind::closed || error.kind() == Kind::resolve ||
         error.kind() == Kind::other;
}

/// Calls until it succeeds or there is no hope left, and says all the while what is missing.
template <class Call> auto patiently(const std::string& what, Duration patience, World& world, Reporter& reporter, Call call) {
  const auto begin = world.clock.now();
  for (Duration pause = std::chrono::milliseconds(100);; pause = std::min<Duration>(pause * 2, std::chrono::seconds(1))) {
    const auto elapsed = world.clock.now() - begin;
    std::string trouble;
    try {
      return call();
    } catch (const TransportError& error) {
      if (!isPassing(error)) throw;
      if (elapsed >= patience)
        throw Error(fmt::format("gave up after {} waiting until {}: {}", humanDuration(patience), what, error.message()),
                    "is the address right, is an API server running there, and does a firewall let this machine through?");
      trouble = error.message();
    } catch (const ApiError& error) {
      const bool maySettle = (error.status() == 403 || error.status() == 404) && elapsed < std::min<Duration>(settling, patience);
      if (!maySettle && !(error.retriable() && elapsed < patience)) throw;
      trouble = error.message();
    } catch (const NotYet& error) {
      if (elapsed >= std::min<Duration>(signaturePatience, patience)) throw Error(error.message(), error.hint());
      trouble = error.message();
    }
    reporter.waiting(phase, Change{.verb = Verb::wait, .subject = what}, elapsed, patience, trouble);
    world.clock.sleep(pause);
  }
}

kube::Kubeconfig parsedInfo(const ClusterInfo& info, const std::string& source) {
  if (info.kubeconfig.empty())
    throw NotYet(fmt::format("cluster-info at {} has no kubeconfig", source), "run: kubestrap init phase bootstrap-token, on a control plane");
  auto cluster = kube::parseKubeconfig(info.kubeconfig, "cluster-info");
  if (cluster.authorities.empty()) throw Error(fmt::format("cluster-info at {} names no authority", source));
  return cluster;
}

void checkSignature(const ClusterInfo& info, const TokenDiscovery& token, const std::string& server) {
  const auto signature = info.signatures.find(token.tokenId);
  if (signature == info.signatures.end())
    throw NotYet(fmt::format("the cluster at {} does not know the token {}.*: it is mistyped, has expired, or was deleted", server, token.tokenId),
                 "make a new one on a control plane: kubestrap token create --print-join-command");
  if (!kube::verifyDetached(signature->second, info.kubeconfig, token.tokenId, token.tokenSecret))
    throw Error(fmt::format("the signature of cluster-info at {} is not one of this token: its secret part is wrong, or somebody else answers there",
                            server),
                "compare the token with: kubestrap token list, on a control plane");
}

std::vector<std::string> pinsOf(const kube::Kubeconfig& cluster) {
  std::vector<std::string> pins;
  for (const auto& certificate : certs::X509Certificate::parseAll(cluster.authorities, "cluster-info")) pins.push_back(certificate.publicKeyPin());
  return pins;
}

void checkPins(const kube::Kubeconfig& cluster, const TokenDiscovery& token) {
  if (isPinned(cluster, token)) return;
  throw Error(fmt::format("the authority of the cluster is {}, not {} as the hash says: the hash is of another cluster, or somebody stands between",
                          join(pinsOf(cluster), ", "), join(token.pins, ", ")),
              "get the hash anew on a control plane: kubestrap token create --print-join-command");
}

/// Reads cluster-info, and the server's clock with it.
ClusterInfo readWithClock(World& world, const std::string& server, const std::string& authorities, config::ClockFacts& clock) {
  const auto asked = world.clock.now();
  auto info = kube::readClusterInfo(world.http, server, authorities);
  if (info.serverTime) host::compareClock(clock, *info.serverTime, asked, world.clock.now(), "the API server at " + server);
  return info;
}

std::string clockRemedy(const config::ClockFacts& clock) {
  if (!clock.ahead || std::chrono::abs(*clock.ahead) < std::chrono::minutes(1)) return {};
  return fmt::format("; this machine's clock is {} {} of that server's: let NTP keep both", humanDuration(std::chrono::abs(*clock.ahead)),
                     *clock.ahead < Duration::zero() ? "behind" : "ahead");
}

struct Discoverer {
  const config::Discovery& wanted;
  Duration patience;
  World& world;
  Reporter& reporter;

  Discovered operator()(const TokenDiscovery& token) const {
    const auto server = token.server.url();
    config::ClockFacts clock;
    const auto first = patiently(fmt::format("cluster-info can be read at {}", server), patience, world, reporter, [&] {
      auto info = readWithClock(world, server, {}, clock);
      parsedInfo(info, server);
      checkSignature(info, token, server);
      return info;
    });
    auto cluster = parsedInfo(first, server);
    checkPins(cluster, token);
    auto servers = config::apiServersIn(first.others);
    if (!token.pins.empty()) {
      // From here on we know whom to trust: the same must be said by a server that shows a certificate of that authority.
      const auto second = patiently(fmt::format("cluster-info can be read at {}, verified", server), patience, world, reporter, [&] {
        try {
          return kube::readClusterInfo(world.http, server, cluster.authorities);
        } catch (const TransportError& error) {
          if (error.kind() != TransportError::Kind::tls) throw;
          throw Error(fmt::format("{} shows a certificate that the cluster's authority has not signed for it: {}", server, error.message()),
                      "somebody may stand between; or the name is missing in the API server's certificate (apiServer.certSANs)" +
                          clockRemedy(clock));
        }
      });
      if (second.kubeconfig != first.kubeconfig)
        throw Error(fmt::format("cluster-info at {} reads otherwise when it is read again, verified", server), "somebody may stand between");
      servers = config::apiServersIn(second.others);
    }
    // Its name stands for each node on that node, and this machine is none yet.
    if (!servers.empty()) cluster.server = server;
    return {withToken(std::move(cluster)), std::move(servers), clock};
  }

  Discovered operator()(const FileDiscovery& file) const {
    auto cluster = file.isUrl() ? fetched(file.path) : fromFile(file.path);
    const auto named = cluster.server;
    config::ClockFacts clock;
    const auto info = patiently(fmt::format("cluster-info can be read at {}", named), patience, world, reporter,
                                [&]() -> std::optional<ClusterInfo> {
                                  try {
                                    return readWithClock(world, named, cluster.authorities, clock);
                                  } catch (const ApiError& error) {
                                    if (error.status() != 403 && error.status() != 401) throw;
                                    reporter.warning(phase, "cluster-info may not be read; the file is believed as it is");
                                    return std::nullopt;
                                  }
                                });
    if (info) {
      const auto shown = parsedInfo(*info, named);
      if (cluster.authorities.empty()) cluster.authorities = shown.authorities;
      if (shown.server != named)
        reporter.warning(phase, fmt::format("cluster-info names the server {}, the file {}", shown.server, named));
    }
    auto servers = info ? config::apiServersIn(info->others) : std::map<std::string, config::Endpoint>();
    if (!wanted.tlsBootstrapToken.empty()) return {withToken(std::move(cluster)), std::move(servers), clock};
    if (cluster.token.empty() && cluster.clientCertificate.empty())
      throw Error(fmt::format("{} has no credentials, and there is no --tls-bootstrap-token", file.path),
                  "make a token on a control plane: kubestrap token create", ExitCode::usage);
    return {std::move(cluster), std::move(servers), clock};
  }

  kube::Kubeconfig withToken(kube::Kubeconfig cluster) const {
    cluster.user = "tls-bootstrap-token-user"; // kubeadm's name: discovery/discovery.go
    cluster.token = wanted.tlsBootstrapToken;
    cluster.clientCertificate.clear();
    cluster.clientKey = Secret();
    return cluster;
  }

  kube::Kubeconfig fetched(const std::string& url) const {
    const auto response = patiently(fmt::format("{} answers", url), patience, world, reporter, [&] {
      return world.http.perform({.url = url, .headers = {{"User-Agent", "kubestrap"}}, .proxy = net::Request::Proxy::environment});
    });
    if (response.status != 200) throw Error(fmt::format("{} answers {}", url, response.status), "it has to be a kubeconfig file");
    return kube::parseKubeconfig(response.body, url);
  }

  kube::Kubeconfig fromFile(const std::string& path) const {
    const auto text = world.host.read(std::filesystem::absolute(path));
    if (!text) throw Error(fmt::format("there is no file {}", path), {}, ExitCode::usage);
    auto cluster = kube::parseKubeconfig(*text, path);
    // What it names is read in here: the kubelet shall not depend on files of the operator's.
    const auto folder = std::filesystem::absolute(path).parent_path();
    const auto content = [&](const std::string& file) {
      const auto found = world.host.read(folder / file);
      if (!found) throw Error(fmt::format("{} names {}, which is absent", path, file), {}, ExitCode::usage);
      return *found;
    };
    if (cluster.authorities.empty() && !cluster.authorityFile.empty()) cluster.authorities = content(cluster.authorityFile);
    if (cluster.clientCertificate.empty() && !cluster.clientCertificateFile.empty()) {
      cluster.clientCertificate = content(cluster.clientCertificateFile);
      cluster.clientKey = Secret(content(cluster.clientKeyFile));
    }
    cluster.authorityFile.clear();
    cluster.clientCertificateFile.clear();
    cluster.clientKeyFile.clear();
    return cluster;
  }
};

struct Stored {
  std::string_view map, key;
  enum class Need { always, perhaps } need = Need::perhaps;
};
constexpr Stored storedDocuments[] = {{"kubeadm-config", "ClusterConfiguration", Stored::Need::always},
                                      {"kubelet-config", "kubelet", Stored::Need::always},
                                      {"kubestrap-config", "KubestrapConfiguration"},
                                      {"kubestrap-config", "AuditPolicy"}};

} // namespace

bool isPinned(const kube::Kubeconfig& cluster, const TokenDiscovery& token) {
  if (token.pins.empty()) return true;
  const auto found = pinsOf(cluster);
  return std::ranges::any_of(token.pins, [&](const auto& each) { return std::ranges::find(found, lower(each)) != found.end(); });
}

Discovered discover(const config::Discovery& wanted, Duration patience, World& world, Reporter& reporter) {
  return std::visit(Discoverer{wanted, patience, world, reporter}, wanted.how);
}

std::vector<Document> readClusterDocuments(const kube::Kubeconfig& cluster, Duration patience, World& world, Reporter& reporter) {
  kube::Client client(world.http, cluster);
  std::vector<Document> documents;
  for (const auto& row : storedDocuments) {
    const kube::ObjectKey key{"v1", "ConfigMap", "kube-system", std::string(row.map)};
    std::optional<Value> found;
    try {
      found = patiently(key.string() + " can be read", row.need == Stored::Need::always ? patience : Duration::zero(), world, reporter,
                        [&] { return client.get(key); });
    } catch (const ApiError& error) {
      if (error.status() == 401)
        throw Error(fmt::format("the cluster at {} does not accept the bootstrap token for authentication", client.server()),
                    "it has expired or lacks the usage \"authentication\"; make a new one: kubestrap token create");
      if (row.need == Stored::Need::always) throw;
    }
    const auto* text = found ? find(*found, "data") : nullptr;
    if (!text || !text->contains(std::string(row.key))) {
      if (row.need == Stored::Need::always)
        throw Error(fmt::format("{} has no {}", key.string(), row.key), "run: kubestrap init phase upload-config all, on a control plane");
      continue;
    }
    for (auto& document : parseYaml((*text)[std::string(row.key)].get<std::string>(), key.string())) documents.push_back(std::move(document));
  }
  return documents;
}

} // namespace kubestrap::plan
