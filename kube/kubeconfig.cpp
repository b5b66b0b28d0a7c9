#include "kube/kubeconfig.hpp"

#include "support/encoding.hpp"
#include "support/error.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

namespace kubestrap::kube {

namespace {

/// Looks into one kubeconfig; complaints name the source and the field.
class Reader {
public:
  Reader(const Value& document, std::string_view source) : document_(document), source_(source) {}

  [[noreturn]] void fail(std::string_view field, std::string_view why) const {
    throw Error(fmt::format("{}: {}: {}", source_, field, why), "it has to be a kubeconfig file, as kubectl uses");
  }

  /// The entry called `name` of the list `list`, its inner mapping `member`.
  const Value& named(const std::string& list, const std::string& name, const std::string& member) const {
    for (const Value& entry : items(list))
      if (stringAt(entry, "name") == name && entry.contains(member) && entry[member].is_object()) return entry[member];
    fail(list, fmt::format("there is none called \"{}\"", name));
  }

  const Value& items(const std::string& list) const {
    static const Value none = Value::array();
    const Value* found = find(document_, list);
    if (!found || found->is_null()) return none;
    if (!found->is_array()) fail(list, "it is no list");
    return *found;
  }

  std::string text(const Value& from, const std::string& member, const std::string& field) const {
    const Value* found = find(from, member);
    if (!found || found->is_null()) return {};
    if (!found->is_string()) fail(field + "." + member, "it is no text");
    return found->get<std::string>();
  }

  std::string decoded(const Value& from, const std::string& member, const std::string& field) const {
    const auto bytes = fromBase64(text(from, member, field));
    if (!bytes) fail(field + "." + member, "it is not valid base64");
    return *bytes;
  }

private:
  const Value& document_;
  std::string_view source_;
};

void putIfGiven(Value& into, const char* member, const std::string& text) {
  if (!text.empty()) into[member] = text;
}

/// Embedded data where there is some, else the file's name.
void putDataOrFile(Value& into, const std::string& member, const std::string& data, const std::string& file) {
  if (!data.empty())
    into[member + "-data"] = base64(data);
  else if (!file.empty())
    into[member] = file;
}

} // namespace

Kubeconfig parseKubeconfig(std::string_view text, std::string_view source) {
  const Value document = parseYamlValue(text, std::string(source));
  const Reader reader(document, source);
  if (!document.is_object() || stringAt(document, "kind", "Config") != "Config")
    reader.fail("kind", "it is not \"Config\"");

  Kubeconfig result;
  const std::string context = reader.text(document, "current-context", "");
  const Value& clusters = reader.items("clusters");
  if (!context.empty()) {
    const Value& chosen = reader.named("contexts", context, "context");
    const std::string field = fmt::format("contexts[{}].context", context);
    result.clusterName = reader.text(chosen, "cluster", field);
    result.user = reader.text(chosen, "user", field);
  } else {
    if (clusters.size() != 1)
      reader.fail("current-context",
                  fmt::format("it is empty, and there are {} clusters instead of one", clusters.size()));
    result.clusterName = stringAt(clusters[0], "name");
  }

  const Value& cluster = reader.named("clusters", result.clusterName, "cluster");
  const std::string field = fmt::format("clusters[{}].cluster", result.clusterName);
  result.server = reader.text(cluster, "server", field);
  if (result.server.empty()) reader.fail(field + ".server", "it is missing");
  while (result.server.ends_with('/')) result.server.pop_back();
  result.tlsServerName = reader.text(cluster, "tls-server-name", field);
  result.authorities = reader.decoded(cluster, "certificate-authority-data", field);
  result.authorityFile = reader.text(cluster, "certificate-authority", field);

  if (result.user.empty()) return result;
  const Value& user = reader.named("users", result.user, "user");
  const std::string userField = fmt::format("users[{}].user", result.user);
  result.clientCertificate = reader.decoded(user, "client-certificate-data", userField);
  result.clientKey = Secret(reader.decoded(user, "client-key-data", userField));
  result.clientCertificateFile = reader.text(user, "client-certificate", userField);
  result.clientKeyFile = reader.text(user, "client-key", userField);
  result.token = Secret(reader.text(user, "token", userField));
  for (const char* kind : {"exec", "auth-provider", "username", "tokenFile"})
    if (const Value* found = find(user, kind); found && !found->is_null()) result.otherCredential = kind;
  return result;
}

void readCredentials(Kubeconfig& kubeconfig, const std::function<std::optional<std::string>(const std::string& file)>& read) {
  if (kubeconfig.clientCertificateFile.empty()) return;
  kubeconfig.clientCertificate = read(kubeconfig.clientCertificateFile).value_or("");
  kubeconfig.clientKey = Secret(read(kubeconfig.clientKeyFile).value_or(""));
}

std::string emitKubeconfig(const Kubeconfig& kubeconfig) {
  Value cluster = Value::object();
  putDataOrFile(cluster, "certificate-authority", kubeconfig.authorities, kubeconfig.authorityFile);
  cluster["server"] = kubeconfig.server;
  putIfGiven(cluster, "tls-server-name", kubeconfig.tlsServerName);
  Value user = Value::object();
  putDataOrFile(user, "client-certificate", kubeconfig.clientCertificate, kubeconfig.clientCertificateFile);
  putDataOrFile(user, "client-key", kubeconfig.clientKey.reveal(), kubeconfig.clientKeyFile);
  putIfGiven(user, "token", kubeconfig.token.reveal());

  const std::string context = kubeconfig.user + "@" + kubeconfig.clusterName;
  return emitYaml(
      {{"apiVersion", "v1"},
       {"clusters", Value::array({{{"cluster", cluster}, {"name", kubeconfig.clusterName}}})},
       {"contexts", Value::array({{{"context", {{"cluster", kubeconfig.clusterName}, {"user", kubeconfig.user}}},
                                   {"name", context}}})},
       {"current-context", context},
       {"kind", "Config"},
       {"users", Value::array({{{"name", kubeconfig.user}, {"user", user}}})}});
}

std::string emitDiscoveryKubeconfig(const std::string& server, const std::string& authorities) {
  const Value cluster{{"certificate-authority-data", base64(authorities)}, {"server", server}};
  return emitYaml({{"apiVersion", "v1"},
                   {"clusters", Value::array({{{"cluster", cluster}, {"name", ""}}})},
                   {"contexts", nullptr},
                   {"current-context", ""},
                   {"kind", "Config"},
                   {"users", nullptr}});
}

} // namespace kubestrap::kube
