#include "cmd/sealed_look.hpp"

#include "certs/cms.hpp"
#include "certs/verify.hpp"
#include "certs/x509.hpp"
#include "phases/certificates.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

std::string receiverOf(const std::string& node, const std::string& shown, const config::Cluster& cluster, host::Host& host) {
  const auto receiver = certs::X509Certificate::parseAll(shown, "the API server's certificate of " + node);
  const auto authorities = certs::X509Certificate::parseAll(host.read(phases::certificateFile(cluster, "ca")).value_or(""), "ca.crt");
  if (std::ranges::none_of(authorities, [&](const auto& each) { return receiver.front().signedBy(each); }))
    throw Error(fmt::format("what {} shows as its API server's certificate is not of this cluster", node), "look at its /etc/kubernetes/pki");
  return receiver.front().pem();
}

std::optional<Secret> opened(kube::Client& client, const std::string& secret, std::string_view member, const config::Cluster& cluster, host::Host& host) {
  const auto found = client.get({"v1", "Secret", "kube-system", secret});
  const auto sealed = found && found->contains("data") ? fromBase64(found->at("data").value(std::string(member), std::string())) : std::nullopt;
  if (!sealed || sealed->empty()) return std::nullopt;
  const auto certificate = phases::certificateFile(cluster, "apiserver");
  return certs::openCms(*sealed, {.passphrase = {}, .certificate = certs::X509Certificate::parse(host.read(certificate).value_or(""), certificate.string()).pem(),
                                  .key = Secret(host.read(phases::keyFile(cluster, "apiserver")).value_or(""))});
}

} // namespace kubestrap::cmd
