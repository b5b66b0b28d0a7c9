// What the checks have to know of a machine besides what is looked at in any case.
#include "phases/addons.hpp"
#include "phases/certificates.hpp"
#include "phases/preflight_checks.hpp"

#include "manifests/components.hpp"
#include "manifests/front.hpp"

namespace kubestrap::phases {

namespace {

void askOfCertificates(PreflightQuestions& questions, const Setup& setup) {
  const auto& cluster = setup.cluster;
  // Which authorities the operator brings along: what comes of it is the configuration's business
  // (Node::externalAuthority).
  for (const auto& row : certs::catalogue()) {
    questions.files.push_back(certificateFile(cluster, row.name));
    questions.files.push_back(keyFile(cluster, row.name));
  }
  for (const auto& row : certs::kubeconfigs()) questions.files.push_back(resolve(row, setup).path);
  for (const auto* file : {"sa.key", "sa.pub"}) questions.files.push_back(cluster.pki.folder / file);
  if (const auto& etcd = cluster.etcd.external)
    for (const auto& file : {etcd->caFile, etcd->certFile, etcd->keyFile})
      if (!file.empty()) questions.files.emplace_back(file);
}

/// Those of add-ons only where nobody may pull them later: nodes fetch them by themselves.
std::vector<std::string> imagesOf(Purpose purpose, const Setup& setup) {
  const auto& cluster = setup.cluster;
  if (purpose != Purpose::joinWorker) {
    auto images = manifests::imageList(cluster);
    if (setup.request.offline)
      for (const auto& [image, by] : addonImages(setup)) images.push_back(image);
    return images;
  }
  std::vector<std::string> images{cluster.images.pause};
  if (!cluster.proxyDisabled) images.push_back(cluster.images.proxy);
  if (manifests::hasFront(cluster) && !cluster.kubestrap.frontImage.empty()) images.push_back(cluster.kubestrap.frontImage);
  return images;
}

} // namespace

PreflightQuestions questionsForInit() {
  auto questions = questionsForInit(Setup{});
  questions.images.clear(); // not known yet
  return questions;
}

PreflightQuestions questionsForInit(const Setup& setup) { return questionsFor(Purpose::init, setup); }

PreflightQuestions questionsFor(Purpose purpose, const Setup& setup) {
  PreflightQuestions questions{
      .files = {apiServerManifest, controllerManagerManifest, schedulerManifest, etcdManifest, config::paths::kubeletConf,
                config::paths::bootstrapKubeletConf, config::paths::kubeletConfig},
      .folders = {setup.cluster.etcd.local.dataDir},
      .texts = {fstab, containerdConfig},
      .disks = disksOf(purpose, setup),
      .programs = {"losetup", "mount", "cp", "conntrack"},
      .sysctls = {ipv4Forwarding, ipv6Forwarding},
      .images = imagesOf(purpose, setup),
      .ports = {setup.node.bindPort, schedulerPort, controllerManagerPort, kubeletPort, etcdClientPort, etcdPeerPort}};
  if (manifests::hasFront(setup.cluster)) {
    questions.ports.push_back(manifests::frontEndpoint(setup).port);
    for (const auto slot : manifests::frontSlots) questions.files.push_back(manifests::frontManifest(slot));
  }
  for (const auto& each : bridgeSettings()) questions.sysctls.emplace_back(each.name);
  for (const auto& each : kernelDefaults()) questions.sysctls.emplace_back(each.name);
  askOfCertificates(questions, setup);
  return questions;
}

std::string registryOf(std::string_view image) {
  const auto first = image.substr(0, image.find('/'));
  const bool isHost = first.size() < image.size() &&
                      (first.find('.') != first.npos || first.find(':') != first.npos || first == "localhost");
  return isHost ? std::string(first) : "docker.io";
}

} // namespace kubestrap::phases
