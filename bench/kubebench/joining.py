"""`join` beside the real kubeadm's: a worker, the third control plane, a whole small cluster, and twenty workers at the same time.

A cluster is made anew for each measurement, by the program that is measured, of machines that run already and have the images. kubeadm's are
made by a script that runs it on one machine after the other, which is how its control planes have to join.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time

from .figure import PROGRAMS, Figure, say
from .machine import CONFIG, DEFAULT_ALGORITHM, LAB, NODE, ROOT, cgroups, cni, documents, in_machine, lab, versions, write

NAMES = ("n1", "n2", "n3", "w1")
CROWD = tuple(f"w{number}" for number in range(1, 21))
KEY = "0123456789abcdef" * 4
ADMIN = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf")
PATIENCE = "--timeout=300s"

# Runs in the machine: joins with the document that is its input, and tells how long the command took and how it ended. All machines and this
# program have one monotonic clock. With "wait" it says that it is there, and begins when there is a second line on its input.
JOIN = """
import json, subprocess, sys, time
program, when = sys.argv[1:]
with open("/root/join.yaml", "w") as file:
    file.write(json.loads(sys.stdin.readline()))
if when == "wait":
    print("there", flush=True)
    sys.stdin.readline()
began = time.monotonic()
with open("/var/log/bench.err", "w") as log:
    code = subprocess.run([program, "join", "--config", "/root/join.yaml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode
print(json.dumps({"began": began, "seconds": time.monotonic() - began, "code": code}))
"""

LIKE_FOR_LIKE = "layout plain, endpoint.mode single, as kubeadm's clusters are"
DEFAULT = "the default layout: control planes in slots, with front and guard"
MAKERS = (("kubestrap", "plain", "in turn"), ("kubestrap", "plain", "at once"), ("kubeadm", "plain", "in turn"), ("kubestrap", "hosted", "in turn"))


def figures(runs: int) -> list[Figure]:
    return [*small_clusters(runs), *crowds(runs)]


# ---- three control planes and a worker


def small_clusters(runs: int) -> list[Figure]:
    rows = {
        ("worker", "plain"): Figure("worker's join until it returns", "s", 0.8, LIKE_FOR_LIKE),
        ("ready", "plain"): Figure("worker's join until it is Ready", "s", None, "the pod network's file lies there beforehand"),
        ("second", "plain"): Figure("second control plane's join", "s", None, "right after init, whose controller-manager has yet to sign for the token"),
        ("third", "plain"): Figure("third control plane's join", "s", 0.6, LIKE_FOR_LIKE),
        ("all", "plain"): Figure("three control planes and a worker, in turn", "s", 0.5, "from init to all nodes Ready; machines run, images are there"),
        ("dns", "plain"): Figure("the same until CoreDNS has rolled out", "s"),
        ("all", "at once"): Figure("three control planes and a worker, at once", "s", None, "the same, the three joins begin together; kubeadm's in turn"),
        ("dns", "at once"): Figure("at once until CoreDNS has rolled out", "s"),
        ("worker", "hosted"): Figure("worker's join until it returns, hosted", "s", None, DEFAULT),
        ("ready", "hosted"): Figure("worker's join until it is Ready, hosted", "s"),
        ("second", "hosted"): Figure("second control plane's join, hosted", "s"),
        ("third", "hosted"): Figure("third control plane's join, hosted", "s", None, DEFAULT),
        ("all", "hosted"): Figure("three control planes and a worker, hosted", "s", None, f"in turn; {DEFAULT}"),
        ("dns", "hosted"): Figure("the same until CoreDNS has rolled out, hosted", "s"),
    }
    lab("machine", *NAMES)
    addresses = addresses_of(NAMES)
    for number in range(runs):
        for program, layout, order in MAKERS if number % 2 == 0 else reversed(MAKERS):
            say(f"{program}, layout {layout}: {len(NAMES)} machines {order}, run {number + 1} of {runs}")
            bare(NAMES)
            prepare(program, layout, addresses)
            seen = in_turn(program, addresses) if order == "in turn" else at_once(program, addresses)
            for (what, kind), figure in rows.items():
                if what in seen and (program == "kubeadm" or kind == ("at once" if order == "at once" else layout)):
                    figure.values[program].append(seen[what])
    lab("power-off", *NAMES[1:])
    return list(rows.values())


def prepare(program: str, layout: str, addresses: dict[str, str]) -> None:
    """What an operator has ready before a cluster is begun."""
    first = addresses[NODE]
    hosted = layout == "hosted"
    told = documents.init(NODE, first, versions.DEFAULT_KUBERNETES, cgroups.version(), None if hosted else f"{first}:6443")
    told = told.replace("kind: ClusterConfiguration\n", f"kind: ClusterConfiguration\nencryptionAlgorithm: {DEFAULT_ALGORITHM[program]}\n")
    told = documents.with_certificate_key(told, KEY)
    if program == "kubestrap":
        told += documents.kubestrap(layout) if hosted else documents.alone(layout)
    write(CONFIG, told)
    ranges = {name: f"10.244.{at}.0/24" for at, name in enumerate(addresses)}
    for name, pods in ranges.items():
        write(cni.FILE, cni.conflist(pods), name)
        for namespace in (f"lab-{LAB}", *(f"lab-{LAB}.{other}" for other in ranges if other != name)):
            subprocess.run(["ip", "-n", namespace, "route", "replace", pods, "via", addresses[name]], check=True)


def in_turn(program: str, addresses: dict[str, str]) -> dict[str, float]:
    """Seconds of init and of each join, of the last one until that node is Ready, and of everything."""
    began = time.monotonic()
    in_machine(program, "init", "--config", CONFIG, "--upload-certs")
    seen = {"init": time.monotonic() - began}
    words = join_words(program)
    for name, what in (("n2", "second"), ("n3", "third"), ("w1", "worker")):
        joined = ended(name, joining(name, program, words, addresses))
        seen[what] = joined["seconds"]
    wait_ready(("w1",))
    seen["ready"] = time.monotonic() - joined["began"]
    wait_ready(NAMES)
    seen["all"] = time.monotonic() - began
    wait_names_answered()
    seen["dns"] = time.monotonic() - began
    say("  " + ", ".join(f"{what} {seconds:.2f} s" for what, seconds in seen.items()))
    return seen


def at_once(program: str, addresses: dict[str, str]) -> dict[str, float]:
    began = time.monotonic()
    in_machine(program, "init", "--config", CONFIG, "--upload-certs")
    words = join_words(program)
    running = {name: joining(name, program, words, addresses) for name in NAMES[1:]}
    for name, process in running.items():
        ended(name, process)
    wait_ready(NAMES)
    seen = {"all": time.monotonic() - began}
    wait_names_answered()
    return seen | {"dns": time.monotonic() - began}


# ---- many workers at the same time


def crowds(runs: int) -> list[Figure]:
    """The nodes are light: kubelet and runtime are real, and no pod comes to them."""
    note = f"{len(CROWD)} workers, one control plane, no pods on the nodes"
    rate = Figure("workers at once, joins per second", "/s", None, f"{note}; those that succeed, by the time until the last command returns")
    slowest = Figure("workers at once, the slowest join", "s")
    nodes = Figure("workers at once, until all are Nodes", "s")
    failed = Figure("workers at once, joins that failed", "")
    lab("machine", NODE)
    lab("machine", "--no-images", *CROWD)
    addresses = addresses_of((NODE, *CROWD))
    for number in range(runs):
        for program in PROGRAMS if number % 2 == 0 else reversed(PROGRAMS):
            say(f"{len(CROWD)} workers join with {program}, run {number + 1} of {runs}")
            bare((NODE, *CROWD))
            prepare(program, "plain", {NODE: addresses[NODE]})
            in_machine(program, "init", "--config", CONFIG, "--skip-phases", "addon/kube-proxy")
            wait_ready((NODE,))
            began, results = crowd(program, addresses)
            well = [result for result in results if result["code"] == 0]
            rate.values[program].append(len(well) / (max(result["began"] + result["seconds"] for result in results) - began))
            slowest.values[program].append(max(result["seconds"] for result in results))
            failed.values[program].append(len(results) - len(well))
            if len(well) == len(results):
                wait_nodes(CROWD)
                nodes.values[program].append(time.monotonic() - began)
    lab("power-off", *CROWD)
    return [rate, slowest, nodes, failed]


def crowd(program: str, addresses: dict[str, str]) -> tuple[float, list[dict]]:
    """The moment at which all begin, and how each ended."""
    words = join_words(program)
    running = [joining(name, program, words, addresses, "wait") for name in CROWD]
    for process in running:
        if process.stdout.readline() != "there\n":
            raise SystemExit("error: a machine does not begin")
    began = time.monotonic()
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    return began, [json.loads(process.communicate(timeout=600)[0]) for process in running]


# ---- machines and commands


def addresses_of(names: tuple[str, ...]) -> dict[str, str]:
    known = {one["name"]: one["address"] for one in json.loads(lab("status", "-o", "json"))["machines"]}
    return {name: known[name] for name in names}


def bare(names: tuple[str, ...]) -> None:
    lab("reset-machine", *names)
    subprocess.run(["ip", "-n", f"lab-{LAB}", "neighbour", "flush", "dev", "br0"], check=True)


def join_words(program: str) -> list[str]:
    return shlex.split(in_machine(*ADMIN, program, "token", "create", "--print-join-command").replace("\\\n", " "))


def joining(name: str, program: str, words: list[str], addresses: dict[str, str], when: str = "now") -> subprocess.Popen:
    """The join of a machine, which has begun."""
    token, pin = (words[words.index(flag) + 1] for flag in ("--token", "--discovery-token-ca-cert-hash"))
    told = documents.join(name, addresses[name], words[2], token, pin, KEY if name.startswith("n") else None, cgroups.version())
    command = [ROOT / "lab/exec", "--name", LAB, name, "--", "python3", "-c", JOIN, program, when]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
    return process


def ended(name: str, process: subprocess.Popen) -> dict:
    result = json.loads(process.communicate(timeout=600)[0])
    if result["code"] != 0:
        raise SystemExit(f"error: join of {name} ended with {result['code']}\n" + in_machine("tail", "-n", "20", "/var/log/bench.err", machine=name))
    return result


def wait_nodes(names: tuple[str, ...]) -> None:
    """Until these are nodes. `kubectl wait --for=create` gives up on the first of many that is not there yet."""
    deadline = time.monotonic() + 300
    while missing := {f"node/{name}" for name in names} - set(in_machine(*ADMIN, "kubectl", "get", "nodes", "-o", "name").split()):
        if time.monotonic() > deadline:
            raise SystemExit(f"error: not nodes after five minutes: {', '.join(sorted(missing))}")
        time.sleep(0.2)


def wait_ready(names: tuple[str, ...]) -> None:
    """Until these nodes are Ready."""
    wait_nodes(names)
    in_machine(*ADMIN, "kubectl", "wait", "--for=condition=Ready", PATIENCE, *(f"node/{name}" for name in names))


def wait_names_answered() -> None:
    """Until CoreDNS has rolled out."""
    in_machine(*ADMIN, "kubectl", "-n", "kube-system", "rollout", "status", "deployment/coredns", PATIENCE)
