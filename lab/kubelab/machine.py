"""One machine's life: a disk made of links and layers, a boot, commands inside, the plug pulled."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from . import build, cgroups, components, containerd, network, paths, processes, record, rootfs, shell, store
from .errors import LabError

BOOT_PATIENCE = 60
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# what lies in /usr/bin of a machine; all other components are in /opt/kubernetes/VERSION
INSTALLED = ("kubelet", "kubeadm", "kubectl")
BOOT_SCRIPT = Path(__file__).with_name("boot.sh")
# joins the groups whose files are given, then becomes the command after "--"
ENTER_GROUPS = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'


def packages_layer(version: str, progress) -> Path:
    """The layer that "installs" a Kubernetes version. A write to it from inside a machine is a copy on its own disk."""
    binaries = components.make(version, progress)

    def build(into: Path) -> None:
        (into / "usr/bin").mkdir(parents=True)
        for program in INSTALLED:
            target = into / "usr/bin" / program
            try:
                os.link(binaries / program, target)
            except OSError:
                shutil.copy2(binaries / program, target)

    return store.make("layers", f"kubernetes-{binaries.name}", build=build, progress=progress)


def make_disk(lab: record.Lab, machine: record.Machine, progress) -> None:
    """A new disk; an old one of the same machine is lost."""
    disk = lab.disk(machine)
    machine.disk_made = False
    lab.save()
    record.throw_away(lab, disk)
    for folder in ("upper", "work", "root"):
        (disk / folder).mkdir(parents=True)
    shell.run(["cp", "-a", "--reflink=auto", rootfs.base(progress) / "var", disk / "var"])
    if machine.images:
        containerd.give(containerd.imported(machine.images, progress), disk / "var/lib/containerd")
    _write_keys(lab, machine, disk / "upper")
    if build.BINARY.exists():  # where another bootstrapper makes the cluster nobody needs to have built it
        install_kubestrap(lab, machine)
    machine.disk_made = True
    lab.save()


def _write_keys(lab: record.Lab, machine: record.Machine, upper: Path) -> None:
    """The lab's key opens root on every machine; every machine has a host key of its own."""
    key = lab.folder / "ssh" / "id_ed25519"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        _keygen(key, f"lab {lab.name}")
    (upper / "etc/ssh").mkdir(parents=True)
    (upper / "root").mkdir(mode=0o700)
    (upper / "root/.ssh").mkdir(mode=0o700)
    shutil.copyfile(key.with_suffix(".pub"), upper / "root/.ssh/authorized_keys")
    host_key = upper / "etc/ssh/ssh_host_ed25519_key"
    _keygen(host_key, machine.name)
    known = key.with_name("known_hosts")
    lines = known.read_text().splitlines() if known.exists() else []
    lines = [line for line in lines if not line.startswith(f"{machine.name},")]
    public = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
    known.write_text("\n".join([*lines, f"{machine.name},{machine.address} {public}"]) + "\n")


def _keygen(file: Path, comment: str) -> None:
    shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file])


def install_kubestrap(lab: record.Lab, machine: record.Machine) -> None:
    """Copies the release binary and its image to where a package would have them, on a machine that is off."""
    upper = lab.disk(machine) / "upper"
    for source, place, mode in ((build.BINARY, "usr/bin", 0o755), (build.IMAGE, "usr/lib/kubestrap", 0o644)):
        if source.exists():
            (upper / place).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, upper / place / source.name)
            (upper / place / source.name).chmod(mode)


def running(machine: record.Machine) -> bool:
    return machine.init is not None and processes.lives(*machine.init)


def boot(lab: record.Lab, machine: record.Machine, progress) -> None:
    """Starts the machine and returns at once; `wait_booted` waits. The machine outlives the command that booted it."""
    layers = [packages_layer(machine.kubernetes, progress), rootfs.settings(progress), rootfs.base(progress)]
    network.make_cable(lab.switch, machine.namespace, machine.address, lab.network)
    cgroups.make(machine.cgroup)
    disk = lab.disk(machine)
    settings = {
        "NAME": machine.name,
        "ADDRESS": machine.address,
        "GATEWAY": network.gateway(lab.network),
        "LAYERS": ":".join(map(str, layers)),
        "DISK": str(disk),
        "COMPONENTS": str(_folder(paths.cache("components"))),
        "IMAGES": str(_folder(paths.cache("images"))),
        "CGROUPS": _cgroup_setting(),
    }
    namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork"]
    command = ["nsenter", f"--net=/run/netns/{machine.namespace}", "unshare", *namespaces, "bash", BOOT_SCRIPT]
    with (disk / "start.log").open("w") as log:
        leader = subprocess.Popen(
            _in_groups(machine, command),
            env=settings | {"PATH": SEARCH_PATH},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    machine.leader = [leader.pid, processes.start_time(leader.pid) or 0]
    lab.save()
    deadline = time.monotonic() + 10
    while (init := _init_below(leader.pid)) is None:
        if leader.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"the machine {machine.name} did not start", evidence=_evidence(lab, machine))
        time.sleep(0.01)
    machine.init = [init, processes.start_time(init) or 0]
    cgroups.leave_to(f"{lab.cgroup}/leaders", leader.pid)
    lab.save()


