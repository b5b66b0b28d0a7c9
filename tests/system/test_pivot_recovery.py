"""What an operator sees of a control plane and does for it when something is wrong: status, doctor, rescue, repair, backup, recover.

Comes right after test_pivot.py, whose cluster it goes on with where that is still there.
"""

import json

import pytest

from kubelab import documents
from test_join import CERTIFICATE_KEY, join, join_words
from testbed import Machine
from test_pivot import COMPONENTS, MANIFESTS, hosted, is_self_hosted, pivot, promoted

STANDBY = "/etc/kubernetes/kubestrap/standby/current"
OF_THE_MACHINE_BELOW = {"ClockNotKept", "DiskLow"}
"""What doctor may find in a lab, whose machines have their host's clock and disk."""
PASSPHRASE = "/root/passphrase"


def status(machine, *words: str) -> dict:
    return machine.try_("kubestrap", "status", "-o", "json", *words, timeout=60).json


def findings(machine, command: str = "status") -> dict[str, dict]:
    """Name -> what is said of it."""
    said = machine.try_("kubestrap", command, "-o", "json", timeout=90)
    assert said.out, str(said)
    return {each["name"]: each for each in said.json["findings"]}


def shown(machine) -> dict[str, tuple[str, str, str]]:
    return {f"{each['node']} {each['component']}": (each["hosting"], each["slot"], each["health"]) for each in status(machine)["components"]}


def left_by_test_pivot(lab) -> Machine | None:
    """The only machine that runs, with a control plane in its own cluster."""
    machine = Machine(lab, "n1")
    try:
        alone = [name for name, one in lab.status().items() if one["state"] == "running"] == ["n1"]
        return machine if alone and is_self_hosted(machine) else None
    except AssertionError:  # there is no lab yet, or no API
        return None


@pytest.fixture(scope="module")
def node(lab):
    machine = left_by_test_pivot(lab)
    if machine:
        return machine
    machine = lab.machine("n1")
    made = machine.init(config=hosted(machine))
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()
    machine.until("nothing is wrong with static pods", lambda: not findings(machine))
    assert set(shown(machine).values()) == {("static", "rescue", "ready")}
    pivot(machine)
    return machine


def test_status_shows_pods_of_daemonsets_and_nothing_wrong(node):
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))
    node.until("nothing is wrong", lambda: not findings(node))
    said = status(node)
    assert said["healthy"]
    assert {(each["hosting"], each["health"]) for each in said["components"]} == {("self", "ready")}
    assert all(each["version"].startswith("v1.") and each["standby"] for each in said["components"])
    assert [(each["role"], each["health"]) for each in said["etcd"]] == [("leader", "healthy")]
    assert node.try_("kubestrap", "status", "--exit-code").code == 0
    assert set(findings(node, "doctor")) <= OF_THE_MACHINE_BELOW


WEBHOOK = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "policy"},
    "webhooks": [
        {
            "name": "pods.policy.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"service": {"namespace": "default", "name": "nobody"}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        }
    ],
}


def test_doctor_finds_a_webhook_that_nobody_answers_for_and_takes_it_away(node):
    node.kubectl("apply", "-f", "-", input=json.dumps(WEBHOOK))
    assert "kubestrap doctor --disable-webhook policy" in findings(node, "doctor")["WebhookBlocks"]["remedy"]
    assert node.try_("kubestrap", "doctor", "--exit-code").code == 4
    node.run("kubestrap", "doctor", "--disable-webhook", "policy")
    assert "WebhookBlocks" not in findings(node, "doctor")
    node.kubectl("apply", "-f", "/var/lib/kubestrap/webhooks/ValidatingWebhookConfiguration-policy.yaml")
    node.kubectl("delete", "validatingwebhookconfiguration", "policy")


def delete_daemonset(node, component: str) -> None:
    node.kubectl("-n", "kube-system", "annotate", "daemonset", component, "kubestrap.io/allow-delete=true")
    node.kubectl("-n", "kube-system", "delete", "daemonset", component)


def test_a_daemonset_that_was_deleted_is_repaired(node):
    refused = node.try_("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "-n", "kube-system", "delete", "daemonset", "kube-apiserver")
    assert refused.code != 0 and "kubestrap repair" in refused.err
    delete_daemonset(node, "kube-apiserver")
    node.until("the guard has promoted it", lambda: promoted(node) == ["rescue-kube-apiserver.yaml"])
    node.until("status says what to do", lambda: findings(node)["DaemonSetMissing"]["remedy"] == "kubestrap repair kube-apiserver")
    print(node.run("kubestrap", "repair", "--dry-run"))
    done = node.try_("kubestrap", "repair", timeout=400)
    assert done.code == 0, str(done)
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))
    node.until("nothing is wrong", lambda: not findings(node))


