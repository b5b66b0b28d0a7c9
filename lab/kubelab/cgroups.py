"""One sub-cgroup for each machine, in every hierarchy of the host: each machine's kubelet sees a root of its own.

On cgroup v1 that is one folder in each hierarchy; on v2 one folder. Only groups that the lab recorded are touched.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
V2_LEAF = "lab"  # v2 allows no processes beside sub-groups with controllers: commands of `exec` live in this one


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy. `options` is what mounts it again: "cpu,cpuacct", "none,name=systemd"; empty for v2."""

    folder: Path
    options: str


def hierarchies(mountinfo: str | None = None) -> list[Hierarchy]:
    """All hierarchies of the host below /sys/fs/cgroup."""
    found: dict[str, Hierarchy] = {}
    for line in (mountinfo or Path("/proc/self/mountinfo").read_text()).splitlines():
        left, _, right = line.partition(" - ")
        folder = Path(left.split()[4])
        kind, _, options = right.split(" ", 2)
        if folder != ROOT and ROOT not in folder.parents:
            continue
        if kind == "cgroup2":
            found.setdefault("", Hierarchy(folder, ""))
        elif kind == "cgroup":
            words = [word for word in options.split(",") if word not in ("rw", "ro", "xattr", "clone_children")]
            words = [word for word in words if not word.startswith(("release_agent=", "cpuset_v2"))]
            if words and words[0].startswith("name="):
                words.insert(0, "none")
            found.setdefault(",".join(words), Hierarchy(folder, ",".join(words)))
    return list(found.values())


def version(found: list[Hierarchy] | None = None) -> int:
    """2 where the unified hierarchy is all there is, else 1 (hybrid hosts count as 1: the controllers are v1's)."""
    return 1 if any(hierarchy.options for hierarchy in (found or hierarchies())) else 2


def make(group: str) -> None:
    """Makes the group "lab-NAME/NODE" in every hierarchy."""
    found = hierarchies()
    for hierarchy in found:
        folder = hierarchy.folder
        for part in group.split("/"):
            parent, folder = folder, folder / part
            folder.mkdir(exist_ok=True)
            if "cpuset" in hierarchy.options.split(","):
                for file in ("cpuset.cpus", "cpuset.mems"):  # on v1 they start empty, and then no task may enter
                    (folder / file).write_text((parent / file).read_text())
            if "memory" in hierarchy.options.split(","):
                with contextlib.suppress(OSError):
                    (folder / "memory.use_hierarchy").write_text("1")
            if version(found) == 2:
                _delegate(parent)


def _delegate(folder: Path) -> None:
    """v2: children of this group get all controllers that it has itself."""
    for controller in (folder / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def entrances(group: str, leaf: bool = False) -> list[Path]:
    """The files that a process writes its pid to, to be in the group. `leaf`: as a guest of a machine that runs."""
    found = hierarchies()
    folders = [hierarchy.folder / group for hierarchy in found]
    if leaf and version(found) == 2:
        folders = [folder / V2_LEAF for folder in folders]
        for folder in folders:
            folder.mkdir(exist_ok=True)
    return [folder / "cgroup.procs" for folder in folders]


def leave_to(group: str, pid: int) -> None:
    """v2: moves a process that stays outside of the machine to a group beside it."""
    found = hierarchies()
    if version(found) == 2:
        folder = found[0].folder / group
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").write_text(str(pid))


def processes(group: str) -> set[int]:
    """All processes in the group and below, in any hierarchy."""
    pids: set[int] = set()
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy.folder / group):
            with contextlib.suppress(OSError):
                pids.update(int(pid) for pid in Path(folder, "cgroup.procs").read_text().split())
    return pids - {0}


def remove(group: str, patience: float = 10) -> list[str]:
    """Removes the group and all below it; returns what would not go (it has processes still)."""
    deadline = time.monotonic() + patience
    while True:
        left = []
        for hierarchy in hierarchies():
            for folder, _, _ in os.walk(hierarchy.folder / group, topdown=False):
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    pass
                except OSError:
                    left.append(folder)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)
