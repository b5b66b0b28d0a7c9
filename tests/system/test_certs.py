"""`kubestrap certs renew` on a control plane that runs: real servers show the new certificates, and the real kubeadm judges them."""

import itertools
import re

import pytest
from test_reset import is_as_before

FOLDERS = ("/etc/kubernetes", "/var/lib/kubelet/pki", "/var/lib/kubestrap", "/run/lock")
PORTS = {"apiserver": 6443, "etcd/server": 2379, "etcd/peer": 2380}


@pytest.fixture(scope="module")
def cluster(lab):
    machine = lab.machine("n1")
    done = machine.init()
    assert done.code == 0, str(done)
    lab.install_pod_network(machine)
    machine.wait_ready()
    return machine


def shown(machine) -> dict[str, str]:
    """The serial numbers that the servers show."""
    script = 'openssl s_client -connect "$1" </dev/null 2>/dev/null | openssl x509 -noout -serial'
    return {name: machine.sh(script, f"{machine.address}:{port}").strip() for name, port in PORTS.items()}


def on_disk(machine) -> dict[str, str]:
    return {name: machine.run("openssl", "x509", "-noout", "-serial", "-in", f"/etc/kubernetes/pki/{name}.crt").strip() for name in PORTS}


def containers(machine) -> set[str]:
    return set(machine.run("ctr", "-n", "k8s.io", "containers", "ls", "-q").split())


def test_a_dry_run_touches_nothing(cluster):
    before, digests, running = cluster.listing(*FOLDERS), cluster.digests(*FOLDERS), containers(cluster)
    planned = cluster.try_("kubestrap", "certs", "renew", "all", "--dry-run", "--exit-code")
    assert planned.code == 4, str(planned)
    assert "static pod kube-scheduler" in planned.out, str(planned)
    assert "PRIVATE KEY" not in planned.out
    assert (cluster.listing(*FOLDERS), cluster.digests(*FOLDERS), containers(cluster)) == (before, digests, running)


def test_all_are_renewed_and_served(cluster):
    served, files = shown(cluster), cluster.digests("/etc/kubernetes")
    assert served == on_disk(cluster)
    done = cluster.try_("kubestrap", "certs", "renew", "all", "-o", "json")
    assert done.code == 0, str(done)
    assert done.json["kind"] == "RenewalResult" and done.json["changed"] is True
    after = shown(cluster)
    assert after == on_disk(cluster)
    assert not set(after.values()) & set(served.values())
    changed = {path for path, digest in cluster.digests("/etc/kubernetes").items() if digest != files.get(path)}
    assert not [path for path in changed if re.search(r"(^|[/-])(ca|sa)\.|kubelet\.conf|/manifests/", path)], changed
    assert len([path for path in changed if path.endswith((".crt", ".key"))]) == 14
    assert len([path for path in changed if path.endswith(".conf")]) == 4
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"
    cluster.start_pod("after", "n1")  # the controller-manager and the scheduler work, and the API server reaches the kubelet
    # The API server closes what it has open to a kubelet when its certificate there changes, a request that is under way too.
    cluster.until("the API server reaches the kubelet", lambda: "serving :8080" in cluster.kubectl("logs", "after"))


def test_kubeadm_agrees(cluster):
    judged = cluster.try_("kubeadm", "certs", "check-expiration", "-o", "json")
    assert judged.code == 0, str(judged)
    for one in judged.json["certificates"]:
        assert not one.get("missing") and one["residualTime"] > 364 * 86400, one
    again = cluster.init("--exit-code")
    assert again.code == 0, str(again)


