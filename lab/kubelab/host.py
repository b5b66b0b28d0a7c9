"""Settings and modules of the host that the lab, or a kubelet in it, changes: written down before the first machine, put
back after the last lab."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from . import paths, record, shell

# Not namespaced, and set by every kubelet at its start (cm/container_manager_linux.go, setupKernelTunables).
KUBELETS = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
# Counted for each user over all machines, as all of them are root: the customary 128 instances are three machines.
RAISED = {"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 1048576}

# Bridged packets of pods pass the rules that make services; machines have no modules of their own to load.
MODULE = "br_netfilter"


def _file(setting: str) -> Path:
    return Path("/proc/sys", *setting.split("."))


def _record() -> Path:
    return paths.state_root() / ".host.json"


def prepare() -> None:
    """Records the settings (once) and raises what machines need."""
    with record.host_lock():
        if not _record().exists():
            found = {name: _file(name).read_text().strip() for name in (*KUBELETS, *RAISED) if _file(name).exists()}
            before = {"sysctls": found, "netns_mounted": _netns_mounted(), "module_there": _module_there()}
            record.write_json(_record(), before)
    if not _module_there():
        shell.try_run(["modprobe", "-q", MODULE])  # a kernel without it may have it built in
    for name, wanted in RAISED.items():
        if _file(name).exists() and int(_file(name).read_text()) < wanted:
            _file(name).write_text(str(wanted))


def restore() -> list[str]:
    """Puts everything back when no lab is left; returns the settings that had changed."""
    with record.host_lock():
        if record.everyone() or not _record().exists():
            return []
        before = json.loads(_record().read_text())
        changed = []
        for name, value in before["sysctls"].items():
            if _file(name).read_text().strip() != value:
                _file(name).write_text(value)
                changed.append(name)
        if not before.get("module_there", True) and _module_there():
            shell.try_run(["modprobe", "-q", "-r", MODULE])
        if not before["netns_mounted"] and _netns_mounted() and not any(Path("/run/netns").iterdir()):
            with contextlib.suppress(Exception):
                shell.run(["umount", "/run/netns"])
        _record().unlink()
    return changed


def sweep_folders() -> None:
    """Removes the state folder when nothing is left in it."""
    locks = paths.state_root() / ".locks"
    with contextlib.suppress(OSError):
        for file in locks.iterdir():
            if file.name == ".host" and not record.everyone():
                file.unlink()
        locks.rmdir()
        paths.state_root().rmdir()


def _module_there() -> bool:
    """Whether the module is loaded, or built into the kernel."""
    return Path("/sys/module", MODULE).exists()


def _netns_mounted() -> bool:
    return any(line.split()[4] == "/run/netns" for line in Path("/proc/self/mountinfo").read_text().splitlines())
