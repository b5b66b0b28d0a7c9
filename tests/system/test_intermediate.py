"""Authorities of the cluster that a root signed which is kept elsewhere: what servers show leads to it, and everything works."""

import pytest
from test_join import join, join_words

pytestmark = pytest.mark.long

SIGNED = """
  mkdir -p /root/offline /etc/kubernetes/pki/etcd; cd /root/offline
  new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
  openssl req -x509 $new -keyout root.key -out root.crt -subj "/CN=offline root" -days 3650 -addext keyUsage=critical,keyCertSign,cRLSign
  for each in ca:kubernetes front-proxy-ca:front-proxy-ca etcd/ca:etcd-ca; do
    openssl req $new -keyout /etc/kubernetes/pki/${each%:*}.key -subj "/CN=${each#*:}" -out request
    openssl x509 -req -in request -CA root.crt -CAkey root.key -days 1825 -out /etc/kubernetes/pki/${each%:*}.crt -extfile <(
      printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n')
  done
  rm root.key
"""


def leads_to_the_root(machine, *ports: int) -> None:
    for port in ports:
        shown = machine.try_("openssl", "s_client", "-connect", f"{machine.address}:{port}", "-CAfile", "/root/offline/root.crt", "-verify_return_error")
        assert "Verify return code: 0 (ok)" in shown.out, str(shown)


@pytest.mark.parametrize("layout", ["plain", "hosted"])
def test_a_cluster_lives_under_a_root_that_is_kept_elsewhere(layout, lab):
    """In the layout hosted with a balancer on every node, which checks the API servers by the authority."""
    machine, worker = lab.machine("n1"), lab.machine("w1")
    machine.sh(SIGNED)
    before = machine.digests("/etc/kubernetes/pki")
    done = machine.init("--self-hosted", config=machine.config(layout=None), timeout=600) if layout == "hosted" else machine.init()
    assert done.code == 0, str(done)
    lab.install_pod_network(machine)
    machine.wait_ready()
    assert {path: digest for path, digest in machine.digests("/etc/kubernetes/pki").items() if path in before} == before
    leads_to_the_root(machine, 6443, 2379, 2380)
    joined = join(worker, join_words(machine))
    assert joined.code == 0, str(joined)
    machine.until("the worker is a node", lambda: machine.get("node", "w1"))
    lab.install_pod_network(machine)
    machine.wait_nodes_ready()
    machine.start_pod("under", "w1")
    machine.until("the API server reaches the kubelet", lambda: "serving :8080" in machine.kubectl("logs", "under"))
    renewed = machine.try_("kubestrap", "certs", "renew", "all")
    assert renewed.code == 0, str(renewed)
    leads_to_the_root(machine, 6443, 2379, 2380)
    assert {one["name"]: one.get("chain") for one in machine.try_("kubestrap", "certs", "status", "-o", "json").json["items"]}["apiserver"] == {"length": 2, "valid": True}
    if layout == "hosted":
        refused = machine.try_("kubestrap", "certs", "rotate-ca", "ca", "--plan")
        assert refused.code == 3 and "is signed by another authority" in refused.err, str(refused)
    judged = machine.try_("kubeadm", "certs", "check-expiration")
    assert judged.code == 0, str(judged)
