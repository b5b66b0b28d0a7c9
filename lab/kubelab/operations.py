"""The commands, each as one readable sequence. `cli` parses for them and prints what they return."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from . import build, cgroups, cluster, cni, components, containerd, host, network, packages, record, rootfs, versions
from . import machine as machines
from .errors import LabError


@dataclass
class Wish:
    """What `up` was asked for; None leaves it to what is there, or to the default."""

    kubernetes: str | None = None
    bootstrapper: str | None = None
    control_planes: int | None = None
    workers: int | None = None
    layout: str | None = None


def sweep(lab: record.Lab) -> None:
    """Clears away what is left of machines that do not run: of a power-off by hand, or of a command that was killed."""
    for machine in lab.machines.values():
        if not machines.running(machine):
            machines.power_off(lab, machine)


def host_packages(progress) -> None:
    with progress.step("host packages"):
        packages.install(packages.missing_on_host(), progress)


def build_kubestrap(progress) -> None:
    """Machines get the checkout's own kubestrap, as its sources are now."""
    with progress.step("build kubestrap (release)"):
        build.kubestrap(progress)


def make_components(version: str, progress) -> Path:
    expect = "" if components.have(version) else "built once: 6 to 12 minutes on 2 cores"
    with progress.step(f"Kubernetes {version} components", expect):
        return components.make(version, progress)


def prepare_steps(version: str, image_versions: list[str]) -> int:
    """How many steps `prepare` is."""
    return 2 + len({version, *image_versions}) + bool(image_versions)


def prepare(version: str, image_versions: list[str], progress) -> None:
    """Steps that make what is cached: a warm cache makes each of them end at once."""
    host_packages(progress)
    for one in dict.fromkeys([version, *image_versions]):
        make_components(one, progress)
    with progress.step("root file system of the machines"):
        rootfs.base(progress)
        rootfs.settings(progress)
        machines.packages_layer(version, progress)
    if image_versions:
        with progress.step("images"):
            containerd.imported(image_versions, progress)


def boot_all(lab: record.Lab, chosen: list[record.Machine], progress) -> None:
    """Boots machines that are off, side by side, and waits until all are up."""
    host.prepare()
    network.make_switch(lab.switch, lab.network)
    cni.restore_switch_routes(lab)
    for machine in chosen:
        if not machines.running(machine):
            machines.power_off(lab, machine)
            if not machine.disk_made:
                machines.make_disk(lab, machine, progress)
            machines.boot(lab, machine, progress)
    for machine in chosen:
        machines.wait_booted(lab, machine, progress)


def up(name: str, wish: Wish, also_images: list[str], progress) -> record.Lab:
    """A Ready cluster; a lab that has one already is only looked at, and powered on where it is off."""
    with record.lab_lock(name, progress):
        lab = record.load_or_make(name)
        sweep(lab)
        _check_same(lab, wish)
        if lab.cluster is None or lab.cluster.stage == "started":
            lab.cluster = record.Cluster(
                wish.kubernetes or versions.DEFAULT_KUBERNETES,
                wish.bootstrapper or "kubestrap",
                control_planes=wish.control_planes or 1,
                workers=wish.workers or 0,
                layout=wish.layout or ("plain" if wish.bootstrapper == "kubeadm" else "hosted"),
            )
            lab.save()
        booted_at = None
        if lab.cluster.stage == "ready":
            progress.steps = 2
            if not all(machines.running(machine) for machine in lab.machines.values()):
                booted_at = time.time()
            with progress.step("machines"):
                boot_all(lab, list(lab.machines.values()), progress)
        else:
            _make_cluster(lab, also_images, progress)
        with progress.step("wait until the nodes are Ready and CoreDNS answers"):
            cluster.wait_ready(lab, progress, booted_at)
        lab.cluster.stage = "ready"
        lab.save()
        return lab


def _check_same(lab: record.Lab, wish: Wish) -> None:
    made = lab.cluster
    if made is None:
        if cluster.FIRST in lab.machines:
            raise LabError(
                f"the lab {lab.name} has a bare machine {cluster.FIRST}, where a cluster's first machine would be",
                f"./lab/down --name {lab.name}, or another --name",
            )
        return
    if made.stage == "started":  # there is nothing yet that a wish could contradict
        return
    for name in ("kubernetes", "bootstrapper", "control_planes", "workers", "layout"):
        wanted = getattr(wish, name)
        if wanted is not None and wanted != getattr(made, name):
            raise LabError(
                f"the lab {lab.name} has Kubernetes {made.kubernetes} made by {made.bootstrapper} on {made.control_planes} control "
                f"planes of layout {made.layout} and {made.workers} workers, not {wanted} {name.replace('_', ' ')}",
                f"./lab/down --name {lab.name} first, or another --name",
            )


