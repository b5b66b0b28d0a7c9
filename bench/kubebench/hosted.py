"""What the layout `hosted` costs on one control plane node: memory and CPU of front and guard, latency, handovers, and the way back from a power loss.

The power is taken from kubeadm's node in the same way, each by itself: while one is measured the other is off.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import time

from .figure import PROGRAMS, Figure, say
from .init import READY
from .machine import CONFIG, DEFAULT_ALGORITHM, LAB, NODE, PEER, ROOT, address_of, fresh_machine, in_machine, in_network, lab, measured, probed, prober

MACHINES = {"kubestrap": NODE, "kubeadm": PEER}
PODS = ("guard", "front")
LEADERS = ("kube-scheduler", "kube-controller-manager")
LEASE_NOTE = "from one's last renewal of the Lease, every 2 s, to the next one's first"
WINDOW = 60  # seconds of calm in which CPU time is counted
REQUESTS = 2000
KUBECTL = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "kube-system")

# Runs in the machine: what the processes of a static pod take, the pause process included. Pages of files count for RSS only, those that
# processes share once for each. CPU time is also that of children that have ended.
USAGE = """
import json, os, sys, time

def taken(pod):
    ticks = anonymous = resident = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if f"pod{pod}" not in open(f"/proc/{pid}/cgroup").read():
                continue
            status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
            ticks += sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:15]))
            anonymous += int(status["RssAnon"].split()[0]) * 1024
            resident += int(status["VmRSS"].split()[0]) * 1024
        except OSError:
            pass
    return ticks, anonymous, resident

window, pods = float(sys.argv[1]), sys.argv[2:]
began = time.monotonic()
before = [taken(pod)[0] for pod in pods]
time.sleep(window)
after = [taken(pod) for pod in pods]
seconds = (time.monotonic() - began) * os.sysconf("SC_CLK_TCK")
print(json.dumps([{"cpu": 100 * (ticks - old) / seconds, "anonymous": anonymous / 1e6, "resident": resident / 1e6}
                  for old, (ticks, anonymous, resident) in zip(before, after)]))
"""

# Runs in the machine's network: milliseconds of small requests on one connection to each address, which take turns.
LATENCY = """
import http.client, json, ssl, sys, time
context = ssl._create_unverified_context()
connections = [http.client.HTTPSConnection(address, 6443, timeout=10, context=context) for address in sys.argv[2:]]
took = [[] for _ in connections]
for number in range(int(sys.argv[1])):
    for which in range(len(connections)) if number % 2 else reversed(range(len(connections))):
        began = time.perf_counter()
        connections[which].request("GET", "/version")
        answer = connections[which].getresponse()
        answer.read()
        took[which].append((time.perf_counter() - began) * 1000)
        assert answer.status == 200
print(json.dumps([each[100:] for each in took]))
"""

# Runs in the machine until its input ends: for each Lease the longest time from the last renewal by one holder to the first by the next.
LEASES = """
import base64, datetime, http.client, json, select, ssl, subprocess, sys, tempfile
view = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "config", "view", "--raw", "-o", "json"]
user = json.loads(subprocess.check_output(view))["users"][0]["user"]
context = ssl._create_unverified_context()
with tempfile.NamedTemporaryFile() as file:
    file.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    file.flush()
    context.load_cert_chain(file.name)
last, gaps = {}, {}
while not select.select([sys.stdin], [], [], 0.2)[0]:
    for name in sys.argv[1:]:
        connection = http.client.HTTPSConnection("127.0.0.1", 6443, timeout=5, context=context)
        try:
            connection.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}")
            spec = json.loads(connection.getresponse().read())["spec"]
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            continue
        finally:
            connection.close()
        if spec.get("holderIdentity"):
            renewed = datetime.datetime.fromisoformat(spec["renewTime"].replace("Z", "+00:00")).timestamp()
            holder, before = last.get(name, (None, 0))
            if holder not in (None, spec["holderIdentity"]):
                gaps[name] = max(gaps.get(name, 0), renewed - before)
            last[name] = spec["holderIdentity"], renewed
