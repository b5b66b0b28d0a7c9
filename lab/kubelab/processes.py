"""Processes by pid and start time: a pid alone may have been given to somebody else since."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def start_time(pid: int) -> int | None:
    """Clock ticks from the host's boot to the process' start; None when there is none (or only its zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def lives(pid: int, started: int) -> bool:
    return start_time(pid) == started


def child_of(parent: int) -> int | None:
    """The first child of a process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                return int(entry.name)
    return None


def kill(pid: int, started: int) -> None:
    """SIGKILL to exactly this process: the handle is taken first, then it is checked whose it is."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if lives(pid, started):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def wait_gone(pid: int, started: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while lives(pid, started):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
