"""Flags, names and the audit log of plain control planes are changed, node by node; what is bad goes back, and others go by what the cluster keeps."""

import json

import pytest
import yaml

from test_join import ADMIN, CERTIFICATE_KEY, IGNORED, join, join_words, with_endpoint
from test_pivot import finds_nothing_wrong
from test_reconfigure import NAME, POLICY, own, policy, reconfigure, shown
from test_roll import stored
from test_roll_broken import KILL_DRIVER
from testbed import VERSION

MANIFESTS = "/etc/kubernetes/manifests"
LOG = "/var/log/kubernetes/audit/audit.log"
FOLDERS = ("/etc/kubernetes", "/var/lib/kubestrap")
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def settings(node, *names: str, **flags: str) -> str:
    """The cluster's ClusterConfiguration with these names, and these flags of its API server."""
    document = yaml.safe_load(stored(node))
    document["apiServer"] = {"certSANs": list(names), "extraArgs": [{"name": name.replace("_", "-"), "value": value} for name, value in flags.items()]}
    return yaml.safe_dump(document)


def process_of(node, component: str) -> str:
    return node.run("pidof", component).strip()


def follow(node, *words: str, code: int = 0):
    done = node.try_("kubestrap", "reconfigure", "node", *words, timeout=900)
    assert done.code == code, str(done)
    return done


@pytest.fixture(scope="module")
def node(lab):
    machine = lab.machine("n1")
    made = machine.init(config=machine.config())
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()
    return machine


def test_a_plan_for_a_plain_control_plane_shows_all_and_touches_nothing(node):
    before = node.digests(*FOLDERS)
    wanted = settings(node, NAME, event_ttl="2h")
    said = reconfigure(node, wanted, "--dry-run", "-o", "json", "--exit-code", code=4).json
    assert said["kind"] == "OperationPlan" and said["changed"] and said["following"] == []
    changes = {each["subject"]: each for each in said["changes"] if each["verb"] not in ("keep", "wait")}
    assert changes["certificate apiserver"]["reason"] == f"lacks SAN {NAME}"
    assert NAME in changes["ConfigMap kube-system/kubeadm-config"]["diff"]
    assert "+    - --event-ttl=2h" in "".join(each.get("diff", "") for each in said["changes"])
    assert node.digests(*FOLDERS) == before


def test_what_cannot_be_changed_is_refused_with_its_name_and_a_remedy(node):
    other = yaml.safe_load(stored(node))
    other["networking"]["podSubnet"] = "10.99.0.0/16"
    assert "reconfigure cannot change networking.podSubnet" in reconfigure(node, yaml.safe_dump(other), "--yes", code=3).err
    refused = reconfigure(node, own(node, encryptionAtRest={"provider": "secretbox"}), "--yes", code=3)
    assert "on plain control planes" in refused.err and "kubestrap convert --to hosted" in refused.err, str(refused)


def test_a_flag_a_name_and_an_audit_log_come_and_only_the_api_server_ends(node):
    node.write(POLICY, policy("Metadata"))
    processes = {name: process_of(node, name) for name in COMPONENTS}
    done = reconfigure(node, settings(node, NAME, event_ttl="2h") + "---\n" + own(node, audit={"policyFile": POLICY}), "--yes", "-o", "json")
    assert json.loads(done.out)["changed"]
    assert NAME in shown(node, node.address)
    assert "--event-ttl=2h" in node.read(f"{MANIFESTS}/kube-apiserver.yaml")
    assert NAME in stored(node)
    assert {name for name in COMPONENTS if process_of(node, name) != processes[name]} == {"kube-apiserver"}
    node.kubectl("create", "configmap", "audited")
    node.until("the log tells of it", lambda: "audited" in node.read(LOG))
    assert not json.loads(reconfigure(node, stored(node), "--yes", "-o", "json").out)["changed"]
    assert reconfigure(node, stored(node), "--dry-run", "--exit-code").out == "nothing to do\n"
    finds_nothing_wrong(node)


def test_a_flag_that_no_api_server_knows_goes_back_with_all_that_came_with_it(node):
    before, kept = node.read(f"{MANIFESTS}/kube-apiserver.yaml"), stored(node)
    failed = reconfigure(node, settings(node, NAME, "other.example.org", no_such_flag="1"), "--yes", code=1)
    assert "unknown flag" in failed.err and "what this phase had begun was taken back" in failed.err, str(failed)
    assert yaml.safe_load(node.read(f"{MANIFESTS}/kube-apiserver.yaml")) == yaml.safe_load(before)
    assert stored(node) == kept
    node.until("it shows its former names", lambda: "other.example.org" not in shown(node, node.address))
    assert node.kubectl("get", "--raw", "/readyz") == "ok"
    assert "manifests" not in node.run("ls", "/var/lib/kubestrap/upgrade").split()


