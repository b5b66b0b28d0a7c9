#include "phases/certificates.hpp"
#include "phases/preflight_checks.hpp"

#include "support/error.hpp"
#include "support/text.hpp"
#include "support/version.hpp"

namespace kubestrap::phases {

namespace {

/// kubeadm: constants.MinExternalEtcdVersion
const Version oldestEtcd{.major = 3, .minor = 5, .patch = 24, .preRelease = "0"};

} // namespace

bool answer(const std::map<std::string, bool>& answers, const std::filesystem::path& path) {
  const auto found = answers.find(path.string());
  return found != answers.end() && found->second;
}

Observations fileAvailable(const Facts& facts, const std::filesystem::path& file) {
  if (!answer(facts.files, file) || isRecorded(facts, file)) return {};
  // The kubelet makes its kubeconfig itself, out of the one that a join gave it.
  if (file == config::paths::kubeletConf && isRecorded(facts, config::paths::bootstrapKubeletConf)) return {};
  return {error(fmt::format("{} exists already, and kubestrap did not make it", file.string()))};
}

Observations etcdFolder(const Setup& setup, const Facts& facts) {
  const auto& folder = setup.cluster.etcd.local.dataDir;
  if (!answer(facts.nonEmptyFolders, folder) || isRecorded(facts, folder)) return {};
  // A folder that was there, empty, before the first run is no work of kubestrap's, yet its etcd may have filled it
  // since. Whether it did, or another cluster's data lies in a folder that is named only now, cannot be told from here:
  // never advise to delete it.
  if (isRecorded(facts, config::paths::manifests / "etcd.yaml"))
    return {error(
        fmt::format("{} is not empty; an earlier run started an etcd here, but did not make this folder",
                    folder.string()),
        fmt::format("if it is the folder of that etcd (--data-dir in {}), go on with --ignore-preflight-errors={}",
                    (config::paths::manifests / "etcd.yaml").string(),
                    "DirAvailable-" + replaceAll(folder.string(), "/", "-")))};
  return {error(
      fmt::format("{} is not empty, and kubestrap did not fill it", folder.string()),
      fmt::format("if nothing of it is needed any more, empty it (an old cluster's data: move it away first); a "
                  "new disk's lost+found counts as well: name a folder below it as etcd.local.dataDir, such as {}/data",
                  folder.string()))};
}

Observations etcdClientCertificates(const Setup& setup, const Facts& facts) {
  Observations seen;
  const auto& etcd = *setup.cluster.etcd.external;
  const std::pair<std::string_view, const std::string&> files[] = {
      {"caFile", etcd.caFile}, {"certFile", etcd.certFile}, {"keyFile", etcd.keyFile}};
  for (const auto& [field, path] : files)
    if (!path.empty() && !answer(facts.files, path))
      seen.push_back(error(fmt::format("{} (etcd.external.{}) is not there", path, field)));
  return seen;
}

Observations signedElsewhere(const Setup& setup, const Facts& facts) {
  const auto& cluster = setup.cluster;
  const auto hasNoKey = [&](std::string_view authority) {
    return answer(facts.files, certificateFile(cluster, authority)) && !answer(facts.files, keyFile(cluster, authority));
  };
  std::vector<std::string> lacking;
  const auto need = [&](const std::filesystem::path& file) {
    if (!answer(facts.files, file)) lacking.push_back(file.string());
  };
  for (const auto& row : certs::catalogue()) {
    if (row.authority() || !isNeeded(row, cluster) || !hasNoKey(row.issuer)) continue;
    need(certificateFile(cluster, row.name));
    need(keyFile(cluster, row.name));
  }
  if (hasNoKey("ca"))
    for (const auto& row : certs::kubeconfigs())
      if (setup.request.joining.server.empty() || !row.firstNodeOnly) need(resolve(row, setup).path);
  if (lacking.empty()) return {};
  return {error(fmt::format("the key of an authority is kept elsewhere, and what it has to sign is not there: {}", join(lacking, ", ")))};
}

Observations etcdVersion(const Setup& setup, const Facts& facts) {
  Observations seen;
  for (const auto& url : setup.cluster.etcd.external->httpEndpoints) {
    const auto found = facts.etcd.find(url);
    if (found == facts.etcd.end()) continue; // nobody asked
    const auto& [text, failure, took] = found->second;
    if (!failure.empty()) {
      seen.push_back(error(fmt::format("etcd does not tell its version at {}/version: {}", url, failure)));
      continue;
    }
    try {
      if (parseVersion(text) >= oldestEtcd) continue;
      seen.push_back(error(fmt::format("etcd at {} is {}, older than 3.5.24", url, text), "upgrade it first"));
    } catch (const Error&) {
      seen.push_back(error(fmt::format("what answers at {}/version is no etcd: its version is \"{}\"", url, text)));
    }
  }
  return seen;
}

} // namespace kubestrap::phases
