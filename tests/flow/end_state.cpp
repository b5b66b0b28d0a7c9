#include "tests/flow/end_state.hpp"

#include "certs/seal.hpp"
#include "certs/x509.hpp"
#include "kube/jws.hpp"
#include "kube/kubeconfig.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::flow {

namespace {

using certs::PrivateKey;
using certs::X509Certificate;

constexpr const char* kPki = "/etc/kubernetes/pki/";

/// The authority of the PKI folder that signed it.
std::string signerOf(const X509Certificate& certificate, const Machine& machine) {
  for (const auto* name : {"ca", "front-proxy-ca", "etcd/ca"})
    if (const auto pem = machine.host.text(fmt::format("{}{}.crt", kPki, name)); !pem.empty())
      if (certificate.signedBy(X509Certificate::parse(pem, name))) return name;
  return "somebody else";
}

std::string meaning(const X509Certificate& certificate, const PrivateKey& key, const Machine& machine) {
  auto names = certificate.names();
  for (const auto& ip : names.ips) names.dns.push_back(ip.string());
  std::vector<std::string> usages;
  for (const auto usage : certificate.usages())
    usages.push_back(usage == certs::ExtendedUsage::serverAuth ? "server" : "client");
  return fmt::format("certificate CN={} O={} names={} usages={} authority={} signed by {}, its key {}, lives {}",
                     certificate.subject().commonName, join(certificate.subject().organizations, ","),
                     join(names.dns, ","), join(usages, ","), certificate.isAuthority(), signerOf(certificate, machine),
                     certificate.belongsTo(key) ? "fits" : "does not fit",
                     humanDuration(certificate.notAfter() - certificate.notBefore()));
}

std::string kubeconfigMeaning(const std::string& path, const std::string& text, const Machine& machine) {
  const auto config = kube::parseKubeconfig(text, path);
  auto said =
      fmt::format("kubeconfig of {} for {} at {} ({}), trusts {}", config.user, config.clusterName, config.server,
                  config.tlsServerName, signerOf(X509Certificate::parse(config.authorities, path), machine));
  if (!config.clientCertificateFile.empty()) return said + ", goes with " + config.clientCertificateFile;
  return said + ", goes with " +
         meaning(X509Certificate::parse(config.clientCertificate, path), PrivateKey::parse(config.clientKey, path),
                 machine);
}

std::string fileMeaning(const std::string& path, const std::string& content, const Machine& machine) {
  // A worker has the authority without its key.
  if (path.ends_with(".crt") && !machine.host.files.contains(path.substr(0, path.size() - 4) + ".key"))
    return "certificate of " + X509Certificate::parse(content, path).subject().commonName;
  if (path.ends_with(".crt"))
    return meaning(X509Certificate::parse(content, path),
                   PrivateKey::parse(Secret(machine.host.text(path.substr(0, path.size() - 4) + ".key")), path),
                   machine);
  if (path.ends_with(".key")) return "private key";
  if (path.ends_with("sa.pub"))
    return content == PrivateKey::parse(Secret(machine.host.text(std::string(kPki) + "sa.key")), path).publicPem()
               ? "public half of sa.key"
               : "public half of another key";
  if (path.ends_with(".conf")) return kubeconfigMeaning(path, content, machine);
  return content;
}

/// Whether a token's bearer would believe it.
bool isSignature(const std::string& text, const std::string& content, const std::string& token, const Machine& machine) {
  const auto secret = machine.api.object("/api/v1/namespaces/kube-system/secrets/bootstrap-token-" + token);
  const auto known = secret ? fromBase64(stringAt(*secret, "data.token-secret")) : std::nullopt;
  return known && kube::verifyDetached(text, content, token, Secret(*known));
}

Value withoutAccident(Value object, const Machine& machine) {
  auto& metadata = object["metadata"];
  for (const auto* member : {"resourceVersion", "uid", "creationTimestamp", "generation"}) metadata.erase(member);
  if (metadata.contains("managedFields"))
    for (auto& entry : metadata["managedFields"]) entry.erase("time");
  if (metadata.contains("ownerReferences"))
    for (auto& owner : metadata["ownerReferences"]) {
      const auto found = machine.api.object("/api/v1/namespaces/kube-system/secrets/" + stringAt(owner, "name"));
      owner["uid"] = found && stringAt(*found, "metadata.uid") == stringAt(owner, "uid") ? "the owner's" : "another's";
    }
  if (!object.contains("data")) return object;
  constexpr std::string_view signature = "jws-kubeconfig-";
  const auto discovery = stringAt(object, "data.kubeconfig");
  for (auto& [key, value] : object["data"].items()) {
    auto text = value.get<std::string>();
    if (key == "kubeconfig")
      text = replaceAll(text, base64(machine.host.text(std::string(kPki) + "ca.crt")), "the authority");
    if (stringAt(metadata, "name") == "kubeadm-certs" && !text.empty()) {
      const auto plain = certs::unseal(*fromBase64(text), Secret(*fromHex(kCertificateKey)));
      const auto path = std::string(kPki) + replaceAll(key, "etcd-", "etcd/");
      text = plain && plain->reveal() == machine.host.text(path) ? "sealed " + path : "sealed something else";
    }
    if (key == "expiration") text = "a date";
    if (key.starts_with(signature)) text = isSignature(text, discovery, key.substr(signature.size()), machine) ? "fits" : "does not fit";
    value = text;
  }
  return object;
}

} // namespace

std::map<std::string, std::string> endState(Machine& machine) {
  std::map<std::string, std::string> state;
  for (const auto& [path, file] : machine.host.files) {
    if (path.starts_with("/var/lib/kubestrap")) continue;
    const bool folder = file.type == host::FileStatus::Type::folder;
    state[path] = fmt::format("{:04o} {}", file.mode, folder ? "folder" : fileMeaning(path, file.content, machine));
  }
  // A turn that was not given back passes to the next by itself.
  for (const auto& path : machine.api.paths())
    if (!path.ends_with("/leases/kubestrap-etcd-join")) state[path] = withoutAccident(*machine.api.object(path), machine).dump(1);
  const auto& kubelet = machine.host.services["kubelet"];
  state["kubelet"] =
      fmt::format("{} {} {}", kubelet.active, kubelet.enabled ? "enabled" : "not enabled", kubelet.restarts);
  state["images"] = join(std::vector<std::string>(machine.cri.images.begin(), machine.cri.images.end()), " ");
  return state;
}

std::vector<std::string> differing(const std::map<std::string, std::string>& a,
                                   const std::map<std::string, std::string>& b) {
  std::vector<std::string> found;
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other == b.end())
      found.push_back("only in the first: " + key);
    else if (other->second != value)
      found.push_back(fmt::format("{}: {} against {}", key, value, other->second));
  }
  for (const auto& [key, value] : b)
    if (!a.contains(key)) found.push_back("only in the second: " + key);
  return found;
}

} // namespace kubestrap::flow
