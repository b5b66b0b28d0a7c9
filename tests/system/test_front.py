"""`endpoint.mode: local`: a balancer on every node, which follows the cluster's API servers and outlives them."""

import json

import pytest

from kubelab import documents
from test_join import CERTIFICATE_KEY, IGNORED, join, join_words
from testbed import CONFIG, Probe

NAME = "api.kubernetes.internal"
WORKERS_PORT, CONTROL_PLANES_PORT = 6443, 6445
SERVERS = "/var/lib/kubestrap-front/apiservers.cfg"


def front_server(machine) -> str:
    """The server that the kubelet of this machine speaks to."""
    return next(line.split()[1] for line in machine.read("/etc/kubernetes/kubelet.conf").splitlines() if " server: " in line)


def with_front(machine) -> str:
    return documents.with_certificate_key(machine.config(layout=None), CERTIFICATE_KEY) + documents.kubestrap("plain")


def containers(machine) -> list[dict]:
    """What runs, by containerd; each with its process, as the machine counts them."""
    tasks = (line.split() for line in machine.run("ctr", "-n", "k8s.io", "tasks", "ls").splitlines()[1:])
    running = {name: process for name, process, status in tasks if status == "RUNNING"}
    told = ["{", *(f'"{name}":\n$(ctr -n k8s.io containers info {name} || echo null),' for name in running), '"": null}']
    documents = json.loads(machine.sh("cat <<END\n" + "\n".join(told) + "\nEND\n"))
    return [document | {"process": running[name]} for name, document in documents.items() if document]


def front_containers(machine) -> dict[str, dict]:
    """Pod of the front -> HAProxy's container, of those that run."""
    labelled = [(each["Labels"], each) for each in containers(machine)]
    return {
        labels["io.kubernetes.pod.name"]: each for labels, each in labelled if labels.get("io.kubernetes.container.name") == "front"
    }


def front_ids(machine) -> dict[str, str]:
    return {pod: each["ID"] for pod, each in front_containers(machine).items()}


def process_of(machine, component: str) -> str:
    """The process of a container, as the machine counts them."""
    running = {each["Labels"].get("io.kubernetes.container.name"): each["process"] for each in containers(machine)}
    assert component in running, f"{component} does not run"
    return running[component]


@pytest.fixture(scope="module")
def first(lab):
    machine = lab.machine("n1")
    made = machine.init("--upload-certs", config=with_front(machine))
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    return machine


def control_plane_words(first) -> list[str]:
    return [*join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY]


@pytest.fixture(scope="module")
def cluster(first):
    """Two control planes and a worker."""
    second, worker = first.lab.machine("n2"), first.lab.machine("w1")
    for machine, words in ((second, control_plane_words(first)), (worker, join_words(first))):
        joined = join(machine, words)
        assert joined.code == 0, str(joined)
    first.lab.install_pod_network(first)
    first.wait_ready()
    return first, second, worker


def test_every_kubelet_speaks_to_its_own_balancer(cluster):
    first, second, worker = cluster
    assert front_server(first) == front_server(second) == f"https://{NAME}:{CONTROL_PLANES_PORT}"
    assert front_server(worker) == f"https://{NAME}:{WORKERS_PORT}"
    for machine in cluster:
        assert machine.run("getent", "hosts", NAME).split()[0] in ("127.0.0.1", "::1")
        servers = machine.until("its list has both", lambda: [n for n in ("n1", "n2") if f"server {n} " in machine.read(SERVERS)] == ["n1", "n2"])
        assert servers


def test_a_second_run_changes_nothing(cluster):
    first, _, worker = cluster
    for machine, words in ((first, ("init", "--config", CONFIG)), (worker, tuple(join_words(first)))):
        before = machine.listing("/etc/kubernetes", "/etc/hosts"), front_ids(machine)
        again = machine.try_("kubestrap", *words, IGNORED, "--node-name", machine.name) if words[0] == "join" else machine.try_("kubestrap", *words)
        assert again.code == 0, str(again)
        assert (machine.listing("/etc/kubernetes", "/etc/hosts"), front_ids(machine)) == before, again.err


def test_the_join_command_names_an_address_and_not_the_name_that_each_node_has_for_itself(cluster):
    assert join_words(cluster[0])[1] == f"{cluster[0].address}:6443"


def test_nobody_learns_a_secret_from_the_balancers_pod(cluster):
    worker = cluster[2]
    container = front_containers(worker)["kubestrap-front-a-w1"]
    mounts = {mount["destination"] for mount in container["Spec"]["mounts"] if mount["type"] == "bind"}
    of_every_pod = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm", "/dev/termination-log"}
    assert mounts - of_every_pod == {"/etc/kubernetes/kubestrap/front", "/var/lib/kubestrap-front", "/etc/kubernetes/pki/ca.crt"}


