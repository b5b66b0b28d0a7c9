#include "manifests/second_etcd.hpp"

#include "manifests/components.hpp"
#include "manifests/flags.hpp"
#include "manifests/hosted.hpp"
#include "manifests/static_pods.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace kubestrap;
using namespace kubestrap::manifests;

TEST_CASE("the second member of etcd has ports, name and data of its own, and knows the first by its own") {
  const auto setup = test::hostedSetup();
  const auto pod = secondEtcdPod(setup, "n1=https://10.88.0.11:2380,n1-second=https://10.88.0.11:2382");
  CHECK(stringAt(pod, "metadata.name") == "etcd-second");
  CHECK(pod.at("metadata").at("annotations").at("kubeadm.kubernetes.io/etcd.advertise-client-urls") == "https://10.88.0.11:2383");
  const auto command = test::strings(pod.at("spec").at("containers").at(0).at("command"));
  const auto has = [&](const std::string& word) { return std::ranges::find(command, word) != command.end(); };
  for (const auto* word : {"--name=n1-second", "--data-dir=/var/lib/etcd-second", "--advertise-client-urls=https://10.88.0.11:2383",
                           "--initial-advertise-peer-urls=https://10.88.0.11:2382", "--listen-peer-urls=https://10.88.0.11:2382",
                           "--listen-client-urls=https://127.0.0.1:2383,https://10.88.0.11:2383", "--listen-metrics-urls=http://127.0.0.1:2384",
                           "--initial-cluster=n1=https://10.88.0.11:2380,n1-second=https://10.88.0.11:2382", "--initial-cluster-state=existing"}) {
    CAPTURE(word);
    CHECK(has(word));
  }
  CHECK(pod.at("spec").at("containers").at(0).at("ports").at(0).at("containerPort") == 2384);
  CHECK(pod.at("spec").dump().find("2381") == std::string::npos);
  CHECK(secondEtcdPeerUrl(setup.node) == "https://10.88.0.11:2382");
  CHECK(bothEtcdServers(setup.node) == "https://127.0.0.1:2379,https://127.0.0.1:2383");
}

TEST_CASE("an API server can be made to know both members, and the second one has a health of its own") {
  const auto setup = test::hostedSetup();
  const auto pod = rescuePod(component("kube-apiserver"), setup);
  const auto serversOf = [](const Value& each) { return flagOf(test::strings(each.at("spec").at("containers").at(0).at("command")), "etcd-servers"); };
  CHECK(serversOf(pod) == "https://127.0.0.1:2379");
  const auto both = knowingBothEtcds(pod);
  CHECK(serversOf(both) == bothEtcdServers(setup.node));
  CHECK(knowingBothEtcds(both) == both);
  CHECK(secondEtcdHealth("http://127.0.0.1:2381/readyz") == "http://127.0.0.1:2384/readyz");
  CHECK(secondEtcdHealth("https://10.0.0.5:2379") == "");
}

TEST_CASE("addresses of the operator's own leave no room for a second member") {
  auto setup = test::hostedSetup();
  CHECK(noSecondEtcd(setup.cluster).empty());
  setup.cluster.etcd.local.extraArgs = {{"listen-client-urls", "https://0.0.0.0:2379"}};
  CHECK(noSecondEtcd(setup.cluster) == "etcd.local.extraArgs has listen-client-urls");
  setup.cluster.etcd.local.extraArgs = {{"quota-backend-bytes", "1"}};
  CHECK(noSecondEtcd(setup.cluster).empty());
  setup.cluster.apiServer.extraArgs = {{"etcd-servers", "https://127.0.0.1:1"}};
  CHECK(noSecondEtcd(setup.cluster) == "apiServer.extraArgs has etcd-servers");
}
