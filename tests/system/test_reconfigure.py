"""Names, audit log and encryption of a control plane that runs in its own cluster are changed while it serves: no request fails."""

import base64
import json
import time

import pytest
import yaml

from kubelab import documents
from test_join import CERTIFICATE_KEY, etcd_members, join, join_words, refused as join_is_refused
from test_pivot import SERVICE, begin_self_hosted, hosted, is_kept_by_files, is_self_hosted, none_failed, pivot, probes, three_control_planes
from test_roll import remains, revisions, stored
from testbed import CONFIG, Probe

pytestmark = pytest.mark.long

PKI = "/etc/kubernetes/pki"
NAME = "api.example.org"
POLICY = "/root/policy.yaml"
ETCDCTL = ("etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={PKI}/etcd/ca.crt", f"--cert={PKI}/etcd/healthcheck-client.crt", f"--key={PKI}/etcd/healthcheck-client.key")


def policy(level: str) -> str:
    return yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": level, "resources": [{"group": "", "resources": ["configmaps"]}]}, {"level": "None"}]})


def own(node, **security) -> str:
    """The cluster's KubestrapConfiguration, with this for its security."""
    text = node.kubectl("-n", "kube-system", "get", "configmap", "kubestrap-config", "-o", "jsonpath={.data.KubestrapConfiguration}")
    document = yaml.safe_load(text)
    document.pop("security", None)
    if security:
        document["security"] = security
    return yaml.safe_dump(document)


def reconfigure(node, documents: str, *words: str, code: int = 0):
    began = time.monotonic()
    done = node.try_("kubestrap", "reconfigure", *(("-f", "-") if documents else ()), *words, input=documents or None, timeout=1500)
    print(f"reconfigure {' '.join(words)}: exit code {done.code} after {time.monotonic() - began:.1f} s")
    assert done.code == code, str(done)
    return done


def shown(node, address: str = "127.0.0.1") -> list[str]:
    """The names of the certificate that an API server shows."""
    return json.loads(node.run("kubestrap", "certs", "certinfo", "--domain", f"{address}:6443"))["sans"]


def named(configuration: str, *names: str) -> str:
    document = yaml.safe_load(configuration)
    document.setdefault("apiServer", {})["certSANs"] = list(names)
    return yaml.safe_dump(document)


def in_etcd(node, key: str) -> bytes:
    """The first octets of what lies in etcd."""
    said = node.kubectl("-n", "kube-system", "exec", f"etcd-{node.name}", "--", *ETCDCTL, "get", key, "-w", "json")
    return base64.b64decode(json.loads(said)["kvs"][0]["value"])[:40]


@pytest.fixture(scope="module")
def node(lab):
    machine = lab.machine("n1")
    begin_self_hosted(lab, machine)
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine))
    machine.until("no roll is under way", lambda: "wait until" not in reconfigure(machine, stored(machine), "--dry-run").out)
    return machine


def test_it_is_shown_and_asked_before_anything_is_changed(node):
    before = revisions(node)
    wanted = named(stored(node), NAME)
    said = reconfigure(node, wanted, "--dry-run", "-o", "json", "--exit-code", code=4).json
    assert said["kind"] == "OperationPlan" and said["changed"]
    assert {"name": "n1: certificate and audit policy as they shall be"} in said["steps"]
    changes = {each["subject"]: each for each in said["changes"] if each["verb"] != "keep"}
    assert changes["certificate apiserver"]["reason"] == f"lacks SAN {NAME}"
    assert NAME in changes["ConfigMap kube-system/kubeadm-config"]["diff"]
    text = reconfigure(node, wanted, "--dry-run").out
    assert f"lacks SAN {NAME}" in text and "Step by step" in text
    node.write("/root/wanted.yaml", wanted)
    refused = node.try_("kubestrap", "reconfigure", "-f", "/root/wanted.yaml")
    assert refused.code == 1 and "it was not confirmed" in refused.err and f"lacks SAN {NAME}" in refused.err, str(refused)
    assert "cannot answer" in reconfigure(node, wanted, code=2).err
    assert revisions(node) == before and NAME not in shown(node)


