"""What a control plane in its own cluster lives through: what is killed, deleted, refused, shut down, cut off or given a wrong clock, on one node and on three.

How long it took goes to build/reports/surviving.jsonl, a line each; `python3 tests/system/faults.py` makes a table of that file as of test_faults.py's.
"""

import base64
import contextlib
import json
import re
import subprocess
import threading
import time

import pytest
import yaml

from kubelab import cni
from test_faults import ROOT, Writer, process_of
from test_join import CERTIFICATE_KEY, join, join_words
from test_pivot import COMPONENTS, MANIFESTS, cold_start, hosted, is_self_hosted, none_failed, pivot, pods, probes, promoted, three_control_planes
from test_pivot_recovery import WEBHOOK, delete_daemonset, findings
from test_reset import HOSTS, is_as_before, members, names, reset
from test_roll import reconfigure, remains, stored, with_arguments
from testbed import CONFIG, Probe

pytestmark = pytest.mark.long

REPORT = ROOT / "build/reports/surviving.jsonl"
BLUE, GREEN = "127.64.43.1", "127.64.43.2"
API_SERVER, CONTROLLER_MANAGER, SCHEDULER = COMPONENTS
KUBECTL = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl")


@pytest.fixture(scope="module")
def node(lab):
    """One control plane that runs in its own cluster."""
    machine = lab.machine("n1")
    made = machine.init("--self-hosted", config=hosted(machine), timeout=600)
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()
    is_well(machine)
    return machine


def is_well(machine) -> None:
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine), patience=300)
    machine.until("nothing is wrong", lambda: not findings(machine), patience=300)


def answers(machine) -> bool:
    return machine.try_("curl", "-sk", "-m", "2", "https://127.0.0.1:6443/readyz").out == "ok"


def own_pods(machine) -> dict[str, tuple[str, str]]:
    """Name -> component and uid of the DaemonSets' pods on this node."""
    chosen = machine.get("pods", "-n", "kube-system", "-l", "kubestrap.io/hosting=self", f"--field-selector=spec.nodeName={machine.name}")["items"]
    return {pod["metadata"]["name"]: (pod["metadata"]["labels"]["kubestrap.io/component"], pod["metadata"]["uid"]) for pod in chosen}


def pods_of(machine, *components: str) -> list[str]:
    return [name for name, (component, _) in own_pods(machine).items() if component in components]


def kill(machine, component: str) -> None:
    machine.run("kill", "-9", process_of(machine, component))


class Told:
    """Clients at the front from before a fault until all is well again, and a line of the report."""

    def __init__(self, machine, what: str, layout: str = "self-hosted, one node"):
        self.machine, self.row = machine, {"fault": what, "layout": layout}
        self.asked = [Probe(machine, 6443, stored=True), Probe(machine, 6443, host=machine.address, stored=True)]
        time.sleep(3)
        self.began = time.monotonic()

    def end(self) -> list[dict]:
        self.row["healthy"] = round(time.monotonic() - self.began, 1)
        results = [probe.end() for probe in self.asked]
        self.row |= {"requests": sum(each["requests"] for each in results), "longestGap": round(max(each["longestGap"] for each in results), 2)}
        self.row |= {name: sum(len(each[name]) for each in results) for name in ("failed", "failedTwice")}
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        with REPORT.open("a") as report:
            report.write(json.dumps(self.row) + "\n")
        print(self.row)
        return results


# ---- an API server that is killed, deleted, or stands in a roll


def test_the_only_api_server_that_is_killed_comes_back(node):
    told = Told(node, "`kill -9` of the only API server, idle")
    before = process_of(node, API_SERVER)
    kill(node, API_SERVER)
    node.until("another one runs", lambda: process_of(node, API_SERVER) != before)
    node.until("it answers", lambda: answers(node))
    is_well(node)
    told.end()


def test_the_only_api_server_that_is_deleted_is_missed_by_nobody(node):
    asked, before = probes(node), own_pods(node)
    (name,) = pods_of(node, API_SERVER)
    node.kubectl("-n", "kube-system", "delete", "pod", name, "--wait=false")
    node.until("the guard has promoted what stands by", lambda: promoted(node) == ["rescue-kube-apiserver.yaml"])
    node.until("it has a successor", lambda: pods_of(node, API_SERVER) not in ([], [name]))
    is_well(node)
    none_failed(asked)
    assert len(set(own_pods(node)) & set(before)) == 2


