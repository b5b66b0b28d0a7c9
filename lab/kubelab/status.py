"""What a lab looks like: from its record, its machines' processes and their disks."""

from __future__ import annotations

from . import machine as machines
from . import record


def describe(lab: record.Lab) -> dict:
    """The document of `status -o json`."""
    return {
        "apiVersion": "lab.kubestrap.io/v1",
        "kind": "LabStatus",
        "name": lab.name,
        "folder": str(lab.folder),
        "network": {"subnet": lab.network, "namespace": lab.switch},
        "ssh": {"key": str(lab.folder / "ssh/id_ed25519"), "knownHosts": str(lab.folder / "ssh/known_hosts")},
        "cluster": lab.cluster
        and {
            "kubernetes": lab.cluster.kubernetes,
            "bootstrapper": lab.cluster.bootstrapper,
            "stage": lab.cluster.stage,
        },
        "machines": [_machine(lab, machine) for machine in lab.machines.values()],
    }


def _machine(lab: record.Lab, machine: record.Machine) -> dict:
    on = machines.running(machine)
    return {
        "name": machine.name,
        "role": role(lab, machine),
        "address": machine.address,
        "state": "running" if on else "off",
        "kubernetes": machine.kubernetes,
        "images": machine.images,
        "namespace": machine.namespace,
        "cgroup": machine.cgroup,
        "pid": machine.init[0] if on else None,
        "disk": str(lab.disk(machine)),
    }


def role(lab: record.Lab, machine: record.Machine) -> str:
    """What the machine's disk says that it is: "control-plane", "worker", or "bare" (in no cluster)."""
    kubernetes = lab.disk(machine) / "upper/etc/kubernetes"
    if (kubernetes / "pki/apiserver.crt").is_file():
        return "control-plane"
    return "worker" if (kubernetes / "kubelet.conf").is_file() else "bare"


def text(described: dict) -> str:
    """The table for people."""
    columns = ("name", "role", "address", "state", "kubernetes")
    rows = [columns, *([str(machine[column]) for column in columns] for machine in described["machines"])]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines[0] = lines[0].upper()
    return "\n".join(lines)
