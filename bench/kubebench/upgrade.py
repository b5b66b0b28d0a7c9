"""`upgrade apply` of a control plane of one node from the older Kubernetes to the newer one: how long, and how long its API is away.

Each program upgrades a cluster of its own making; kubestrap one of each layout. A prober in the machine's network asks for an object that lies in etcd twenty times a second, each time by a new
connection. (An API server that is about to end says so at /readyz, and serves.)
"""

from __future__ import annotations

import time

from .figure import Figure, say
from .init import READY
from .machine import CONFIG, DEFAULT_ALGORITHM, NODE, address_of, configure, in_machine, lab, measured, probed, prober, versions

OLDER, NEWER = sorted(versions.KUBERNETES)[0], versions.DEFAULT_KUBERNETES
IGNORED = "--ignore-preflight-errors=SystemVerification"


LAYOUTS = ("plain", "self-hosted")
IN_ETCD = "/api/v1/namespaces/kube-public/configmaps/cluster-info"  # anybody may read it


def older_cluster(program: str, layout: str) -> str:
    """A Ready node of the older version; its address."""
    lab("machine", "--fresh", "--kubernetes", OLDER, "--also-images", NEWER, NODE)
    hosted = layout == "self-hosted"
    configure(DEFAULT_ALGORITHM[program], "hosted" if hosted else "plain", version=OLDER)
    in_machine(program, "init", "--config", CONFIG, *(["--self-hosted"] if hosted else []))
    in_machine("python3", "-c", READY, NODE)
    kubectl = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "kube-system", "rollout", "status")
    in_machine(*kubectl, "deployment/coredns", "--timeout=120s")
    time.sleep(10)  # what follows a start has to be over
    return address_of()


def upgraded(program: str, layout: str) -> tuple[float, dict]:
    address = older_cluster(program, layout)
    asking = prober(address, IN_ETCD)
    command = program if program == "kubestrap" else f"/opt/kubernetes/{NEWER}/kubeadm"
    soak = ["--soak", "0s"] if layout == "self-hosted" else []
    seconds = measured(command, "upgrade", "apply", f"v{NEWER}", "--yes", IGNORED, *soak)["seconds"]
    time.sleep(5)
    return seconds, probed(asking)


class Rows:
    """One layout's, beside the real kubeadm's only one."""

    def __init__(self, layout: str) -> None:
        how = "all of it, without a soak" if layout == "self-hosted" else "one node"
        self.took = Figure(f"upgrade apply until it returns, {layout}", "s", 0.6, f"v{OLDER} to v{NEWER}, {how}, etcd with it; kubestrap takes a snapshot as well")
        self.gap = Figure(f"upgrade apply, longest gap of the API, {layout}", "s", 0.2)
        self.failed = Figure(f"upgrade apply, failed requests, {layout}", "", None, "of 20 a second, each by a new connection; one that is not answered in 10 s counts once",
                             limit=0 if layout == "self-hosted" else None)

    def add(self, program: str, seconds: float, seen: dict) -> None:
        self.took.values[program].append(seconds)
        self.gap.values[program].append(seen["longestGap"])
        self.failed.values[program].append(len(seen["failed"]))

    def all(self) -> list[Figure]:
        return [self.took, self.gap, self.failed]


def figures(runs: int) -> list[Figure]:
    rows = {layout: Rows(layout) for layout in LAYOUTS}
    turns = [("kubestrap", "plain"), ("kubestrap", "self-hosted"), ("kubeadm", "plain")]
    for number in range(runs):
        for program, layout in turns if number % 2 == 0 else reversed(turns):
            say(f"upgrade with {program}, {layout}, run {number + 1} of {runs}")
            seconds, seen = upgraded(program, layout)
            for each in rows if program == "kubeadm" else [layout]:
                rows[each].add(program, seconds, seen)
    lab("machine", "--fresh", NODE)
    return [figure for layout in LAYOUTS for figure in rows[layout].all()]
