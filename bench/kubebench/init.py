"""`init` from a bare machine to Ready."""

from __future__ import annotations

import json
import statistics

from .figure import PROGRAMS, Figure, say
from .machine import CONFIG, DEFAULT_ALGORITHM, NODE, fresh_machine, in_machine, measured

# The machine's monotonic clock when the node is Ready: what lies between the end of init and this program's beginning counts too.
READY = """
import subprocess, sys, time
subprocess.run(["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "wait", "--for=condition=Ready", "node/" + sys.argv[1],
                "--timeout=120s"], check=True, stdout=subprocess.DEVNULL)
print(time.monotonic())
"""


def figures(runs: int) -> list[Figure]:
    returns = Figure("init until it returns", "s", 0.75, "each with its default keys: kubeadm RSA-2048, kubestrap ECDSA P-256")
    ready = Figure("init until the node is Ready", "s", None, "the pod network's file lies there beforehand")
    memory = Figure("init, peak memory", "MiB", 0.3)
    phases: list[dict] = []
    for number in range(runs):
        for program in PROGRAMS if number % 2 == 0 else reversed(PROGRAMS):
            say(f"init with {program}, run {number + 1} of {runs}")
            fresh_machine(DEFAULT_ALGORITHM[program])
            more = ["-o", "json"] if program == "kubestrap" else []
            result = measured(program, "init", "--config", CONFIG, *more)
            ready_at = float(in_machine("python3", "-c", READY, NODE))
            returns.values[program].append(result["seconds"])
            ready.values[program].append(ready_at - result["began"])
            memory.values[program].append(result["rss"] / 1024)
            if program == "kubestrap":
                phases.append(phase_times(in_machine("cat", "/var/log/bench.err")))
    report_phases(phases)
    return [returns, ready, memory]


def phase_times(events: str) -> dict[str, float]:
    times: dict[str, float] = {}
    for line in events.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") == "done":
            times[event["phase"]] = times.get(event["phase"], 0) + event["milliseconds"]
    return times


def report_phases(runs: list[dict[str, float]]) -> None:
    say("kubestrap's phases, median milliseconds spent in effects and waits (10 and more):")
    for phase in {name: None for run in runs for name in run}:
        median = statistics.median(run.get(phase, 0) for run in runs)
        if median >= 10:
            say(f"  {phase:<50} {median:>7.0f}")