def test_a_name_comes_and_goes_without_a_roll(node):
    before = revisions(node)
    asked = [*probes(node), Probe(node, 6443, stored=True)]
    reconfigure(node, named(stored(node), NAME, "10.9.9.9"), "--yes")
    assert NAME in shown(node) and "10.9.9.9" in shown(node)
    assert NAME in stored(node)
    reconfigure(node, named(stored(node), "10.9.9.9"), "--yes")
    none_failed(asked)
    assert NAME not in shown(node) and "10.9.9.9" in shown(node)
    assert NAME not in stored(node)
    assert revisions(node) == before
    again = json.loads(reconfigure(node, stored(node), "--yes", "-o", "json").out)
    assert not again["changed"]
    assert reconfigure(node, stored(node), "--dry-run", "--exit-code").out == "nothing to do\n"


def test_an_audit_log_holds_what_its_policy_says(node):
    node.write(POLICY, policy("Metadata"))
    asked = [*probes(node), Probe(node, 6443, stored=True)]
    reconfigure(node, own(node, audit={"policyFile": POLICY, "maxSize": "5Mi", "maxBackups": 2}), "--yes")
    none_failed(asked)
    node.kubectl("create", "configmap", "audited")
    node.until("the log tells of it", lambda: "audited" in node.read("/var/log/kubernetes/audit/audit.log"))
    lines = [json.loads(line) for line in node.read("/var/log/kubernetes/audit/audit.log").splitlines()]
    assert {each["level"] for each in lines} == {"Metadata"}
    command = node.kubectl("-n", "kube-system", "get", "daemonset", "kube-apiserver", "-o", "yaml")
    assert "--audit-log-maxsize=5" in command and "--audit-log-maxbackup=2" in command
    kept = node.kubectl("-n", "kube-system", "get", "configmap", "kubestrap-config", "-o", "jsonpath={.data.AuditPolicy}")
    assert yaml.safe_load(kept) == yaml.safe_load(policy("Metadata"))
    assert remains(node) == ""
    node.until("it runs in its own cluster", lambda: is_self_hosted(node))


def test_what_is_wrong_with_an_audit_log_is_told_before_anything_is_changed(node):
    before = revisions(node)
    node.write("/root/wrong.yaml", policy("All"))
    wrong = reconfigure(node, own(node, audit={"policyFile": "/root/wrong.yaml"}), "--yes", code=2)
    assert 'rules[0].level: "All" is not known' in wrong.err
    absent = reconfigure(node, own(node, audit={"policyFile": "/root/absent.yaml"}), "--yes", code=2)
    assert "/root/absent.yaml, and it is not there" in absent.err
    twice = yaml.safe_load(stored(node))
    twice.setdefault("apiServer", {})["extraArgs"] = [{"name": "audit-log-path", "value": "-"}]
    refused = reconfigure(node, yaml.safe_dump(twice), "--yes", code=3)
    assert "audit-log-path is set by security" in refused.err
    assert revisions(node) == before


def test_another_policy_alone_is_a_document_of_its_own(node):
    asked = probes(node)
    reconfigure(node, policy("Request"), "--yes")
    none_failed(asked)
    node.kubectl("create", "configmap", "requested")
    node.until("the log tells what was asked for", lambda: '"level":"Request"' in node.read("/var/log/kubernetes/audit/audit.log"))


def secrets(node, count: int) -> None:
    documents = [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"secret-{i}", "namespace": "default"}, "stringData": {"word": f"plain-{i}"}} for i in range(count)]
    node.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(documents))


