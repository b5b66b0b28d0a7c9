"""The commands' arguments and what they print. stdout is the answer, stderr is progress and errors."""

from __future__ import annotations

import argparse
import json
import sys

from . import cluster, components, operations, record, shell, status, terminal, versions
from .errors import LabError, UsageError
from .progress import Progress, Silent

SUMMARIES = {
    "up": "Make a Ready Kubernetes cluster with kubestrap; a second call only shows it.",
    "down": "Remove a lab: its machines, their disks, its network. The caches stay.",
    "exec": "Run a command in a machine (without one: a shell). Passes its exit code on; 125: it was not started.",
    "machine": "Boot bare machines on the lab's network: containerd, kubelet, kubeadm, kubestrap, in no cluster.",
    "reset-machine": "Make machines bare again: a new disk and a boot, in seconds.",
    "power-off": "Pull the plug: everything in the machines ends by SIGKILL, /run is lost, disks are kept.",
    "power-on": "Boot machines that are off, with their disks.",
    "cni": "Give every node of the cluster its pod network; for nodes that joined since.",
    "components": "Build a Kubernetes version's components if missing; the last line of stdout is their folder.",
    "status": "Show a lab's machines.",
}


NOT_RUN = 125  # of `exec`: the command was not even started


def parser(command: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"lab/{command}", description=SUMMARIES[command])
    if command != "components":
        made.add_argument("--name", default="lab", metavar="LAB", help="the lab's name (default: lab)")
    if command in ("up", "machine"):
        made.add_argument(
            "--kubernetes", metavar="VERSION", help=f"{_versions()}; default {versions.DEFAULT_KUBERNETES}"
        )
    if command == "up":
        made.add_argument("--control-planes", type=int, metavar="N", help="n1, n2, ...; default 1")
        made.add_argument("--workers", type=int, metavar="M", help="w1, w2, ...; default 0")
        made.add_argument(
            "--bootstrapper",
            choices=cluster.BOOTSTRAPPERS,
            help="who runs `init`: kubestrap (default), or the real kubeadm to compare with",
        )
        made.add_argument("--layout", choices=cluster.LAYOUTS, help="of the control planes, with kubestrap; default hosted")
    if command == "exec":
        made.add_argument("machine", metavar="NODE")
        made.add_argument("command", nargs=argparse.REMAINDER, metavar="[--] COMMAND...")
    if command in ("machine", "reset-machine"):
        made.add_argument("machines", nargs="+", metavar="NAME")
    if command == "machine":
        made.add_argument("--fresh", action="store_true", help="machines that stand already get a new disk")
        made.add_argument("--no-images", action="store_true", help="containerd starts without images")
    if command in ("up", "machine"):
        made.add_argument(
            "--also-images",
            action="append",
            default=[],
            metavar="VERSION",
            help="import the images of this Kubernetes version, too (for an upgrade); may be repeated",
        )
    if command in ("power-off", "power-on"):
        made.add_argument("machines", nargs="*", metavar="NODE")
        made.add_argument("--all", action="store_true", help="all machines of the lab")
    if command == "cni":
        made.add_argument(
            "--control-plane",
            default=cluster.FIRST,
            metavar="NODE",
            help=f"where kubectl works; default {cluster.FIRST}",
        )
    if command == "components":
        made.add_argument("version", metavar="VERSION", help=f"{_versions()}, or `tools` for cfssl and cfssljson")
    if command == "status":
        made.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return made


def _versions() -> str:
    return " or ".join(versions.KUBERNETES)


def main(words: list[str]) -> int:
    command = words[0]
    try:
        options = parser(command).parse_args(words[1:])
        shell.require_root()
        return COMMANDS[command](options) or 0
    except LabError as error:
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here, ./lab/down removes everything", file=sys.stderr)
        return 130


def report(error: LabError) -> None:
    print(f"error: {error}", file=sys.stderr)
    for line in error.evidence.strip().splitlines():
        print(f"  | {line}", file=sys.stderr)
    if error.remedy:
        print(f"try: {error.remedy}", file=sys.stderr)


def version_of(text: str | None) -> str | None:
    """The full version of what the user gave."""
    if text is None:
        return None
    try:
        return versions.kubernetes(text).version
    except ValueError as error:
        raise UsageError(str(error)) from None


def up(options) -> None:
    wanted = (options.control_planes, 1), (options.workers, 0)
    if any(count is not None and count < least for count, least in wanted):
        raise UsageError("a cluster has at least 1 control plane and 0 workers")
    progress = Progress()
    also = [version_of(one) for one in options.also_images]
    lab = operations.up(
        options.name,
        operations.Wish(version_of(options.kubernetes), options.bootstrapper, options.control_planes, options.workers, options.layout),
        also,
        progress,
    )
    print(cluster.tables(lab))
    name = "" if lab.name == "lab" else f" --name {lab.name}"
    print(f"\nready in {progress.total()}; enter the machine: ./lab/exec{name} {cluster.FIRST}")


def down(options) -> None:
    progress = Progress(1)
    with progress.step(f"remove the lab {options.name}"):
        there = operations.down(options.name, progress)
    print(f"the lab {options.name} is gone" if there else f"there is no lab {options.name}")


def execute(options) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    try:
        return terminal.run_in(record.need(options.name).machine(options.machine), command or ["bash", "-l"])
    except LabError as error:
        error.exit_code = NOT_RUN
        raise


def machine(options) -> None:
    if options.no_images and options.also_images:
        raise UsageError("--no-images and --also-images contradict each other")
    version = version_of(options.kubernetes)
    progress = Progress()
    wanted = list(dict.fromkeys(options.machines))
    also = [version_of(one) for one in options.also_images]
    operations.boot_machines(
        options.name,
        wanted,
        version,
        no_images=options.no_images,
        also_images=also,
        fresh=options.fresh,
        progress=progress,
    )
    show(options.name)


def reset_machine(options) -> None:
    operations.reset_machines(options.name, list(dict.fromkeys(options.machines)), Progress(1))
    show(options.name)


def power_off(options) -> None:
    _check_choice(options)
    operations.power_off(options.name, options.machines, options.all, Silent())
    show(options.name)


def power_on(options) -> None:
    _check_choice(options)
    operations.power_on(options.name, options.machines, options.all, Progress(1))
    show(options.name)


def pod_network(options) -> None:
    progress = Progress(1)
    with progress.step("pod network"):
        operations.pod_network(options.name, options.control_plane, progress)


def _check_choice(options) -> None:
    if bool(options.machines) == options.all:
        raise UsageError("name the machines, or say --all")


def make_components(options) -> None:
    progress = Progress(2)
    version = None if options.version == "tools" else version_of(options.version)
    operations.host_packages(progress)
    if version is None:
        with progress.step("tools"):
            print(components.make_tools(progress))
    else:
        print(operations.make_components(version, progress))


def show_status(options) -> None:
    show(options.name, options.output)


def show(name: str, output: str = "text") -> None:
    described = status.describe(record.need(name))
    print(json.dumps(described, indent=2) if output == "json" else status.text(described))


COMMANDS = {
    "up": up,
    "down": down,
    "exec": execute,
    "machine": machine,
    "reset-machine": reset_machine,
    "power-off": power_off,
    "power-on": power_on,
    "cni": pod_network,
    "components": make_components,
    "status": show_status,
}