def test_a_name_goes_without_an_end_of_the_api_server(node):
    process = process_of(node, "kube-apiserver")
    reconfigure(node, settings(node, event_ttl="2h"), "--yes")
    assert NAME not in shown(node, node.address)
    assert process_of(node, "kube-apiserver") == process


@pytest.mark.long
def test_a_run_that_was_killed_with_a_wrong_flag_written_goes_on_with_a_right_one(node):
    node.write("/root/wrong.yaml", settings(node, no_such_flag="1"))
    right = settings(node, event_ttl="3h")
    driver = node.popen("kubestrap", "reconfigure", "-f", "/root/wrong.yaml", "--yes")
    node.sh(f"until grep -q no-such-flag {MANIFESTS}/kube-apiserver.yaml; do sleep 0.05; done; {KILL_DRIVER}")
    driver.communicate(timeout=60)
    assert "--no-such-flag" in node.read(f"{MANIFESTS}/kube-apiserver.yaml")
    reconfigure(node, right, "--yes")
    assert "--event-ttl=3h" in node.read(f"{MANIFESTS}/kube-apiserver.yaml")
    assert "event-ttl" in stored(node)


@pytest.fixture(scope="module")
def three(lab, node):
    lab.off(node)
    first, second, third = (lab.machine(name) for name in ("n1", "n2", "n3"))
    made = first.init("--upload-certs", config=with_endpoint(first))
    assert made.code == 0, str(made)
    joins(second, first)
    first.wait_ready()
    return first, second, third


def joins(machine, first) -> None:
    joined = join(machine, join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY, timeout=400)
    assert joined.code == 0, str(joined)
    first.lab.install_pod_network(first)


def noted(node) -> set[str]:
    return {each["metadata"]["name"] for each in node.get("nodes")["items"] if "kubestrap.io/settings-follow" in each["metadata"].get("annotations", {})}


@pytest.mark.long
def test_others_follow_by_what_the_cluster_keeps_and_one_that_joins_meanwhile_has_it(three):
    first, second, third = three
    for name in (NAME, "10.9.9.9"):
        reconfigure(first, settings(first, name), "--yes")
        follow(second)
        assert noted(first) == set()
    first.write(POLICY, policy("Metadata"))
    done = reconfigure(first, settings(first, "other.example.org", event_ttl="2h") + "---\n" + own(first, audit={"policyFile": POLICY}), "--yes", "-o", "json")
    assert json.loads(done.out)["following"] == ["n2"] and noted(first) == {"n2"}

    joins(third, first)
    assert "other.example.org" in shown(third, third.address) and "--event-ttl=2h" in third.read(f"{MANIFESTS}/kube-apiserver.yaml")
    assert not json.loads(follow(third, "-o", "json").out)["changed"]

    assert "10.9.9.9" in shown(second, second.address)
    said = json.loads(follow(second, "-o", "json").out)
    assert said["changed"] and said["following"] == []
    assert "other.example.org" in shown(second, second.address) and "10.9.9.9" not in shown(second, second.address)
    second.until("its log tells something", lambda: '"level":"Metadata"' in second.read(LOG))
    assert noted(first) == set()
    assert not json.loads(follow(second, "-o", "json").out)["changed"]


@pytest.mark.long
def test_a_node_on_which_it_does_not_get_well_goes_back_and_follows_when_that_is_mended(three):
    first, second, third = three
    reconfigure(first, settings(first, event_ttl="4h"), "--yes")
    second.write("/root/bad/kube-apiserver+strategic.json", json.dumps({"spec": {"containers": [{"name": "kube-apiserver", "command": ["kube-apiserver", "--no-such-flag=1"]}]}}))
    failed = follow(second, "--patches", "/root/bad", code=1)
    assert "what this phase had begun was taken back" in failed.err, str(failed)
    assert "--event-ttl=2h" in second.read(f"{MANIFESTS}/kube-apiserver.yaml")
    assert noted(first) == {"n2", "n3"}
    for machine in (second, third):
        follow(machine)
        assert "--event-ttl=4h" in machine.read(f"{MANIFESTS}/kube-apiserver.yaml")
    assert noted(first) == set()
    first.wait_ready()
    judged = first.try_(*ADMIN, f"/opt/kubernetes/{VERSION}/kubeadm", "upgrade", "plan", f"v{VERSION}", IGNORED)
    assert judged.code == 0, str(judged)
