// The kubelet's client certificate, asked for in the cluster as the kubelet itself does (client-go: util/certificate), when its authority is
// to be another one: the kubelet asks by itself only when its certificate ends.
#include "plan/kinds.hpp"

#include "certs/signing_request.hpp"
#include "certs/x509.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

using certs::PrivateKey;
using certs::X509Certificate;

const std::string apiVersion = "certificates.k8s.io/v1", kind = "CertificateSigningRequest";

X509Certificate read(const Path& path, const Context& context) {
  const auto pem = context.world.host.read(path);
  if (!pem) throw NotYet(path.string() + " is absent");
  return X509Certificate::parse(*pem, path.string());
}

/// Somebody who asks for what he has already: the cluster approves it by itself (kubeadm:node-autoapprove-certificate-rotation).
Value requestFor(const X509Certificate& present, const PrivateKey& key, const std::string& name) {
  certs::Request request;
  const auto subject = present.subject();
  for (const auto& organization : subject.organizations) request.subject.add(certs::attribute::organization, organization);
  request.subject.add(certs::attribute::commonName, subject.commonName);
  auto usages = Value::array({"digital signature", "client auth"});
  if (key.kind().algorithm == "rsa") usages.push_back("key encipherment");
  return Value::object({{"apiVersion", apiVersion},
                        {"kind", kind},
                        {"metadata", Value::object({{"name", name}})},
                        {"spec", Value::object({{"request", base64(certs::SigningRequest::make(request, key).pem())},
                                                {"signerName", "kubernetes.io/kube-apiserver-client-kubelet"},
                                                {"usages", std::move(usages)}})}});
}

std::optional<std::string> refusal(const Value& object) {
  const auto* conditions = find(object, "status.conditions");
  for (const auto& each : conditions ? *conditions : Value::array())
    if (const auto type = stringAt(each, "type"); type == "Denied" || type == "Failed")
      return fmt::format("{}: {}", type, stringAt(each, "message", stringAt(each, "reason")));
  return std::nullopt;
}

std::string awaited(const std::string& name, const KubeletCertificate& wanted, const Change& change, const Context& context) {
  std::string pem;
  const Condition signs{.what = fmt::format("the cluster signs {}", name), .probe = ApiServerAnswers{wanted.access}, .patience = wanted.patience,
                        .hint = fmt::format("kubectl describe csr {}", name)};
  await(signs, change, context, [&]() -> std::optional<std::string> {
    const auto object = connect(wanted.access, context).get({apiVersion, kind, "", name});
    if (!object) return "it is gone";
    if (const auto why = refusal(*object)) throw Error(fmt::format("the cluster does not sign {}: {}", name, *why), signs.hint);
    pem = fromBase64(stringAt(*object, "status.certificate")).value_or("");
    return pem.empty() ? std::optional<std::string>("not signed yet") : std::nullopt;
  });
  return pem;
}

/// As the kubelet keeps it: a file with key and certificate, and a link to it, which changes in one go.
void keep(const Path& link, const std::string& pem, const Context& context) {
  auto stamp = formatRfc3339(context.world.clock.now());
  std::erase_if(stamp, [](char c) { return c == ':' || c == 'Z'; });
  const auto file = link.parent_path() / fmt::format("kubelet-client-{}.pem", stamp);
  auto& host = context.world.host;
  host.write(file, pem, 0600);
  const auto beside = link.string() + ".kubestrap-new";
  runOrThrow(host, "ln", {"-sfn", file.string(), beside}, "see whether its file system takes links");
  host.rename(beside, link);
}

} // namespace

Change needed(const KubeletCertificate& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  if (read(wanted.file, context).signedBy(read(wanted.authority, context))) return change;
  change.verb = Verb::update;
  change.reason = "another authority is to sign it";
  return change;
}

void perform(const KubeletCertificate& wanted, const Change& change, const Context& context) {
  const auto present = read(wanted.file, context);
  const auto key = PrivateKey::generate(certs::KeyAlgorithm::ecdsaP256);
  const auto name = fmt::format("kubestrap-{}", hex(context.world.entropy.bytes(6)));
  withPatience(context, name, [&] { connect(wanted.access, context).create(requestFor(present, key, name)); });
  const auto pem = awaited(name, wanted, change, context);
  const auto made = X509Certificate::parse(pem, name);
  if (!made.signedBy(read(wanted.authority, context)))
    throw Error(fmt::format("{} was signed by another authority than {} says", name, wanted.authority.string()),
                "a controller-manager has not taken the authority's key up: see whether all of them have been started anew");
  keep(wanted.file, made.pem() + key.pem().reveal(), context);
}

} // namespace kubestrap::plan
