"""`kubestrap reset`: the machine is what it was, the cluster that stays is whole, and nothing of others is touched."""

import itertools
import json
import shlex

import pytest

from test_join import CERTIFICATE_KEY, with_endpoint
from test_pivot import pivot, three_control_planes

IGNORED = "--ignore-preflight-errors=SystemVerification"


def reset(machine, *flags: str, **more):
    return machine.try_("kubestrap", "reset", "--force", *flags, **more)


HOSTS = ("kernel.panic", "kernel.panic_on_oops", "vm.overcommit_memory")  # settings that all machines of the lab share


def is_as_before(machine, but: tuple[str, ...] = ()) -> None:
    """Also but for what the lab has added for the pod network: routes by other machines, and the file that it keeps them in."""
    result = machine.try_("kubestrap", "reset", "--verify", "-o", "json")
    left = [each["name"] for each in result.json["deviations"] if not is_of_lab(each)]
    assert set(left) <= set(but), str(result)
    assert (result.code, result.json["clean"]) == ((4, False) if result.json["deviations"] else (0, True)), str(result)


def is_of_lab(deviation) -> bool:
    if deviation["part"] == "routes":
        return " via " in deviation["name"]
    return deviation["name"].startswith("/etc/lab")


def join_words(machine, control_plane, *flags: str) -> list[str]:
    printed = control_plane.run("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubestrap", "token", "create", "--print-join-command")
    return [*shlex.split(printed.replace("\\\n", " "))[1:], IGNORED, "--node-name", machine.name, *flags]


def join(machine, control_plane, *flags: str):
    done = machine.try_("kubestrap", *join_words(machine, control_plane, *flags))
    assert done.code == 0, str(done)


def names(control_plane, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in control_plane.get(*kind.split())["items"]}


@pytest.fixture(scope="module")
def machine(lab):
    return lab.machine("n1")


@pytest.fixture
def bare(machine):
    machine.lab.reset(machine)
    machine.give_pod_network()
    return machine


def initialised(machine, **more):
    done = machine.init(**more)
    assert done.code == 0, str(done)
    return machine


# ---- the machine


def test_after_a_workload_the_machine_is_as_before_init_and_can_be_a_node_again(bare):
    initialised(bare)
    bare.wait_ready()
    bare.start_pod("web", bare.name)
    verified = bare.try_("kubestrap", "reset", "--verify")
    assert verified.code == 4, str(verified)
    assert "/etc/kubernetes/admin.conf" in verified.out and "KUBE-" in verified.out and "cni0" in verified.out
    refused = bare.try_("kubestrap", "reset", "--yes")
    assert refused.code == 3 and "LastControlPlane" in refused.err, str(refused)
    done = reset(bare, "-o", "json")
    assert done.code == 0 and done.json["changed"], str(done)
    is_as_before(bare)
    assert bare.try_("pgrep", "-f", "kube-apiserver|kube-proxy|etcd").code == 1
    again = reset(bare, "--exit-code")
    assert again.code == 0, str(again)
    assert "there was nothing to do" in again.out
    bare.give_pod_network()
    initialised(bare)
    bare.wait_nodes_ready()


def test_an_init_that_failed_is_undone(bare):
    # A flag that the API server does not know: it ends at once, and init with it, when files are written and the kubelet runs.
    broken = bare.config(("\nclusterName: kubernetes", "\nclusterName: kubernetes\napiServer:\n  extraArgs: [{name: no-such-flag, value: 'true'}]"))
    failed = bare.init(config=broken)
    assert failed.code == 1, str(failed)
    done = reset(bare)
    assert done.code == 0, str(done)
    is_as_before(bare)


def test_what_belongs_to_others_stays(bare):
    initialised(bare)
    bare.wait_nodes_ready()
    bare.sh("""
        set -e
        iptables -A INPUT -p tcp --dport 4711 -j ACCEPT
        mkdir -p /srv/theirs /etc/kubernetes/theirs; mount -t tmpfs theirs /srv/theirs; echo theirs >/srv/theirs/file; echo theirs >/etc/kubernetes/theirs/file
        ip link add theirs0 type bridge
        ctr -n k8s.io images export /root/theirs.tar lab.local/test:1; ctr -n theirs images import /root/theirs.tar
        ctr -n theirs run --detach --net-host lab.local/test:1 theirs testtool serve :4712
    """)
    done = reset(bare)
    assert done.code == 0, str(done)
    assert "--dport 4711" in bare.run("iptables-save")
    assert bare.read("/srv/theirs/file") == bare.read("/etc/kubernetes/theirs/file") == "theirs\n"
    assert "theirs0" in bare.run("ip", "-o", "link")
    assert "theirs" in bare.run("ctr", "-n", "theirs", "tasks", "ls")
    assert "KUBE-" not in bare.run("iptables-save")
    verified = bare.try_("kubestrap", "reset", "--verify", "-o", "json")
    assert verified.code == 4, str(verified)
    names = {each["name"] for each in verified.json["deviations"]}
    assert {"theirs0", "/srv/theirs", "/etc/kubernetes/theirs/file"} <= names