@pytest.mark.parametrize("killed", [0, 1])
def test_an_api_server_that_is_killed_is_missed_by_nobody_who_asks_twice(cluster, killed):
    probes = [Probe(machine, port) for machine, port in zip(cluster, (CONTROL_PLANES_PORT, CONTROL_PLANES_PORT, WORKERS_PORT))]
    victim = cluster[killed]
    before = process_of(victim, "kube-apiserver")
    victim.run("kill", "-9", before)
    victim.until("it runs again", lambda: process_of(victim, "kube-apiserver") != before)
    victim.until("it is ready again", lambda: victim.run("curl", "-sk", f"https://{victim.address}:6443/readyz") == "ok")
    for result in [probe.end() for probe in probes]:
        assert result["requests"] > 0
        assert not result["failedTwice"], result


def test_a_balancer_that_is_killed_comes_back(cluster):
    worker = cluster[2]
    before = front_ids(worker)
    probe = Probe(cluster[1], CONTROL_PLANES_PORT)
    worker.run("kill", "-9", process_of(worker, "front"))
    worker.until("it runs again", lambda: (now := front_ids(worker)) and now != before)
    worker.until("it serves", lambda: worker.try_("curl", "-sk", f"https://127.0.0.1:{WORKERS_PORT}/readyz").out == "ok")
    assert not probe.end()["failedTwice"]


def test_a_control_plane_that_comes_and_goes_is_followed_by_all_balancers_without_a_restart(cluster):
    first, _, worker = cluster
    before = front_ids(worker)
    third = first.lab.machine("n3")
    joined = join(third, control_plane_words(first))
    assert joined.code == 0, str(joined)
    for machine in cluster:
        machine.until("its list has the third", lambda: "server n3 " in machine.read(SERVERS))
        asked = "python3", "-c", SOCKET, "/var/lib/kubestrap-front/a.sock", "show servers state apiservers"
        machine.until("HAProxy has it too", lambda: third.address in machine.run(*asked))
    assert front_ids(worker) == before

    left = third.try_("kubestrap", "reset", "--force")
    assert left.code == 0, str(left)
    for machine in cluster:
        machine.until("its list has it no more", lambda: "server n3 " not in machine.read(SERVERS))
    assert front_ids(worker) == before
    first.lab.off(third)


SOCKET = """
import socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect(sys.argv[1])
asked.sendall(sys.argv[2].encode() + b"\\n")
while piece := asked.recv(65536):
    sys.stdout.write(piece.decode())
"""


@pytest.mark.long
def test_the_image_is_replaced_without_a_refused_connection(cluster):
    first = cluster[0]
    first.run("ctr", "-n", "k8s.io", "images", "tag", ours(first), "kubestrap.io/kubestrap:another")
    text = with_front(first).replace("  mode: local\n", "  mode: local\nimages:\n  front: kubestrap.io/kubestrap:another\n")
    probe = Probe(first, CONTROL_PLANES_PORT, 0.02)
    first.write(CONFIG, text)
    replaced = first.try_("kubestrap", "init", "phase", "front", "--config", CONFIG)
    assert replaced.code == 0, str(replaced)
    first.until("only the newer one runs", lambda: list(front_containers(first)) == ["kubestrap-front-b-n1"])
    result = probe.end()
    assert result["requests"] > 0
    assert not result["failed"], result


def ours(machine) -> str:
    names = machine.run("ctr", "-n", "k8s.io", "images", "ls", "-q").split()
    return next(name for name in names if name.startswith("kubestrap.io/kubestrap:v"))


def test_a_worker_that_starts_while_there_is_no_control_plane_finds_them_when_they_come(cluster):
    first, second, worker = cluster
    lab = first.lab
    before = worker.read(SERVERS)
    lab.off(*cluster)
    lab.call("power-on", worker.name)
    worker.until("its balancer runs", lambda: front_containers(worker))
    assert worker.read(SERVERS) == before
    # Who asks is refused at once, and not accepted and cut off.
    asked = worker.try_("curl", "-sk", "--max-time", "5", f"https://127.0.0.1:{WORKERS_PORT}/readyz")
    assert asked.code == 7, str(asked)
    lab.call("power-on", first.name, second.name)
    worker.until("its balancer serves", lambda: worker.try_("curl", "-sk", f"https://127.0.0.1:{WORKERS_PORT}/readyz").out == "ok")
    first.until("the API server answers", lambda: first.get("nodes"))
    first.wait_ready()


def test_kubeadm_joins_where_the_machine_knows_the_name(cluster):
    first = cluster[0]
    worker = first.lab.machine("w2")
    worker.sh('echo "$1 $2" >>/etc/hosts', first.address, NAME)
    joined = join(worker, join_words(first), program="kubeadm")
    assert joined.code == 0, str(joined)
    first.until("it is a Node", lambda: first.get("node", "w2"))