@pytest.mark.long
def test_a_standby_that_is_broken_is_made_anew_without_a_guard(node):
    """A guard that runs writes it anew by itself, of a revision that has lasted."""
    guard, file = "kubestrap-guard.yaml", f"{STANDBY}/kube-scheduler.yaml"
    node.run("mv", f"{MANIFESTS}/{guard}", f"/root/{guard}")
    node.until("its guard is gone", lambda: not node.sh("ps -C kubestrap -o args= | grep 'kubestrap guard' || true"))
    node.sh(f"head -c 200 {file} >/root/cut && cat /root/cut >{file}")
    assert "StandbyInvalid" in findings(node, "doctor")
    node.run("kubestrap", "rescue", "kube-scheduler")
    assert promoted(node) == ["rescue-prev-kube-scheduler.yaml"]  # the one before it will do
    done = node.try_("kubestrap", "rescue", "kube-scheduler", "--from-config", timeout=300)
    assert done.code == 0, str(done)
    assert "rescue-kube-scheduler.yaml" in promoted(node)
    assert "StandbyInvalid" not in findings(node, "doctor")
    node.run("mv", f"/root/{guard}", f"{MANIFESTS}/{guard}")
    node.until("status tells of it", lambda: findings(node)["ComponentHeld"]["where"] == "n1 kube-scheduler")
    node.run("kubestrap", "rescue", "kube-scheduler", "--release")
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))


def test_a_backup_is_opened_by_openssl_and_holds_what_it_says(node):
    node.write(PASSPHRASE, "a passphrase for tests\n", "600")
    node.kubectl("create", "configmap", "before", "--from-literal=when=before")
    made = node.try_("kubestrap", "backup", "/root/backup.cms", "--passphrase-file", PASSPHRASE, "-o", "json", timeout=300)
    assert made.code == 0, str(made)
    assert made.json["manifest"]["etcd"]["kubernetesKeys"] > 100
    assert "a passphrase" not in made.err
    node.sh(f"openssl cms -decrypt -inform DER -binary -in /root/backup.cms -pwri_password \"$(cat {PASSPHRASE})\" -out /root/backup.tar")
    names = node.run("tar", "-tf", "/root/backup.tar").split()
    for name in ("manifest.json", "etcd/snapshot.db", "pki/ca.key", "pki/etcd/ca.key", "config/cluster.yaml", "manifests/etcd.yaml", "node/standby/current/kube-apiserver.yaml"):
        assert name in names
    assert node.try_("test", "-e", "/var/lib/kubestrap/backup-snapshot.db").code != 0
    assert node.sh("stat -c %a /root/backup.cms") == "600\n"


@pytest.mark.long
def test_etcd_begins_anew_with_a_snapshot(node):
    node.run("kubestrap", "etcd", "snapshot", "save", "/root/snapshot.db")
    assert "Kubernetes" in node.try_("kubestrap", "etcd", "snapshot", "check", "/root/snapshot.db", timeout=120).err
    node.kubectl("create", "configmap", "after")
    recovered = node.try_("kubestrap", "recover", "etcd", "--snapshot", "/root/snapshot.db", "--yes", timeout=600)
    assert recovered.code == 0, str(recovered)
    print(recovered.err)
    assert node.get("configmap", "before")["data"] == {"when": "before"}
    assert node.try_("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "get", "configmap", "after").code != 0
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))
    node.until("nothing is wrong", lambda: not findings(node))
    node.wait_ready()


def test_status_without_an_api_shows_what_the_machine_tells(node):
    node.run("systemctl", "stop", "kubelet")
    node.sh("for task in $(ctr -n k8s.io containers ls | awk '/kube-apiserver/ {print $1}'); do ctr -n k8s.io tasks kill -s SIGKILL $task || true; done")
    said = node.try_("kubestrap", "status", timeout=60)
    assert "no API server answers" in said.out
    assert "ApiUnreachable" in said.out and "UnitDown" in said.out
    assert node.try_("kubestrap", "status", "--exit-code").code == 4
    assert [(each["role"], each["health"]) for each in status(node)["etcd"]] == [("leader", "healthy")]
    assert node.run("kubestrap", "etcd", "members", "-o", "json")
    node.run("systemctl", "start", "kubelet")
    node.until("nothing is wrong", lambda: not findings(node))


@pytest.mark.long
def test_all_daemonsets_that_were_deleted_are_repaired(node):
    for component in COMPONENTS:
        delete_daemonset(node, component)
    node.until("the guard has promoted all", lambda: len(promoted(node)) == 3)
    done = node.try_("kubestrap", "repair", timeout=600)
    assert done.code == 0, str(done)
    node.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(node))


