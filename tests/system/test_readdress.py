"""`kubestrap node readdress`: nodes go on after their machine got another address."""

import pytest

from test_join import CERTIFICATE_KEY, join, join_words
from test_pivot import finds_nothing_wrong, hosted, is_self_hosted, pivot, three_control_planes
from test_reset import members
from testbed import Probe

RECORD = "/var/lib/kubestrap/readdress.json"
# The machine's one interface, and the way out of it, as they were but for the address.
MOVE = """
set -e
link=$(ip -o -4 route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/') gateway=$(ip -o -4 route show default | sed 's/.* via \\([^ ]*\\).*/\\1/')
length=$(ip -o -4 addr show dev "$link" | grep -o "$1/[0-9]*" | cut -d/ -f2)
ip addr del "$1/$length" dev "$link"
ip addr add "$2/$length" dev "$link"
ip route replace default via "$gateway"
"""


def move(machine, last: int) -> tuple[str, str]:
    """Gives the machine an address that ends so; the old one and the new one."""
    old = machine.sh("ip -o -4 route get 192.0.2.1 | sed 's/.* src \\([^ ]*\\).*/\\1/'").strip()
    new = f"{old.rsplit('.', 1)[0]}.{last}"
    machine.sh(MOVE, old, new)
    return old, new


def address_of(machine, node: str) -> str:
    return next(each["address"] for each in machine.get("node", node)["status"]["addresses"] if each["type"] == "InternalIP")


def still_named(machine, address: str) -> list[str]:
    """Files of the node in which the old address stands."""
    return machine.sh('grep -rlwF "$1" /etc/kubernetes /var/lib/kubelet/*.env /var/lib/kubestrap-front/*.cfg || true', address).split()


def nothing_names(machine, address: str) -> None:
    """What the node's guard and balancer keep of the cluster they learn from it, a little later."""
    machine.until("nothing names the old address", lambda: not still_named(machine, address), 90)
    assert machine.try_("test", "-e", RECORD).code != 0


def names_of(machine, certificate: str) -> str:
    return machine.run("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", f"/etc/kubernetes/pki/{certificate}.crt")


@pytest.mark.long
@pytest.mark.parametrize("layout", [None, "plain"], ids=["hosted", "plain"])
def test_a_control_plane_and_a_worker_go_on_at_other_addresses(lab, layout):
    node = lab.machine("n1")
    made = node.init(config=node.config(("\nclusterName: kubernetes", "\ncontrolPlaneEndpoint: api.lab.test:6443\nclusterName: kubernetes"), layout=layout) if layout else node.config(layout=None))
    assert made.code == 0, str(made)
    worker = lab.machine("w1")
    if layout:
        worker.sh('echo "$1 api.lab.test" >>/etc/hosts', node.address)
        node.sh('echo "$1 api.lab.test" >>/etc/hosts', node.address)
    joined = join(worker, join_words(node))
    assert joined.code == 0, str(joined)
    lab.install_pod_network(node)
    node.wait_ready()
    unmoved = node.try_("kubestrap", "node", "readdress")
    assert unmoved.code == 0 and "nothing to do" in unmoved.err, str(unmoved)

    old, new = move(node, 91)
    if layout:
        for machine in (node, worker):
            machine.sh('sed "s/$1/$2/" /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts', old, new)
    planned = node.try_("kubestrap", "node", "readdress", "--dry-run", "--exit-code")
    assert planned.code == 4 and "lacks SAN " + new in planned.out, str(planned)
    assert still_named(node, old) and node.try_("test", "-e", RECORD).code != 0
    done = node.try_("kubestrap", "node", "readdress", "-o", "json", timeout=400)
    assert done.code == 0, str(done)
    assert (done.json["from"], done.json["to"], done.json["changed"]) == (old, new, True)
    nothing_names(node, old)
    for certificate in ("apiserver", "etcd/server", "etcd/peer"):
        names = names_of(node, certificate)
        assert new in names and old not in names, names
    node.until("the node is known by its new address", lambda: address_of(node, "n1") == new)
    node.wait_nodes_ready()
    node.until("etcd is known by it", lambda: new in node.run("kubestrap", "etcd", "members"))
    again = node.try_("kubestrap", "node", "readdress", "--exit-code")
    assert again.code == 0, str(again)

    # A balancer knows the one control plane there is by its address; a name is somebody else's to keep.
    assert done.json["nodesToTell"] == ([] if layout else ["w1"])
    if not layout:
        told = worker.try_("kubestrap", "node", "readdress", "--from", old, "--to", new, timeout=400)
        assert told.code == 0, str(told)
        assert still_named(worker, old) == []
    node.until("the worker is Ready", lambda: " Ready " in node.kubectl("get", "node", "w1", "--no-headers"))

    _, other = move(worker, 92)
    worker_done = worker.try_("kubestrap", "node", "readdress", timeout=400)
    assert worker_done.code == 0, str(worker_done)
    node.until("the worker is known by its new address", lambda: address_of(node, "w1") == other)
    node.wait_nodes_ready()
    node.start_pod("after", "w1")
    assert "serving" in node.kubectl("logs", "after")
    if not layout:
        finds_nothing_wrong(node)


@pytest.mark.long
def test_a_run_that_was_killed_is_gone_on_with(lab):
    node = lab.machine("n1")
    assert node.init(config=hosted(node)).code == 0
    lab.install_pod_network(node)
    node.wait_nodes_ready()
    for number, text in enumerate(("[begin]", "[certs]", "[files]", "[front]", "[kubelet]", "[wait]", "[cluster]")):
        old, new = move(node, 101 + number)
        node.stop("node", "readdress", text=text)
        done = node.try_("kubestrap", "node", "readdress", timeout=400)
        assert done.code == 0, str(done)
        nothing_names(node, old)
        node.until("the node is known by its new address", lambda: address_of(node, "n1") == new)
    finds_nothing_wrong(node)


@pytest.mark.long
def test_one_of_three_control_planes_moves_while_the_others_go_on(lab):
    machines = three_control_planes(lab)
    first, second, third, worker = machines
    pivot(first)
    asked = [Probe(machine, 6443, stored=True) for machine in (first, third, worker)]
    old, new = move(second, 91)
    done = second.try_("kubestrap", "node", "readdress", timeout=600)
    assert done.code == 0, str(done)
    nothing_names(second, old)
    assert members(first) == {"n1", "n2", "n3"}
    first.until("etcd's members know it", lambda: new in first.run("kubestrap", "etcd", "members"))
    first.until("the node is known by its new address", lambda: address_of(first, "n2") == new)
    first.wait_nodes_ready()
    for machine in (first, third, worker):
        machine.until("its balancer knows it", lambda: f"server n2 {new}:" in machine.read("/var/lib/kubestrap-front/apiservers.cfg"))
    second.until("its control plane is its pods' again", lambda: is_self_hosted(second))
    first.until("all is well", lambda: first.try_("kubestrap", "status", "--exit-code").code == 0)
    for probe in asked:
        result = probe.end()
        assert len(result["failed"]) <= 2, result