def test_status_shows_all_and_what_is_not_as_it_should_be(cluster):
    def seen(*flags: str, code: int = 0):
        shown = cluster.try_("kubestrap", "certs", "status", "-o", "json", *flags)
        assert shown.code == code, str(shown)
        return {one["name"]: one for one in shown.json["items"]}

    rows = seen("--fail-within", "30d")
    kubelets, kubeconfigs = {"kubelet-client", "kubelet-serving", "kubelet.conf"}, {"admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"}
    assert kubelets | kubeconfigs | {"ca", "sa", "apiserver", "etcd-peer", "front-proxy-client"} <= set(rows)
    assert {name for name, row in rows.items() if row["managedBy"] == "kubelet"} == kubelets
    assert not [row for row in rows.values() if row["missing"] or "drift" in row or not row.get("chain", {"valid": True})["valid"]], rows
    assert seen("--fail-within", "370d", code=4)["apiserver"]["issuer"] == "ca"
    cluster.sh("cd /etc/kubernetes/pki; cp apiserver.crt /root/apiserver.crt; cp front-proxy-client.crt apiserver.crt; mv sa.pub /root")
    cluster.sh("cd /etc/kubernetes; cp -p kubelet.conf scheduler.conf /root; sed -i \"s/certificate-authority-data:.*/certificate-authority-data: $(base64 -w0 pki/etcd/ca.crt)/\" kubelet.conf; echo '{' > scheduler.conf")
    rows = seen("--fail-within", "30d", code=4)
    assert rows["kubelet.conf"]["chain"]["reason"] == "does not trust the cluster's authority", rows["kubelet.conf"]
    assert "scheduler.conf" in rows["scheduler.conf"]["drift"], rows["scheduler.conf"]
    assert "is not signed by" in rows["apiserver"]["drift"] and not rows["apiserver"]["chain"]["valid"], rows["apiserver"]
    assert rows["sa"]["drift"] == "its public key is missing", rows["sa"]
    cluster.sh("mv /root/apiserver.crt /root/sa.pub /etc/kubernetes/pki/; mv /root/kubelet.conf /root/scheduler.conf /etc/kubernetes")
    assert cluster.try_("kubestrap", "certs", "check-expiration", "--fail-within", "370d").code == 4
    assert cluster.try_("kubestrap", "certs", "check-expiration", "--fail-within", "30d").code == 0
    compat, kubeadm = (cluster.try_(*words, "-o", "json").json for words in (("kubestrap", "certs", "status", "--compat", "kubeadm"), ("kubestrap", "certs", "check-expiration")))
    assert {one["name"] for one in compat["certificates"]} == {one["name"] for one in kubeadm["certificates"]}


def test_what_does_not_end_soon_is_left(cluster):
    digests, running = cluster.digests("/etc/kubernetes"), containers(cluster)
    done = cluster.try_("kubestrap", "certs", "renew", "all", "--if-within", "30d", "--exit-code")
    assert done.code == 0, str(done)
    assert (cluster.digests("/etc/kubernetes"), containers(cluster)) == (digests, running)


def test_a_kubeconfig_for_a_user_works_and_ends_soon(cluster):
    cluster.sh("kubestrap kubeconfig create --user jane --group readers --namespace kube-system --ttl 10m --file /root/jane.conf")
    refused = cluster.try_("kubectl", "--kubeconfig", "/root/jane.conf", "get", "pods")
    assert refused.code == 1 and 'User "jane" cannot list resource "pods"' in refused.err, str(refused)
    cluster.kubectl("create", "clusterrolebinding", "readers", "--clusterrole=view", "--group=readers")
    cluster.until("jane may look", lambda: cluster.try_("kubectl", "--kubeconfig", "/root/jane.conf", "get", "pods").code == 0)
    assert cluster.sh("kubectl --kubeconfig /root/jane.conf auth whoami -o jsonpath='{.status.userInfo.username}'") == "jane"


