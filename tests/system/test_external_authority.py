"""A control plane whose certificates others have signed, and whose authorities' keys were never on its machine."""

import sys

import pytest

from testbed import CONFIG, ROOT

sys.path.append(str(ROOT / "tests/cfssl"))

from test_import import ALL, OPENSSL  # noqa: E402

pytestmark = pytest.mark.long

AWAY = "mkdir /root/elsewhere; mv ca.key front-proxy-ca.key etcd-ca.key /root/elsewhere"


def test_a_control_plane_runs_by_what_openssl_has_signed(lab):
    machine = lab.machine("n1")
    machine.write(CONFIG, machine.config())
    machine.run("kubestrap", "certs", "requests", "/root/signed", "--config", CONFIG)
    machine.sh(f"set -eu; cd /root/signed; {OPENSSL}{ALL}{AWAY}")
    machine.run("kubestrap", "certs", "import", "/root/signed", "--config", CONFIG)
    made = machine.init()
    assert made.code == 0, str(made)
    assert machine.try_("test", "-e", "/etc/kubernetes/pki/ca.key").code != 0
    machine.give_pod_network()
    machine.wait_ready()
    for port in (6443, 2379, 2380):
        authority = "ca" if port == 6443 else "etcd/ca"
        shown = machine.try_("openssl", "s_client", "-connect", f"{machine.address}:{port}", "-CAfile", f"/etc/kubernetes/pki/{authority}.crt", "-verify_return_error")
        assert f"i:CN=Corporate {authority.replace('/', '-')}" in shown.out.replace("CN = ", "CN=") and "Verify return code: 0 (ok)" in shown.out, str(shown)
    machine.start_pod("served", "n1")
    machine.until("the API server reaches the kubelet", lambda: "serving :8080" in machine.kubectl("logs", "served"))
    again = machine.init("--exit-code", "--dry-run")
    assert again.code == 0, str(again)
    before = machine.digests("/etc/kubernetes")
    renewed = machine.try_("kubestrap", "certs", "renew", "all")  # as kubeadm: what it cannot renew is told
    assert renewed.code == 0 and renewed.err.count("the key of its authority is kept elsewhere") == 11, str(renewed)
    assert machine.digests("/etc/kubernetes") == before
