#include "tests/golden/files.hpp"

#include "certs/x509.hpp"
#include "kube/kubeconfig.hpp"
#include "phases/certificates.hpp"
#include "phases/workflows.hpp"
#include "plan/run.hpp"
#include "support/text.hpp"
#include "support/time.hpp"
#include "tests/fakes/fake_api.hpp"
#include "tests/fakes/fake_cri.hpp"
#include "tests/fakes/fake_host.hpp"

#include <fmt/format.h>

namespace kubestrap::golden {

namespace {

using certs::X509Certificate;
using fakes::FakeHost;

class StandingClock : public plan::Clock {
public:
  explicit StandingClock(FakeHost& host) : host_(host) {}
  TimePoint now() const override { return host_.now; }
  void sleep(Duration duration) override { host_.now += duration; }

private:
  FakeHost& host_;
};

class SteadyEntropy : public plan::Entropy {
public:
  std::string bytes(std::size_t count) override {
    used_ += count;
    return steadyBytes(used_).substr(used_ - count);
  }

private:
  std::size_t used_ = 0; ///< of the steady bytes
};

void run(FakeHost& host, const config::Setup& setup, const config::Facts& facts, const std::string& phase) {
  fakes::FakeCri cri{&host};
  fakes::FakeApi api;
  StandingClock clock(host);
  SteadyEntropy entropy;
  plan::World world{host, cri, api, clock, entropy};
  plan::run(phases::initWorkflow(), {.only = phase, .skip = {}}, setup, facts, world, plan::Mode::apply,
            *plan::silentReporter(), "init phase " + phase);
}

// ---- what files say

std::string label(std::string_view pem) {
  constexpr std::string_view begin = "-----BEGIN ";
  const auto at = pem.find(begin);
  if (at == std::string_view::npos) return "no PEM";
  return std::string(pem.substr(at + begin.size(), pem.find("-----", at + begin.size()) - at - begin.size()));
}

std::string keyText(const Secret& pem, const std::string& path) {
  const auto algorithm = certs::PrivateKey::parse(pem, path).algorithm();
  return fmt::format("{}, {}", label(pem.reveal()), algorithm ? certs::name(*algorithm) : "of another kind");
}

std::string subjectText(const certs::Subject& subject) {
  std::string text = "CN=" + subject.commonName;
  for (const auto& organization : subject.organizations) text += ", O=" + organization;
  return text;
}

/// From the moment that it was made, to the second.
std::string span(TimePoint from, TimePoint to) {
  return formatDuration(std::chrono::round<std::chrono::seconds>(to - from));
}

std::string certificateText(const std::string& pem, const std::string& path, TimePoint made) {
  const auto certificate = X509Certificate::parse(pem, path);
  const auto names = certificate.names();
  std::vector<std::string> usages, said = names.dns;
  for (const auto& ip : names.ips) said.push_back(ip.string());
  for (const auto usage : certificate.usages())
    usages.push_back(usage == certs::ExtendedUsage::serverAuth ? "server" : "client");
  std::string text =
      fmt::format("{}, {}\n", label(pem), certificate.isAuthority() ? "authority" : join(usages, " and "));
  text += fmt::format("    subject {}\n", subjectText(certificate.subject()));
  text += fmt::format("    issuer  {}\n", subjectText(certificate.issuer()));
  for (const auto& name : said) text += fmt::format("    name    {}\n", name);
  const auto algorithm = certificate.algorithm();
  text += fmt::format("    key     {}\n", algorithm ? certs::name(*algorithm) : "of another kind");
  return text + fmt::format("    valid   from {}, until {}\n", span(made, certificate.notBefore()),
                            span(made, certificate.notAfter()));
}

std::string kubeconfigText(const std::string& content, const std::string& path, TimePoint made) {
  const auto config = kube::parseKubeconfig(content, path);
  return fmt::format("kubeconfig\n    cluster {}\n    server  {}\n    trusts  {}\n    user    {}, with the key {}\n{}",
                     config.clusterName, config.server,
                     subjectText(X509Certificate::parse(config.authorities, path).subject()), config.user,
                     keyText(config.clientKey, path),
                     "  and the " + certificateText(config.clientCertificate, path, made));
}

std::string meaning(const std::string& path, const std::string& content, TimePoint made) {
  if (path.ends_with(".crt")) return " " + certificateText(content, path, made);
  if (path.ends_with(".key")) return " " + keyText(Secret(content), path) + "\n";
  if (path.ends_with(".pub")) return " " + label(content) + "\n";
  if (path.ends_with(".conf")) return " " + kubeconfigText(content, path, made);
  return "\n";
}

} // namespace

std::string filesOf(config::Setup setup, const config::Facts& facts, const Making& making) {
  FakeHost host;
  host.tick = Duration::zero();
  host.machine = facts;
  if (!making.externalAuthority.empty()) {
    for (const char* phase : {"certs", "kubeconfig"}) run(host, setup, facts, phase);
    host.files.erase(phases::keyFile(setup.cluster, making.externalAuthority).string());
    setup.node.externalAuthority = making.externalAuthority == "ca";
  }
  for (const auto& phase : making.phases) run(host, setup, facts, phase);
  std::string text;
  for (const auto& [path, file] : host.files) {
    if (path.starts_with("/var/lib/kubestrap")) continue;
    const bool folder = file.type == host::FileStatus::Type::folder;
    text += fmt::format("{:04o} {}{}", file.mode, path, folder ? " folder\n" : meaning(path, file.content, host.now));
  }
  return text;
}

} // namespace kubestrap::golden