def ready_slots(machine) -> set[str]:
    return {slot for slot in (BLUE, GREEN) if machine.try_("curl", "-sk", "-m", "1", f"https://{slot}:6443/readyz").out == "ok"}


def process_in(machine, slot: str) -> str:
    return machine.run("pgrep", "-o", "-f", f"^kube-apiserver .*--bind-address={re.escape(slot)}( |$)").strip()


def with_event_ttl(configuration: str, value: str) -> str:
    return with_arguments(re.sub(r"^apiServer:\n  extraArgs:\n(  .*\n)+", "apiServer: {}\n", configuration, flags=re.MULTILINE), "apiServer", event_ttl=value)


@pytest.mark.parametrize(("which", "value"), [("old", "2h"), ("new", "3h")])
def test_one_of_two_api_servers_that_is_killed_in_a_roll_is_missed_by_nobody_who_asks_twice(node, which, value):
    """The one that goes, and the one that has come and has not lasted yet."""
    (old,) = ready_slots(node)
    wanted = with_event_ttl(stored(node), value)
    node.write("/root/wanted.yaml", wanted)
    told = Told(node, f"`kill -9` of the {which} API server while both serve in a roll")
    driver = node.popen("kubestrap", "reconfigure", "-f", "/root/wanted.yaml", "--yes")
    node.until("both serve", lambda: len(ready_slots(node)) == 2)
    node.run("kill", "-9", process_in(node, old if which == "old" else GREEN if old == BLUE else BLUE))
    out, err = driver.communicate(timeout=900)
    assert driver.returncode == 0, out + err
    is_well(node)
    for result in told.end():
        assert not result["failedTwice"], result
    assert f"--event-ttl={value}" in node.kubectl("-n", "kube-system", "get", "daemonset", API_SERVER, "-o", "yaml")


def test_a_kubelet_that_was_restarted_without_an_api_gets_one_by_the_guard(node):
    """It knows no pod of a DaemonSet then, so it would never start one."""
    told = Told(node, "`kill -9` of the only API server, with a kubelet that was restarted without an API")
    node.run("systemctl", "stop", "kubelet")
    kill(node, API_SERVER)
    assert not answers(node)
    node.run("systemctl", "start", "kubelet")
    node.until("the guard has promoted what stands by", lambda: promoted(node) == ["rescue-kube-apiserver.yaml"])
    node.until("the API answers", lambda: answers(node))
    is_well(node)
    told.end()


# ---- controller-manager and scheduler


@pytest.mark.parametrize("components", [(CONTROLLER_MANAGER,), (SCHEDULER,), (CONTROLLER_MANAGER, SCHEDULER)], ids=["controller-manager", "scheduler", "both"])
def test_pods_that_are_deleted_by_force_come_back(node, components):
    told = Told(node, f"pods of {' and '.join(components)} deleted by force")
    before = own_pods(node)
    node.kubectl("-n", "kube-system", "delete", "pod", "--force", "--grace-period=0", *pods_of(node, *components))
    node.until("others are in their places", lambda: {component for name, (component, _) in own_pods(node).items() if name not in before} == set(components), patience=300)
    is_well(node)
    for result in told.end():
        assert not result["failedTwice"], result


def leads_no_more(*nodes) -> None:
    """No controller-manager and no scheduler runs, and no kubelet that would start one."""
    for node in nodes:
        node.run("systemctl", "stop", "kubelet")
    for node in nodes:
        for component in (CONTROLLER_MANAGER, SCHEDULER):
            kill(node, component)


def test_without_controller_manager_and_scheduler_both_are_promoted(node):
    """Nobody would make their pods anew, and nobody would bind them."""
    told = Told(node, "controller-manager and scheduler gone with their pods")
    leads_no_more(node)
    node.kubectl("-n", "kube-system", "delete", "pod", "--force", "--grace-period=0", *pods_of(node, CONTROLLER_MANAGER, SCHEDULER))
    node.run("systemctl", "start", "kubelet")
    node.until("both are promoted", lambda: set(promoted(node)) == {f"rescue-{component}.yaml" for component in (CONTROLLER_MANAGER, SCHEDULER)})
    is_well(node)
    for result in told.end():
        assert not result["failedTwice"], result


