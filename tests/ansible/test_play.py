"""The collection played over ssh on machines of the lab."""

import json
import re

import pytest

from operating import BINARY, Operator
from testbed import OLDER, VERSION, Machine

pytestmark = pytest.mark.lab

FOLDERS = ("/etc", "/usr/lib/kubestrap", "/var/lib/kubelet/config.yaml", "/var/lib/kubestrap")


def content(machine) -> dict[str, str]:
    return machine.digests(*FOLDERS)


def verified(machine) -> dict:
    return machine.try_("kubestrap", "reset", "--verify", "-o", "json").json


def succeeded(play, **changed: int) -> None:
    """And with that many changed tasks on each host, where a number is given."""
    assert play.code == 0, str(play)
    assert {host: play.changed.get(host) for host in changed} == changed, str(play)


def test_a_machine_becomes_a_cluster_and_is_bare_again(ansible, lab):
    n1 = lab.machine("n1")
    ansible.inventory(lab, ["n1"])

    before = content(n1)
    looked = ansible.play(lab, "site", "--check", "--diff")
    assert looked.code == 0, str(looked)
    made = looked.of("Make the cluster")["n1"]
    assert made["changed"] and {"kubelet-start", "etcd/local"} <= {each["phase"] for each in made["changes"]}
    assert "+" in made["diff"]["prepared"] and "/etc/kubernetes/manifests/etcd.yaml" in made["diff"]["prepared"]
    assert content(n1) == before

    first = ansible.play(lab, "site")
    succeeded(first, n1=1)
    # What was told beforehand is what was done.
    assert [each["subject"] for each in made["changes"] if each["verb"] == "create"][:5] == [
        each["subject"] for each in first.of("Make the cluster")["n1"]["changes"] if each["verb"] == "create"][:5]
    n1.give_pod_network()
    n1.wait_nodes_ready()
    assert n1.get("node", "n1")["status"]["addresses"][0]["address"] == n1.address

    succeeded(ansible.play(lab, "site"), n1=0)
    before = content(n1)
    succeeded(ansible.play(lab, "site", "--check", "--diff"), n1=0)
    other = ansible.play(lab, "site", "-e", "kubestrap_kubernetes_version=v1.36.3")
    assert other.code == 2 and "play kubestrap.kubestrap.upgrade" in other.out, str(other)
    assert content(n1) == before

    meant = ansible.play(lab, "reset")
    assert meant.code == 2 and "kubestrap_end_cluster=true" in meant.out, str(meant)
    looked = ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true", "--check")
    succeeded(looked, n1=1)
    assert content(n1) == before
    succeeded(ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true"), n1=1)
    assert verified(n1)["clean"], verified(n1)
    succeeded(ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true"), n1=0)


def test_the_file_of_kubestrap_cluster_is_an_inventory(ansible, lab, tmp_path):
    n1, w1 = machines = [lab.machine("n1"), lab.machine("w1")]
    operator = Operator(lab, tmp_path)
    operator.describe(machines, layout="plain", labels={"w1": {"disk": "ssd", "zone": "a"}}, binary=str(BINARY))
    (tmp_path / "group_vars").mkdir()
    # Nobody is named in the file, and without a name Ansible would become root by sudo.
    beside = {"ansible_user": "root", "ansible_python_interpreter": "/usr/bin/python3", "kubestrap_node_packages": ["conntrack", "iptables", "mount"]}
    (tmp_path / "group_vars/kubestrap_cluster.json").write_text(json.dumps(beside))

    made = ansible.play(lab, "site", inventory=operator.file)
    assert made.code == 0, str(made)
    assert addresses(n1) == {machine.name: [machine.address] for machine in machines}
    labels = n1.get("node", "w1")["metadata"]["labels"]
    assert (labels["disk"], labels["zone"]) == ("ssd", "a")
    succeeded(ansible.play(lab, "site", inventory=operator.file), n1=0, w1=0)
    # It is the cluster that the file says, whoever made it.
    operator.must("plan", "--exit-code")

    operator.describe(machines, layout="plain", labels={"w1": {"disk": "hdd"}}, binary=str(BINARY))
    succeeded(ansible.play(lab, "site", inventory=operator.file), n1=0, w1=1)
    labels = n1.get("node", "w1")["metadata"]["labels"]
    assert labels["disk"] == "hdd" and "zone" not in labels
    succeeded(ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true", inventory=operator.file), n1=1, w1=1)


# ---- three control planes and a worker

CONTROL_PLANES, WORKERS = ["n1", "n2", "n3"], ["w1"]
NAMES = CONTROL_PLANES + WORKERS
# Of the test networks of RFC 5737: every machine has it, as behind a hypervisor's NAT, and the default route leads there.
SHARED = "198.51.100.15"


@pytest.fixture(scope="module")
def cluster(ansible, lab):
    made = {name: lab.machine(name) for name in NAMES}
    for machine in made.values():
        machine.sh(f"ip link add nat0 type veth peer name cable0 && ip link set cable0 up && ip link set nat0 up && "
                   f"ip address add {SHARED}/24 dev nat0 && ip route replace default via 198.51.100.2 dev nat0")
    return made


def ready(lab, n1) -> None:
    lab.install_pod_network(n1)
    n1.wait_nodes_ready()


def take_away_what_the_lab_made(*chosen) -> None:
    """Its ways to other nodes' pods, which kubestrap knows nothing of."""
    for machine in chosen:
        machine.sh("rm -rf /etc/lab; ip route | grep -o '^10\\.244\\.[^ ]* via [^ ]*' | while read -r route; do ip route delete $route; done")


def addresses(n1) -> dict[str, list[str]]:
    return {node["metadata"]["name"]: [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
            for node in n1.get("nodes")["items"]}


@pytest.mark.long
def test_three_control_planes_and_a_worker_find_each_other_by_addresses_that_are_theirs_alone(ansible, lab, cluster):
    n1 = cluster["n1"]
    ansible.inventory(lab, CONTROL_PLANES, WORKERS)
    first = ansible.play(lab, "site")
    assert first.code == 0, str(first)
    assert {host for host, one in first.of("Choose the address").items()} == set(NAMES)
    assert all(count > 0 for count in first.changed.values()), first.changed
    ready(lab, n1)
    assert addresses(n1) == {name: [machine.address] for name, machine in cluster.items()}
    masters = n1.get("nodes", "-l", "node-role.kubernetes.io/control-plane")["items"]
    assert [node["metadata"]["name"] for node in masters] == CONTROL_PLANES
    assert "hidden due to the fact that 'no_log: true'" in json.dumps(first.of("Ask a control plane"))
    for machine in cluster.values():
        assert machine.try_("grep", "-rls", "certificateKey", "/root", "/tmp", "/etc/kubernetes").out == ""


@pytest.mark.long
def test_a_second_play_changes_nothing_on_any_of_them(ansible, lab, cluster):
    succeeded(ansible.play(lab, "site"), **dict.fromkeys(NAMES, 0))


@pytest.mark.long
def test_a_worker_that_is_played_alone_leaves_and_comes_back(ansible, lab, cluster):
    n1, w1 = cluster["n1"], cluster["w1"]
    take_away_what_the_lab_made(w1)
    succeeded(ansible.play(lab, "reset", "--limit", "w1", "-e", "kubestrap_end_cluster=true"), w1=1)
    assert "w1" not in addresses(n1)
    succeeded(ansible.play(lab, "site", "--limit", "w1"), w1=1)
    ready(lab, n1)
    assert addresses(n1)["w1"] == [w1.address]


@pytest.mark.long
def test_a_first_machine_that_was_lost_makes_no_second_cluster(ansible, lab, cluster):
    ansible.inventory(lab, ["w1", *CONTROL_PLANES], [])
    w1 = cluster["w1"]
    try:
        w1.run("mv", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/kubelet.conf.away")
        refused = ansible.play(lab, "site", "--limit", "w1")
    finally:
        w1.run("mv", "/etc/kubernetes/kubelet.conf.away", "/etc/kubernetes/kubelet.conf")
        ansible.inventory(lab, CONTROL_PLANES, WORKERS)
    assert refused.code == 2 and "belongs to a cluster already" in refused.out, str(refused)


@pytest.mark.long
def test_the_whole_cluster_goes(ansible, lab, cluster):
    take_away_what_the_lab_made(*cluster.values())
    gone = ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true")
    succeeded(gone, **dict.fromkeys(NAMES, 1))
    for machine in cluster.values():
        # Settings of the kernel are the whole host's: what one machine puts back is another's.
        left = [each for each in verified(machine)["deviations"] if each["part"] != "sysctls"]
        assert left == [], f"{machine.name}: {left}"


# ---- from the older to the newer Kubernetes


@pytest.mark.long
@pytest.mark.parametrize("self_hosted", [False, True], ids=["plain", "self-hosted"])
def test_a_cluster_gets_another_version_with_its_kubelets(ansible, lab, self_hosted):
    lab.call("down")  # the machines of other scenarios
    lab.call("machine", "--fresh", "--kubernetes", OLDER, "--also-images", VERSION, "n1", "w1")
    n1 = Machine(lab, "n1")
    ansible.inventory(lab, ["n1"], ["w1"], kubestrap_kubernetes_version=f"v{OLDER}", kubestrap_self_hosted=self_hosted)
    made = ansible.play(lab, "site")
    assert made.code == 0, str(made)
    ready(lab, n1)
    assert bool(n1.get("daemonsets", "-n", "kube-system", "-l", "kubestrap.io/component")["items"]) == self_hosted
    refused = ansible.play(lab, "site", "-e", f"kubestrap_kubernetes_version=v{VERSION}")
    assert refused.code == 2 and "play kubestrap.kubestrap.upgrade" in refused.out, str(refused)

    wish = ["-e", f"kubestrap_kubernetes_version=v{VERSION}", "-e", f"kubestrap_new_kubelet=/opt/kubernetes/{VERSION}/kubelet"]
    looked = ansible.play(lab, "upgrade", *wish, "--check", "--diff")
    assert looked.code == 0 and re.search(rf"^\+ *image: registry.k8s.io/kube-apiserver:v{VERSION}", looked.out, re.MULTILINE), str(looked)
    assert versions(n1) == {"n1": f"v{OLDER}", "w1": f"v{OLDER}"}

    done = ansible.play(lab, "upgrade", *wish)
    succeeded(done, n1=2, w1=1)
    upgraded = done.of("Upgrade the cluster")["n1"]
    assert upgraded["steps"] and "api_gap" not in upgraded if self_hosted else "requests" in upgraded["api_gap"]
    n1.until("both nodes tell of their new kubelets", lambda: versions(n1) == {"n1": f"v{VERSION}", "w1": f"v{VERSION}"})
    n1.wait_nodes_ready()
    succeeded(ansible.play(lab, "upgrade", *wish), n1=0, w1=0)
    succeeded(ansible.play(lab, "site", *wish), n1=0, w1=0)


def versions(n1) -> dict[str, str]:
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in n1.get("nodes")["items"]}