def readable(node, count: int) -> None:
    """Every Secret says what it said, as this node's own API server reads it."""
    said = node.kubectl("get", "secrets", "-n", "default", "-o", 'jsonpath={range .items[*]}{.metadata.name}={.data.word}{"\\n"}{end}')
    assert {line for line in said.splitlines() if line.startswith("secret-")} == {f"secret-{i}={base64.b64encode(f'plain-{i}'.encode()).decode()}" for i in range(count)}


def all_lie_as(node, count: int, begin: bytes) -> None:
    for i in (0, count // 2, count - 1):
        value = in_etcd(node, f"/registry/secrets/default/secret-{i}")
        assert value.startswith(begin), value
    readable(node, count)


COUNT = 120


def test_secrets_are_encrypted_with_another_key_and_lie_as_they_are_again(node):
    secrets(node, COUNT)
    all_lie_as(node, COUNT, b"k8s\x00")
    asked = [*probes(node), Probe(node, 6443, stored=True), Probe(node, 6443, writes=True)]
    audit = {"policyFile": POLICY, "maxSize": "5Mi", "maxBackups": 2}
    reconfigure(node, own(node, audit=audit, encryptionAtRest={"provider": "secretbox"}), "--yes")
    all_lie_as(node, COUNT, b"k8s:enc:secretbox:v1:key1:")
    assert node.sh(f"stat -c %a {PKI}/encryption.yaml").strip() == "600"
    reconfigure(node, "", "--rotate-encryption-key", "--yes")
    all_lie_as(node, COUNT, b"k8s:enc:secretbox:v1:key2:")
    assert "key1" not in node.read(f"{PKI}/encryption.yaml")
    again = reconfigure(node, own(node, audit=audit, encryptionAtRest={"provider": "secretbox"}), "--dry-run").out
    assert again == "nothing to do\n"
    reconfigure(node, own(node, audit=audit), "--yes")
    none_failed(asked)
    all_lie_as(node, COUNT, b"k8s\x00")
    assert "key" not in node.read(f"{PKI}/encryption.yaml")  # which the standby names until guards have the next one
    assert "encryption-provider" not in node.kubectl("-n", "kube-system", "get", "daemonset", "kube-apiserver", "-o", "yaml")
    assert remains(node) == ""


def test_it_goes_on_after_the_driver_was_killed(node):
    encrypting = own(node, encryptionAtRest={"provider": "aesgcm", "resources": ["secrets", "configmaps"]})
    node.write("/root/wanted.yaml", encrypting)
    for marker in ("knows the keys identity, key1", "goes by the keys key1, identity", "every object is written anew"):
        said = node.stop("reconfigure", "-f", "/root/wanted.yaml", "--yes", text=marker)
        assert marker in said and said.splitlines()[-1] == "ended 137", said
        readable(node, COUNT)
    asked = [*probes(node), Probe(node, 6443, stored=True)]
    reconfigure(node, encrypting, "--yes")
    none_failed(asked)
    all_lie_as(node, COUNT, b"k8s:enc:aesgcm:v1:key")
    assert in_etcd(node, "/registry/configmaps/kube-system/kubeadm-config").startswith(b"k8s:enc:aesgcm:v1:key")
    assert "encryptionAtRest" in own_of(node)


def own_of(node) -> str:
    return node.kubectl("-n", "kube-system", "get", "configmap", "kubestrap-config", "-o", "jsonpath={.data.KubestrapConfiguration}")


@pytest.fixture(scope="module")
def three(lab):
    machines = three_control_planes(lab)
    pivot(machines[0])
    return machines


def test_three_control_planes_lose_no_request(three):
    first, second, third = three[:3]
    first.write(POLICY, policy("Metadata"))
    secrets(first, COUNT)
    asked = [Probe(machine, 6443, stored=True) for machine in three] + [Probe(three[3], 443, host=SERVICE)]
    security = {"audit": {"policyFile": POLICY}, "encryptionAtRest": {"provider": "secretbox"}}
    reconfigure(first, named(stored(first), NAME) + "---\n" + own(first, **security), "--yes")
    reconfigure(second, "", "--rotate-encryption-key", "--yes")
    none_failed(asked)
    all_lie_as(first, COUNT, b"k8s:enc:secretbox:v1:key2:")
    for machine in three[:3]:
        readable(machine, COUNT)
        assert NAME in shown(machine, machine.address)
        assert machine.read(f"{PKI}/encryption.yaml") == first.read(f"{PKI}/encryption.yaml")
        machine.until("its log tells something", lambda: '"level":"Metadata"' in machine.read("/var/log/kubernetes/audit/audit.log"))
    assert third.kubectl("-n", "kube-system", "get", "secrets", "-o", "name").count("kubestrap-keys") == 0


# ---- a control plane that joins meanwhile


@pytest.fixture(scope="module")
def pair(lab):
    """One that runs in its own cluster, with what a second one needs to join; and a bare machine."""
    first, second = (lab.machine(name) for name in ("n1", "n2"))
    made = first.init("--self-hosted", "--upload-certs", config=documents.with_certificate_key(hosted(first), CERTIFICATE_KEY), timeout=600)
    assert made.code == 0, str(made)
    lab.install_pod_network(first)
    first.wait_ready()
    first.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(first))
    first.until("no roll is under way", lambda: "wait until" not in reconfigure(first, stored(first), "--dry-run").out)
    return first, second


