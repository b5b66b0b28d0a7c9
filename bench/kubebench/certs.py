"""The whole PKI of a cluster: eleven key pairs, ten certificates."""

from __future__ import annotations

from .figure import PROGRAMS, Figure, say
from .machine import CONFIG, DEFAULT_ALGORITHM, fresh_machine, measured


def figures(runs: int) -> list[Figure]:
    both = lambda algorithm: {program: algorithm for program in PROGRAMS}  # noqa: E731
    rows = (
        (Figure("PKI, default keys", "ms", 0.1, "kubestrap ECDSA P-256, kubeadm RSA-2048", 30), DEFAULT_ALGORITHM),
        (Figure("PKI, RSA-2048", "ms", 1.0), both("RSA-2048")),
        (Figure("PKI, ECDSA P-256", "ms"), both("ECDSA-P256")),
    )
    for figure, algorithms in rows:
        for _ in range(runs):
            for program in PROGRAMS:
                fresh_machine(algorithms[program])
                seconds = measured(program, "init", "phase", "certs", "all", "--config", CONFIG)["seconds"]
                figure.values[program].append(seconds * 1000)
        say(f"{figure.name}: done")
    return [figure for figure, _ in rows]