@pytest.mark.long
def test_what_does_not_become_well_has_its_files_back(cluster):
    """Somebody takes the scheduler's port in the moment in which its pod is made anew."""
    cluster.sh("""
      cat > /root/taker.py <<'END'
import socket, time
while True:
    try:
        taken = socket.create_server(("127.0.0.1", 10259)); break
    except OSError:
        time.sleep(0.01)
open("/root/taken", "w").close()
time.sleep(600)
END
      python3 /root/taker.py >/dev/null 2>&1 & echo $! > /root/taker.pid
    """)
    before, others = cluster.digests("/etc/kubernetes/scheduler.conf"), cluster.digests("/etc/kubernetes/controller-manager.conf")
    failed = cluster.try_("kubestrap", "certs", "renew", "controller-manager.conf", "scheduler.conf", timeout=400)
    cluster.sh("kill $(cat /root/taker.pid); rm /root/taken /root/taker.py /root/taker.pid")  # which it had, or rm fails
    assert failed.code == 1 and "were put back as they were" in failed.err, str(failed)
    assert cluster.digests("/etc/kubernetes/scheduler.conf") == before
    assert cluster.digests("/etc/kubernetes/controller-manager.conf") != others  # what came before it is well, and stays
    cluster.until("the scheduler is well", lambda: cluster.try_("curl", "-skf", "https://127.0.0.1:10259/healthz").code == 0)
    again = cluster.try_("kubestrap", "certs", "renew", "scheduler.conf")
    assert again.code == 0, str(again)


@pytest.mark.long
def test_the_timer_renews_by_itself(cluster):
    enabled = cluster.try_("kubestrap", "certs", "auto-renew", "enable", "--within", "400d")
    assert enabled.code == 0, str(enabled)
    assert cluster.try_("kubestrap", "certs", "auto-renew", "enable", "--within", "400d", "--exit-code").code == 0
    told = cluster.try_("kubestrap", "certs", "auto-renew", "status", "-o", "json").json
    assert told["enabled"] and told["within"] == "400d" and told["next"], told
    assert "kubestrap-renew.timer" in cluster.run("systemctl", "list-dependencies", "--plain", "timers.target")
    before = on_disk(cluster)
    cluster.run("systemctl", "start", "kubestrap-renew.service")
    assert not set(before.values()) & set(on_disk(cluster).values())
    disabled = cluster.try_("kubestrap", "certs", "auto-renew", "disable")
    assert disabled.code == 0, str(disabled)
    assert cluster.try_("kubestrap", "certs", "auto-renew", "status").out == "disabled\n"
    assert not cluster.sh("ls /etc/systemd/system | grep kubestrap-renew || true")


@pytest.mark.long
def test_kubelets_get_serving_certificates_for_their_own_names_only(cluster):
    cluster.sh("sed -i '/^serverTLSBootstrap/d' /var/lib/kubelet/config.yaml; echo 'serverTLSBootstrap: true' >> /var/lib/kubelet/config.yaml; systemctl restart kubelet")
    open_ = lambda: [one["metadata"]["name"] for one in cluster.get("csr")["items"] if one["spec"]["signerName"] == "kubernetes.io/kubelet-serving" and not one.get("status", {}).get("conditions")]  # noqa: E731
    cluster.until("the kubelet asks", open_)
    # The same kubelet, for a name that is not its own; and an administrator.
    script = """
      cd /root; openssl ecparam -name prime256v1 -genkey -noout -out foreign.key
      ask() { openssl req -new -key foreign.key -subj "/O=system:nodes/CN=system:node:n1" -addext "subjectAltName=$2" -outform pem | base64 -w0 > csr
        kubectl $3 create -f - <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $1}
spec: {request: $(cat csr), signerName: kubernetes.io/kubelet-serving, usages: [digital signature, server auth]}
END
      }
      ask foreign DNS:kubernetes.default "--kubeconfig /etc/kubernetes/kubelet.conf"
      ask admins DNS:n1
    """
    cluster.sh(script)
    done = cluster.try_("kubestrap", "certs", "approve", "-o", "json")
    assert done.code == 0, str(done)
    verdicts = {one["name"]: (one["verdict"], one["reason"]) for one in done.json["items"]}
    assert verdicts.pop("foreign") == ("Denied", "Node n1 has not: kubernetes.default")
    assert verdicts.pop("admins") == ("Denied", "kubernetes-admin is no kubelet")
    assert [verdict for verdict, _ in verdicts.values()] == ["Approved"], verdicts
    assert "Node n1 has not: kubernetes.default" in cluster.kubectl("get", "csr", "foreign", "-o", "jsonpath={.status.conditions[0].message}")
    # Somebody who asks while the service is there gets his answer by itself.
    enabled = cluster.try_("kubestrap", "certs", "auto-approve", "enable", "--exit-code")
    assert enabled.code == 4, str(enabled)
    assert cluster.try_("kubestrap", "certs", "auto-approve", "status").out == "enabled, active\n"
    cluster.kubectl("delete", "csr", "foreign")
    cluster.sh(script.replace("ask admins DNS:n1", ""))
    cluster.until("it is denied", lambda: "Denied" in cluster.kubectl("get", "csr", "foreign", "-o", "jsonpath={.status.conditions[*].type}"))
    assert cluster.try_("kubestrap", "certs", "auto-approve", "disable").code == 0
    assert cluster.try_("kubestrap", "certs", "auto-approve", "status", "-o", "json").json["enabled"] is False
    cluster.until("the kubelet shows it", lambda: cluster.sh("openssl s_client -connect 127.0.0.1:10250 </dev/null 2>/dev/null | openssl x509 -noout -issuer -nameopt RFC2253").strip() == "issuer=CN=kubernetes")
    assert cluster.init().code == 0  # the configuration is what it was