def _folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _cgroup_setting() -> str:
    found = cgroups.hierarchies()
    if cgroups.version(found) == 2:
        return "v2"
    return " ".join(one.options for one in found if one.options and one.options != "none,name=systemd")


def _init_below(leader: int) -> int | None:
    """PID 1 of the machine: the child of `unshare`, which the leader has become."""
    child = processes.child_of(leader)
    if child is None:
        return None
    status = Path(f"/proc/{child}/status").read_text()
    return child if f"\nNSpid:\t{child}\t1\n" in status else None


def wait_booted(lab: record.Lab, machine: record.Machine, progress) -> None:
    """Until containerd and sshd answer."""
    deadline = time.monotonic() + BOOT_PATIENCE
    runtime = f"/proc/{machine.init[0]}/root/run/containerd/containerd.sock"
    progress.detail(f"{machine.name}: waiting for containerd and sshd")
    while not (_answers(runtime) and _listens(machine, 22)):
        if not running(machine):
            raise LabError(f"the machine {machine.name} ended while it booted", evidence=_evidence(lab, machine))
        if time.monotonic() > deadline:
            raise LabError(
                f"containerd and sshd of {machine.name} did not answer within {BOOT_PATIENCE} s",
                f"look inside: ./lab/exec --name {lab.name} {machine.name} journalctl -b",
                _evidence(lab, machine),
            )
        time.sleep(0.05)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def _listens(machine: record.Machine, port: int) -> bool:
    """Looks into the machine's own list of sockets: nothing of the host is connected to its network."""
    for family in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{machine.init[0]}/net/{family}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == "0A" and int(words[1].rsplit(":", 1)[1], 16) == port:
                return True
    return False


def _evidence(lab: record.Lab, machine: record.Machine) -> str:
    disk = lab.disk(machine)
    lines = []
    for file in (disk / "start.log", disk / "var/log/boot.log"):
        if file.exists():
            lines += file.read_text(errors="replace").splitlines()[-12:]
    return "\n".join(lines)


def power_off(lab: record.Lab, machine: record.Machine) -> None:
    """Pulls the plug: everything in the machine ends at once by SIGKILL, its namespaces and /run are gone. Also clears
    away what a command that died has left of it."""
    if machine.init:
        processes.kill(*machine.init)  # the kernel ends everything in a PID namespace with its PID 1
    if machine.leader:
        processes.wait_gone(*machine.leader, patience=2 if machine.init else 0)  # it ends by itself then
        processes.kill(*machine.leader)
    deadline = time.monotonic() + 10
    while left := cgroups.processes(machine.cgroup):
        for pid in left:
            started = processes.start_time(pid)
            if started is not None:
                processes.kill(pid, started)
        if time.monotonic() > deadline:
            raise LabError(f"processes of {machine.name} do not end: {sorted(left)}", "look at them with ps")
        time.sleep(0.02)
    network.remove(machine.namespace)
    stuck = cgroups.remove(machine.cgroup)
    if stuck:
        raise LabError(f"cgroups of {machine.name} do not go: {', '.join(stuck[:3])}")
    if machine.init or machine.leader:
        machine.init = machine.leader = None
        lab.save()


def inside(machine: record.Machine, command: list[str], environment: dict[str, str] | None = None) -> list[str]:
    """The command line that runs a command in the machine: in all its namespaces and in its cgroups."""
    if not running(machine):
        raise LabError(f"the machine {machine.name} is off", f"./lab/power-on {machine.name}")
    variables = {"HOME": "/root", "USER": "root", "PATH": SEARCH_PATH, "TERM": os.environ.get("TERM", "dumb")}
    variables |= environment or {}
    namespaces = ["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
    return _in_groups(
        machine,
        [
            *("nsenter", "-t", str(machine.init[0]), *namespaces),
            *("setpriv", "--pdeathsig", "TERM"),  # the command ends with the one who asked for it
            *("env", "-i", *(f"{key}={value}" for key, value in variables.items())),
            *command,
        ],
        leaf=True,
    )


def _in_groups(machine: record.Machine, command: list, leaf: bool = False) -> list[str]:
    files = cgroups.entrances(machine.cgroup, leaf)
    return ["bash", "-c", ENTER_GROUPS, "enter", *map(str, files), "--", *map(str, command)]


def run(machine: record.Machine, command: list[str], **options) -> str:
    """Runs a command in the machine and returns its output."""
    return shell.run(inside(machine, command), what=f"{' '.join(command[:4])} on {machine.name}", **options)
