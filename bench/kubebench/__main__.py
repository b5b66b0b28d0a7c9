"""Figures of kubestrap beside the real kubeadm's, in the same lab and run.

The two take turns on bare machines with the same images, configuration and load, so that the ratios hold where absolute times drift.
The lab is named `bench`, or as `KUBESTRAP_BENCH_LAB` says.
Nothing is asserted: the targets stand beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from . import bundle, certs, cfssl, cluster, config, hosted, init, joining, plan, reset, start_up, upgrade
from .figure import Figure, say, text
from .machine import NODE, ROOT, lab

GROUPS = {"start": start_up, "bundle": bundle, "config": config, "certs": certs, "cfssl": cfssl, "plan": plan, "init": init, "join": joining,
          "reset": reset, "upgrade": upgrade, "hosted": hosted, "cluster": cluster}
IN_LAB = {"certs", "plan", "init", "join", "reset", "upgrade", "hosted", "cluster"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each program (default 5)")
    parser.add_argument("--only", choices=GROUPS, action="append", help="only this group of figures; may be repeated")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    subprocess.run([str(ROOT / "build.sh"), "release"], check=True)
    groups = arguments.only or list(GROUPS)
    say(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    figures: list[Figure] = []
    try:
        if set(groups) & IN_LAB:
            lab("down")
            lab("machine", NODE)
        for group in groups:
            figures += GROUPS[group].figures(arguments.runs)
    finally:
        if set(groups) & IN_LAB:
            lab("down")
    if arguments.output == "json":
        print(json.dumps({"apiVersion": "bench.kubestrap.io/v1", "kind": "Figures", "items": [
            {"name": each.name, "unit": each.unit, "target": each.target, "limit": each.limit, "values": each.values, "ratio": each.ratio(),
             "reached": [reached for _, reached in each.targets()]}
            for each in figures]}, indent=2))
    else:
        print(text(figures))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