def test_a_node_of_kubeadms_goes_by_the_well_known_paths(bare):
    bare.write("/root/kubeadm.yaml", bare.config(layout=None))
    bare.run("kubeadm", "init", "--config", "/root/kubeadm.yaml", IGNORED, timeout=300)
    done = reset(bare)
    assert done.code == 0, str(done)
    for path in ("/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/manifests/etcd.yaml", "/var/lib/etcd/member", "/var/lib/kubelet/pki"):
        assert bare.try_("test", "-e", path).code != 0, path
    assert bare.try_("pgrep", "kube-apiserver").code == 1
    assert "nothing to do" in reset(bare).out
    bare.run("kubeadm", "init", "--config", "/root/kubeadm.yaml", IGNORED, timeout=300)


# ---- kills

MOMENTS = [("init", "[certs/etcd-ca]", 0), ("init", "service kubelet", 1.0), ("init", "[addon/coredns]", 0), ("reset", "pods", 0), ("reset", "/etc/kubernetes/pki/sa.key", 0)]
SPREAD = [("init", text, delay) for text, delay in [
    ("[preflight]", 0), ("[certs/ca]", 0), ("[certs/apiserver]", 0.002), ("[certs/front-proxy-ca]", 0), ("[certs/sa]", 0.001), ("[kubeconfig/admin]", 0),
    ("[kubeconfig/scheduler]", 0), ("[etcd/local]", 0), ("[control-plane/apiserver]", 0), ("kubeadm-flags.env", 0), ("service kubelet", 0),
    ("service kubelet", 2.5), ("the API server answers", 0), ("[upload-config/kubeadm]", 0), ("[bootstrap-token]", 0), ("[addon/kube-proxy]", 0)]] + [
    ("reset", text, delay) for text, delay in [
        ("service kubelet", 0), ("service kubelet", 0.2), ("pods", 0.05), ("packet filter", 0), ("the kubelet's data", 0), ("manifests/etcd.yaml", 0),
        ("the cluster's data", 0), ("admin.conf", 0), ("pki/ca.key", 0)]]


@pytest.mark.parametrize(("command", "text", "delay"), MOMENTS + [pytest.param(*one, marks=pytest.mark.long) for one in SPREAD], ids=lambda value: str(value))
def test_after_a_kill_anywhere_reset_leaves_the_machine_as_it_was(bare, command, text, delay):
    if command == "reset":
        initialised(bare)
        words = ["reset", "--force"]
    else:
        bare.write("/root/init.yaml", bare.config())
        words = ["init", "--config", "/root/init.yaml"]
    said = bare.stop(*words, text=text, delay=delay)
    assert text in said, said
    done = reset(bare)
    assert done.code == 0, str(done)
    if bare.try_("test", "-e", "/var/lib/kubestrap/inventory").code == 0:
        is_as_before(bare)


@pytest.mark.long
def test_wherever_reset_is_killed_the_next_one_comes_to_the_same_end(bare):
    kills = 0
    for nth in itertools.count(1, 2):
        bare.lab.reset(bare)
        bare.give_pod_network()
        initialised(bare)
        said = bare.stop("reset", "--force", nth=nth, delay=0.01 * (nth % 3))
        if "ended 0" in said:
            break
        assert "ended 137" in said, said
        kills += 1
        done = reset(bare)
        assert done.code == 0, f"killed after line {nth} of:\n{said}\n{done}"
        is_as_before(bare)
    print(f"{kills} kills")
    assert kills >= 25


# ---- the cluster that stays

AS_CONTROL_PLANE = ("--control-plane", "--certificate-key", CERTIFICATE_KEY)


def first_control_plane(machine):
    done = machine.init("--upload-certs", config=with_endpoint(machine))
    assert done.code == 0, str(done)
    return machine


def test_nodes_leave_a_cluster_that_stays_whole(lab, bare):
    """A control plane and a worker of three machines."""
    first_control_plane(bare)
    second, worker = lab.machine("n2"), lab.machine("w1")
    join(second, bare, *AS_CONTROL_PLANE)
    join(worker, bare)
    bare.until("all are nodes", lambda: names(bare, "nodes") == {"n1", "n2", "w1"})
    assert members(bare) == {"n1", "n2"}

    left = reset(second)
    assert left.code == 0, str(left)
    is_as_before(second)
    assert members(bare) == {"n1"}
    assert names(bare, "nodes") == {"n1", "w1"}
    assert "n2" not in names(bare, "leases -n kube-node-lease")

    worker.write("/root/admin.conf", bare.read("/etc/kubernetes/admin.conf"), "600")
    left = worker.try_("kubestrap", "reset", "--yes", "--kubeconfig", "/root/admin.conf")
    assert left.code == 0, str(left)
    is_as_before(worker)
    assert names(bare, "nodes") == {"n1"}
    assert bare.kubectl("get", "--raw", "/readyz") == "ok"


BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
"""


@pytest.mark.long
def test_pods_move_before_a_worker_leaves_unless_a_budget_forbids_it(lab, bare):
    initialised(bare)
    worker = lab.machine("w1")
    join(worker, bare)
    lab.install_pod_network(bare)
    bare.wait_ready()
    bare.start_pod("web", "w1")
    bare.kubectl("apply", "-f", "-", input=BUDGET)
    bare.until("the budget counts the pod", lambda: bare.get("pdb", "web")["status"].get("currentHealthy") == 1)
    worker.write("/root/admin.conf", bare.read("/etc/kubernetes/admin.conf"), "600")
    words = ("kubestrap", "reset", "--yes", "--kubeconfig", "/root/admin.conf", "--drain", "--drain-timeout", "3s")
    kept = worker.try_(*words)
    assert kept.code == 1 and "disruption budget web needs 1" in kept.err, str(kept)
    assert bare.get("node", "w1")["spec"]["unschedulable"] is True
    assert "serving" in bare.kubectl("logs", "web")
    bare.kubectl("delete", "pdb", "web")
    done = worker.try_(*words[:-1], "60s")
    assert done.code == 0, str(done)
    is_as_before(worker)
    assert (names(bare, "nodes"), names(bare, "pods")) == ({"n1"}, set())


@pytest.mark.long
@pytest.mark.parametrize(("role", "step", "least"), [("worker", 1, 9), ("control plane", 2, 17)])
def test_a_join_that_is_killed_anywhere_can_be_run_again_or_reset(lab, bare, role, step, least):
    """After every STEP-th thing that it says; half of the times it is run again before the reset."""
    first_control_plane(bare)
    joining = lab.machine("n2")
    before, kills = bare.until("etcd has its mirror pod", lambda: members(bare)), 0
    for nth in itertools.count(1, step):
        lab.reset(joining)
        words = join_words(joining, bare, *(AS_CONTROL_PLANE if role == "control plane" else ()))
        said = joining.stop(*words, nth=nth, delay=0.03 * (nth % 3))
        if "ended 0" in said:
            break
        assert "ended 137" in said, said
        kills += 1
        again = kills % 2 == 0
        if again:
            done = joining.try_("kubestrap", *words)
            assert done.code == 0, f"killed after line {nth} of:\n{said}\n{done}"
            bare.until("it has registered", lambda: "n2" in names(bare, "nodes"))
        joining.write("/root/admin.conf", bare.read("/etc/kubernetes/admin.conf"), "600")
        done = reset(joining, *(("--kubeconfig", "/root/admin.conf") if role == "worker" else ()))
        assert done.code == 0, f"killed after line {nth} of:\n{said}\n{done}"
        if joining.try_("test", "-e", "/var/lib/kubestrap/inventory").code == 0:
            is_as_before(joining)
        assert members(bare) == before, f"killed after line {nth} of:\n{said}\n{done}"
        if "n2" in names(bare, "nodes"):  # killed before it had an administrator's file
            assert role == "control plane" and not again, f"killed after line {nth} of:\n{said}\n{done}"
            bare.kubectl("delete", "node", "n2")
    print(f"{role}: {kills} kills")
    assert kills >= least


def members(control_plane) -> set[str]:
    said = control_plane.kubectl(
        "-n", "kube-system", "exec", f"etcd-{control_plane.name}", "--", "etcdctl", "--endpoints=https://127.0.0.1:2379",
        "--cacert=/etc/kubernetes/pki/etcd/ca.crt", "--cert=/etc/kubernetes/pki/etcd/server.crt",
        "--key=/etc/kubernetes/pki/etcd/server.key", "member", "list", "-w", "json",
    )
    return {member["name"] for member in json.loads(said)["members"]}


@pytest.mark.long
def test_a_whole_cluster_that_hosts_its_control_plane_is_reset_from_one_of_its_nodes(lab):
    first, second, third, worker = nodes = three_control_planes(lab)
    pivot(first)
    asked = first.try_("kubestrap", "reset", "--cluster", input="n\n")
    assert asked.code == 1 and "n1, n2, n3, w1" in asked.err, str(asked)
    planned = first.run("kubestrap", "reset", "--cluster", "--dry-run")
    assert planned.splitlines()[:3] == ["w1: reset begins", "n2: reset begins", "n3: reset begins"]
    lab.off(third)
    first.until("it is missed", lambda: ready(first, "n3") == "Unknown")
    refused = first.try_("kubestrap", "reset", "--cluster", "--yes")
    assert refused.code == 1 and "not Ready, so that nobody can tell them to go: n3" in refused.err, str(refused)
    done = first.try_("kubestrap", "reset", "--cluster", "--force", "-o", "json", timeout=600)
    assert done.code == 0, str(done)
    assert done.json["steps"] == ["etcd is left without n3", "w1: reset begins", "workers that have stopped are taken out of the cluster", "n2: reset begins"]
    for node in (worker, second):
        node.until("its reset is over", lambda: node.try_("systemctl", "is-active", "kubestrap-reset").out.strip() == "inactive")
    lab.call("power-on", third.name)
    left = reset(third)
    assert left.code == 0, str(left)
    for node in nodes:
        is_as_before(node, but=HOSTS)


def ready(control_plane, name: str) -> str:
    return next(each["status"] for each in control_plane.get("node", name)["status"]["conditions"] if each["type"] == "Ready")