def _make_cluster(lab: record.Lab, also_images: list[str], progress) -> None:
    made = lab.cluster
    own = made.bootstrapper == "kubestrap"
    with_images = sorted({made.kubernetes, *also_images})
    init_due = made.stage == "started"
    others = made.others()
    progress.steps = own + prepare_steps(made.kubernetes, with_images) + 1 + init_due + len(others) + 2
    if own:
        build_kubestrap(progress)
    prepare(made.kubernetes, with_images, progress)
    with progress.step(f"boot {', '.join([cluster.FIRST, *others])}"):
        first = lab.machines.get(cluster.FIRST) or record.add_machine(lab, cluster.FIRST, made.kubernetes)
        if init_due:  # an init that was cut short is not mended but begun again, on a new disk
            machines.power_off(lab, first)
            first.images = with_images
            machines.make_disk(lab, first, progress)
            cluster.write_config(lab, first, made.kubernetes)
        boot_all(lab, [first, *(_bare(lab, one, with_images, progress) for one in others)], progress)
    if init_due:
        with progress.step(f"{made.bootstrapper} init"):
            cluster.initialise(lab, progress)
        made.stage = "initialised"
        lab.save()
    for one in others:
        with progress.step(f"{made.bootstrapper} join on {one}"):
            if one not in made.joined:
                cluster.join(lab, lab.machine(one), progress)
                made.joined.append(one)
                lab.save()
    with progress.step("pod network"):
        cni.install(lab, progress, cluster.FIRST)


def _bare(lab: record.Lab, name: str, images: list[str], progress) -> record.Machine:
    """A machine that is to join: one whose join was cut short gets a new disk."""
    machine = lab.machines.get(name) or record.add_machine(lab, name, lab.cluster.kubernetes)
    if name not in lab.cluster.joined:
        machines.power_off(lab, machine)
        machine.images = images
        machines.make_disk(lab, machine, progress)
    return machine


def boot_machines(
    name: str,
    wanted: list[str],
    version: str | None,
    *,
    no_images: bool = False,
    also_images: list[str] = (),
    fresh: bool = False,
    progress,
) -> None:
    """Bare machines on the lab's network. One that stands already is left as it is, or made anew with `fresh`."""
    for one in wanted:
        record.check_name(one, "the machine")
    with record.lab_lock(name, progress):
        lab = record.load_or_make(name)
        sweep(lab)
        version = version or (lab.cluster.kubernetes if lab.cluster else versions.DEFAULT_KUBERNETES)
        with_images = [] if no_images else sorted({version, *also_images})
        making = [one for one in wanted if fresh or one not in lab.machines]
        if making:
            own = not (lab.cluster and lab.cluster.bootstrapper != "kubestrap")
            progress.steps = own + prepare_steps(version, with_images) + 1
            if own:
                build_kubestrap(progress)
            prepare(version, with_images, progress)
        for one in making:
            machine = lab.machines.get(one) or record.add_machine(lab, one, version)
            machine.kubernetes, machine.images = version, with_images
        _drop_disks(lab, [lab.machines[one] for one in making])
        with progress.step(f"boot {', '.join(wanted)}"):
            boot_all(lab, [lab.machines[one] for one in wanted], progress)


def reset_machines(name: str, wanted: list[str], progress) -> None:
    """Makes machines bare again: their disks are dropped, all else (address, version, images) stays."""
    with record.lab_lock(name, progress):
        lab = record.need(name)
        sweep(lab)
        chosen = [lab.machine(one) for one in wanted]
        with progress.step(f"new disks and a boot for {', '.join(wanted)}"):
            _drop_disks(lab, chosen)
            boot_all(lab, chosen, progress)


def _drop_disks(lab: record.Lab, chosen: list[record.Machine]) -> None:
    for machine in chosen:
        machine.disk_made = False
        if machine.name == cluster.FIRST and lab.cluster:
            lab.cluster = None  # its control plane is gone
    lab.save()
    for machine in chosen:
        machines.power_off(lab, machine)


def pod_network(name: str, control_plane: str, progress) -> None:
    with record.lab_lock(name, progress):
        cni.install(record.need(name), progress, control_plane)


def power_off(name: str, wanted: list[str], everything: bool, progress) -> list[record.Machine]:
    with record.lab_lock(name, progress):
        lab = record.need(name)
        chosen = _choose(lab, wanted, everything)
        for machine in chosen:
            machines.power_off(lab, machine)
        return chosen


def power_on(name: str, wanted: list[str], everything: bool, progress) -> list[record.Machine]:
    with record.lab_lock(name, progress):
        lab = record.need(name)
        sweep(lab)
        chosen = _choose(lab, wanted, everything)
        with progress.step(f"boot {', '.join(machine.name for machine in chosen)}"):
            boot_all(lab, chosen, progress)
        return chosen


def _choose(lab: record.Lab, wanted: list[str], everything: bool) -> list[record.Machine]:
    return list(lab.machines.values()) if everything else [lab.machine(one) for one in wanted]


def down(name: str, progress) -> bool:
    """Removes all that the lab has on this host but the caches. False when there was no such lab."""
    with record.lab_lock(name, progress):
        lab = record.load(name)
        if lab is not None:
            for machine in lab.machines.values():
                progress.detail(f"ending {machine.name}")
                machines.power_off(lab, machine)
            network.remove(lab.switch)
            stuck = cgroups.remove(lab.cgroup)
            if stuck:
                raise LabError(f"cgroups of the lab do not go: {', '.join(stuck[:3])}")
            progress.detail("deleting the disks")
            record.forget(lab)
        host.restore()
        record.lock_file(name).unlink(missing_ok=True)
    host.sweep_folders()
    return lab is not None
