#include "certs/catalogue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kubestrap::certs {

namespace {

template <typename Row> std::vector<std::string> named(std::span<const Row> rows, auto&& wanted) {
  std::vector<std::string> names;
  for (const Row& row : rows)
    if (wanted(row)) names.emplace_back(row.name);
  return names;
}
constexpr auto any = [](const auto&) { return true; };
using Names = std::vector<std::string>;

} // namespace

TEST_CASE("certificates stand in the order in which kubeadm makes them") {
  CHECK(named(catalogue(), any) == Names{"ca", "apiserver", "apiserver-kubelet-client", "front-proxy-ca",
                                         "front-proxy-client", "etcd-ca", "etcd-server", "etcd-peer",
                                         "etcd-healthcheck-client", "apiserver-etcd-client"});
}

TEST_CASE("every certificate stands behind the authority that signs it") {
  for (const CertificateRow& row : catalogue()) {
    CAPTURE(row.name);
    const CertificateRow* issuer = findRow(row.issuer);
    REQUIRE(issuer != nullptr);
    CHECK(issuer->authority());
    CHECK(issuer <= &row);
    CHECK(row.authority() == (!row.server && !row.client));
    CHECK(row.authority() == (row.names == NamesOf::ownCommonName));
    CHECK(!row.summary.empty());
  }
}

TEST_CASE("with an external etcd the certificates of its authority are not made") {
  CHECK(named(catalogue(), [](const CertificateRow& row) { return row.localEtcdOnly; }) ==
        Names{"etcd-ca", "etcd-server", "etcd-peer", "etcd-healthcheck-client", "apiserver-etcd-client"});
}

TEST_CASE("etcd's certificates lie in a folder of their own and the API server's client of it does not") {
  CHECK(findRow("etcd-ca")->file == "etcd/ca");
  CHECK(findRow("etcd-healthcheck-client")->file == "etcd/healthcheck-client");
  CHECK(findRow("apiserver-etcd-client")->file == "apiserver-etcd-client");
}

TEST_CASE("a row that is not there is not found") {
  CHECK(findRow("sa") == nullptr);
  CHECK(findRow("etcd/ca") == nullptr);
  CHECK(findRow("") == nullptr);
}

TEST_CASE("people's kubeconfigs use the cluster's endpoint, the node's components its own API server") {
  CHECK(named(kubeconfigs(), any) == Names{"admin", "super-admin", "kubelet", "controller-manager", "scheduler"});
  CHECK(named(kubeconfigs(), [](const KubeconfigRow& row) { return !row.localServer; }) ==
        Names{"admin", "super-admin"});
}

TEST_CASE("a further control plane gets the kubeconfigs that kubeadm's join writes") {
  CHECK(named(kubeconfigs(), [](const KubeconfigRow& row) { return !row.firstNodeOnly; }) ==
        Names{"admin", "controller-manager", "scheduler"});
}

TEST_CASE("only the hosted layout has a guard, who is somebody of his own on each node") {
  CHECK(named(hostedKubeconfigs(), any) == Names{"guard"});
  const auto& guard = hostedKubeconfigs().front();
  CHECK(guard.file == "guard.conf");
  CHECK(guard.user == "kubestrap:guard:");
  CHECK(guard.organization == "kubestrap:guards");
}

} // namespace kubestrap::certs
