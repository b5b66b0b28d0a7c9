"""`init --dry-run`: what would be done, on a bare machine and on one where it is done already."""

from __future__ import annotations

from .figure import PROGRAMS, Figure
from .machine import CONFIG, DEFAULT_ALGORITHM, fresh_machine, measured


def figures(runs: int) -> list[Figure]:
    figure = Figure("plan of init, bare machine", "ms", None, "init --dry-run; kubeadm's makes real keys in a folder of its own", 100)
    for program in PROGRAMS:
        fresh_machine(DEFAULT_ALGORITHM[program])
        for _ in range(runs):
            seconds = measured(program, "init", "--dry-run", "--config", CONFIG)["seconds"]
            figure.values[program].append(seconds * 1000)
    return [figure]
