"""Making and verifying a bundle beside tar and zstd, which neither digest nor judge what they pack. Needs no lab."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from .figure import Figure, say
from .machine import ROOT, components

PROGRAMS = ("kubelet", "kubectl", "kubeadm")


def figures(runs: int) -> list[Figure]:
    binary = ROOT / "build/release/kubestrap"
    make = Figure("bundle create", "MB/s", None, f"{', '.join(PROGRAMS)} of the lab; tar --zstd at the same level, one thread", against="tar")
    verify = Figure("bundle verify", "MB/s", None, "tar --zstd -xO: unpacking to nowhere", against="tar")
    memory = Figure("bundle create, memory", "MiB", None, "peak, which does not grow with the bundle", 64)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        root = Path(name)
        (root / "parts/bin").mkdir(parents=True)
        for program in PROGRAMS:
            (root / "parts/bin" / program).symlink_to(components() / program)
        megabytes = sum((components() / program).stat().st_size for program in PROGRAMS) / 1e6
        rate = lambda command: megabytes / run(command)[0]  # noqa: E731
        create = [binary, "bundle", "create", root / "a.bundle", "--from", root / "parts"]
        for _ in range(runs):
            seconds, peak = run(create)
            make.values["kubestrap"].append(megabytes / seconds)
            memory.values["kubestrap"].append(peak)
            make.values["tar"].append(rate(["tar", "-C", root / "parts", "-chf", root / "a.tar.zst", "-I", "zstd -3 -T1 -q", "bin"]))
            verify.values["kubestrap"].append(rate([binary, "bundle", "verify", root / "a.bundle"]))
            verify.values["tar"].append(rate(["tar", "-I", "zstd", "-xOf", root / "a.tar.zst"]))
    say("bundle: done")
    return [make, verify, memory]


def run(command: list) -> tuple[float, float]:
    """Seconds, and the peak of the process's memory in MiB."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    took = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{command[0]} ended with {status}")
    return took, used.ru_maxrss / 1024
