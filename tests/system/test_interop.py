"""Clusters of which kubestrap has made one part and the real kubeadm the other, in the layout that kubestrap has by itself and in kubeadm's."""

import pytest

from kubelab import documents
from test_front import NAME
from test_join import ADMIN, CERTIFICATE_KEY, IGNORED, etcd_members, join, join_words, with_endpoint, works_across_nodes
from test_pivot import finds_nothing_wrong, hosted

pytestmark = pytest.mark.long

AS_CONTROL_PLANE = ("--control-plane", "--certificate-key", CERTIFICATE_KEY)


def takes(first, name: str, program: str, *flags: str):
    """A further machine, joined by this program with the words that the cluster's own prints."""
    machine = first.lab.machine(name)
    if program == "kubeadm":
        # It goes by the name that the cluster has published; of its own it would have to be in a DNS.
        machine.sh('echo "$1 $2" >>/etc/hosts', first.address, NAME)
    joined = join(machine, [*join_words(first, program=first.made_by), *flags], program=program, timeout=400)
    assert joined.code == 0, str(joined)
    return machine


def all_well(first, machines) -> None:
    first.lab.install_pod_network(first)
    first.until("all have registered", lambda: {node["metadata"]["name"] for node in first.get("nodes")["items"]} == {each.name for each in machines})
    first.wait_ready()
    control_planes = [machine for machine in machines if machine.name.startswith("n")]
    assert etcd_members(first) == {machine.name: False for machine in control_planes}
    for machine in control_planes:
        assert machine.kubectl("get", "--raw", "/readyz") == "ok"
    works_across_nodes(first, *(machine.name for machine in machines))


# ---- a cluster of ours, in the layout that it has by itself


@pytest.fixture(scope="module")
def ours(lab):
    machine = lab.machine("n1")
    made = machine.init("--upload-certs", config=documents.with_certificate_key(hosted(machine), CERTIFICATE_KEY))
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.made_by = "kubestrap"
    return machine


@pytest.fixture(scope="module")
def whole(ours):
    """Three control planes and two workers."""
    machines = [ours]
    for name in ("n2", "n3", "w1", "w2"):
        machines.append(takes(ours, name, "kubestrap", *(AS_CONTROL_PLANE if name.startswith("n") else ())))
    return machines


def test_three_control_planes_and_two_workers_reach_each_other(whole):
    all_well(whole[0], whole)
    finds_nothing_wrong(whole[0])


@pytest.fixture(scope="module")
def with_theirs(whole):
    """And kubeadm's worker, where two of ours were."""
    first, _, third, _, last = whole
    for node in (last, third):
        done = first.try_("kubestrap", "node", "remove", node.name, "--yes", timeout=300)
        assert done.code == 0, str(done)
        first.lab.off(node)
    return [*whole[:2], whole[3], takes(first, "w3", "kubeadm")]


def test_a_worker_of_kubeadms_in_a_cluster_of_ours(with_theirs):
    all_well(with_theirs[0], with_theirs)


def test_a_control_plane_of_kubeadms_in_a_cluster_of_ours(with_theirs):
    all_well(with_theirs[0], [*with_theirs, takes(with_theirs[0], "n4", "kubeadm", *AS_CONTROL_PLANE)])


# ---- a cluster of kubeadm's


@pytest.fixture(scope="module")
def theirs(lab, request):
    request.getfixturevalue("ours").lab.call("down")
    machine = lab.machine("n1")
    machine.write("/root/kubeadm.yaml", with_endpoint(machine).split("---\napiVersion: kubestrap.io")[0])
    machine.run("kubeadm", "init", "--config", "/root/kubeadm.yaml", "--upload-certs", IGNORED, timeout=400)
    lab.install_pod_network(machine)
    machine.made_by = "kubeadm"
    return machine


@pytest.fixture(scope="module")
def mixed(theirs):
    return [theirs, takes(theirs, "w1", "kubestrap"), takes(theirs, "n2", "kubestrap", *AS_CONTROL_PLANE)]


def test_a_worker_and_a_control_plane_of_ours_in_a_cluster_of_kubeadms(mixed):
    all_well(mixed[0], mixed)
    again = join(mixed[2], join_words(mixed[0], program="kubeadm"), "--control-plane", "--certificate-key", CERTIFICATE_KEY, "--exit-code")
    assert again.code == 0, str(again)


def test_kubeadm_goes_on_with_what_has_become_of_its_cluster(mixed):
    first, _, second = mixed
    all_well(first, [*mixed, takes(first, "n3", "kubeadm", *AS_CONTROL_PLANE), takes(first, "w2", "kubeadm")])
    judged = second.try_(*ADMIN, "kubeadm", "certs", "check-expiration")
    assert judged.code == 0, str(judged)
