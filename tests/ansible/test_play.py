"""The collection played over ssh on machines of the lab."""

import json
import re

import pytest

import workloads
from operating import BINARY, Operator
from test_roll import ETCD
from testbed import OLDER, PATIENCE, VERSION, Machine

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
    """With the lab's pod network, without which none would be."""
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


def web() -> str:
    """A Deployment that only a worker may run."""
    document = json.loads(workloads.deployment("web", "hello"))
    del document["spec"]["template"]["spec"]["tolerations"]
    return json.dumps(document)


def rolled_out(first, name: str) -> None:
    first.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={PATIENCE}s", timeout=PATIENCE + 20)


@pytest.mark.long
def test_two_plain_control_planes_and_a_worker_get_another_version_one_after_the_other_with_their_kubelets(ansible, lab):
    nodes = ("n1", "n2", "w1")
    lab.call("down")  # the machines of other scenarios
    lab.call("machine", "--fresh", "--kubernetes", OLDER, "--also-images", VERSION, *nodes)
    n1, n2, w1 = machines = [Machine(lab, name) for name in nodes]
    ansible.inventory(lab, ["n1", "n2"], ["w1"], kubestrap_kubernetes_version=f"v{OLDER}")
    made = ansible.play(lab, "site")
    assert made.code == 0, str(made)
    ready(lab, n1)
    n1.wait_ready()
    n1.kubectl("apply", "-f", "-", input=web())
    rolled_out(n1, "web")
    refused = ansible.play(lab, "site", "-e", f"kubestrap_kubernetes_version=v{VERSION}")
    assert refused.code == 2 and "play kubestrap.kubestrap.upgrade" in refused.out, str(refused)

    # Without kubelets what a further control plane will get cannot be seen in its cluster yet, and is told all the same.
    before = [content(machine) for machine in machines]
    looked = ansible.play(lab, "upgrade", "-e", f"kubestrap_kubernetes_version=v{VERSION}", "--check")
    succeeded(looked, n1=1, n2=1)
    wish = ["-e", f"kubestrap_kubernetes_version=v{VERSION}", "-e", f"kubestrap_new_kubelet=/opt/kubernetes/{VERSION}/kubelet"]
    looked = ansible.play(lab, "upgrade", *wish, "--check", "--diff")
    succeeded(looked, n1=2, n2=1, w1=1)
    assert re.search(rf"\+ *image: registry.k8s.io/kube-apiserver:v{VERSION}", looked.out), str(looked)
    assert [content(machine) for machine in machines] == before
    assert versions(n1) == dict.fromkeys(nodes, f"v{OLDER}")

    done = ansible.play(lab, "upgrade", *wish)
    succeeded(done, n1=2, n2=1, w1=1)
    assert list(done.of("Upgrade this node")) == list(nodes)
    for one in (done.of("Upgrade the cluster")["n1"], done.of("Upgrade this node")["n2"]):
        assert "requests" in one["api_gap"] and "steps" not in one
    assert "pods that may move from node w1" in {each["subject"] for each in done.of("Upgrade this node")["w1"]["changes"]}
    n1.until("all tell of their new kubelets", lambda: versions(n1) == dict.fromkeys(nodes, f"v{VERSION}"))
    n1.until("all is ready", lambda: n1.wait_ready() is None)
    for machine in (n1, n2):
        assert f"kube-apiserver:v{VERSION}" in machine.read("/etc/kubernetes/manifests/kube-apiserver.yaml")
        assert ETCD in machine.read("/etc/kubernetes/manifests/etcd.yaml")
    assert f"kube-proxy:v{VERSION}" in n1.kubectl("-n", "kube-system", "get", "daemonset", "kube-proxy", "-o", "yaml")
    # Each takes pods again: those of the worker had nowhere else to go.
    assert not [node["metadata"]["name"] for node in n1.get("nodes")["items"] if node["spec"].get("unschedulable")]
    rolled_out(n1, "web")
    assert {pod["spec"]["nodeName"] for pod in n1.get("pods", "-l", "app=web")["items"]} == {"w1"}
    for playbook in ("upgrade", "site"):
        succeeded(ansible.play(lab, playbook, *wish), n1=0, n2=0, w1=0)


def versions(n1) -> dict[str, str]:
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in n1.get("nodes")["items"]}
