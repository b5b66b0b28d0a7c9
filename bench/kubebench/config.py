"""`config validate` on a file of 300 kB. Needs no machine of the lab's."""

from __future__ import annotations

import subprocess
import tempfile
import time

from .figure import Figure
from .machine import ROOT, components

SIZE = 300_000


def large_file() -> str:
    """A configuration as people write it, only with very many names, arguments and volumes."""
    head = """apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
controllerManager:
  extraArgs:
  - name: v
    value: "2"
apiServer:
  certSANs:
"""
    names = volumes = arguments = ""
    number = 0
    while len(head) + len(names) + len(volumes) + len(arguments) < SIZE:
        number += 1
        names += f"  - name-{number}.region-{number % 7}.example.org\n"
        arguments += f"  - name: flag-{number}\n    value: \"{number}\"\n"
        volumes += (f"  - name: volume-{number}\n    hostPath: /srv/volumes/{number}\n    mountPath: /volumes/{number}\n"
                    "    readOnly: true\n    pathType: DirectoryOrCreate\n")
    return f"{head}{names}  extraArgs:\n{arguments}  extraVolumes:\n{volumes}"


def figures(runs: int) -> list[Figure]:
    figure = Figure("config validate, 300 kB", "ms", 1.0)
    binaries = {"kubestrap": ROOT / "build/release/kubestrap", "kubeadm": components() / "kubeadm"}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(large_file())
        file.flush()
        for _ in range(runs * 2 + 1):
            for program, binary in binaries.items():
                began = time.perf_counter()
                subprocess.run([binary, "config", "validate", "--config", file.name], stdout=subprocess.DEVNULL, check=True)
                figure.values[program].append((time.perf_counter() - began) * 1000)
    for values in figure.values.values():
        values.pop(0)  # the first run warms the page cache
    return [figure]
