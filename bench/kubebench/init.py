"""`init` from a bare machine to Ready, in both layouts, beside the real kubeadm's only one."""

from __future__ import annotations

import json
import statistics

from .figure import Figure, say
from .machine import CONFIG, DEFAULT_ALGORITHM, NODE, fresh_machine, in_machine, measured

# The machine's monotonic clock when the node is Ready: what lies between the end of init and this program's beginning counts too.
READY = """
import subprocess, sys, time
subprocess.run(["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "wait", "--for=condition=Ready", "node/" + sys.argv[1],
                "--timeout=120s"], check=True, stdout=subprocess.DEVNULL)
print(time.monotonic())
"""

LAYOUTS = ("plain", "hosted")
MAKERS = (("kubestrap", "plain"), ("kubeadm", "plain"), ("kubestrap", "hosted"))


def figures(runs: int) -> list[Figure]:
    rows = {
        layout: (
            Figure(f"init until it returns, {layout}", "s", 0.75, "each with its default keys: kubeadm RSA-2048, kubestrap ECDSA P-256"),
            Figure(f"init until the node is Ready, {layout}", "s", None, "the pod network's file lies there beforehand"),
            Figure(f"init, peak memory, {layout}", "MiB", 0.3),
        )
        for layout in LAYOUTS
    }
    phases: dict[str, list[dict]] = {layout: [] for layout in LAYOUTS}
    for number in range(runs):
        for program, layout in MAKERS if number % 2 == 0 else reversed(MAKERS):
            say(f"init with {program}, layout {layout}, run {number + 1} of {runs}")
            fresh_machine(DEFAULT_ALGORITHM[program], layout)
            more = ["-o", "json"] if program == "kubestrap" else []
            result = measured(program, "init", "--config", CONFIG, *more)
            ready_at = float(in_machine("python3", "-c", READY, NODE))
            seen = result["seconds"], ready_at - result["began"], result["rss"] / 1024
            for each in LAYOUTS if program == "kubeadm" else (layout,):
                for figure, value in zip(rows[each], seen):
                    figure.values[program].append(value)
            if program == "kubestrap":
                phases[layout].append(phase_times(in_machine("cat", "/var/log/bench.err")))
    for layout in LAYOUTS:
        report_phases(layout, phases[layout])
    return [figure for layout in LAYOUTS for figure in rows[layout]]


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


def report_phases(layout: str, runs: list[dict[str, float]]) -> None:
    say(f"kubestrap's phases, layout {layout}, median milliseconds spent in effects and waits (10 and more):")
    for phase in {name: None for run in runs for name in run}:
        median = statistics.median(run.get(phase, 0) for run in runs)
        if median >= 10:
            say(f"  {phase:<50} {median:>7.0f}")