@pytest.mark.long
def test_a_controller_manager_that_leads_and_does_nothing_is_taken_over_from(node):
    """By a revision that only looks healthy: DaemonSets are nobody's business any more."""
    machine = node
    unguarded(machine)
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/command/-", "value": "--controllers=-daemonset-controller"}]
    before = machine.get("lease", "-n", "kube-system", "kube-controller-manager")["spec"]["holderIdentity"]
    spec = json.dumps(machine.get("daemonset", "-n", "kube-system", "kube-controller-manager")["spec"]["template"])
    slot = "green" if "127.64.43.1" in spec else "blue"
    flipped = json.loads(spec.replace("127.64.43.1" if slot == "green" else "127.64.43.2", "127.64.43.2" if slot == "green" else "127.64.43.1"))
    flipped["metadata"]["annotations"]["kubestrap.io/slot"] = slot
    flipped["metadata"]["annotations"]["kubestrap.io/revision"] = "7"
    flipped["spec"]["containers"][0]["command"].append(patch[0]["value"])
    machine.kubectl("-n", "kube-system", "patch", "daemonset", "kube-controller-manager", "--type=json", "-p", json.dumps([{"op": "replace", "path": "/spec/template", "value": flipped}]))
    machine.until("the new one leads", lambda: machine.get("lease", "-n", "kube-system", "kube-controller-manager")["spec"]["holderIdentity"] != before)
    taken = machine.try_("kubestrap", "rescue", "kube-controller-manager", "--takeover", timeout=300)
    assert taken.code == 0, str(taken)
    done = machine.try_("kubestrap", "repair", "kube-controller-manager", "--anyway", timeout=600)
    assert done.code == 0, str(done)
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine))


def unguarded(machine) -> None:
    """Nothing stands by that is younger than what is there: a revision would become the standby after two minutes."""
    machine.until("nothing is wrong", lambda: not findings(machine))


@pytest.mark.long
def test_the_cluster_is_made_anew_of_a_backup(lab, node):
    backup = node.run("base64", "-w0", "/root/backup.cms")
    machine = lab.machine("n1")
    machine.write(PASSPHRASE, "a passphrase for tests\n", "600")
    machine.sh("base64 -d >/root/backup.cms", input=backup)
    machine.write("/root/node.yaml", f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint:\n  advertiseAddress: {machine.address}\nnodeRegistration:\n  name: n1\n  ignorePreflightErrors: [SystemVerification]\n")
    wrong = machine.try_("kubestrap", "recover", "cluster", "--bundle", "/root/backup.cms", "--passphrase-file", "-", "--yes", input="another passphrase\n")
    assert wrong.code == 1 and "does not open" in wrong.err
    done = machine.try_("kubestrap", "recover", "cluster", "--bundle", "/root/backup.cms", "--passphrase-file", PASSPHRASE, "--config", "/root/node.yaml", "--yes", timeout=600)
    assert done.code == 0, str(done)
    assert machine.get("configmap", "before")["data"] == {"when": "before"}
    lab.install_pod_network(machine)
    machine.wait_ready()


@pytest.fixture(scope="module")
def three(lab):
    """Three control planes that run in their own cluster."""
    machines = [lab.machine(name) for name in ("n1", "n2", "n3")]
    first = machines[0]
    made = first.init("--upload-certs", config=documents.with_certificate_key(hosted(first), CERTIFICATE_KEY))
    assert made.code == 0, str(made)
    lab.install_pod_network(first)
    for machine in machines[1:]:
        joined = join(machine, [*join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY])
        assert joined.code == 0, str(joined)
    lab.install_pod_network(first)
    first.wait_ready()
    pivot(first)
    return machines


@pytest.mark.long
def test_status_of_three_nodes_names_the_one_that_is_off(lab, three):
    first = three[0]
    first.until("nothing is wrong", lambda: not findings(first))
    assert len(shown(first)) == 9
    first.run("kubestrap", "etcd", "move-leader", "n2")
    assert [each["name"] for each in status(first)["etcd"] if each["role"] == "leader"] == ["n2"]
    first.run("kubestrap", "etcd", "defrag")
    lab.off(three[2])
    first.until("its member is missed", lambda: "none more may be lost" in findings(first)["EtcdMemberSilent"]["evidence"])
    first.until("and its guard", lambda: findings(first)["GuardSilent"]["where"] == "n3")
    first.until("and its kubelet", lambda: findings(first)["ControlPlaneNotReady"]["where"] == "n3")
    lab.call("power-on", "n3")
    first.until("nothing is wrong", lambda: not findings(first))


@pytest.mark.long
def test_a_lost_quorum_is_recovered_from_the_member_that_is_left(lab, three):
    first = three[0]
    first.kubectl("create", "configmap", "before")
    refused = first.try_("kubestrap", "recover", "etcd", "--from-member", "--yes")
    assert refused.code == 3 and "nothing to recover" in refused.err
    lab.off(*three[1:])
    first.until("status sees it", lambda: "EtcdNoQuorum" in findings(first))
    recovered = first.try_("kubestrap", "recover", "etcd", "--from-member", "--yes", timeout=600)
    assert recovered.code == 0, str(recovered)
    print(recovered.err)
    first.get("configmap", "before")
    assert "force-new-cluster" not in first.read(f"{MANIFESTS}/etcd.yaml")
    assert [each["metadata"]["name"] for each in first.get("nodes")["items"]] == ["n1"]
    first.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(first))
    first.until("nothing is wrong", lambda: not findings(first))
