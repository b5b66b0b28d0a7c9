#include "manifests/messages.hpp"

#include "manifests/text.hpp"
#include "support/error.hpp"
#include "templates/templates.hpp"
#include "tests/unit/manifests/fixture.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::test;
using namespace kubestrap::manifests;

TEST_CASE("the closing message says how to use the cluster and what comes next") {
  std::string message = initDoneMessage(referenceSetup());
  CHECK(message.find("cluster kubernetes runs on n1") != std::string::npos);
  CHECK(message.find("export KUBECONFIG=/etc/kubernetes/admin.conf") != std::string::npos);
  CHECK(message.find("pod network") != std::string::npos);
  CHECK(message.find("{{") == std::string::npos);
}

TEST_CASE("a join command can be pasted into a shell") {
  JoinCommand command{
      .endpoint = {"fd00::1", 6443}, .token = Secret("abcdef.0123456789abcdef"), .pins = {"sha256:aa", "sha256:bb"}};
  CHECK(text(command) == "kubestrap join [fd00::1]:6443 --token abcdef.0123456789abcdef \\\n"
                         "  --discovery-token-ca-cert-hash sha256:aa \\\n"
                         "  --discovery-token-ca-cert-hash sha256:bb\n");
  command.pins.pop_back();
  command.controlPlane = true;
  command.certificateKey = Secret("00ff");
  CHECK(text(command) == "kubestrap join [fd00::1]:6443 --token abcdef.0123456789abcdef \\\n"
                         "  --discovery-token-ca-cert-hash sha256:aa \\\n"
                         "  --control-plane --certificate-key 00ff\n");
}

TEST_CASE("a program gets a join command on one line") {
  const JoinCommand command{
      .endpoint = {"10.0.0.1", 6443}, .token = Secret("abcdef.0123456789abcdef"), .pins = {"sha256:aa"}, .controlPlane = true};
  CHECK(onOneLine(text(command)) == "kubestrap join 10.0.0.1:6443 --token abcdef.0123456789abcdef "
                                    "--discovery-token-ca-cert-hash sha256:aa --control-plane");
}

TEST_CASE("a token that is not to be printed is withheld") {
  CHECK(text({.endpoint = {"10.0.0.1", 6443}}) == "kubestrap join 10.0.0.1:6443 --token <value withheld>\n");
}

TEST_CASE("a text with a place that nobody fills, or a value without a place, is refused") {
  CHECK_THROWS_AS(filledText("kubelet.service", {}), Error);
  CHECK_THROWS_AS(filledText("kubelet.service", {{"kubelet", "/k"}, {"other", "x"}}), Error);
  CHECK_THROWS_AS(templates::text("no-such-text"), Error);
}