@pytest.mark.long
def test_what_was_signed_apart_is_taken_up(cluster):
    """By the cluster's own authority; one that is elsewhere is in test_external_authority.py."""
    cluster.sh("""
      rm -rf /root/signed; kubestrap certs requests /root/signed; cd /root/signed
      for name in apiserver controller-manager.conf; do
        kubestrap certs gencert --ca /etc/kubernetes/pki/ca.crt --ca-key /etc/kubernetes/pki/ca.key --config policy.json --profile $name $name.json --bare $name
      done
    """)
    before, running = on_disk(cluster), containers(cluster)
    done = cluster.try_("kubestrap", "certs", "import", "/root/signed")
    assert done.code == 0, str(done)
    after = shown(cluster)
    assert after == on_disk(cluster) and after["apiserver"] != before["apiserver"] and after["etcd/peer"] == before["etcd/peer"]
    assert len(running - containers(cluster)) == 2  # the controller-manager's pod alone was made anew
    cluster.sh("cp /root/signed/apiserver-key.pem /root/signed/controller-manager.conf-key.pem; rm /root/signed/apiserver*")
    told = cluster.try_("kubestrap", "certs", "import", "/root/signed")
    assert told.code == 3 and "does not belong to the key" in told.err, str(told)


def belong_together(machine) -> None:
    """Each certificate with the key beside it."""
    machine.sh("""
        for certificate in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt; do
          cmp <(openssl x509 -in $certificate -noout -pubkey) <(openssl pkey -in ${certificate%.crt}.key -pubout) || { echo $certificate; exit 1; }
        done
    """)


@pytest.mark.long
def test_a_renewal_that_is_killed_again_and_again_comes_to_its_end_and_reset_to_a_bare_machine(cluster):
    """After every thing that it says; every fifth time the next one may go to its end. Between a key and its certificate etcd takes no new connections."""
    kills, served = 0, shown(cluster)
    for delay in (0, 0.02, 0.3):
        for nth in itertools.count(1):
            said = cluster.stop("certs", "renew", "all", nth=nth, delay=delay)
            if "ended 0" in said:
                break
            assert "ended 137" in said, said
            kills += 1
            if kills % 5:
                continue
            done = cluster.try_("kubestrap", "certs", "renew", "all")
            assert done.code == 0, f"killed after line {nth} of:\n{said}\n{done}"
            belong_together(cluster)
            after = shown(cluster)
            assert after == on_disk(cluster) and not set(after.values()) & set(served.values())
            served = after
            assert cluster.kubectl("get", "--raw", "/readyz") == "ok"
    print(f"{kills} kills")
    assert kills >= 25
    cluster.start_pod("killed", "n1")
    assert cluster.init("--exit-code").code == 0
    done = cluster.try_("kubestrap", "reset", "--force")
    assert done.code == 0, str(done)
    is_as_before(cluster)
