#pragma once
// Small worlds: with an authority and a certificate of it, and with an API server beside them.
#include "tests/unit/plan/world.hpp"

namespace kubestrap::plan {

inline certs::CertSpec authority() {
  return {.name = "ca",
          .issuer = "ca",
          .authority = true,
          .subject = {.commonName = "kubernetes"},
          .life = std::chrono::hours(87600),
          .certificate = "/pki/ca.crt",
          .key = "/pki/ca.key",
          .issuerCertificate = "/pki/ca.crt",
          .issuerKey = "/pki/ca.key"};
}

inline certs::CertSpec leaf() {
  return {.name = "web",
          .issuer = "ca",
          .subject = {.commonName = "web"},
          .names = {.dns = {"web.example.org"}, .ips = {}},
          .usages = {certs::ExtendedUsage::serverAuth},
          .life = std::chrono::hours(8760),
          .certificate = "/pki/web.crt",
          .key = "/pki/web.key",
          .issuerCertificate = "/pki/ca.crt",
          .issuerKey = "/pki/ca.key"};
}

struct Pki : SmallWorld {
  Pki() {
    make(Certificate{authority()});
    make(Certificate{leaf()});
  }
  std::string verdictOn(const certs::CertSpec& spec) { return verdict(diff(Certificate{spec}, looking())); }
};

/// And an API server, with a kubeconfig for it.
struct Cluster : Pki {
  Cluster() {
    make(Kubeconfig{.path = "/admin.conf",
                    .server = "https://10.0.0.11:6443",
                    .tlsServerName = "",
                    .clusterName = "kubernetes",
                    .user = "admin",
                    .authority = "/pki/ca.crt",
                    .credential = TokenCredential{Secret("abcdef.0123456789abcdef")}});
  }
  Object object(const Value& data, ApplyMode mode = ApplyMode::apply) {
    return {.document = {{"apiVersion", "v1"},
                         {"kind", "ConfigMap"},
                         {"metadata", {{"name", "a"}, {"namespace", "kube-system"}}},
                         {"data", data}},
            .mode = mode,
            .access = {.kubeconfig = "/admin.conf", .server = ""},
            .fills = {},
            .secrecy = Secrecy::open,
            .initialOnly = {}};
  }
  Value data() { return (*api.object("/api/v1/namespaces/kube-system/configmaps/a"))["data"]; }
};

} // namespace kubestrap::plan
