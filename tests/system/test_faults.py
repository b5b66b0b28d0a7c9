"""What dies when what dies: three control planes, a worker, clients at every node's balancer, and what they notice of a fault.

Each scenario adds a line to build/reports/faults.jsonl; `faults.py` makes the table of docs/faults.md of them.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubelab import documents
from test_join import CERTIFICATE_KEY, join, join_words
from test_pivot import is_self_hosted, pivot
from testbed import Probe, administrator

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build/reports/faults.jsonl"
NAMES = ("n1", "n2", "n3")
OUTAGE = 20  # seconds


class Writer:
    """The program beside this file, at a node's balancer; or from outside of it at its address, which outlives its power."""

    def __init__(self, machine, port: int, outside: bool = False):
        self.machine, self.namespace = machine, f"faults-{int(time.time())}"
        network, host = (machine.lab.switch, machine.address) if outside else (machine.lab.network_of(machine), "127.0.0.1")
        if outside:
            machine.lab.forget_link_addresses()
        machine.sh(f"kubectl --kubeconfig /etc/kubernetes/admin.conf create namespace {self.namespace}")
        self.credentials = administrator(machine)
        program = [sys.executable, Path(__file__).parent / "writer.py", host, str(port), "0.05", self.namespace, self.credentials.name]
        self.process = subprocess.Popen(["ip", "netns", "exec", network, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "asking\n"

    def end(self) -> dict:
        out, err = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, err
        self.machine.kubectl("delete", "namespace", self.namespace, "--wait=false")
        return json.loads(out)

    def lost_nothing(self) -> dict:
        """Whatever was acknowledged is there."""
        result = self.end()
        print(f"{result['acknowledged']} writes, {len(result['failed'])} failed, longest gap {result['longestGap']:.1f} s, {len(result['lost'])} acknowledged and lost")
        assert result["acknowledged"] and not result["lost"], result["lost"]
        return result


class Cluster:
    def __init__(self, lab, layout: str):
        self.lab, self.layout = lab, layout
        self.port = 6443 if layout == "self-hosted" else 6445
        machines = [lab.machine(name) for name in (*NAMES, "w1")]
        first, self.worker = machines[0], machines[3]
        text = first.config(layout=None) + (documents.kubestrap("plain") if layout == "plain" else "")
        made = first.init("--upload-certs", config=documents.with_certificate_key(text, CERTIFICATE_KEY))
        assert made.code == 0, str(made)
        self.nodes = dict(zip(NAMES, machines))
        for machine in machines[1:]:
            more = ["--control-plane", "--certificate-key", CERTIFICATE_KEY] if machine.name in NAMES else []
            joined = join(machine, [*join_words(first), *more])
            assert joined.code == 0, str(joined)
        lab.install_pod_network(first)
        first.wait_ready()
        if layout == "self-hosted":
            pivot(first)
        self.well()

    def leader(self) -> str:
        return next(each["name"] for each in self.nodes["n1"].try_("kubestrap", "etcd", "status", "-o", "json").json["members"] if each["role"] == "leader")

    def well(self) -> None:
        """API servers, nodes and etcd's members, all of them."""
        for node in self.nodes.values():
            node.until("its API server is ready", lambda: node.try_("curl", "-sk", "-m", "2", f"https://{node.address}:6443/readyz").out == "ok")
        first = self.nodes["n1"]
        first.until("all nodes are Ready", lambda: first.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s", timeout=80))
        first.until("all members are healthy", lambda: all(each["health"] == "healthy" for each in first.try_("kubestrap", "etcd", "status", "-o", "json").json["members"]))
        if self.layout == "self-hosted":
            for node in self.nodes.values():
                node.until("it is self-hosted", lambda: is_self_hosted(node), patience=240)

    def port_of(self, machine) -> int:
        return self.port if machine.name in NAMES else 6443


@pytest.fixture(scope="module", params=["plain", "self-hosted"])
def cluster(request, lab):
    return Cluster(lab, request.param)


class Fault:
    """Clients at the balancers of those nodes that live through it, from before it until all is well again."""

    def __init__(self, cluster: Cluster, what: str, dies: tuple[str, ...] = ()):
        self.cluster, self.what = cluster, what
        lives = [machine for machine in (*cluster.nodes.values(), cluster.worker) if machine.name not in dies]
        self.asked = [Probe(machine, cluster.port_of(machine), stored=True) for machine in lives]
        keeper = next((machine for machine in lives if machine.name in NAMES), None)
        self.writer = Writer(keeper, cluster.port) if keeper else None
        time.sleep(3)
        self.began = time.monotonic()

    def mended(self) -> None:
        self.ended = time.monotonic()

    def tell(self) -> dict:
        self.cluster.well()
        healthy = time.monotonic() - self.ended
        results = [probe.end() for probe in self.asked]
        row = {"layout": self.cluster.layout, "fault": self.what, "requests": sum(each["requests"] for each in results), "failed": sum(len(each["failed"]) for each in results),
               "failedTwice": sum(len(each["failedTwice"]) for each in results), "longestGap": round(max(each["longestGap"] for each in results), 2), "healthy": round(healthy, 1)}
        if self.writer:
            written = self.writer.end()
            row |= {"writes": written["acknowledged"], "writesFailed": len(written["failed"]), "writeGap": round(written["longestGap"], 2), "watchGap": round(written["watchGap"], 2), "lost": len(written["lost"])}
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        with REPORT.open("a") as report:
            report.write(json.dumps(row) + "\n")
        print(row)
        assert not row.get("lost"), row
        return row


def process_of(machine, name: str) -> str:
    return machine.sh(f"pgrep -o -x {name[:15]}").strip()


def test_an_api_server_is_killed(cluster):
    fault = Fault(cluster, "`kill -9` of an API server")
    node = cluster.nodes["n2"]
    node.run("kill", "-9", process_of(node, "kube-apiserver"))
    fault.mended()
    fault.tell()


def test_a_balancer_is_killed(cluster):
    fault = Fault(cluster, "`kill -9` of a node's balancer", dies=("w1",))
    cluster.worker.run("kill", "-9", process_of(cluster.worker, "haproxy"))
    fault.mended()
    fault.tell()


def test_etcds_leader_is_killed(cluster):
    name = cluster.leader()
    fault = Fault(cluster, "`kill -9` of etcd's leader")
    node = cluster.nodes[name]
    node.run("kill", "-9", process_of(node, "etcd"))
    fault.mended()
    fault.tell()


@pytest.mark.parametrize("which", ["leader", "follower"])
def test_a_machine_loses_its_power(cluster, which):
    leader = cluster.leader()
    name = leader if which == "leader" else next(each for each in NAMES if each != leader)
    fault = Fault(cluster, f"a control plane machine off for {OUTAGE} s, with etcd's {which}", dies=(name,))
    cluster.lab.off(cluster.nodes[name])
    time.sleep(OUTAGE)
    cluster.lab.call("power-on", name)
    fault.mended()
    fault.tell()


def test_two_of_three_lose_their_power(cluster):
    fault = Fault(cluster, f"two of three control plane machines off for {OUTAGE} s", dies=("n2", "n3"))
    cluster.lab.off(cluster.nodes["n2"], cluster.nodes["n3"])
    time.sleep(OUTAGE)
    cluster.lab.call("power-on", "n2", "n3")
    fault.mended()
    fault.tell()


def test_all_lose_their_power(cluster):
    fault = Fault(cluster, "all control plane machines off at once, and on again", dies=NAMES)
    cluster.lab.off(*cluster.nodes.values())
    cluster.lab.call("power-on", *NAMES)
    fault.mended()
    fault.tell()


def test_etcds_leader_is_cut_off_from_the_others(cluster):
    name = cluster.leader()
    node, others = cluster.nodes[name], [each for each in cluster.nodes.values() if each.name != name]
    fault = Fault(cluster, f"etcd's leader cut off from the two others for {OUTAGE} s", dies=(name,))
    for way, flag in (("INPUT", "-s"), ("OUTPUT", "-d")):
        for each in others:
            node.run("iptables", "-I", way, flag, each.address, "-j", "DROP")
    time.sleep(OUTAGE)
    for way, flag in (("INPUT", "-s"), ("OUTPUT", "-d")):
        for each in others:
            node.run("iptables", "-D", way, flag, each.address, "-j", "DROP")
    fault.mended()
    fault.tell()
