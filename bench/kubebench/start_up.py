"""What a start costs, and the binary's size."""

from __future__ import annotations

import subprocess
import time

from .figure import Figure
from .machine import ROOT, components


def figures(runs: int) -> list[Figure]:
    figure = Figure("start-up of version", "ms", 0.2)
    binaries = {"kubestrap": ROOT / "build/release/kubestrap", "kubeadm": components() / "kubeadm"}
    for _ in range(runs * 6 + 1):
        for program, binary in binaries.items():
            began = time.perf_counter()
            subprocess.run([binary, "version"], stdout=subprocess.DEVNULL, check=True)
            figure.values[program].append((time.perf_counter() - began) * 1000)
    for values in figure.values.values():
        values.pop(0)  # the first run warms the page cache
    size = Figure("binary", "MiB", 0.1)
    for program, binary in binaries.items():
        size.values[program].append(binary.stat().st_size / 2**20)
    return [figure, size]