print(json.dumps(gaps))
"""

# Runs in the machine until all three components are ready and hosted as it is told. What the API says of pods may be of before a power loss:
# static pods are there as long as their files are.
HOSTED = """
import glob, json, subprocess, sys, time
for _ in range(300):
    files = len(glob.glob("/etc/kubernetes/manifests/rescue-*"))
    said = subprocess.run(["kubestrap", "status", "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    seen = [(each["hosting"], each["health"]) for each in json.loads(said or "{}").get("components", [])]
    if seen == [(sys.argv[1], "ready")] * 3 and files == (3 if sys.argv[1] == "static" else 0):
        sys.exit()
    time.sleep(1)
sys.exit(f"seen last: {seen} and {files} static pods")
"""

# Runs in the machine's network until its API server is ready.
ANSWERS = """
import http.client, ssl, sys, time
context = ssl._create_unverified_context()
deadline = time.monotonic() + 300
while time.monotonic() < deadline:
    connection = http.client.HTTPSConnection(sys.argv[1], 6443, timeout=2, context=context)
    try:
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200:
            sys.exit()
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    time.sleep(0.02)
sys.exit("no API server is ready")
"""


def figures(runs: int) -> list[Figure]:
    cluster_of("kubestrap")
    rows = handovers(runs)
    rows = idle(runs) + latency(runs) + rows
    cluster_of("kubeadm")
    rows += power_loss(runs)
    lab("machine", "--fresh", NODE)
    return rows


def cluster_of(program: str) -> None:
    """A node with CoreDNS running: kubestrap's of layout hosted, kubeadm's of its own."""
    machine = MACHINES[program]
    say(f"{program} init on {machine}")
    lab("machine", machine)
    fresh_machine(DEFAULT_ALGORITHM[program], "hosted" if program == "kubestrap" else "plain", machine)
    measured(program, "init", "--config", CONFIG, machine=machine)
    in_machine("python3", "-c", READY, machine, machine=machine)
    in_machine(*KUBECTL, "rollout", "status", "deployment/coredns", "--timeout=120s", machine=machine)
    time.sleep(10)  # what follows a start has to be over


def handovers(runs: int) -> list[Figure]:
    """Ends self-hosted."""
    rows = {}
    for command in ("pivot", "unpivot"):
        rows[command] = {
            "seconds": Figure(f"{command} until it returns", "s", None, "one node"),
            "api": Figure(f"{command}, longest gap of the API", "s", None, "twenty requests a second by the front, each by a new connection"),
            "failed": Figure(f"{command}, failed requests", ""),
            "kube-scheduler": Figure(f"{command}, scheduler: nobody leads", "s", None, LEASE_NOTE),
            "kube-controller-manager": Figure(f"{command}, controller-manager: nobody leads", "s", None, LEASE_NOTE),
        }
    for number in range(runs):
        for command, of_command in rows.items():
            say(f"{command}, run {number + 1} of {runs}")
            seen = handed_over(command)
            for name in of_command.keys() & seen.keys():
                of_command[name].values["kubestrap"].append(seen[name])
    handed_over("pivot")
    return [figure for of_command in rows.values() for figure in of_command.values()]


def handed_over(command: str) -> dict[str, float]:
    asking = prober(address_of(), "/version")
    watch = [str(ROOT / "lab/exec"), "--name", LAB, NODE, "--", "python3", "-c", LEASES, *LEADERS]
    watching = subprocess.Popen(watch, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seconds = measured("kubestrap", command)["seconds"]
    in_machine("python3", "-c", HOSTED, "self" if command == "pivot" else "static")
    time.sleep(10)
    gaps, api = json.loads(watching.communicate(timeout=60)[0]), probed(asking)
    return {"seconds": seconds, "api": api["longestGap"], "failed": len(api["failed"])} | gaps


def idle(runs: int) -> list[Figure]:
    kinds = {
        "anonymous": ("anonymous memory", "MB", {"guard": 10.0, "both": 45.0}),
        "resident": ("RSS", "MB", {}),
        "cpu": ("CPU", "% of a core", {"both": 1.0}),
    }
    rows = {
        (kind, who): Figure(f"{'front and guard' if who == 'both' else who}, {name}", unit, None, "", limits.get(who))
        for kind, (name, unit, limits) in kinds.items() for who in (*PODS, "both")
    }
    rows["cpu", "guard"].note = f"self-hosted, in {WINDOW} s of calm"
    time.sleep(130)  # two minutes after the handover the guard makes its standby of what runs now
    identities = [identity(pod) for pod in PODS]
    for number in range(runs):
        say(f"idle, run {number + 1} of {runs}")
        seen = json.loads(in_machine("python3", "-c", USAGE, str(WINDOW), *identities))
        for kind in kinds:
            values = dict(zip(PODS, (each[kind] for each in seen)))
            for who, value in (values | {"both": sum(values.values())}).items():
                rows[kind, who].values["kubestrap"].append(value)
    return list(rows.values())


def identity(pod: str) -> str:
    """By which the cgroups of a static pod are named."""
    found = json.loads(in_machine(*KUBECTL, "get", "pods", "-l", f"component=kubestrap-{pod}", "-o", "json"))["items"]
    return found[0]["metadata"]["annotations"]["kubernetes.io/config.hash"]


def latency(runs: int) -> list[Figure]:
    own = re.search(r"(127\.64\.\d+\.\d+):6443", in_machine("ss", "-Hltn"))[1]
    judged = {"median": statistics.median, "99th percentile": lambda took: statistics.quantiles(took, n=100)[98]}
    whole = {name: Figure(f"small request by the front, {name}", "ms", None, "kept connections, /version", against="own address") for name in judged}
    added = {name: Figure(f"latency the front adds, {name}", "ms", None, "", 0.2 if name == "median" else None) for name in judged}
    for number in range(runs):
        say(f"latency, run {number + 1} of {runs}")
        process = in_network("-c", LATENCY, str(REQUESTS), "127.0.0.1", own)
        by_front, direct = json.loads(process.communicate(timeout=300)[0])
        for name, judge in judged.items():
            whole[name].values["kubestrap"].append(judge(by_front))
            whole[name].values["own address"].append(judge(direct))
            added[name].values["kubestrap"].append(judge(by_front) - judge(direct))
    return [*whole.values(), *added.values()]


def power_loss(runs: int) -> list[Figure]:
    api = Figure("API back after a power loss", "s", 1.3, "from the power switch, boot included, until /readyz answers at 6443; kubeadm's node is its own")
    hosted = Figure("self-hosted after a power loss", "s", None, "no static pod is left but those of etcd, front and guard")
    addresses = {program: address_of(machine) for program, machine in MACHINES.items()}
    lab("power-off", *MACHINES.values())
    for number in range(runs):
        for program in PROGRAMS if number % 2 == 0 else reversed(PROGRAMS):
            say(f"power loss of {program}'s node, run {number + 1} of {runs}")
            machine = MACHINES[program]
            began = time.monotonic()
            lab("power-on", machine)
            if in_network("-c", ANSWERS, addresses[program], machine=machine).wait() != 0:
                raise SystemExit(f"error: the API of {program}'s node does not come back")
            api.values[program].append(time.monotonic() - began)
            if program == "kubestrap":
                in_machine("python3", "-c", HOSTED, "self")
                hosted.values[program].append(time.monotonic() - began)
            time.sleep(30)  # both lose their power in calm
            lab("power-off", machine)
    return [api, hosted]
