"""Makes a cluster out of machines: init on the first, pod network, wait until it is Ready."""

from __future__ import annotations

import json
import time
from datetime import datetime

from . import cgroups, documents, record, shell
from . import machine as machines
from .errors import LabError

FIRST = "n1"
CONFIG = "/etc/kubestrap/init.yaml"
JOIN_CONFIG = "/etc/kubestrap/join.yaml"
BOOTSTRAPPERS = ("kubestrap", "kubeadm")
LAYOUTS = ("plain", "hosted")
INIT_PATIENCE = 420
READY_PATIENCE = 120


def write_config(lab: record.Lab, machine: record.Machine, version: str) -> None:
    """The init configuration, on the disk of a machine that is off."""
    file = lab.disk(machine) / "upper" / CONFIG.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    text = documents.init(machine.name, machine.address, version, cgroups.version(), _endpoint(lab, machine))
    file.write_text(text + documents.kubestrap(lab.cluster.layout) if lab.cluster.bootstrapper == "kubestrap" else text)


def _endpoint(lab: record.Lab, first: record.Machine) -> str | None:
    """kubestrap's clusters have a balancer on every node; kubeadm's need somebody else's, or lean on their first machine."""
    if lab.cluster.bootstrapper == "kubestrap" or lab.cluster.control_planes < 2:
        return None
    return f"{first.address}:6443"


def initialise(lab: record.Lab, progress) -> None:
    """Runs the bootstrapper's init on the first machine; all it says is kept in the lab's folder."""
    _bootstrap(lab, lab.machine(FIRST), ["init", "--config", CONFIG], progress)


def join(lab: record.Lab, machine: record.Machine, progress) -> None:
    """Makes a machine a node of the cluster; a control plane where its name is one of theirs."""
    first = lab.machine(FIRST)
    program = lab.cluster.bootstrapper
    as_admin = ["env", "KUBECONFIG=/etc/kubernetes/admin.conf"]
    words = machines.run(first, [*as_admin, program, "token", "create", "--ttl", "1h", "--print-join-command"]).split()
    key = _upload_certificates(lab, first) if machine.name.startswith("n") else None
    content = documents.join(
        machine.name,
        machine.address,
        server=words[2],
        token=words[words.index("--token") + 1],
        pin=words[words.index("--discovery-token-ca-cert-hash") + 1],
        key=key,
        cgroup_version=cgroups.version(),
    )
    machines.run(machine, ["sh", "-c", f"mkdir -p /etc/kubestrap; umask 077; cat >{JOIN_CONFIG}"], input=content)
    _bootstrap(lab, machine, ["join", "--config", JOIN_CONFIG], progress)


def _upload_certificates(lab: record.Lab, first: record.Machine) -> str:
    """Puts the certificates that control planes share into the cluster; the key that opens them."""
    program = lab.cluster.bootstrapper
    key = machines.run(first, ["kubeadm", "certs", "certificate-key"]).strip()
    machines.run(first, ["sh", "-c", f"mkdir -p /etc/kubestrap; umask 077; cat >/etc/kubestrap/upload.yaml; {program} init phase "
                                     "upload-certs --upload-certs --config /etc/kubestrap/upload.yaml"],
                 input=documents.with_certificate_key(machines.run(first, ["cat", CONFIG]), key))
    return key


def _bootstrap(lab: record.Lab, machine: record.Machine, words: list[str], progress) -> None:
    program = lab.cluster.bootstrapper
    try:
        shell.run(
            machines.inside(machine, [program, *words]),
            what=f"`{' '.join([program, *words])}` on {machine.name}",
            on_line=progress.detail,
            log=lab.folder / f"{program}-{words[0]}-{machine.name}.log",
            timeout=INIT_PATIENCE,
        )
    except LabError as error:
        error.remedy = error.remedy or f"look inside: ./lab/exec --name {lab.name} {machine.name} journalctl -u kubelet"
        raise


def wait_ready(lab: record.Lab, progress, booted_at: float | None = None) -> None:
    """Until every node is Ready and CoreDNS answers.

    After a power-off the API server still says so of the time before: `booted_at` asks for news.
    """
    deadline = time.monotonic() + READY_PATIENCE
    if booted_at is not None:
        _wait_for_news(lab, booted_at, deadline, progress)
    waits = {
        "the nodes to be Ready": ["wait", "--for=condition=Ready", "node", "--all"],
        "CoreDNS": ["-n", "kube-system", "rollout", "status", "deployment/coredns"],
    }
    if booted_at is not None:
        waits["the pods of the system"] = ["-n", "kube-system", "wait", "--for=condition=Ready", "pod", "--all"]
    for what, words in waits.items():
        progress.detail(f"waiting for {what}")
        while True:
            left = max(1, int(deadline - time.monotonic()))
            try:
                machines.run(lab.machine(FIRST), ["kubectl", *words, f"--timeout={left}s"], timeout=left + 10)
                break
            except LabError as error:  # an API server that is still coming up
                _give_up(lab, error, deadline)


def _wait_for_news(lab: record.Lab, since: float, deadline: float, progress) -> None:
    """Until the kubelet of every node on a machine of this lab has renewed its lease since then."""
    progress.detail("waiting for a sign of life of every kubelet")
    while True:
        try:
            answer = machines.run(
                lab.machine(FIRST), ["kubectl", "get", "leases", "-n", "kube-node-lease", "-o", "json"]
            )
            leases = {item["metadata"]["name"]: item["spec"]["renewTime"] for item in json.loads(answer)["items"]}
            late = [name for name, renewed in leases.items() if name in lab.machines and _seconds(renewed) < since]
            if leases and not late:
                return
            error = LabError(f"no sign of life of the kubelets of {', '.join(late)} since the boot")
        except LabError as failed:
            error = failed
        _give_up(lab, error, deadline)


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def _give_up(lab: record.Lab, error: LabError, deadline: float) -> None:
    """Raises the error, with what can be seen of the cluster, once the deadline is over; else waits a little."""
    if time.monotonic() > deadline:
        error.evidence = f"{error.evidence}\n{tables(lab, forgiving=True)}"
        error.remedy = f"look inside: ./lab/exec --name {lab.name} {FIRST} kubectl describe pods -A"
        raise error
    time.sleep(0.5)


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