def keys_move(node) -> bool:
    return "kubestrap.io/encryption-moves" in node.get("configmap", "-n", "kube-system", "kubestrap-config")["metadata"].get("annotations", {})


def test_a_control_plane_does_not_join_while_keys_come_or_change_and_joins_with_them_afterwards(pair):
    """The driver is killed at several steps, so that there is time to try."""
    first, second = pair
    secrets(first, COUNT)
    encrypting = own(first, encryptionAtRest={"provider": "secretbox"})
    first.write("/root/wanted.yaml", encrypting)
    words = [*join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY]

    def killed_at(marker: str, *how: str) -> None:
        said = first.stop("reconfigure", *how, "--yes", text=marker)
        assert marker in said and said.splitlines()[-1] == "ended 137", said
        assert keys_move(first)
        join_is_refused(second, words, "join has to wait", "kubestrap reconfigure", code=3)
        assert etcd_members(first) == {"n1": False} and [node["metadata"]["name"] for node in first.get("nodes")["items"]] == ["n1"]

    for marker in ("knows the keys identity, key1", "goes by the keys key1, identity", "every object is written anew"):
        killed_at(marker, "-f", "/root/wanted.yaml")
    reconfigure(first, encrypting, "--yes")
    assert not keys_move(first)
    killed_at("goes by the keys key1, key2, identity", "--rotate-encryption-key")
    reconfigure(first, "", "--rotate-encryption-key", "--yes")
    assert not keys_move(first)
    all_lie_as(first, COUNT, b"k8s:enc:secretbox:v1:key2:")

    upload = ("kubestrap", "init", "phase", "upload-certs", "--upload-certs")
    first.run(*upload, "--config", CONFIG)  # which does not speak of the keys
    join_is_refused(second, words, f"{PKI}/encryption.yaml", code=3)
    first.run(*upload, "--certificate-key", CERTIFICATE_KEY)  # the cluster does
    joined = join(second, words, timeout=400)
    assert joined.code == 0, str(joined)
    first.lab.install_pod_network(first)
    second.until("its static pods are ready", lambda: is_kept_by_files(second))
    assert second.read(f"{PKI}/encryption.yaml") == first.read(f"{PKI}/encryption.yaml")
    readable(second, COUNT)
    second.kubectl("create", "secret", "generic", "by-the-second", "--from-literal=word=plain")
    assert in_etcd(second, "/registry/secrets/default/by-the-second").startswith(b"k8s:enc:secretbox:v1:key2:")
    assert first.kubectl("get", "secret", "by-the-second", "-o", "jsonpath={.data.word}") == base64.b64encode(b"plain").decode()
