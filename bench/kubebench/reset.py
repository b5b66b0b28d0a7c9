"""`reset` of a control plane with pods on it, until it returns."""

from __future__ import annotations

from .figure import PROGRAMS, Figure, say
from .init import READY
from .machine import CONFIG, DEFAULT_ALGORITHM, NODE, fresh_machine, in_machine, measured


def figures(runs: int) -> list[Figure]:
    took = Figure("reset of a node", "s", None, "each its own; kubeadm leaves rules, interfaces, the pod network's state and logs", 5.0)
    for number in range(runs):
        for program in PROGRAMS if number % 2 == 0 else reversed(PROGRAMS):
            say(f"reset with {program}, run {number + 1} of {runs}")
            fresh_machine(DEFAULT_ALGORITHM[program])
            measured(program, "init", "--config", CONFIG)
            in_machine("python3", "-c", READY, NODE)
            in_machine("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s")
            took.values[program].append(measured(program, "reset", "--force")["seconds"])
    return [took]
