"""`upgrade apply` of a control plane of one node from the older Kubernetes to the newer one: how long, and how long its API is away.

Each program upgrades a cluster of its own making. A prober in the machine's network asks /readyz, which asks etcd, too, twenty times a second,
each time by a new connection.
"""

from __future__ import annotations

import time

from .figure import PROGRAMS, Figure, say
from .init import READY
from .machine import CONFIG, DEFAULT_ALGORITHM, NODE, address_of, configure, in_machine, lab, measured, probed, prober, versions

OLDER, NEWER = sorted(versions.KUBERNETES)[0], versions.DEFAULT_KUBERNETES
IGNORED = "--ignore-preflight-errors=SystemVerification"


def older_cluster(program: str) -> str:
    """A Ready node of the older version; its address."""
    lab("machine", "--fresh", "--kubernetes", OLDER, "--also-images", NEWER, NODE)
    configure(DEFAULT_ALGORITHM[program], version=OLDER)
    in_machine(program, "init", "--config", CONFIG)
    in_machine("python3", "-c", READY, NODE)
    kubectl = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "kube-system", "rollout", "status")
    in_machine(*kubectl, "deployment/coredns", "--timeout=120s")
    time.sleep(10)  # what follows a start has to be over
    return address_of()


def upgraded(program: str) -> tuple[float, dict]:
    address = older_cluster(program)
    asking = prober(address, "/readyz")
    command = program if program == "kubestrap" else f"/opt/kubernetes/{NEWER}/kubeadm"
    seconds = measured(command, "upgrade", "apply", f"v{NEWER}", "--yes", IGNORED)["seconds"]
    time.sleep(5)
    return seconds, probed(asking)


def figures(runs: int) -> list[Figure]:
    took = Figure("upgrade apply until it returns", "s", 0.6, f"v{OLDER} to v{NEWER}, one node, etcd with it; kubestrap takes a snapshot as well")
    gap = Figure("upgrade apply, longest gap of the API", "s", 0.2)
    failed = Figure("upgrade apply, failed requests", "", None, "of 20 a second, each by a new connection; one that is not answered in 10 s counts once")
    for number in range(runs):
        for program in PROGRAMS if number % 2 == 0 else reversed(PROGRAMS):
            say(f"upgrade with {program}, run {number + 1} of {runs}")
            seconds, seen = upgraded(program)
            took.values[program].append(seconds)
            gap.values[program].append(seen["longestGap"])
            failed.values[program].append(len(seen["failed"]))
    lab("machine", "--fresh", NODE)
    return [took, gap, failed]