def test_daemonsets_of_controller_manager_and_scheduler_that_are_deleted_are_repaired(node):
    for component in (CONTROLLER_MANAGER, SCHEDULER):
        delete_daemonset(node, component)
    node.until("both are promoted", lambda: set(promoted(node)) == {f"rescue-{component}.yaml" for component in (CONTROLLER_MANAGER, SCHEDULER)}, patience=300)
    done = node.try_("kubestrap", "repair", timeout=600)
    assert done.code == 0, str(done)
    is_well(node)


# ---- a polite shutdown


TERMINATED = {"status": {"phase": "Failed", "reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}}


def politely_down(*nodes) -> None:
    """As kubelets with a time for shutting down leave it: what they ran is in phase Failed, which no kubelet starts again."""
    leads_no_more(*nodes)
    for node in nodes:
        for name in own_pods(node):
            nodes[0].kubectl("-n", "kube-system", "patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps(TERMINATED))


def comes_back_from_a_polite_shutdown(*nodes) -> None:
    before = {uid for node in nodes for _, uid in own_pods(node).values()}
    politely_down(*nodes)
    began = time.monotonic()
    nodes[0].lab.off(*nodes)
    nodes[0].lab.call("power-on", *(node.name for node in nodes))
    for node in nodes:
        node.until("the API answers", lambda: answers(node))
    for node in nodes:
        node.until("it is self-hosted, by other pods", lambda: is_self_hosted(node) and not {uid for _, uid in own_pods(node).values()} & before, patience=300)
    print(f"self-hosted after {time.monotonic() - began:.1f} s")


def test_it_comes_back_from_a_polite_shutdown(node):
    comes_back_from_a_polite_shutdown(node)
    is_well(node)


# ---- in the middle of a pivot


@pytest.mark.parametrize("moment", [5, 20, 35, 50])
def test_a_pivot_that_loses_its_power_at_any_moment_goes_on(node, moment):
    pivot(node, "unpivot")
    driver = node.popen("kubestrap", "pivot")
    time.sleep(moment)
    node.lab.off(node)
    driver.communicate(timeout=60)
    node.lab.call("power-on", node.name)
    node.until("the API answers", lambda: answers(node))
    pivot(node)
    is_well(node)


# ---- without what runs in the cluster


@contextlib.contextmanager
def without_addons(node):
    """No kube-proxy, no CoreDNS. A registry there is none in the lab."""
    place = lambda value: json.dumps({"spec": {"template": {"spec": {"nodeSelector": {"nowhere": value}}}}})  # noqa: E731
    node.kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=0")
    node.kubectl("-n", "kube-system", "patch", "daemonset", "kube-proxy", "-p", place("true"))
    node.until("their pods are gone", lambda: not node.get("pods", "-n", "kube-system", "-l", "k8s-app in (kube-dns, kube-proxy)")["items"])
    yield
    node.kubectl("-n", "kube-system", "patch", "daemonset", "kube-proxy", "-p", place(None))
    node.kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=2")
    node.wait_ready()


def test_it_comes_back_without_pod_network_kube_proxy_and_cluster_dns(node):
    with without_addons(node):
        node.run("mv", cni.FILE, "/root/conflist")
        cold_start(node)
        node.run("cp", "/root/conflist", cni.FILE)  # containerd does not see one that is moved there
    is_well(node)


def test_a_roll_goes_through_without_kube_proxy_and_cluster_dns(node):
    with without_addons(node):
        asked = [Probe(node, 6443), Probe(node, 6443, host=node.address)]
        done = reconfigure(node, with_event_ttl(stored(node), "4h"))
        none_failed(asked)
        assert done.code == 0, str(done)
    is_well(node)


# ---- somebody's own policies, and ours


def test_a_webhook_that_nobody_answers_for_keeps_pods_away_and_not_the_api(node):
    node.kubectl("apply", "-f", "-", input=json.dumps(WEBHOOK))
    (name,) = pods_of(node, API_SERVER)
    asked = [Probe(node, 6443), Probe(node, 6443, host=node.address)]
    node.kubectl("-n", "kube-system", "delete", "pod", name, "--wait=false")
    node.until("the guard has promoted what stands by", lambda: promoted(node) == ["rescue-kube-apiserver.yaml"])
    assert "kubestrap doctor --disable-webhook policy" in findings(node, "doctor")["WebhookBlocks"]["remedy"]
    node.until("its pod is gone", lambda: not pods_of(node, API_SERVER))
    none_failed(asked)

    node.lab.off(node)
    node.lab.call("power-on", node.name)
    node.until("the API answers", lambda: answers(node))
    assert "rescue-kube-apiserver.yaml" in promoted(node) and not pods_of(node, API_SERVER)
    node.run("kubestrap", "doctor", "--disable-webhook", "policy")
    is_well(node)


def is_refused(node, text: str, *words: str) -> None:
    refused = node.try_(*KUBECTL, *words)
    assert refused.code != 0 and text in refused.err, str(refused)


def test_what_would_break_the_control_plane_is_refused_with_the_command_that_is_meant(node):
    of_scheduler = ("-n", "kube-system", "daemonset/kube-scheduler")
    is_refused(node, "kubestrap upgrade", "-n", "kube-system", "set", "image", "daemonset/kube-scheduler", "kube-scheduler=registry.k8s.io/kube-scheduler:v1.36.3")
    is_refused(node, "kubestrap upgrade", "rollout", "restart", *of_scheduler)
    is_refused(node, "kubestrap repair", "delete", *of_scheduler)
    is_refused(node, "kubestrap unpivot", "label", "node", "n1", "kubestrap.io/self-hosted-")
    emptied = ("patch", "endpointslice", "kubernetes", "--type=merge", "-p", '{"endpoints": []}')
    is_refused(node, "must not become empty", *emptied)
    assert is_self_hosted(node)


def test_kubectl_rollout_undo_goes_back(node):
    before = stored(node)
    done = reconfigure(node, with_arguments(before, "scheduler", v="2"))
    assert done.code == 0, str(done)
    asked = probes(node)
    node.kubectl("-n", "kube-system", "rollout", "undo", "daemonset/kube-scheduler")
    node.kubectl("-n", "kube-system", "rollout", "status", "daemonset/kube-scheduler", "--timeout=180s", timeout=200)
    is_well(node)
    none_failed(asked)
    assert "--v=2" not in node.kubectl("-n", "kube-system", "get", "daemonset", "kube-scheduler", "-o", "yaml")
    done = reconfigure(node, before)  # what the cluster keeps of itself follows
    assert done.code == 0, str(done)
    is_well(node)


def test_a_node_whose_label_is_taken_away_by_force_serves_on_by_static_pods(node):
    told = Told(node, "the label of the only node taken away")
    node.kubectl("annotate", "node", "n1", "kubestrap.io/allow-unlabel=true")
    node.kubectl("label", "node", "n1", "kubestrap.io/self-hosted-")
    node.until("the guard has promoted all", lambda: len(promoted(node)) == 3, patience=300)
    node.kubectl("annotate", "node", "n1", "kubestrap.io/allow-unlabel-")
    pivot(node)
    is_well(node)
    for result in told.end():
        assert not result["failedTwice"], result


# ---- the guard and the front


def guard_of(machine) -> str:
    return machine.run("pgrep", "-o", "-f", "^kubestrap guard run").strip()


def test_a_guard_that_is_killed_comes_back_and_changes_nothing(node):
    asked, before, running = probes(node), guard_of(node), own_pods(node)
    node.run("kill", "-9", before)
    node.until("another one runs", lambda: node.try_("pgrep", "-o", "-f", "^kubestrap guard run").out.strip() not in ("", before))
    node.run("sleep", "10")
    assert promoted(node) == [] and own_pods(node) == running
    is_well(node)
    none_failed(asked)


SILENT = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
kept = [socket.create_connection(("127.0.0.1", 6443)) for _ in range(1000)]
print("connected", flush=True)
time.sleep(600)
"""


TAKER = """
import socket, time
taken = socket.create_server(("127.64.43.3", 6443))
print("taken", flush=True)
time.sleep(600)
"""


def test_a_stranger_in_a_rescue_slot_is_told_of(node):
    taker = node.popen("python3", "-c", TAKER)
    assert taker.stdout.readline() == "taken\n"
    found = node.until("status tells of it", lambda: findings(node).get("SlotBusy"))
    assert "kube-apiserver" in json.dumps(found)
    taker.kill()
    taker.wait(10)
    is_well(node)


def test_a_thousand_clients_that_say_nothing_are_in_nobodys_way(node):
    silent = node.popen("python3", "-c", SILENT)
    assert silent.stdout.readline() == "connected\n"
    asked = [Probe(node, 6443), Probe(node, 6443, host=node.address)]
    node.run("sleep", "20")
    none_failed(asked)
    silent.kill()
    silent.wait(10)
    is_well(node)


# ---- clocks

CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static time_t shifted(time_t now) { return SHIFT; }
int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec = shifted(now->tv_sec);
  return result;
}
time_t time(time_t *into) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (into) *into = now.tv_sec;
  return now.tv_sec;
}
int gettimeofday(struct timeval *now, void *zone) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}
"""
FOLDER = "/var/lib/clocks"


def clock(node, folder, name: str, shift: str) -> str:
    """A library by which a program of ours has another time of day; the components, in Go, ask the kernel itself."""
    library = folder / f"{name}.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=CLOCK.replace("SHIFT", shift), text=True, check=True)
    node.sh('mkdir -p "$1"; base64 -d >"$1/$2.so"', FOLDER, name, input=base64.b64encode(library.read_bytes()).decode())
    return f"{FOLDER}/{name}.so"


def test_with_the_clock_of_1970_nothing_is_renewed_and_it_is_told(node, tmp_path):
    wrong = "env", f"LD_PRELOAD={clock(node, tmp_path, 'first-day', 'now % 86400')}"
    before = node.digests("/etc/kubernetes")
    refused = node.try_(*wrong, "kubestrap", "certs", "renew", "all")
    assert refused.code != 0 and "clock" in refused.err, str(refused)
    node.try_(*wrong, "kubestrap", "certs", "renew", "all", "--if-within", "30d")
    assert node.digests("/etc/kubernetes") == before
    told = {each["name"] for each in node.try_(*wrong, "kubestrap", "status", "-o", "json", timeout=90).json["findings"]}
    assert "CertificateNotYetValid" in told
    is_well(node)


def test_a_clock_ten_minutes_ahead_renews_nothing_before_its_time(node, tmp_path):
    ahead = "env", f"LD_PRELOAD={clock(node, tmp_path, 'ahead', 'now + 600')}"
    before = node.digests("/etc/kubernetes/pki")
    done = node.try_(*ahead, "kubestrap", "certs", "renew", "all", "--if-within", "30d")
    assert done.code == 0, str(done)
    assert node.digests("/etc/kubernetes/pki") == before


def test_a_guard_whose_clock_is_ten_minutes_ahead_brings_the_control_plane_back(node, tmp_path):
    """What it waits for it counts since the machine's start; only what it writes has the wrong time."""
    library, file = clock(node, tmp_path, "ahead", "now + 600"), f"{MANIFESTS}/kubestrap-guard.yaml"
    right = node.read(file)
    pod = yaml.safe_load(right)
    container = pod["spec"]["containers"][0]
    container.setdefault("env", []).append({"name": "LD_PRELOAD", "value": library})
    container["volumeMounts"].append({"name": "clocks", "mountPath": FOLDER, "readOnly": True})
    pod["spec"]["volumes"].append({"name": "clocks", "hostPath": {"path": FOLDER, "type": "Directory"}})

    def replaced_by(text: str) -> None:
        before = guard_of(node)
        node.write("/root/guard.yaml", text, "600")
        node.run("mv", "/root/guard.yaml", file)
        node.until("another guard runs", lambda: node.try_("pgrep", "-o", "-f", "^kubestrap guard run").out.strip() not in ("", before))

    def ahead() -> float:
        renewed = node.get("lease", "-n", "kube-system", "kubestrap-guard-n1")["spec"]["renewTime"]
        return float(node.run("date", "-d", renewed, "+%s")) - time.time()

    replaced_by(yaml.safe_dump(pod))
    node.until("its time is another", lambda: ahead() > 500)
    cold_start(node)
    assert ahead() > 500
    replaced_by(right)
    node.until("its time is right", lambda: abs(ahead()) < 60, patience=900)
    is_well(node)


# ---- etcd is full


def replace_etcd(node, text: str) -> None:
    before = process_of(node, "etcd")
    node.write("/root/etcd.yaml", text, "600")
    node.run("mv", "/root/etcd.yaml", f"{MANIFESTS}/etcd.yaml")
    node.until("another etcd runs", lambda: node.try_("pgrep", "-o", "-x", "etcd").out.strip() not in ("", before))
    node.until("the API answers", lambda: answers(node))


FILL = """
head -c 400000 /dev/urandom | base64 -w0 >/root/filling
for number in $(seq 200); do
  kubectl --kubeconfig /etc/kubernetes/admin.conf create configmap full-$number --from-file=/root/filling 2>&1 >/dev/null || break
done
"""


def test_an_etcd_that_is_full_takes_writes_again_when_there_is_room(node):
    right = node.read(f"{MANIFESTS}/etcd.yaml")
    pod = yaml.safe_load(right)
    pod["spec"]["containers"][0]["command"].append("--quota-backend-bytes=67108864")
    replace_etcd(node, yaml.safe_dump(pod))
    assert "database space exceeded" in node.sh(FILL)
    found = node.until("status tells of it", lambda: findings(node).get("EtcdNoSpace"))
    assert "kubestrap etcd defrag --disarm" in found["remedy"]
    node.kubectl("get", "configmap", "full-1")  # what is there can be read
    node.sh("kubectl --kubeconfig /etc/kubernetes/admin.conf get configmaps -o name | grep /full- | xargs kubectl --kubeconfig /etc/kubernetes/admin.conf delete")
    done = node.try_("kubestrap", "etcd", "defrag", "--compact", "--disarm", timeout=120)
    assert done.code == 0, str(done)
    node.kubectl("create", "configmap", "room")
    replace_etcd(node, right)
    is_well(node)


# ---- three of them


@pytest.fixture(scope="module")
def three(lab):
    """Three control planes in their own cluster, and a worker."""
    machines = three_control_planes(lab)
    pivot(machines[0])
    all_well(machines)
    return machines


def all_well(machines) -> None:
    for machine in machines[:3]:
        is_well(machine)


TOGETHER = "self-hosted, three nodes"


def test_three_nodes_come_back_from_a_polite_shutdown(three):
    comes_back_from_a_polite_shutdown(*three[:3])
    all_well(three)


def test_an_api_server_that_hangs_is_left_by_its_balancer(three):
    told = Told(three[0], "one of three API servers stands still for 20 s", TOGETHER)
    three[0].run("pkill", "-STOP", "-x", API_SERVER)
    time.sleep(20)
    three[0].try_("pkill", "-CONT", "-x", API_SERVER)
    all_well(three)
    for result in told.end():
        assert not result["failedTwice"], result


@contextlib.contextmanager
def cut_off(machine, *others):
    both = [(way, flag, each.address) for way, flag in (("INPUT", "-s"), ("OUTPUT", "-d")) for each in others]
    for way, flag, address in both:
        machine.run("iptables", "-I", way, flag, address, "-j", "DROP")
    try:
        yield
    finally:
        for way, flag, address in both:
            machine.run("iptables", "-D", way, flag, address, "-j", "DROP")


def test_no_acknowledged_write_of_either_side_of_a_cut_is_lost(three):
    """Who is alone takes no write, and promotes nothing."""
    alone, *others = three[:3]
    writers = []
    for machine in (alone, others[0]):
        writers.append(Writer(machine, 6443))
        time.sleep(1.1)  # a namespace of its own, by the second
    time.sleep(3)
    with cut_off(alone, *others, three[3]):
        time.sleep(60)
        assert promoted(alone) == []
    all_well(three)
    for machine, writer in zip((alone, others[0]), writers):
        result = writer.end()
        print(f"{machine.name}: {result['acknowledged']} acknowledged, {len(result['failed'])} failed, longest gap {result['longestGap']:.1f} s")
        assert result["acknowledged"] > 100 and not result["lost"], result


def leader_of(machines):
    for machine in machines[:3]:
        said = machine.try_("kubestrap", "etcd", "status", "-o", "json", timeout=30)
        for each in said.json["members"] if said.code == 0 else []:
            if each["role"] == "leader":
                return next(one for one in machines if one.name == each["name"])
    return None


@contextlib.contextmanager
def leaders_killed(machines, every: float = 20):
    """etcd's leader, whoever it is, over and over."""
    over, kills = threading.Event(), []

    def work() -> None:
        while not over.wait(every):
            if leader := leader_of(machines):
                kills.append(leader.name)
                leader.try_("pkill", "-9", "-o", "-x", "etcd")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield kills
    finally:
        over.set()
        thread.join(60)
    print(f"etcd's leader killed {len(kills)} times: {' '.join(kills)}")


def test_a_roll_goes_through_while_etcds_leader_is_killed_again_and_again(three):
    """Whoever drives it may have to run the command again."""
    writer, wanted = Writer(three[1], 6443), with_event_ttl(stored(three[0]), "2h")
    with leaders_killed(three) as kills:
        for _ in range(3):
            if (done := reconfigure(three[0], wanted)).code == 0:
                break
        assert kills
    all_well(three)
    result = writer.end()
    assert done.code == 0, str(done)
    assert result["acknowledged"] and not result["lost"], result
    assert "--event-ttl=2h" in three[0].kubectl("-n", "kube-system", "get", "daemonset", API_SERVER, "-o", "yaml")


def test_a_bad_revision_goes_back_while_etcds_leader_is_killed_again_and_again(three):
    writer, before = Writer(three[1], 6443), stored(three[0])
    bad = with_arguments(re.sub(r"^apiServer:\n  extraArgs:\n(  .*\n)+", "apiServer: {}\n", before, flags=re.MULTILINE), "apiServer", audit_policy_file="/nowhere")
    with leaders_killed(three):
        done = reconfigure(three[0], bad)
    assert done.code == 1, str(done)
    node = three[0]
    if "/nowhere" in node.kubectl("-n", "kube-system", "get", "daemonset", API_SERVER, "-o", "yaml"):
        back = reconfigure(node, before)  # the driver was beaten before it could go back
        assert back.code == 0, str(back)
    all_well(three)
    assert not writer.end()["lost"]
    assert "/nowhere" not in node.kubectl("-n", "kube-system", "get", "daemonset", API_SERVER, "-o", "yaml")
    assert remains(node) == ""


def test_a_removed_node_that_is_switched_on_again_serves_nothing_that_is_old(three):
    first, second = three[:2]
    first.lab.off(second)
    first.until("n2 is missed", lambda: "NotReady" in first.kubectl("get", "node", "n2", "--no-headers"))
    done = first.try_("kubestrap", "node", "remove", "n2", "--yes", timeout=300)
    assert done.code == 0, str(done)
    first.kubectl("create", "configmap", "since")
    first.lab.call("power-on", "n2")
    served, old = 0, []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        served += second.try_("curl", "-sk", "-m", "2", "https://127.0.0.1:6444/readyz").out == "ok"  # its own API servers alone
        asked = second.try_(*KUBECTL, "get", "configmap", "since", "--request-timeout=5s")
        old += [asked.err] if "NotFound" in asked.err else []
        time.sleep(1)
    assert served == 0 and not old, (served, old)
    assert members(first) == {"n1", "n3"}
    left = reset(second)
    assert left.code == 0, str(left)
    is_as_before(second, but=HOSTS)


def test_a_control_plane_joins_again_and_the_daemonsets_come_to_it(three):
    first, _, third, _ = three
    second = first.lab.machine("n2")
    if "n2" in names(first, "nodes"):
        first.run("kubestrap", "node", "remove", "n2", "--yes", timeout=300)
    first.run("kubestrap", "init", "phase", "upload-certs", "--upload-certs", "--config", CONFIG)
    joined = join(second, [*join_words(first), "--control-plane", "--certificate-key", CERTIFICATE_KEY])
    assert joined.code == 0, str(joined)
    first.lab.install_pod_network(first)
    pivot(first)
    all_well([first, second, third])
    assert members(first) == {"n1", "n2", "n3"}
    assert all(hosting == "self" for hosting, _ in pods(second).values())


# ---- one whose certificates end while it is off


def test_certificates_that_end_while_it_is_off_are_renewed_without_an_api(lab):
    machine = lab.machine("n1")
    short = ("\nclusterName: kubernetes", "\ncertificateValidityPeriod: 10m\nclusterName: kubernetes")
    made = machine.init("--self-hosted", config=machine.config(short, layout=None), timeout=600)
    assert made.code == 0, str(made)
    lab.install_pod_network(machine)
    machine.wait_ready()
    lab.off(machine)
    time.sleep(600)
    lab.call("power-on", "n1")
    machine.until("status tells of it", lambda: "CertificateExpired" in findings(machine))
    # As init has made them; the period is that of the configuration that lies on the machine.
    machine.write("/root/longer.yaml", machine.config(layout=None))
    done = machine.try_("kubestrap", "certs", "renew", "all", "--config", "/root/longer.yaml", timeout=400)
    assert done.code == 0, str(done)
    machine.until("the API answers", lambda: answers(machine))
    machine.until("only the pods of the DaemonSets are left", lambda: is_self_hosted(machine), patience=300)
    assert "CertificateExpired" not in findings(machine)
