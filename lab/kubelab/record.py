"""What the lab writes down about itself, always before it makes the thing: so that any later command can clean up."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import cgroups, network, paths, shell, store
from .errors import LabError, UsageError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")


@dataclass
class Machine:
    """A machine of a lab: its names on the host and the place of its disk never change while it is recorded."""

    name: str
    address: str
    namespace: str
    cgroup: str
    kubernetes: str
    images: list[str] = field(default_factory=list)  # Kubernetes versions whose images are imported
    disk_made: bool = False
    leader: list[int] | None = None  # pid and start time of the process that waits for PID 1
    init: list[int] | None = None  # of the machine's PID 1, as the host sees it


@dataclass
class Cluster:
    """The cluster that `up` makes. `stage` is what was reached: "started", "initialised", "ready"."""

    kubernetes: str
    bootstrapper: str
    stage: str = "started"
    control_planes: int = 1
    workers: int = 0
    layout: str = "plain"
    joined: list[str] = field(default_factory=list)  # machines that are nodes, beside the first

    def others(self) -> list[str]:
        """The machines that join, in their order: control planes one after the other, then workers."""
        return [f"n{number}" for number in range(2, self.control_planes + 1)] + [
            f"w{number}" for number in range(1, self.workers + 1)
        ]


@dataclass
class Lab:
    name: str
    network: str
    switch: str
    cgroup: str
    machines: dict[str, Machine] = field(default_factory=dict)
    cluster: Cluster | None = None

    @property
    def folder(self) -> Path:
        return paths.state_root() / self.name

    def disk(self, machine: Machine) -> Path:
        return self.folder / "machines" / machine.name

    def machine(self, name: str) -> Machine:
        if name not in self.machines:
            known = ", ".join(self.machines) or "none"
            raise UsageError(f"the lab {self.name} has no machine {name}; it has: {known}", "see ./lab/status")
        return self.machines[name]

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "lab.json", asdict(self))


def check_name(name: str, what: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(f"{what} {name!r} is not a name: lower-case letters, digits and inner dashes, 20 at most")
    return name


def load(name: str) -> Lab | None:
    """The lab of that name, if there is one."""
    try:
        content = json.loads((paths.state_root() / check_name(name, "the lab") / "lab.json").read_text())
    except FileNotFoundError:
        return None
    content["machines"] = {key: Machine(**value) for key, value in content["machines"].items()}
    content["cluster"] = Cluster(**content["cluster"]) if content["cluster"] else None
    return Lab(**content)


def need(name: str) -> Lab:
    lab = load(name)
    if lab is None:
        raise LabError(f"there is no lab {name}", "./lab/up makes a cluster, ./lab/machine NAME a bare machine")
    return lab


def load_or_make(name: str) -> Lab:
    """The lab of that name; a new one gets a network that no other lab has."""
    with host_lock():
        lab = load(name)
        if lab is None:
            _check_free(f"lab-{name}")
            taken = {other.network for other in everyone()}
            lab = Lab(name, network.subnet(name, taken), switch=f"lab-{name}", cgroup=f"lab-{name}")
            lab.save()
    return lab


def _check_free(on_host: str) -> None:
    """What carries a new lab's name on this host is not ours to touch: it may be a lab with another state folder."""
    in_use = [f"the network namespace {on_host}"] if network.exists(on_host) else []
    groups = [str(one.folder / on_host) for one in cgroups.hierarchies() if (one.folder / on_host).exists()]
    in_use += [f"the cgroup {group}" for group in groups[:1]]
    if in_use:
        raise LabError(
            f"{' and '.join(in_use)} exist already, but no lab of that name is recorded in {paths.state_root()}",
            "choose another --name; or was KUBESTRAP_LAB_STATE different when that lab was made?",
        )


def add_machine(lab: Lab, name: str, kubernetes: str) -> Machine:
    check_name(name, "the machine")
    taken = {machine.address for machine in lab.machines.values()}
    machine = Machine(
        name=name,
        address=network.address(name, lab.network, taken),
        namespace=f"{lab.switch}.{name}",
        cgroup=f"{lab.cgroup}/{name}",
        kubernetes=kubernetes,
    )
    lab.machines[name] = machine
    lab.save()
    return machine


def everyone() -> list[Lab]:
    """Every lab on this host."""
    return [load(file.parent.name) for file in sorted(paths.state_root().glob("*/lab.json"))]


def forget(lab: Lab) -> None:
    """Deletes all disks, then the lab's record."""
    shell.run(["rm", "-rf", lab.folder / "machines", lab.folder / "trash"])
    shell.run(["rm", "-rf", lab.folder])


def throw_away(lab: Lab, folder: Path) -> None:
    """Deletes a folder of the lab without waiting: a busy file system takes seconds for what a rename does at once."""
    if folder.exists():
        trash = lab.folder / "trash"
        trash.mkdir(exist_ok=True)
        folder.rename(trash / f"{folder.name}-{time.time_ns()}")
    empty_trash(lab)


def empty_trash(lab: Lab) -> None:
    rubbish = list((lab.folder / "trash").glob("*"))
    if rubbish:
        quiet = subprocess.DEVNULL
        words = ["nice", "rm", "-rf", *rubbish]
        subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def lock_file(name: str) -> Path:
    return paths.state_root() / ".locks" / check_name(name, "the lab")


@contextmanager
def lab_lock(name: str, progress) -> Iterator[None]:
    """One command at a time changes a lab."""
    with store.lock(
        lock_file(name), lambda holder: progress.line(f"waiting for {holder}, which works on the lab {name}")
    ):
        yield


@contextmanager
def host_lock() -> Iterator[None]:
    """For what all labs share: networks given out, settings of the host."""
    with store.lock(paths.state_root() / ".locks" / ".host"):
        yield


def write_json(file: Path, content) -> None:
    """Complete or not at all, whenever the writer is killed. (Not synced: that waits for all that builds write.)"""
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    fresh.rename(file)
