"""Makes a cluster out of machines: init on the first, pod network, wait until it is Ready."""

from __future__ import annotations

import time

from . import cgroups, documents, record, shell
from . import machine as machines
from .errors import LabError

FIRST = "n1"
CONFIG = "/etc/kubestrap/init.yaml"
BOOTSTRAPPERS = ("kubestrap", "kubeadm")
INIT_PATIENCE = 420
READY_PATIENCE = 120


def write_config(lab: record.Lab, machine: record.Machine, version: str) -> None:
    """The init configuration, on the disk of a machine that is off."""
    file = lab.disk(machine) / "upper" / CONFIG.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(documents.init(machine.name, machine.address, version, cgroups.version()))


def initialise(lab: record.Lab, progress) -> None:
    """Runs the bootstrapper's init on the first machine; all it says is kept on the machine."""
    machine = lab.machine(FIRST)
    program = lab.cluster.bootstrapper
    command = [program, "init", "--config", CONFIG]
    try:
        shell.run(
            machines.inside(machine, command),
            what=f"`{' '.join(command)}` on {machine.name}",
            on_line=progress.detail,
            log=lab.folder / f"{program}-init.log",
            timeout=INIT_PATIENCE,
        )
    except LabError as error:
        error.remedy = error.remedy or f"look inside: ./lab/exec --name {lab.name} {machine.name} journalctl -u kubelet"
        raise


def wait_ready(lab: record.Lab, progress) -> None:
    """Until every node is Ready and CoreDNS answers."""
    deadline = time.monotonic() + READY_PATIENCE
    waits = {
        "the nodes to be Ready": ["wait", "--for=condition=Ready", "node", "--all"],
        "CoreDNS": ["-n", "kube-system", "rollout", "status", "deployment/coredns"],
    }
    for what, words in waits.items():
        progress.detail(f"waiting for {what}")
        while True:
            left = max(1, int(deadline - time.monotonic()))
            try:
                machines.run(lab.machine(FIRST), ["kubectl", *words, f"--timeout={left}s"], timeout=left + 10)
                break
            except LabError as error:
                if time.monotonic() > deadline:
                    error.evidence = f"{error.evidence}\n{tables(lab, forgiving=True)}"
                    error.remedy = f"look inside: ./lab/exec --name {lab.name} {FIRST} kubectl describe pods -A"
                    raise
                time.sleep(0.5)  # an API server that is still coming up


def tables(lab: record.Lab, forgiving: bool = False) -> str:
    """Nodes and pods, as kubectl shows them."""
    shown = []
    for words in (["get", "nodes", "-o", "wide"], ["get", "pods", "-A"]):
        try:
            shown.append(machines.run(lab.machine(FIRST), ["kubectl", *words], timeout=20).rstrip())
        except LabError as error:
            if not forgiving:
                raise
            shown.append(f"{error}\n{error.evidence}")
    return "\n\n".join(shown)
